//! Calls that need the application's code: its body, its prepare hook.
//!
//! Each is sent by a thread of its own, which never enters the interpreter. What it needs becomes a job for the Python
//! code that waits for the call. So the application's code has only Python's frames beneath it: it may block, await, be
//! interrupted or be ended by an exit of the interpreter, and no frame of Rust is in its way.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use d365_failover::{
    D365_FORKED, D365_LATE, D365_NO_RESOURCES, d365_client_send_cancellable, d365_client_t,
    d365_outgoing_t, d365_pending_cancel, d365_pending_new, d365_pending_t, d365_request_t,
    d365_response_t, spawn,
};
use pyo3::prelude::*;

use crate::abi::{Failure, Handle, make};
use crate::bell::Bell;
use crate::outgoing::{self, Lent, Outgoing};
use crate::{answer, gate};

/// How long a signal may wait to be looked at.
const SLICE: Duration = Duration::from_millis(20);
/// A piece of the body that is asked for, where the library wants less: each one is a change of threads.
const PIECE: usize = 256 << 10;

/// What a call and the Python code that waits for it say to each other.
struct Talk {
    state: Mutex<Between>,
    changed: Condvar,
    /// Rung, with this number, where nobody waits for `changed`.
    bell: Option<(Bell, usize)>,
    /// What it is cancelled by.
    pending: Handle<d365_pending_t>,
}

#[derive(Default)]
struct Between {
    asked: Option<Wish>,
    answered: Option<Answer>,
    outcome: Option<Result<Handle<d365_response_t>, Failure>>,
    /// Nobody waits for the call any more.
    is_forgotten: bool,
}

enum Wish {
    Read(usize),
    Rewind,
    Prepare(Arc<Lent>),
}

enum Answer {
    Done,
    Piece(Vec<u8>),
    Failed(String),
}

enum Turn {
    Job(Wish),
    End(Result<Handle<d365_response_t>, Failure>),
}

impl Talk {
    fn state(&self) -> MutexGuard<'_, Between> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.notify_all();
        if let Some((bell, key)) = &self.bell {
            bell.ring(*key);
        }
    }

    /// Has a job done by the Python code.
    fn ask(&self, wish: Wish) -> Answer {
        let mut state = self.state();
        state.asked = Some(wish);
        self.tell();
        loop {
            if let Some(answer) = state.answered.take() {
                return answer;
            }
            if state.is_forgotten {
                state.asked = None;
                return Answer::Failed("nobody waits for the call any more".to_owned());
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self, outcome: Result<Handle<d365_response_t>, Failure>) {
        let mut state = self.state();
        if !state.is_forgotten {
            state.outcome = Some(outcome);
            self.tell();
        }
    }

    fn turn(state: &mut Between) -> Option<Turn> {
        let job = state.asked.take().map(Turn::Job);
        job.or_else(|| state.outcome.take().map(Turn::End))
    }

    fn wait(&self) -> Option<Turn> {
        let state = self.state();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, SLICE, |state| {
                state.asked.is_none() && state.outcome.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        Self::turn(&mut state)
    }

    fn cancel(&self, is_forgotten: bool) {
        // SAFETY: the handle is alive as long as `self`, and NULL is allowed for the error.
        unsafe { d365_pending_cancel(self.pending.raw(), ptr::null_mut()) };
        if is_forgotten {
            let mut state = self.state();
            state.is_forgotten = true;
            let dropped = state.outcome.take();
            drop(state);
            drop(dropped);
            self.changed.notify_all();
        }
    }
}

/// The call that a thread sends, and what it has of the body already.
struct Current {
    talk: Arc<Talk>,
    piece: Vec<u8>,
    given: usize,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

fn with_current<T>(work: impl FnOnce(&mut Current) -> T) -> Option<T> {
    CURRENT.with_borrow_mut(|current| current.as_mut().map(work))
}

/// The read function of a body.
pub(crate) unsafe extern "C" fn read(_: *mut c_void, buffer: *mut u8, capacity: usize) -> i64 {
    let read = with_current(|current| {
        if current.given == current.piece.len() {
            match current.talk.ask(Wish::Read(capacity.max(PIECE))) {
                Answer::Piece(piece) => (current.piece, current.given) = (piece, 0),
                Answer::Done | Answer::Failed(_) => return -1,
            }
        }
        let count = capacity.min(current.piece.len() - current.given);
        // SAFETY: `count` bytes are in the piece, and the library has given room for `capacity`, which nobody else uses.
        unsafe {
            ptr::copy_nonoverlapping(current.piece.as_ptr().add(current.given), buffer, count)
        };
        current.given += count;
        i64::try_from(count).unwrap_or(-1)
    });
    read.unwrap_or(-1)
}

/// The rewind function of a body.
pub(crate) unsafe extern "C" fn rewind(_: *mut c_void) -> i32 {
    let rewound = with_current(|current| {
        (current.piece, current.given) = (Vec::new(), 0);
        matches!(current.talk.ask(Wish::Rewind), Answer::Done)
    });
    if rewound == Some(true) { 0 } else { 1 }
}

/// The prepare function of a client.
pub(crate) unsafe extern "C" fn prepare(_: *mut c_void, outgoing: *mut d365_outgoing_t) -> i32 {
    let prepared = with_current(|current| {
        let lent = Arc::new(Lent::new(outgoing));
        let answer = current.talk.ask(Wish::Prepare(Arc::clone(&lent)));
        lent.take_back();
        answer
    });
    match prepared {
        Some(Answer::Done) => 0,
        Some(Answer::Failed(message)) => outgoing::fail(outgoing, &message),
        Some(Answer::Piece(_)) | None => outgoing::fail(outgoing, "it was not asked"),
    }
}

/// A call that is under way. Forgotten, it is cancelled.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Call {
    talk: Arc<Talk>,
    generation: u32,
}

impl Call {
    /// Sends `request`. With a bell nobody is to wait: it rings with `key` when there is a turn.
    pub(crate) fn start(
        client: Arc<Handle<d365_client_t>>,
        request: Handle<d365_request_t>,
        bell: Option<(Bell, usize)>,
    ) -> Result<Self, Failure> {
        let talk = Arc::new(Talk {
            // SAFETY: the outputs are `make`'s own.
            pending: make(|out, error| unsafe { d365_pending_new(out, error) })?,
            state: Mutex::default(),
            changed: Condvar::new(),
            bell,
        });
        let theirs = Arc::clone(&talk);
        let send = move || {
            let current = Current {
                talk: Arc::clone(&theirs),
                piece: Vec::new(),
                given: 0,
            };
            CURRENT.set(Some(current));
            // SAFETY: client and request are this thread's until the call has ended, and `theirs` lives longer.
            let outcome = make(|out, error| unsafe {
                let pending = theirs.pending.raw();
                d365_client_send_cancellable(client.raw(), request.raw(), pending, out, error)
            });
            drop((request, client));
            theirs.end(outcome);
        };
        spawn("d365-call", send).map_err(|_| Failure::of(D365_NO_RESOURCES))?;
        Ok(Self {
            talk,
            generation: gate::generation(),
        })
    }

    fn is_of_this_process(&self) -> bool {
        self.generation == gate::generation()
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_of_this_process() {
            Ok(())
        } else {
            Err(Failure::of(D365_FORKED).into_exception(py))
        }
    }

    fn hand_out<'py>(&self, py: Python<'py>, turn: Turn) -> PyResult<Bound<'py, PyAny>> {
        match turn {
            Turn::Job(wish) => Ok(Bound::new(py, Job::new(&self.talk, wish))?.into_any()),
            Turn::End(Ok(response)) => {
                Ok(Bound::new(py, answer::Answer::of(py, response)?)?.into_any())
            }
            Turn::End(Err(failure)) => Err(failure.into_exception(py)),
        }
    }
}

