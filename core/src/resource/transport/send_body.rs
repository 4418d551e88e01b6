//! The body of a request on its way out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::body::BodyReader;
use crate::lock::lock;
use crate::resource::desk::Desk;

/// How many bytes a source is asked for at a time.
const PIECE: usize = 64 << 10;
/// How long a server is waited for that was asked, by `Expect: 100-continue`, whether it wants the
/// body. Not every server answers; curl waits as long.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct SendBody {
    gate: Option<AtLatch>,
    source: Source,
}

enum Source {
    Bytes(Bytes),
    Pipe(Pipe),
}

/// Why a body could not be sent: the application's doing.
#[derive(Clone, Debug)]
pub(crate) struct BodyError(pub(crate) String);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BodyError {}

impl SendBody {
    pub(crate) fn bytes(bytes: Bytes) -> SendBody {
        SendBody {
            gate: None,
            source: Source::Bytes(bytes),
        }
    }

    /// A body that is read at the desk while it is sent.
    pub(crate) fn reader(reader: &Arc<BodyReader>, length: Option<u64>, desk: Desk) -> SendBody {
        SendBody {
            gate: None,
            source: Source::Pipe(Pipe {
                reader: Arc::downgrade(reader),
                turn: reader.begin_turn(),
                length,
                desk,
                left: length,
                last: None,
                slot: Arc::default(),
            }),
        }
    }

    /// What ends the body's sending when it is dropped.
    pub(super) fn hang_up(&self) -> Option<HangUp> {
        match &self.source {
            Source::Bytes(_) => None,
            Source::Pipe(pipe) => Some(HangUp(Arc::downgrade(&pipe.slot))),
        }
    }

    /// Holds the body back until the server has said that it wants it.
    pub(crate) fn gated(mut self, gate: &Latch) -> SendBody {
        self.gate = Some(AtLatch {
            gate: gate.clone(),
            patience: None,
        });
        self
    }
}

impl Body for SendBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(waiting) = &mut this.gate {
            if waiting.poll(context).is_pending() {
                return Poll::Pending;
            }
            this.gate = None;
        }
        match &mut this.source {
            Source::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Source::Pipe(pipe) => pipe
                .poll(context)
                .map(|next| next.map(|bytes| bytes.map(Frame::data)).transpose()),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Bytes(bytes) => bytes.is_empty(),
            Source::Pipe(pipe) => pipe.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Pipe(pipe) => {
                let held = pipe.last.as_ref().map_or(0, Bytes::len) as u64;
                pipe.left
                    .map_or_else(SizeHint::new, |left| SizeHint::with_exact(left + held))
            }
        }
    }
}

/// A body that comes from the application's thread.
struct Pipe {
    /// The call's and not ours: what is left of a request on a shared connection lives on until
    /// somebody drives that connection, and the application's source must not.
    reader: Weak<BodyReader>,
    /// Which sending of the body this is.
    turn: u64,
    length: Option<u64>,
    desk: Desk,
    /// How many bytes are still owed, if the length was told.
    left: Option<u64>,
    /// The last piece of a body whose length was told. It waits until the source has said that
    /// nothing follows: without it the request is not whole, and a server executes nothing.
    last: Option<Bytes>,
    slot: Arc<Mutex<Slot>>,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Asked(Waker),
    Filled(Result<Bytes, BodyError>),
    /// Nothing is wanted any more.
    Over,
}

