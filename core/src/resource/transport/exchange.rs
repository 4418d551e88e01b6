//! One request on its way to one endpoint, and how much of its answer is read.

use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Method};

use super::address::Address;
use super::progress::Progress;
use super::send_body::{Latch, SendBody};

/// One request on its way to one endpoint.
pub(crate) struct Exchange<'a> {
    pub(crate) address: &'a Address,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// Makes the body, once for each connection that is tried.
    pub(crate) body: &'a (dyn Fn() -> SendBody + Sync),
    /// The body comes from the application while it is sent. Over HTTP/1.1 it goes out on a
    /// connection that was opened for it: one that has grown stale would take its first bytes along.
    pub(crate) is_read_while_sent: bool,
    /// How long a connection may have been idle that it goes out on. One that has grown stale loses
    /// the request, and leaves in doubt whether it was executed.
    pub(crate) max_idle: Duration,
    /// How long a connection is waited for, if the request has a time of its own for that.
    pub(crate) connect_timeout: Option<Duration>,
    /// Whether the body can still be sent from its beginning.
    pub(crate) is_whole: &'a (dyn Fn() -> bool + Sync),
    /// Opened by `100 Continue`.
    pub(crate) gate: Option<&'a Latch>,
    /// Codings were asked for, and are taken off.
    pub(crate) decodes: bool,
    /// How much of the body is read here.
    pub(crate) reads: Reads<'a>,
    pub(crate) progress: &'a Progress,
}

/// How much of an answer's body is read before the exchange is over.
#[derive(Clone, Copy)]
pub(crate) enum Reads<'a> {
    /// All of it, at most so many bytes. What is told of a failure may be enough before the end:
    /// its head, and what has come of its body.
    All(usize, &'a (dyn Fn(&Parts, &[u8]) -> bool + Sync)),
    /// At most so many bytes of a failure; of a success what is needed to know what it says, and of
    /// what is here by then at most so many more.
    Beginning(usize, &'a (dyn Fn(&Parts, &[u8]) -> bool + Sync), usize),
}

impl<'a> Exchange<'a> {
    /// A read of the library's own, of at most `most` bytes.
    pub(crate) fn get(
        address: &'a Address,
        headers: &'a HeaderMap,
        most: usize,
        progress: &'a Progress,
    ) -> Exchange<'a> {
        Exchange {
            address,
            method: &Method::GET,
            headers,
            body: &|| SendBody::bytes(Bytes::new()),
            is_read_while_sent: false,
            max_idle: Duration::MAX,
            connect_timeout: None,
            is_whole: &|| true,
            gate: None,
            decodes: false,
            reads: Reads::All(most, &|_, _| true),
            progress,
        }
    }
}
