//! What of the words those name that read texts, without what sends them.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header::HeaderName};

use crate::Error;
use crate::body::Body;
use crate::operation::{Class, classify};

pub use crate::allowed_host::AllowedHost;
pub use crate::alternate::UrlForm;
pub use crate::body::BodySource;
pub use crate::ledger_entry::{LedgerEntry, LedgerSelection, Resolution, SuspectedSince};
pub use crate::operation::Operation;
pub use crate::organization::Organization;
pub use crate::parts::BatchPart;
pub use crate::settling::{SettlePolicy, SettleStep, Settled};
pub use crate::target::Target;
pub use crate::verification::{Difference, Verification, Verified};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LedgerBodies {
    Off,
    Digest,
    Full,
}

/// What of a request its class is read from.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) is_upsert: bool,
}

impl Request {
    pub fn new(method: &str, url: &str) -> Result<Request, Error> {
        Ok(Request {
            method: method.parse().expect("a method"),
            url: url.to_owned(),
            headers: HeaderMap::new(),
            body: Body::Bytes(Bytes::new()),
            is_upsert: false,
        })
    }

    pub fn add_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let name: HeaderName = name.parse().expect("a name");
        self.headers.append(name, value.parse().expect("a value"));
        Ok(())
    }

    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = Body::Bytes(body.into());
    }

    pub(crate) fn as_sent(&self) -> Result<(Cow<'_, Request>, Class), Error> {
        Ok((Cow::Borrowed(self), self.class()))
    }

    pub(crate) fn class(&self) -> Class {
        let body = self.body.bytes().map(|body| &body[..]);
        classify(&self.method, &self.url, &self.headers, body)
    }
}