impl Pipe {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        if self.is_over() {
            return Poll::Ready(Ok(None));
        }
        let slot = Arc::clone(&self.slot);
        let mut slot = lock(&slot);
        match std::mem::take(&mut *slot) {
            Slot::Filled(piece) => {
                drop(slot);
                if piece.is_err() && self.desk.is_closed() {
                    return self.wait_for_the_end(context);
                }
                let next = piece.and_then(|piece| self.account(piece));
                match next {
                    Ok(Account::Give(piece)) => Poll::Ready(Ok(piece)),
                    Ok(Account::Hold) => self.poll(context),
                    Err(error) => {
                        if let Some(reader) = self.reader.upgrade() {
                            reader.fail(&error.0);
                        }
                        Poll::Ready(Err(error))
                    }
                }
            }
            Slot::Over => {
                *slot = Slot::Over;
                let message = "the call has ended before its body".to_owned();
                Poll::Ready(Err(BodyError(message)))
            }
            Slot::Asked(_) => {
                *slot = Slot::Asked(context.waker().clone());
                Poll::Pending
            }
            Slot::Empty => {
                let Some(reader) = self.reader.upgrade() else {
                    drop(slot);
                    return self.wait_for_the_end(context);
                };
                *slot = Slot::Asked(context.waker().clone());
                drop(slot);
                let slot = Arc::clone(&self.slot);
                let (order, turn) = (Order(Some(slot)), self.turn);
                reader.ask();
                self.desk.post(move || {
                    // The source belongs to who sends the body by now: what is read for an exchange
                    // that was given up would be missing there.
                    if reader.is_turn(turn) {
                        order.fill(read(&reader));
                    }
                });
                Poll::Pending
            }
        }
    }

    /// The call has ended before its body: with an early answer, which may still be read. An error
    /// would end that as well.
    fn wait_for_the_end(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        *lock(&self.slot) = Slot::Asked(context.waker().clone());
        Poll::Pending
    }

    /// Holds the source to the length that was told: a server would take what is missing from the
    /// next request, and what is too much for the next request.
    fn account(&mut self, piece: Bytes) -> Result<Account, BodyError> {
        let (Some(left), Some(length)) = (self.left, self.length) else {
            return Ok(Account::Give((!piece.is_empty()).then_some(piece)));
        };
        if piece.is_empty() {
            return match left {
                0 => Ok(Account::Give(self.last.take())),
                _ => Err(BodyError(format!(
                    "the body's reader ended {left} bytes before the length {length}"
                ))),
            };
        }
        let left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
            BodyError(format!(
                "the body's reader gave more than the length {length}"
            ))
        })?;
        self.left = Some(left);
        if left > 0 {
            return Ok(Account::Give(Some(piece)));
        }
        self.last = Some(piece);
        Ok(Account::Hold)
    }

    /// Whether all was given.
    fn is_over(&self) -> bool {
        self.left == Some(0) && self.last.is_none()
    }
}

/// A piece that was asked for. Filled once: by the time that it is dropped, another thread may have
/// taken the piece and asked for the next one in the same slot.
struct Order(Option<Arc<Mutex<Slot>>>);

impl Order {
    fn fill(mut self, piece: Result<Bytes, BodyError>) {
        self.put(piece);
    }

    fn put(&mut self, piece: Result<Bytes, BodyError>) {
        let Some(slot) = self.0.take() else {
            return;
        };
        let mut slot = lock(&slot);
        if let Slot::Asked(waker) = &*slot {
            let waker = waker.clone();
            *slot = Slot::Filled(piece);
            drop(slot);
            waker.wake();
        }
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        // Not filled: the source has panicked, or nobody was left to ask it.
        let message = "the body's reader has panicked, or its call has ended".to_owned();
        self.put(Err(BodyError(message)));
    }
}

/// Ends the sending of a body on a shared connection, which nobody else ends.
pub(super) struct HangUp(Weak<Mutex<Slot>>);

impl Drop for HangUp {
    fn drop(&mut self) {
        let Some(slot) = self.0.upgrade() else {
            return;
        };
        if let Slot::Asked(waker) = std::mem::replace(&mut *lock(&slot), Slot::Over) {
            waker.wake();
        }
    }
}

/// What becomes of a piece that was read.
enum Account {
    /// `None`: the body is at its end.
    Give(Option<Bytes>),
    /// It is the last one, if nothing follows.
    Hold,
}

fn read(reader: &BodyReader) -> Result<Bytes, BodyError> {
    let mut buffer = BytesMut::zeroed(PIECE);
    let count = reader
        .read(&mut buffer)
        .map_err(|error| BodyError(format!("the body's reader failed: {error}")))?;
    buffer.truncate(count);
    Ok(buffer.freeze())
}

