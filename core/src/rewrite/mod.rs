//! What in a request's body names an endpoint, rewritten to the endpoint of an attempt: request
//! lines of `$batch` parts, and the WS-Addressing `To` of SOAP. Pure functions; everything else
//! of a body stays byte for byte. And requests that are sent in the place of others: a create with
//! an id of the library's choice, and the look for the row that a write should have left.

pub(crate) mod again;
mod batch;
pub(crate) mod guarded_create;
mod json_batch;
pub(crate) mod read_back;
mod soap_match;
pub(crate) mod update_guard;
mod wsa_to;

#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin_tests;

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method};

use crate::operation::web_api::{self, Service};
use crate::{Organization, Role, content_type};

/// The body as it is to be sent to the endpoint `role`. `None`: as it is.
///
/// Cheap where nothing applies: the URL and the Content-Type decide which body is looked into at
/// all. One with a Content-Encoding is not. What looks like a batch or a message, and goes to no
/// `$batch` or service, is data.
pub(crate) fn body_for(
    organization: &Organization,
    role: Role,
    url: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Option<Bytes> {
    // The path first: to look for a header costs more, and most writes go to rows.
    let path = web_api::path(url);
    let is_batch = web_api::is_batch(path);
    let may_name_one = is_batch || web_api::service(path) == Service::Soap;
    if !may_name_one || body.is_empty() || headers.contains_key(CONTENT_ENCODING) {
        return None;
    }
    let content_type = content_type::of(headers)?;
    let media_type = content_type::media_type(content_type);
    let is = |name: &str| media_type.eq_ignore_ascii_case(name);
    let splices = if is_batch {
        if is("multipart/mixed") {
            batch::splices(organization, role, content_type, body)
        } else {
            json_batch::splices(organization, role, content_type, body)
        }
    } else if is("text/xml") || is("application/soap+xml") {
        wsa_to::splices(organization, role, body)
    } else {
        return None;
    };
    (!splices.is_empty()).then(|| spliced(body, splices))
}

/// A request in the place of another.
pub(crate) struct Rewritten {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Bytes of a body and what comes in their place.
#[derive(Debug, PartialEq, Eq)]
struct Splice {
    at: Range<usize>,
    by: String,
}

impl Splice {
    /// By how much the body grows.
    fn growth(&self) -> isize {
        self.by.len().cast_signed() - self.at.len().cast_signed()
    }
}

fn spliced(body: &[u8], mut splices: Vec<Splice>) -> Bytes {
    splices.sort_by_key(|splice| splice.at.start);
    let growth: isize = splices.iter().map(Splice::growth).sum();
    let mut result = BytesMut::with_capacity(body.len().saturating_add_signed(growth));
    let mut done = 0;
    for splice in splices {
        result.extend_from_slice(&body[done..splice.at.start]);
        result.extend_from_slice(splice.by.as_bytes());
        done = splice.at.end;
    }
    result.extend_from_slice(&body[done..]);
    result.freeze()
}
