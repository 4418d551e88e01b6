//! SOAP: by the operation, and for Execute by the message.

use http::HeaderMap;

use super::{Class, Guard, Operation, Row};
use crate::execute_multiple;
use crate::soap_request::{SoapRequest, text};

/// A message that has not told by then what it does is not read on.
const LONGEST_READ: usize = 1 << 20;
/// No table's name is as long; a longer one is not kept.
pub(super) const LONGEST_NAME: usize = 256;

/// What an operation, or a message that is executed, does when it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    Read,
    Idempotent,
    /// A repeat fails.
    Fails,
    /// Creates a row: guarded when it brings its id.
    Create,
    /// Guarded when a version is asked for.
    Change,
    /// Done twice.
    Unsafe,
    /// Done twice, and perhaps only in part.
    Compound,
}

/// The class of a request to a SOAP service.
pub(super) fn classify(headers: &HeaderMap, body: Option<&[u8]>) -> Class {
    let text = body.and_then(|body| text(headers, body, LONGEST_READ));
    let request = text.and_then(|(_, text)| SoapRequest::read(text, has_told_enough));
    let Some(request) = request.filter(|request| request.operation.is_some()) else {
        // What cannot be looked through may hold anything.
        return Class::compound();
    };
    let mut class = class(&request);
    if class.is_compound
        && let Some((_, text)) = text
        && let Some(multiple) = execute_multiple::read(text)
        && !multiple.messages.is_empty()
        && multiple
            .messages
            .iter()
            .all(|name| is_read(name.as_deref()))
    {
        class.operation = Operation::Read;
    }
    if request.agrees_with(headers) {
        class
    } else {
        Class {
            operation: Operation::Unsafe,
            guard: None,
            deletes: None,
            creates_in: None,
            ..class
        }
    }
}

fn class(request: &SoapRequest) -> Class {
    let entity = &request.entity;
    let row = || {
        let logical_name = entity.logical_name.clone()?;
        let id = entity.chosen_id()?;
        Some(Row::Soap { logical_name, id })
    };
    match repeat(request) {
        Repeat::Read => Class::of(Operation::Read),
        Repeat::Idempotent => Class {
            deletes: (request.operation.as_deref() == Some("Delete"))
                .then(row)
                .flatten(),
            ..Class::of(Operation::Idempotent)
        },
        Repeat::Fails => Class::guarded(None),
        Repeat::Create => match row() {
            Some(row) => Class::guarded(Some(Guard::Created(row))),
            None => Class {
                creates_in: entity
                    .logical_name
                    .clone()
                    .filter(|name| name.len() <= LONGEST_NAME),
                ..Class::of(Operation::Unsafe)
            },
        },
        Repeat::Change => Class {
            deletes: (request.message_name() == Some("Delete"))
                .then(row)
                .flatten(),
            ..match request.request.concurrency.as_deref() {
                Some("IfRowVersionMatches") => Class::guarded(row().map(Guard::Version)),
                _ => Class::of(Operation::Idempotent),
            }
        },
        Repeat::Unsafe => Class::of(Operation::Unsafe),
        Repeat::Compound => Class::compound(),
    }
}

/// By the operation. Every operation of the discovery service reads.
fn repeat(request: &SoapRequest) -> Repeat {
    let operation = request.operation.as_deref().unwrap_or_default();
    match operation {
        "" => Repeat::Unsafe,
        _ if request.is_discovery => Repeat::Read,
        "Retrieve" | "RetrieveMultiple" => Repeat::Read,
        "Create" => Repeat::Create,
        "Update" | "Delete" => Repeat::Idempotent,
        "Associate" | "Disassociate" => Repeat::Fails,
        "Execute" => repeat_of_execute(request),
        _ => Repeat::Unsafe,
    }
}

fn repeat_of_execute(request: &SoapRequest) -> Repeat {
    let executed = &request.request;
    let names = [executed.typed_name(), executed.request_name.as_deref()];
    let mut repeats = names.into_iter().flatten().map(repeat_of_message);
    if repeats.any(|repeat| repeat == Repeat::Compound) {
        return Repeat::Compound;
    }
    if executed.request_name.is_none() && !request.has_ended {
        // It stops in the middle, and could have said anything that its type allows.
        return match executed.typed_name() {
            Some(_) => Repeat::Unsafe,
            None => Repeat::Compound,
        };
    }
    request
        .message_name()
        .map_or(Repeat::Unsafe, repeat_of_message)
}

/// Whether a message that is executed changes nothing.
pub(crate) fn is_read(name: Option<&str>) -> bool {
    name.is_some_and(|name| repeat_of_message(name) == Repeat::Read)
}

/// By the name of the message that Execute is given.
fn repeat_of_message(name: &str) -> Repeat {
    match name {
        "ExecuteMultiple" | "ExecuteTransaction" => Repeat::Compound,
        "Create" => Repeat::Create,
        "Update" | "Delete" => Repeat::Change,
        "Upsert" => Repeat::Idempotent,
        "Associate" | "Disassociate" => Repeat::Fails,
        "WhoAmI"
        | "FetchXmlToQueryExpression"
        | "QueryExpressionToFetchXml"
        | "IsValidStateTransition" => Repeat::Read,
        _ if name.starts_with("Retrieve") => Repeat::Read,
        _ => Repeat::Unsafe,
    }
}

/// Whether nothing that follows could change the class.
fn has_told_enough(request: &SoapRequest) -> bool {
    match request.operation.as_deref() {
        _ if request.has_ended => true,
        None => false,
        Some("Create") => request.entity.logical_name.is_some(),
        Some("Delete") if !request.is_discovery => {
            request.entity.logical_name.is_some() && request.entity.id.is_some()
        }
        Some("Execute") if !request.is_discovery => {
            let executed = &request.request;
            let typed = executed.typed_name().map(repeat_of_message);
            executed.request_name.is_some()
                || matches!(typed, Some(Repeat::Unsafe | Repeat::Compound))
        }
        Some(_) => true,
    }
}