/// Opened by the server's `100 Continue`.
#[derive(Clone, Default)]
pub(crate) struct Latch(Arc<Mutex<Latched>>);

#[derive(Default)]
struct Latched {
    is_open: bool,
    waker: Option<Waker>,
    /// A body waits here…
    holds: bool,
    /// …or has gone without having been asked for, then.
    let_go: Option<Instant>,
}

impl Latch {
    pub(crate) fn open(&self) {
        let waker = {
            let mut state = lock(&self.0);
            state.is_open = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Until when nothing moved because a body waited here: until now, if one does. A server that does not
    /// answer may be one that is asked in vain.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        let state = lock(&self.0);
        match state.holds {
            true => Some(Instant::now()),
            false => state.let_go,
        }
    }
}

struct AtLatch {
    gate: Latch,
    patience: Option<Pin<Box<Sleep>>>,
}

impl AtLatch {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        {
            let mut state = lock(&self.gate.0);
            state.holds = !state.is_open;
            if state.is_open {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
        }
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        let is_over = patience.as_mut().poll(context);
        if is_over.is_ready() {
            let mut state = lock(&self.gate.0);
            state.holds = false;
            state.let_go = Some(Instant::now());
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::task::Wake;

    use super::*;
    use crate::BodySource;
    use crate::resource::desk::Jobs;

    struct Letters(u8);

    impl BodySource for Letters {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            buffer[0] = self.0;
            Ok(1)
        }

        fn rewind(&mut self) -> io::Result<()> {
            self.0 = b'a' - 1;
            Ok(())
        }
    }

    fn reader() -> (Arc<BodyReader>, Desk, Jobs) {
        let reader = BodyReader::new(Box::new(Letters(b'a' - 1)), None, true);
        let (desk, jobs) = Desk::new();
        (Arc::new(reader), desk, jobs)
    }

    type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

    fn poll(body: &mut SendBody, waker: &Waker) -> Polled {
        Pin::new(body).poll_frame(&mut Context::from_waker(waker))
    }

    fn piece(polled: Polled) -> Bytes {
        let Poll::Ready(Some(Ok(frame))) = polled else {
            panic!("no piece: {polled:?}");
        };
        frame.into_data().unwrap()
    }

    #[test]
    fn what_was_asked_for_an_exchange_that_was_given_up_is_not_read() {
        let (reader, desk, mut jobs) = reader();
        let mut given_up = SendBody::reader(&reader, None, desk.clone());
        assert!(poll(&mut given_up, Waker::noop()).is_pending());
        let mut body = SendBody::reader(&reader, None, desk);
        assert!(poll(&mut body, Waker::noop()).is_pending());
        while let Ok(job) = jobs.try_recv() {
            job();
        }
        assert_eq!(piece(poll(&mut body, Waker::noop())), "a");
        let polled = poll(&mut given_up, Waker::noop());
        assert!(matches!(polled, Poll::Ready(Some(Err(_)))), "{polled:?}");
    }

    /// Whom it wakes asks for the next piece at once, as another thread may.
    struct Eager(Mutex<(SendBody, Vec<Bytes>)>);

    impl Wake for Eager {
        fn wake(self: Arc<Self>) {
            let mut state = self.0.lock().unwrap();
            let (body, pieces) = &mut *state;
            pieces.push(piece(poll(body, Waker::noop())));
            assert!(poll(body, Waker::noop()).is_pending());
        }
    }

    #[test]
    fn a_piece_that_is_asked_for_while_the_last_one_is_handed_over_is_read_as_well() {
        let (reader, desk, mut jobs) = reader();
        let body = SendBody::reader(&reader, None, desk);
        let eager = Arc::new(Eager(Mutex::new((body, Vec::new()))));
        let waker = Waker::from(Arc::clone(&eager));
        assert!(poll(&mut eager.0.lock().unwrap().0, &waker).is_pending());
        jobs.try_recv().unwrap()();
        jobs.try_recv().unwrap()();
        let mut state = eager.0.lock().unwrap();
        assert_eq!(state.1, ["a"]);
        assert_eq!(piece(poll(&mut state.0, Waker::noop())), "b");
    }
}
