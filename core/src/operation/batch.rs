//! Batches of the Web API: as their parts.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::web_api::{self, Conditions, OVERRIDES};
use super::{Class, Operation};
use crate::batch::{Batch, Content, PartRequest};
use crate::content_type;
use crate::json_batch::{self, JsonBatch, JsonRequest};

pub(super) fn classify(headers: &HeaderMap, body: Option<&[u8]>) -> Class {
    Class {
        operation: operation(headers, body).unwrap_or(Operation::Unsafe),
        ..Class::compound()
    }
}

/// What a repeat does, if everything in it could be read.
fn operation(headers: &HeaderMap, body: Option<&[u8]>) -> Option<Operation> {
    let body = body.filter(|_| !headers.contains_key(CONTENT_ENCODING))?;
    let content_type = content_type::of(headers)?;
    if json_batch::is_json(content_type) {
        let batch = JsonBatch::read(content_type, body)?;
        return whole(batch.requests.iter().map(|request| Some(of_json(request))));
    }
    let batch = Batch::read(content_type, body);
    whole(batch.parts.iter().filter_map(|part| match &part.content {
        Content::ChangeSet => None,
        Content::Other => Some(None),
        Content::Request(request) => Some(Some(of_part(&batch, request))),
    }))
}

/// `None`: a repeat would do something twice, or it cannot be told.
fn whole(parts: impl Iterator<Item = Option<Operation>>) -> Option<Operation> {
    let mut whole = None;
    for part in parts {
        whole = match (whole, part?) {
            (None | Some(Operation::Read), Operation::Read) => Some(Operation::Read),
            (_, Operation::Read | Operation::Idempotent) => Some(Operation::Idempotent),
            // A guarded part that is repeated fails, and a change set with it: the answer would
            // say that nothing was done.
            (_, Operation::Guarded | Operation::Unsafe) => return None,
        };
    }
    whole
}

/// What a repeat of one request does.
pub(crate) fn of_part(batch: &Batch<'_>, request: &PartRequest) -> Operation {
    let mut fields = Vec::new();
    batch.fields(request.fields.clone(), |name, value| {
        fields.push((name.to_ascii_lowercase(), batch.bytes(&value)));
    });
    let Some(target) = batch.text(&request.target) else {
        return Operation::Unsafe;
    };
    of_request(batch.bytes(&request.method), target, |header| {
        let named = fields.iter().filter(|(name, _)| name == header.as_bytes());
        named.map(|(_, value)| *value).collect()
    })
}

/// As [`of_part`].
pub(crate) fn of_json(request: &JsonRequest) -> Operation {
    of_request(request.method.as_bytes(), &request.url, |header| {
        request.values(header).collect()
    })
}

fn of_request<'a>(
    method: &'a [u8],
    target: &str,
    values: impl Fn(&'static str) -> Vec<&'a [u8]>,
) -> Operation {
    let overrides = OVERRIDES.iter().flat_map(|name| values(name.as_str()));
    match web_api::effective_method(method, web_api::path(target), overrides) {
        Some(method) => {
            let conditions = Conditions::of(
                values("if-match").into_iter(),
                values("if-none-match").into_iter(),
            );
            web_api::operation(method, conditions)
        }
        None => Operation::Unsafe,
    }
}
