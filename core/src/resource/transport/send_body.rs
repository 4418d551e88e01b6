//! The body of a request on its way out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::body::{BodyReader, lock};
use crate::resource::desk::Desk;

/// How many bytes a source is asked for at a time.
const PIECE: usize = 64 << 10;
/// How long a server is waited for that was asked, by `Expect: 100-continue`, whether it wants the
/// body. Not every server answers; curl waits as long.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct SendBody {
    gate: Option<Waiting>,
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
    pub(crate) fn reader(reader: &Arc<BodyReader>, desk: Desk) -> SendBody {
        let length = reader.length;
        SendBody {
            gate: None,
            source: Source::Pipe(Pipe {
                reader: Arc::downgrade(reader),
                length,
                desk,
                left: length,
                last: None,
                slot: Arc::default(),
            }),
        }
    }

    /// Holds the body back until the server has said that it wants it.
    pub(crate) fn gated(mut self, gate: &Gate) -> SendBody {
        self.gate = Some(Waiting {
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
            Slot::Asked(_) => {
                *slot = Slot::Asked(context.waker().clone());
                Poll::Pending
            }
            Slot::Empty => {
                let Some(reader) = self.reader.upgrade() else {
                    let message = "the call has ended before its body".to_owned();
                    return Poll::Ready(Err(BodyError(message)));
                };
                *slot = Slot::Asked(context.waker().clone());
                drop(slot);
                let slot = Arc::clone(&self.slot);
                let order = Order(slot);
                self.desk.post(move || order.fill(read(&reader)));
                Poll::Pending
            }
        }
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

/// A piece that was asked for.
struct Order(Arc<Mutex<Slot>>);

impl Order {
    fn fill(&self, piece: Result<Bytes, BodyError>) {
        let asked = {
            let mut slot = lock(&self.0);
            if !matches!(*slot, Slot::Asked(_)) {
                return;
            }
            std::mem::replace(&mut *slot, Slot::Filled(piece))
        };
        if let Slot::Asked(waker) = asked {
            waker.wake();
        }
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        // Nothing when it was filled. Else the source has panicked, or nobody was left to ask it.
        let message = "the body's reader has panicked, or its call has ended".to_owned();
        self.fill(Err(BodyError(message)));
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
pub(crate) struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_open: bool,
    waker: Option<Waker>,
}

impl Gate {
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
}

struct Waiting {
    gate: Gate,
    patience: Option<Pin<Box<Sleep>>>,
}

impl Waiting {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        {
            let mut state = lock(&self.gate.0);
            if state.is_open {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
        }
        self.patience
            .get_or_insert_with(|| Box::pin(sleep(PATIENCE)))
            .as_mut()
            .poll(context)
    }
}
