//! The answer of a service.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::head_text::HeadText;
use crate::{Attempt, BatchPart, Effect, Error, ErrorKind, SettleStep, Verification};

/// The answer to a call, with the story of how it was got. Cheap to clone.
#[derive(Clone)]
pub struct Response(Arc<Held>, Option<Arc<About>>);

/// What a response says of a write that its request has asked about.
struct About {
    ledger_id: Option<u64>,
    found: Option<Verification>,
    step: Option<SettleStep>,
}

struct Held {
    inner: ResponseData,
    /// How much of a collected body [`Response::read`] has given.
    read: AtomicUsize,
}

/// A body that was not read when its call ended.
pub(crate) trait ReadBody: Send + Sync {
    /// See [`Response::read`].
    fn read(
        &self,
        buffer: &mut [u8],
        check: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<usize, Error>;
    /// See [`Response::read_ready`].
    fn read_ready(&self, buffer: &mut [u8]) -> Result<(usize, bool), Error>;
    /// See [`Response::cancel`].
    fn cancel(&self);
    /// What its end has told of a write that holds several.
    fn told(&self) -> Option<&Told>;
    /// See [`Response::submit_read`].
    fn submit_read(&self, rest: Response, most: usize, user_data: usize) -> Result<(), Error>;
}

/// What is known of a write that holds several, once its answer was read.
pub(crate) struct Told {
    pub(crate) effect: Effect,
    pub(crate) parts: Vec<BatchPart>,
}

/// Of [`Default`]: the answer to what was never asked.
#[derive(Default)]
pub(crate) struct ResponseData {
    pub(crate) status: u16,
    /// `None`: the standard's.
    pub(crate) reason: Option<Box<str>>,
    pub(crate) headers: HeaderMap,
    pub(crate) head_text: HeadText,
    pub(crate) body: Bytes,
    pub(crate) effect: Effect,
    pub(crate) switched: bool,
    pub(crate) attempts: Vec<Attempt>,
    /// How long the call took.
    pub(crate) elapsed: Duration,
    /// The write on record.
    pub(crate) ledger_id: Option<u64>,
    /// Of the request.
    pub(crate) tag: Option<Arc<str>>,
    /// What the answer to a request that holds several says of them.
    pub(crate) parts: Vec<BatchPart>,
    /// The body of a streaming call.
    pub(crate) rest: Option<Box<dyn ReadBody>>,
}

impl ResponseData {
    /// Of the last attempt, which this is the answer to.
    pub(crate) fn url(&self) -> &str {
        self.attempts
            .last()
            .map_or("", |attempt| attempt.url.as_str())
    }
}

impl ResponseData {
    fn shown_url(&self) -> String {
        self.attempts
            .last()
            .map_or(String::new(), Attempt::shown_url)
    }
}

impl Response {
    pub(crate) fn new(inner: ResponseData) -> Response {
        let shared = Held {
            inner,
            read: AtomicUsize::new(0),
        };
        Response(Arc::new(shared), None)
    }

    pub(crate) fn with_verification(self, found: Verification) -> Response {
        let about = About {
            ledger_id: None,
            found: Some(found),
            step: None,
        };
        Response(self.0, Some(Arc::new(about)))
    }

    pub(crate) fn with_step(
        self,
        ledger_id: Option<u64>,
        found: Option<Verification>,
        step: SettleStep,
    ) -> Response {
        let about = About {
            ledger_id,
            found,
            step: Some(step),
        };
        Response(self.0, Some(Arc::new(about)))
    }

    /// What was found about a write, of a [`Request::verify`](crate::Request::verify) or a
    /// [`Request::settle`](crate::Request::settle). `None` for every other request.
    #[must_use]
    pub fn verification(&self) -> Option<&Verification> {
        self.1.as_ref()?.found.as_ref()
    }

    /// What a step of a walk has done, of a [`Request::settle`](crate::Request::settle); the write is
    /// [`ledger_id`](Response::ledger_id), and `None` when the walk is over. `None` for every other
    /// request.
    #[must_use]
    pub fn settle_step(&self) -> Option<&SettleStep> {
        self.1.as_ref()?.step.as_ref()
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.inner.status
    }

    /// What the status is called: as it came over HTTP/1.1, where the answer says anything, else as
    /// the standard has it. Empty for a status that it does not know.
    #[must_use]
    pub fn reason_phrase(&self) -> &str {
        let standard = || {
            StatusCode::from_u16(self.0.inner.status)
                .ok()?
                .canonical_reason()
        };
        let reason = self.0.inner.reason.as_deref();
        reason.or_else(standard).unwrap_or_default()
    }

    /// How long the call took, with all attempts and pauses: to its end, of a streaming one to its
    /// head.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.inner.elapsed
    }

