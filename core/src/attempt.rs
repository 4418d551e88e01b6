//! One try of a call at one endpoint.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::shown::shown_url;
use crate::{Effect, Fault, Role};

/// How far an attempt got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It is proved that no byte of the request has left.
    NotSent = 1,
    /// A byte of the request may have left, and no status line was seen.
    Sent = 2,
    /// A status line was seen; the body may still have been cut.
    Responded = 3,
}

impl Phase {
    /// `not_sent`, `sent` or `responded`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::NotSent => "not_sent",
            Phase::Sent => "sent",
            Phase::Responded => "responded",
        }
    }
}

/// The version of HTTP that an attempt was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http11 = 11,
    /// HTTP/2.
    Http2 = 20,
}

impl HttpVersion {
    /// `HTTP/1.1` or `HTTP/2`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            HttpVersion::Http11 => "HTTP/1.1",
            HttpVersion::Http2 => "HTTP/2",
        }
    }
}

/// The record of one attempt. Every response and every error of a call carries all of them.
#[derive(Clone)]
pub struct Attempt {
    /// The endpoint that it was sent to. `None`: a host of `allowed_hosts`, which is neither.
    pub role: Option<Role>,
    /// The switchboard's epoch when it started: how many switches there had been.
    pub epoch: u64,
    /// The whole URL that it was sent to.
    pub url: String,
    /// How far it got.
    pub phase: Phase,
    /// The version of HTTP that was spoken. `None` while there was no connection.
    pub http_version: Option<HttpVersion>,
    /// The status of the answer, if there was one.
    pub http_status: Option<u16>,
    /// Whether the service itself has answered with success, as far as the answer was read.
    pub(crate) is_acknowledged: bool,
    /// Why it failed, if it did.
    pub fault: Option<Fault>,
    /// When it started.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What the parts of its answer say of a write that holds several.
    pub(crate) parts_effect: Option<Effect>,
    /// It has read the row of the write, and did nothing to it.
    pub(crate) reads_row: bool,
}

impl Attempt {
    /// The URL for logs and messages.
    pub(crate) fn shown_url(&self) -> String {
        shown_url(&self.url)
    }

    /// The URL for the ledger. What other hosts take in their queries may be a credential: a signature,
    /// say.
    pub(crate) fn url_on_record(&self) -> &str {
        match self.role {
            Some(_) => &self.url,
            None => self.url.split('?').next().unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("role", &self.role)
            .field("epoch", &self.epoch)
            .field("url", &self.shown_url())
            .field("phase", &self.phase)
            .field("http_version", &self.http_version)
            .field("http_status", &self.http_status)
            .field("fault", &self.fault)
            .field("took", &self.took)
            .finish_non_exhaustive()
    }
}
