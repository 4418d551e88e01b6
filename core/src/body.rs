//! The body of a request: bytes, or what is read while it is sent.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::lock::lock;

/// Gives a body piece by piece. Called on the thread that sends, or for a submitted call on one of
/// the library's, of which a client has at most 64 for that; outside of the library's locks. It may
/// block, and may call the client. Submitted calls whose bodies wait for each other hold their
/// threads: more than 64 of them can wait for ever.
pub trait BodySource: Send {
    /// Puts the next bytes into `buffer`, which is not empty, and tells how many. 0 is the end.
    ///
    /// # Errors
    /// Whatever reading fails with; the call then ends with it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Goes back to the first byte. Never called for a one-shot body.
    ///
    /// # Errors
    /// Whatever it fails with; the call then ends with the fault that it had.
    fn rewind(&mut self) -> io::Result<()>;
}

/// A source, and what is known of it.
pub(crate) struct BodyReader {
    source: Mutex<Box<dyn BodySource>>,
    pub(crate) length: Option<u64>,
    can_rewind: bool,
    /// A read was begun since the last rewind.
    is_begun: AtomicBool,
    /// It gave a byte since the last rewind, and before one.
    has_given: AtomicBool,
    gave_before: AtomicBool,
    /// Counts who began to send it.
    turn: AtomicU64,
    /// How long pieces have taken in this attempt, from the asking to the having, in microseconds.
    micros: AtomicU64,
    hold: Mutex<Hold>,
    /// Why it could not be sent: what becomes of a body's error is the business of the protocol
    /// that sends it, and HTTP/2 keeps none of its words.
    failure: Mutex<Option<String>>,
    /// A call uses it.
    is_taken: AtomicBool,
}

/// When the application had the next piece to give.
#[derive(Default)]
struct Hold {
    /// Since when one is asked for that has not come.
    asked: Option<Instant>,
    /// When the last one came.
    given: Option<Instant>,
}

#[derive(Clone)]
pub(crate) enum Body {
    Bytes(Bytes),
    Reader(Arc<BodyReader>),
}

/// The right of one call to read a body.
pub(crate) struct Taken(Arc<BodyReader>);

impl BodyReader {
    pub(crate) fn new(
        source: Box<dyn BodySource>,
        length: Option<u64>,
        can_rewind: bool,
    ) -> BodyReader {
        BodyReader {
            source: Mutex::new(source),
            length,
            can_rewind,
            is_begun: AtomicBool::new(false),
            has_given: AtomicBool::new(false),
            gave_before: AtomicBool::new(false),
            turn: AtomicU64::new(0),
            micros: AtomicU64::new(0),
            hold: Mutex::default(),
            failure: Mutex::new(None),
            is_taken: AtomicBool::new(false),
        }
    }

    /// Takes it for a call. `None`: another call has it.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Taken> {
        let was_taken = self.is_taken.swap(true, Ordering::AcqRel);
        (!was_taken).then(|| Taken(Arc::clone(self)))
    }

    /// Whether it can be sent from its first byte on.
    pub(crate) fn can_be_sent(&self) -> bool {
        self.can_rewind || !self.is_begun.load(Ordering::Acquire)
    }

    /// Whether it has to be rewound first.
    pub(crate) fn is_begun(&self) -> bool {
        self.is_begun.load(Ordering::Acquire)
    }

    pub(crate) fn rewind(&self) -> io::Result<()> {
        let mut source = lock(&self.source);
        source.rewind()?;
        self.is_begun.store(false, Ordering::Release);
        if self.has_given.swap(false, Ordering::AcqRel) {
            self.gave_before.store(true, Ordering::Release);
        }
        Ok(())
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut source = lock(&self.source);
        self.is_begun.store(true, Ordering::Release);
        self.ask();
        let result = source.read(buffer);
        let now = Instant::now();
        let mut hold = lock(&self.hold);
        hold.given = Some(now);
        let took = now - hold.asked.take().unwrap_or(now);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(took, Ordering::AcqRel);
        match result {
            // A write of nothing would be executed.
            Ok(0) if self.is_used_up() => Err(io::Error::other(
                "rewound, it gives nothing, and it gave a body before",
            )),
            Ok(1..) => {
                self.has_given.store(true, Ordering::Release);
                result
            }
            _ => result,
        }
    }

    fn is_used_up(&self) -> bool {
        self.gave_before.load(Ordering::Acquire) && !self.has_given.load(Ordering::Acquire)
    }

    /// A piece is asked for: from now on its time counts, also while no thread is free to read it.
    pub(crate) fn ask(&self) {
        lock(&self.hold).asked.get_or_insert_with(Instant::now);
    }

    /// Until when nothing moved because the application had a piece to give: until now, if it has.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        let hold = lock(&self.hold);
        hold.asked.map(|_| Instant::now()).or(hold.given)
    }

    pub(crate) fn time(&self) -> Duration {
        let asked = lock(&self.hold).asked;
        let waited = asked.map_or(Duration::ZERO, |asked| asked.elapsed());
        Duration::from_micros(self.micros.load(Ordering::Acquire)) + waited
    }

    /// Somebody begins to send it, and whoever sent it before has given up. Tells whose turn it is.
    pub(crate) fn begin_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn is_turn(&self, turn: u64) -> bool {
        self.turn.load(Ordering::Acquire) == turn
    }

    /// A new attempt begins.
    pub(crate) fn begin(&self) {
        self.micros.store(0, Ordering::Release);
        *lock(&self.hold) = Hold::default();
        *lock(&self.failure) = None;
    }

    pub(crate) fn fail(&self, why: &str) {
        *lock(&self.failure) = Some(why.to_owned());
    }

    pub(crate) fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.is_taken.store(false, Ordering::Release);
    }
}

impl Body {
    /// The bytes, if it is bytes.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        match self {
            Body::Bytes(bytes) => Some(bytes),
            Body::Reader(_) => None,
        }
    }

    pub(crate) fn reader(&self) -> Option<&Arc<BodyReader>> {
        match self {
            Body::Bytes(_) => None,
            Body::Reader(reader) => Some(reader),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Body::Reader(reader) => write!(f, "a reader of {:?} bytes", reader.length),
        }
    }
}
