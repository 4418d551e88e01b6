//! Token providers. The library asks on a thread of its own; the question is put into a channel from which a Python
//! thread takes it. So provider code has only Python's frames beneath it, and an exit in the middle of it ends cleanly.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use d365_failover::{
    D365_CLOSED, D365_FORKED, D365_LATE, d365_settings_set_token_provider, d365_settings_t,
    d365_token_request_fail_with, d365_token_request_reply, d365_token_request_role,
    d365_token_request_t, d365_token_request_url,
};
use pyo3::prelude::*;

use crate::abi::{Failure, Handle, chars, get, get_text, run};
use crate::bell::Bell;
use crate::{gate, names};

/// Requests for tokens on their way to Python.
pub(crate) struct Channel {
    state: Mutex<Requests>,
    changed: Condvar,
}

#[derive(Default)]
struct Requests {
    waiting: VecDeque<Handle<d365_token_request_t>>,
    closed: bool,
    /// Rung where who waits does not wait for `changed`.
    bells: Vec<Bell>,
}

impl Channel {
    /// Makes the channel the token provider of `settings`.
    pub(crate) fn install(settings: &Handle<d365_settings_t>) -> Result<Arc<Self>, Failure> {
        let channel = Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let data = Arc::into_raw(Arc::clone(&channel))
            .cast_mut()
            .cast::<c_void>();
        // SAFETY: `data` is a strong reference that belongs to the library from now on, until it calls `forget`.
        let installed = run(|error| unsafe {
            d365_settings_set_token_provider(settings.raw(), Some(ask), data, Some(forget), error)
        });
        if let Err(failure) = installed {
            // SAFETY: refused, so the reference was not taken over.
            drop(unsafe { Arc::from_raw(data.cast::<Self>()) });
            return Err(failure);
        }
        Ok(channel)
    }

    fn state(&self) -> MutexGuard<'_, Requests> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, request: Handle<d365_token_request_t>) {
        let mut state = self.state();
        if !state.closed {
            state.waiting.push_back(request);
            self.tell(&state);
        }
    }

    /// All who wait: they take what there is.
    fn tell(&self, state: &Requests) {
        self.changed.notify_all();
        state.bells.iter().for_each(|bell| bell.ring(0));
    }

    fn next(&self) -> Option<Handle<d365_token_request_t>> {
        let mut state = self.state();
        loop {
            if let Some(request) = state.waiting.pop_front() {
                return Some(request);
            }
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let unanswered = std::mem::take(&mut state.waiting);
        self.tell(&state);
        drop(state);
        // Their calls fail with `authentication`.
        drop(unanswered);
    }
}

extern "C" fn ask(user_data: *mut c_void, request: *mut d365_token_request_t) {
    // SAFETY: the reference that `install` handed over, alive until `forget`.
    let channel = unsafe { &*user_data.cast::<Channel>() };
    channel.push(Handle::own(request));
}

extern "C" fn forget(user_data: *mut c_void) {
    // SAFETY: called once; gives back the reference that `install` handed over.
    drop(unsafe { Arc::from_raw(user_data.cast::<Channel>()) });
}

/// The channel's end in Python. Does not keep the client alive.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct TokenQueue {
    channel: Arc<Channel>,
    generation: u32,
}

impl TokenQueue {
    pub(crate) fn new(channel: Arc<Channel>) -> Self {
        Self {
            channel,
            generation: gate::generation(),
        }
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.generation == gate::generation() {
            Ok(())
        } else {
            Err(Failure::of(D365_FORKED).into_exception(py))
        }
    }
}

#[pymethods]
impl TokenQueue {
    /// Waits for the next request; `None` once the client is closed.
    fn next(&self, py: Python<'_>) -> PyResult<Option<TokenRequest>> {
        self.check(py)?;
        match gate::wait(py, || Ok(self.channel.next())) {
            Ok(next) => Ok(next.map(TokenRequest::new)),
            Err(failure) if failure.status == D365_CLOSED => Ok(None),
            Err(failure) => Err(failure.into_exception(py)),
        }
    }

    /// A bell that is rung when there is a request, or the client is closed.
    fn add_bell(&self, bell: PyRef<'_, Bell>) {
        self.channel.state().bells.push(bell.clone());
    }

    fn remove_bell(&self, bell: PyRef<'_, Bell>) {
        self.channel.state().bells.retain(|other| !other.is(&bell));
    }

    /// The next request, if there is one, without waiting; and whether the client is closed.
    fn poll(&self, py: Python<'_>) -> PyResult<(Option<TokenRequest>, bool)> {
        self.check(py)?;
        let mut state = self.channel.state();
        let request = state.waiting.pop_front().map(TokenRequest::new);
        Ok((request, state.closed))
    }
}

/// One token wanted. Answered once; forgotten without an answer, its call fails.
#[pyclass(frozen, module = "d365_failover._native")]
pub(crate) struct TokenRequest {
    request: Mutex<Option<Handle<d365_token_request_t>>>,
}

impl TokenRequest {
    fn new(request: Handle<d365_token_request_t>) -> Self {
        Self {
            request: Mutex::new(Some(request)),
        }
    }

    fn look<T>(&self, read: impl FnOnce(*mut d365_token_request_t) -> Option<T>) -> Option<T> {
        let request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        request.as_ref().and_then(|request| read(request.raw()))
    }

    fn answer(
        &self,
        py: Python<'_>,
        answer: impl FnOnce(*mut d365_token_request_t) -> Result<(), Failure>,
    ) -> PyResult<()> {
        let mut request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        let told = match request.as_ref() {
            Some(request) => answer(request.raw()),
            None => Err(Failure::of(D365_LATE)),
        };
        // A token that is refused leaves the request open: `fail` can still say why.
        let answered = told.is_ok().then(|| request.take());
        drop(request);
        drop(answered);
        told.map_err(|failure| failure.into_exception(py))
    }
}

#[pymethods]
impl TokenRequest {
    /// The endpoint's origin.
    #[getter]
    fn url(&self) -> String {
        // SAFETY: alive under the lock.
        self.look(|raw| get_text(|out| unsafe { d365_token_request_url(raw, out) }))
            .unwrap_or_default()
    }

    #[getter]
    fn role(&self) -> &'static str {
        // SAFETY: alive under the lock.
        let role = self.look(|raw| get::<i32>(|out| unsafe { d365_token_request_role(raw, out) }));
        names::role(role.unwrap_or_default().into()).unwrap_or("unknown")
    }

    fn reply(&self, py: Python<'_>, token: &str, expires_in_ms: i64) -> PyResult<()> {
        self.answer(py, |raw| {
            // SAFETY: the request is owned here, the token copied.
            run(|error| unsafe {
                d365_token_request_reply(raw, chars(token), token.len(), expires_in_ms, error)
            })
        })
    }

    /// `number` comes again as `provider_data` of the failures of the calls that have waited.
    fn fail(&self, py: Python<'_>, message: &str, number: i64) -> PyResult<()> {
        self.answer(py, |raw| {
            // SAFETY: the request is owned here, the message copied.
            run(|error| unsafe {
                d365_token_request_fail_with(raw, chars(message), message.len(), number, error)
            })
        })
    }
}
