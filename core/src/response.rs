//! The answer of a service.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use crate::{Attempt, Effect};

/// The whole answer to a call, with the story of how it was got. Cheap to clone.
#[derive(Clone)]
pub struct Response(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) status: u16,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) effect: Effect,
    pub(crate) switched: bool,
    pub(crate) attempts: Vec<Attempt>,
}

impl Response {
    pub(crate) fn new(inner: Inner) -> Response {
        Response(Arc::new(inner))
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The URL that answered.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The headers, as they came.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The body, as it came: bodies are never rewritten.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// What is known of the write.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// Whether the call's attempts went to more than one endpoint.
    #[must_use]
    pub fn switched(&self) -> bool {
        self.0.switched
    }

    /// The attempts, in order; the last one is this answer.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }
}

impl fmt::Debug for Response {
    // Bodies and headers may hold what is nobody's business in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.0.status)
            .field("url", &self.0.url)
            .field("body_bytes", &self.0.body.len())
            .field("effect", &self.0.effect)
            .field("switched", &self.0.switched)
            .finish_non_exhaustive()
    }
}