    /// The URL that answered.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.inner.url()
    }

    /// The headers, to be looked up in any case.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.0.inner.headers
    }

    /// The headers, each one that came, in the order in which they came, with their names as they
    /// came: over HTTP/1.1 in any case, over HTTP/2 in lower case, and there the values of one name
    /// together.
    #[must_use]
    pub fn header_lines(&self) -> Vec<(&str, &HeaderValue)> {
        self.0.inner.head_text.spell(&self.0.inner.headers)
    }

    /// The body: bodies are never rewritten. Without a content coding that the library asked for.
    /// Empty when it is streaming.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.inner.body
    }

    /// Whether the body is read by [`read`](Response::read) only.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.0.inner.rest.is_some()
    }

    /// Reads the next bytes of the body and waits for them, for a streaming one at most the
    /// setting `attempt_timeout`. 0 is the end.
    ///
    /// # Errors
    /// [`ErrorKind::Call`] when the body broke off: with the call's attempts and effect.
    /// [`ErrorKind::Busy`] while another thread reads, [`ErrorKind::InvalidArgument`] for an empty
    /// buffer, [`ErrorKind::WouldDeadlock`], [`ErrorKind::Forked`].
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.read_on(buffer, None)
    }

    /// As [`read`](Response::read), and asks `check` on this thread about every 20 ms of waiting
    /// whether to give it up: it then fails with `cancelled`, and what it would have brought is the
    /// next read's. `check` may call the client.
    ///
    /// # Errors
    /// As [`read`](Response::read).
    pub fn read_with_check(
        &self,
        buffer: &mut [u8],
        check: &mut dyn FnMut() -> bool,
    ) -> Result<usize, Error> {
        self.read_on(buffer, Some(check))
    }

    fn read_on(
        &self,
        buffer: &mut [u8],
        check: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<usize, Error> {
        let read = check_room(buffer).and_then(|()| match &self.0.inner.rest {
            Some(rest) => rest.read(buffer, check),
            None => Ok(self.read_collected(buffer).0),
        });
        read.map_err(|error| error.of_read(self))
    }

    /// Reads what is here already of the body, without waiting: how many bytes, and whether the
    /// body has ended with them. None and `false`: the next ones are waited for. A small body mostly
    /// comes with its head, and then whole.
    ///
    /// # Errors
    /// As [`read`](Response::read), without [`ErrorKind::WouldDeadlock`].
    pub fn read_ready(&self, buffer: &mut [u8]) -> Result<(usize, bool), Error> {
        let read = check_room(buffer).and_then(|()| match &self.0.inner.rest {
            Some(rest) => rest.read_ready(buffer),
            None => Ok(self.read_collected(buffer)),
        });
        read.map_err(|error| error.of_read(self))
    }

    /// Reads at most `most` bytes without waiting: they come in the client's queue, as exactly one
    /// item of the kind `Body` with `user_data`.
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`] when the body is not streaming; [`ErrorKind::NoQueue`],
    /// [`ErrorKind::Closed`], [`ErrorKind::Busy`] while another read is under way,
    /// [`ErrorKind::InvalidArgument`] for 0: then no item comes.
    pub fn submit_read(&self, most: usize, user_data: usize) -> Result<(), Error> {
        self.begin_read(most, user_data)
            .map_err(|error| error.of_read(self))
    }

    fn begin_read(&self, most: usize, user_data: usize) -> Result<(), Error> {
        if most == 0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a read of no bytes would never end the body",
            ));
        }
        let rest = self.0.inner.rest.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::NotAvailable,
                "the body is here already; only a streaming one is read by and by",
            )
        })?;
        rest.submit_read(self.clone(), most, user_data)
    }

    /// Ends the reading of a streaming body: a read that waits, and every further one, fails with
    /// `cancelled`. What has been read already is not taken back. Nothing for a collected body.
    pub fn cancel(&self) {
        if let Some(rest) = &self.0.inner.rest {
            rest.cancel();
        }
    }

    /// How many bytes, and whether they are the last.
    fn read_collected(&self, buffer: &mut [u8]) -> (usize, bool) {
        let body = &self.0.inner.body;
        let count = |read: usize| buffer.len().min(body.len() - read);
        let taken = self
            .0
            .read
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |read| {
                Some(read + count(read))
            });
        let begin = taken.unwrap_or(body.len());
        let count = count(begin);
        buffer[..count].copy_from_slice(&body[begin..begin + count]);
        (count, begin + count == body.len())
    }

    /// What is known of the write. Of a `$batch` or an ExecuteMultiple whose body is streaming:
    /// [`Effect::Unknown`] until it was read to its end, because only its parts tell.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.told().map_or(self.0.inner.effect, |told| told.effect)
    }

    /// What the answer to a `$batch` or an ExecuteMultiple says of the requests in it, one for each
    /// answer, in their order there. Empty for other requests, for an answer that cannot be read
    /// or is larger than 16 MiB, and for one that is streaming until it was read to its end.
    ///
    /// A request that is not in it was not executed, where one before it has failed and the
    /// batch did not ask to go on; or an ExecuteMultiple did not ask for responses.
    #[must_use]
    pub fn parts(&self) -> &[BatchPart] {
        self.told().map_or(&self.0.inner.parts, |told| &told.parts)
    }

    fn told(&self) -> Option<&Told> {
        self.0.inner.rest.as_ref()?.told()
    }

    /// Whether the call's attempts went to more than one endpoint.
    #[must_use]
    pub fn switched(&self) -> bool {
        self.0.inner.switched
    }

    /// The number of the write in the client's ledger. `None` for a read.
    #[must_use]
    pub fn ledger_id(&self) -> Option<u64> {
        match self.1.as_deref() {
            Some(About {
                step: Some(_),
                ledger_id,
                ..
            }) => *ledger_id,
            _ => self.0.inner.ledger_id,
        }
    }

    /// The request's tag. `None`: it had none.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.0.inner.tag.as_deref()
    }

    /// The attempts, in order; the last one is this answer.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.inner.attempts
    }
}

fn check_room(buffer: &[u8]) -> Result<(), Error> {
    if buffer.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "there is no room in the buffer to read into",
        ));
    }
    Ok(())
}

impl fmt::Debug for Response {
    // Bodies and headers may hold what is nobody's business in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.0.inner.status)
            .field("url", &self.0.inner.shown_url())
            .field("body_bytes", &self.0.inner.body.len())
            .field("effect", &self.effect())
            .field("switched", &self.0.inner.switched)
            .finish_non_exhaustive()
    }
}
