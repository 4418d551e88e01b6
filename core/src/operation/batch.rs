//! Batches of the Web API: as their parts.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::web_api::{self, Conditions, OVERRIDES};
use super::{Class, Operation};
use crate::batch::{Batch, Content, PartRequest};
use crate::content_type;

pub(super) fn classify(headers: &HeaderMap, body: Option<&[u8]>) -> Class {
    Class {
        operation: operation(headers, body).unwrap_or(Operation::Unsafe),
        ..Class::compound()
    }
}

/// What a repeat does, if everything in it could be read.
fn operation(headers: &HeaderMap, body: Option<&[u8]>) -> Option<Operation> {
    let body = body.filter(|_| !headers.contains_key(CONTENT_ENCODING))?;
    let batch = Batch::read(content_type::of(headers)?, body);
    let mut whole = None;
    for part in &batch.parts {
        let operation = match &part.content {
            Content::ChangeSet => continue,
            Content::Other => return None,
            Content::Request(request) => of_part(&batch, request),
        };
        whole = match (whole, operation) {
            (None | Some(Operation::Read), Operation::Read) => Some(Operation::Read),
            (_, Operation::Read | Operation::Idempotent) => Some(Operation::Idempotent),
            // A guarded part that is repeated fails, and a change set with it: the answer would
            // say that nothing was done.
            (_, Operation::Guarded | Operation::Unsafe) => return None,
        };
    }
    whole
}

fn of_part(batch: &Batch<'_>, request: &PartRequest) -> Operation {
    let mut overrides = Vec::new();
    let (mut if_match, mut if_none_match) = (Vec::new(), Vec::new());
    batch.fields(request.fields.clone(), |name, value| {
        let value = batch.bytes(&value);
        let is = |header: &str| name.eq_ignore_ascii_case(header.as_bytes());
        if is("if-match") {
            if_match.push(value);
        } else if is("if-none-match") {
            if_none_match.push(value);
        } else if OVERRIDES.iter().any(|header| is(header)) {
            overrides.push(value);
        }
    });
    let Some(target) = batch.text(&request.target) else {
        return Operation::Unsafe;
    };
    let path = web_api::path(target);
    let method = batch.bytes(&request.method);
    match web_api::effective_method(method, path, overrides.into_iter()) {
        Some(method) => {
            let conditions = Conditions::of(if_match.into_iter(), if_none_match.into_iter());
            web_api::operation(method, conditions)
        }
        None => Operation::Unsafe,
    }
}
