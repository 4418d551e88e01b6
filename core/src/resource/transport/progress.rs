//! How far an attempt has got, told from outside of its future: the future of an attempt that
//! ran out of time is dropped, and its phase and what it has received must be known all the same.

use std::hint::black_box;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::response::Parts;

use super::socket::{Counts, Wire};
use crate::head_text::HeadText;
use crate::{HttpVersion, Phase};

#[derive(Default)]
pub(crate) struct Progress {
    state: Mutex<Seen>,
    /// The status of the answer; 0 as long as there is none.
    status: AtomicU16,
    /// Milliseconds that addresses have waited for silent ones before them.
    head_starts: AtomicU64,
}

/// A step of opening a connection that was done.
#[derive(Clone)]
pub(crate) struct Mark {
    /// `proxy`, `dns`, `tcp`, `tls`.
    pub(crate) name: &'static str,
    pub(crate) at: Instant,
    /// For a person.
    pub(crate) detail: String,
}

#[derive(Default)]
struct Seen {
    /// The socket that the request goes out on, and its counter before.
    wire: Option<(Arc<Wire>, u64)>,
    /// It was there before.
    was_kept: bool,
    /// What the request goes out on, whether it is shared or not.
    line: Option<Arc<Wire>>,
    /// What had come on it before…
    heard: u64,
    /// …and how many answers that were.
    answers: u64,
    is_queued: bool,
    counts: Counts,
    version: Option<HttpVersion>,
    head: Option<Parts>,
    /// As it came.
    head_text: HeadText,
    /// Most answers come in one piece, which is then not copied.
    first: Bytes,
    rest: BytesMut,
    /// Of a connection that was opened for this exchange alone.
    marks: Vec<Mark>,
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request goes out on this socket, which nobody else uses, from now on. `was_kept`: it was there before.
    pub(super) fn watch(&self, wire: &Arc<Wire>, was_kept: bool) {
        let mut state = self.state();
        state.was_kept = was_kept;
        state.counts = Counts::Bytes;
        state.wire = Some((Arc::clone(wire), wire.begin()));
        state.line = Some(Arc::clone(wire));
        state.heard = wire.received();
        state.version = Some(HttpVersion::Http11);
    }

    /// The request was put into the queue of a shared connection, and may leave at any time.
    pub(super) fn queued(&self, wire: &Arc<Wire>, counts: Counts) {
        let mut state = self.state();
        state.counts = counts;
        state.line = Some(Arc::clone(wire));
        state.heard = wire.received();
        state.answers = wire.answers();
        state.is_queued = true;
        state.version = Some(HttpVersion::Http2);
    }

    /// The request was handed back, or can leave no more.
    pub(super) fn not_sent(&self) {
        let mut state = self.state();
        state.wire = None;
        state.is_queued = false;
    }

    /// Silent addresses have held the others up for so long.
    pub(super) fn waited(&self, head_starts: Duration) {
        let milliseconds = head_starts.as_millis() as u64;
        self.head_starts.store(milliseconds, Ordering::Relaxed);
    }

    /// A step of opening its connection was done.
    pub(super) fn mark(&self, name: &'static str, detail: String) {
        let at = Instant::now();
        self.state().marks.push(Mark { name, at, detail });
    }

    pub(crate) fn marks(&self) -> Vec<Mark> {
        self.state().marks.clone()
    }

    pub(crate) fn head_starts(&self) -> Duration {
        Duration::from_millis(self.head_starts.load(Ordering::Relaxed))
    }

    /// Whether it has a connection on which nothing has come since.
    pub(super) fn is_unheard(&self) -> bool {
        let state = self.state();
        let line = state.line.as_ref();
        line.is_some_and(|wire| wire.received() == state.heard)
    }

    /// The endpoint answers on another connection: where nobody was answered on this one since, no further
    /// request goes out on it. What it carries waits on. Tells whether others that have been idle since may be as
    /// dead as this one.
    pub(crate) fn doubt(&self) -> bool {
        let is_unheard = self.is_unheard();
        let state = self.state();
        if is_unheard && state.wire.is_some() && state.was_kept {
            return true;
        }
        if let Some(wire) = state.line.as_ref().filter(|_| state.is_queued)
            && wire.answers() == state.answers
        {
            wire.doubt();
        }
        false
    }

    /// The version of HTTP that the request was sent in, if it had a connection.
    pub(crate) fn version(&self) -> Option<HttpVersion> {
        self.state().version
    }

    /// The head of the answer was read.
    pub(super) fn read(&self, text: HeadText) {
        self.state().head_text = text;
    }

    /// What the head of the answer was read from, once.
    pub(crate) fn take_head_text(&self) -> HeadText {
        std::mem::take(&mut self.state().head_text)
    }

    /// The head of the answer has come.
    pub(super) fn responded(&self, head: Parts) {
        self.status.store(head.status.as_u16(), Ordering::Release);
        self.state().head = Some(head);
    }

    /// More of the body has come. Tells how much there is by now, in bytes. `None`: there is no memory
    /// for it, and it is dropped.
    pub(super) fn received(&self, data: Bytes) -> Option<usize> {
        let mut state = self.state();
        if state.first.is_empty() && state.rest.is_empty() {
            state.first = data;
        } else {
            has_room(&state.rest, state.first.len() + data.len()).then_some(())?;
            let first = std::mem::take(&mut state.first);
            state.rest.extend_from_slice(&first);
            state.rest.extend_from_slice(&data);
        }
        Some(state.first.len() + state.rest.len())
    }

    /// Looks at the answer as far as it has come.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Parts, &[u8]) -> T) -> Option<T> {
        let state = self.state();
        let body = if state.rest.is_empty() {
            &state.first[..]
        } else {
            &state.rest[..]
        };
        state.head.as_ref().map(|head| at(head, body))
    }

    /// The answer as far as it has come, once.
    pub(crate) fn take_answer(&self) -> Option<(Parts, Bytes)> {
        let mut state = self.state();
        let head = state.head.take()?;
        let (first, rest) = (
            std::mem::take(&mut state.first),
            std::mem::take(&mut state.rest),
        );
        Some((
            head,
            if rest.is_empty() {
                first
            } else {
                rest.freeze()
            },
        ))
    }

    /// The status of the answer, once its head was read.
    pub(crate) fn status(&self) -> Option<u16> {
        Some(self.status.load(Ordering::Acquire)).filter(|status| *status != 0)
    }

    /// When what counts has happened last, or the connection came about. On a shared connection what goes out
    /// does not count: it may be other requests on their way into a black hole. `None`: there is no connection.
    pub(crate) fn moved(&self) -> Option<Instant> {
        let state = self.state();
        state.line.as_ref().map(|wire| wire.moved(state.counts))
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state().line.is_some()
    }

    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        if self.status().is_some() {
            return Phase::Responded;
        }
        let state = self.state();
        match &state.wire {
            _ if state.is_queued => Phase::Sent,
            Some((wire, before)) if wire.written() != *before => Phase::Sent,
            _ => Phase::NotSent,
        }
    }
}

/// Whether a buffer can take so much more. Growing one without memory aborts the process; what is
/// large enough to be refused alone is tried first.
fn has_room(buffer: &BytesMut, more: usize) -> bool {
    const LARGE: usize = 1 << 20;
    let wanted = (buffer.len() + more).max(buffer.capacity() * 2);
    if wanted < LARGE || buffer.capacity() - buffer.len() >= more {
        return true;
    }
    let mut tried = Vec::<u8>::new();
    // What nobody looks at, the compiler does not allocate.
    tried.try_reserve_exact(wanted).is_ok() && black_box(tried).is_empty()
}
