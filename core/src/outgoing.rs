//! One attempt before it is sent, in the hands of the application's `prepare` hook.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::header::{check_room, parse_header};
use crate::shown::shown_url;
use crate::{Error, Role};

/// Called for each attempt before it is sent, when the endpoint is known: for what depends on the
/// endpoint (signatures, tokens, absolute URLs in bodies). On the thread that sends, or for a
/// submitted call on one of the library's, of which a client has at most 64 for that; outside of
/// the library's locks. It may block, and may call the client.
pub trait Prepare: Send + Sync {
    /// Looks at the attempt and changes it.
    ///
    /// # Errors
    /// Why it cannot be sent. The call then ends with `local`.
    fn prepare(&self, outgoing: &mut Outgoing) -> Result<(), String>;
}

/// An attempt that was not sent yet. What is changed holds for this attempt only.
pub struct Outgoing {
    pub(crate) url: String,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) role: Option<Role>,
    pub(crate) epoch: u64,
    pub(crate) number: usize,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

impl Outgoing {
    /// The whole URL that it goes to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The base URL of the endpoint. `None` for a host of `allowed_hosts`.
    #[must_use]
    pub fn endpoint_url(&self) -> Option<&str> {
        self.endpoint_url.as_deref()
    }

    /// The endpoint. `None` for a host of `allowed_hosts`.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// How many switches there had been.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number of the call's attempt, from 1.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The headers, those among them that the library adds.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Sets a header, in the place of all of its name.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument), as for a request's headers.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let (name, value) = parse_header(name, value)?;
        check_room(&self.headers)?;
        self.headers.insert(name, value);
        Ok(())
    }

    /// Takes all headers of a name away.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument), as for a request's headers.
    pub fn remove_header(&mut self, name: &str) -> Result<(), Error> {
        let (name, _) = parse_header(name, "")?;
        self.headers.remove(name);
        Ok(())
    }

    /// The body. `None` when it is read while it is sent.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// Sends these bytes in the place of the request's body.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = Some(body.into());
    }
}

impl fmt::Debug for Outgoing {
    // Headers and bodies may hold credentials and rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("url", &shown_url(&self.url))
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
