//! What the fuzz targets of tests/fuzz reach beyond the public functions. Exists only in their
//! builds.

use bytes::Bytes;
use http::HeaderMap;

use crate::{Organization, Role};

/// [`crate::rewrite::body_for`], of a request to a `$batch`, or else to the SOAP service.
#[must_use]
pub fn body_for(
    organization: &Organization,
    role: Role,
    headers: &HeaderMap,
    body: &Bytes,
) -> Option<Bytes> {
    [
        "/api/data/v9.2/$batch",
        "/XRMServices/2011/Organization.svc",
    ]
    .into_iter()
    .find_map(|url| crate::rewrite::body_for(organization, role, url, headers, body))
}

/// [`crate::classify::inflate`].
#[must_use]
pub fn inflate(headers: &HeaderMap, body: &[u8], limit: usize) -> Vec<u8> {
    crate::classify::inflate(headers, body, limit).into_owned()
}