#[pymethods]
impl Call {
    /// Waits for the next turn: a `Job`, or the answer that the call has ended with. Raises what it has failed with.
    /// With `check`, signals are handled meanwhile.
    fn next<'py>(&self, py: Python<'py>, check: bool) -> PyResult<Bound<'py, PyAny>> {
        self.check(py)?;
        loop {
            let turn = gate::wait_on(py, || Ok(self.talk.wait()));
            match turn.map_err(|failure| failure.into_exception(py))? {
                Some(turn) => return self.hand_out(py, turn),
                None if check => py.check_signals()?,
                None => {}
            }
        }
    }

    /// The next turn, if it is there.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.check(py)?;
        let turn = Talk::turn(&mut self.talk.state());
        turn.map(|turn| self.hand_out(py, turn)).transpose()
    }

    /// Ends the call at once, unless a job of it is open. Its end is to be waited for.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        self.check(py)?;
        self.talk.cancel(false);
        Ok(())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.is_of_this_process() {
            self.talk.cancel(true);
        }
    }
}

/// One thing that a call needs done. Answered once; forgotten, it has failed.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct Job {
    talk: Arc<Talk>,
    wish: Wish,
    is_open: Mutex<bool>,
    generation: u32,
}

impl Job {
    fn new(talk: &Arc<Talk>, wish: Wish) -> Self {
        Self {
            talk: Arc::clone(talk),
            wish,
            is_open: Mutex::new(true),
            generation: gate::generation(),
        }
    }

    fn answer(&self, answer: Answer) -> Result<(), Failure> {
        if self.generation != gate::generation() {
            return Err(Failure::of(D365_FORKED));
        }
        let mut is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut *is_open) {
            return Err(Failure::of(D365_LATE));
        }
        if let Wish::Prepare(lent) = &self.wish {
            lent.take_back();
        }
        self.talk.state().answered = Some(answer);
        self.talk.changed.notify_all();
        Ok(())
    }
}

#[pymethods]
impl Job {
    /// `"read"`, `"rewind"` or `"prepare"`.
    #[getter]
    fn kind(&self) -> &'static str {
        match self.wish {
            Wish::Read(_) => "read",
            Wish::Rewind => "rewind",
            Wish::Prepare(_) => "prepare",
        }
    }

    /// Of a read: how many bytes are wanted at most.
    #[getter]
    fn most(&self) -> usize {
        match self.wish {
            Wish::Read(most) => most,
            Wish::Rewind | Wish::Prepare(_) => 0,
        }
    }

    /// Of a prepare: the attempt, until this job is answered.
    #[getter]
    fn outgoing(&self) -> Option<Outgoing> {
        match &self.wish {
            Wish::Prepare(lent) => Some(Outgoing::new(Arc::clone(lent))),
            Wish::Read(_) | Wish::Rewind => None,
        }
    }

    /// Answers a read. No bytes: the body has ended.
    fn give(&self, py: Python<'_>, piece: &[u8]) -> PyResult<()> {
        self.answer(Answer::Piece(piece.to_vec()))
            .map_err(|failure| failure.into_exception(py))
    }

    /// Answers a rewind or a prepare.
    fn done(&self, py: Python<'_>) -> PyResult<()> {
        self.answer(Answer::Done)
            .map_err(|failure| failure.into_exception(py))
    }

    /// It could not be done: the call ends.
    fn fail(&self, py: Python<'_>, message: &str) -> PyResult<()> {
        self.answer(Answer::Failed(message.to_owned()))
            .map_err(|failure| failure.into_exception(py))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Nothing to do where it was answered, or is the parent's.
        let _ = self.answer(Answer::Failed("the job was forgotten".to_owned()));
    }
}
