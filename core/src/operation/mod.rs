//! What a request does when it is sent twice.

pub(crate) mod batch;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod soap;
#[cfg(test)]
mod soap_tests;
#[cfg(test)]
mod tests;
pub(crate) mod web_api;

use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use web_api::Service;

/// What is known of a request from what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) operation: Operation,
    /// It holds several operations, or may hold them: when it is refused, some of them may have
    /// been executed.
    pub(crate) is_compound: bool,
    /// How a guarded write is guarded, and by which row that can be looked up. A guarded write
    /// without one: a repeat fails, and nothing tells what of.
    pub(crate) guard: Option<Guard>,
    /// The row that a SOAP message deletes.
    pub(crate) deletes: Option<Row>,
    /// The table in which a SOAP message creates a row whose id its answer will tell.
    pub(crate) creates_in: Option<String>,
}

/// What makes the service refuse a repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// It creates this row and nothing else: the repeat finds it there.
    Created(Row),
    /// The row must have a version: the repeat finds another one, whoever made it.
    Version(Row),
}

impl Guard {
    pub(crate) fn row(&self) -> &Row {
        match self {
            Guard::Created(row) | Guard::Version(row) => row,
        }
    }
}

/// A row, as the request names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Row {
    /// By its URL at the Web API, without query.
    Url(String),
    /// By table and id.
    Soap { logical_name: String, id: Uuid },
}

impl Class {
    fn of(operation: Operation) -> Class {
        Class {
            operation,
            is_compound: false,
            guard: None,
            deletes: None,
            creates_in: None,
        }
    }

    fn guarded(guard: Option<Guard>) -> Class {
        Class {
            guard,
            ..Class::of(Operation::Guarded)
        }
    }

    fn compound() -> Class {
        Class {
            is_compound: true,
            ..Class::of(Operation::Unsafe)
        }
    }
}

/// The class of a request. `body` is `None` when it is read while it is sent.
///
/// A read by its method costs no allocation, and of a write to the Web API the body is not looked
/// at; a SOAP message is read until it has told enough.
pub(crate) fn classify(
    method: &Method,
    url: &str,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Class {
    if method.is_safe() {
        return Class::of(Operation::Read);
    }
    let path = web_api::path(url);
    if web_api::is_batch(path) {
        return batch::classify(headers, body);
    }
    if *method == Method::POST && web_api::service(path) == Service::Soap {
        return soap::classify(headers, body);
    }
    web_api::classify(method, url, headers)
}

/// The class of a request, by what a repeat of it would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Changes nothing.
    Read = 1,
    /// A repeat has the same effect as the first.
    Idempotent = 2,
    /// A repeat is detected by the service (`If-Match`, `If-None-Match`, a chosen id).
    Guarded = 3,
    /// A repeat is done twice.
    Unsafe = 4,
}

impl Operation {
    /// `read`, `idempotent`, `guarded` or `unsafe`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::Read => "read",
            Operation::Idempotent => "idempotent",
            Operation::Guarded => "guarded",
            Operation::Unsafe => "unsafe",
        }
    }
}
