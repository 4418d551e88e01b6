//! What a client is given to send: by the thread that waits for it, or by tasks of its own.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;

use super::call::{Call, Record, located};
use super::flights::Flight;
use super::pending::Pending;
use super::verify::Asking;
use super::{Client, Inner, lacking};
use crate::errand::Errand;
use crate::resource::begun::Work;
use crate::resource::cancel::Cancel;
use crate::resource::desk::Desk;
use crate::resource::engine::{Engine, Task};
use crate::resource::ledger::{SENT_AGAIN, VERIFIED};
use crate::resource::listener::Waiting;
use crate::{Error, ErrorKind, Request, Response, Role};

/// How often a blocking call asks whether it is to be cancelled. What is cancelled so reaches the wire
/// within 50 ms.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// How many turns a shared connection needs to tell its peer of a stream's end, and some more.
const TURNS: usize = 4;

impl Client {
    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// [`ErrorKind::Call`] when the call ended without a response that can be used; the error
    /// has its attempts, its effect, and the response that was no service's, if there was one.
    /// [`ErrorKind::InvalidUrl`], [`ErrorKind::Closed`], [`ErrorKind::Forked`],
    /// [`ErrorKind::WouldDeadlock`] when it was not begun; [`ErrorKind::Busy`] when `max_waiting`
    /// calls wait for an outage to end: nothing of it was sent.
    pub fn send(&self, request: &Request) -> Result<Response, Error> {
        self.send_until(request, &Cancel::default(), None)
    }

    /// As [`send`](Client::send), and asks `check` on this thread about every 20 ms whether the
    /// call is to be cancelled. `check` may call the client.
    ///
    /// # Errors
    /// As [`send`](Client::send).
    pub fn send_with_check(
        &self,
        request: &Request,
        check: &mut dyn FnMut() -> bool,
    ) -> Result<Response, Error> {
        self.send_until(request, &Cancel::default(), Some(check))
    }

    /// As [`send`](Client::send), or, with `check`, as [`send_with_check`](Client::send_with_check);
    /// and any thread cancels the call at once by `pending`, which is for this one call.
    ///
    /// # Errors
    /// As [`send`](Client::send); [`ErrorKind::InvalidArgument`] where `pending` is another call's.
    pub fn send_cancellable(
        &self,
        request: &Request,
        pending: &Pending,
        check: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<Response, Error> {
        let cancel = pending
            .take()
            .map_err(|error| self.inner.knowing(error, request, None))?;
        self.send_until(request, cancel, check)
    }

    fn send_until(
        &self,
        request: &Request,
        cancel: &Cancel,
        check: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<Response, Error> {
        self.run_until(request, cancel, check)
            .map_err(|error| self.inner.knowing(error, request, Some(cancel)))
    }

    fn run_until(
        &self,
        request: &Request,
        cancel: &Cancel,
        check: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<Response, Error> {
        let waiting = self.inner.begin_waiting()?;
        // What goes on disk is written by this thread.
        let writes = self.inner.ledger.is_on_disk() && request.may_write();
        if writes || self.inner.needs_its_thread(request) {
            return self.inner.run_here(request, cancel, waiting, check);
        }
        if let Some(check) = check {
            return self.inner.run_checked(request, cancel, waiting, check);
        }
        // Pinned here: handed over by value it would be copied on its way into the runtime.
        let call = pin!(self.inner.call(request, None, cancel));
        self.inner.engine.block_on(call)
    }

    /// Begins a call. After `Ok`, exactly one completion with `user_data` comes in the client's
    /// queue, and not before the application's code for it has returned. That code, a body's source
    /// and the `prepare` hook, runs on threads of the client's, at most 64, for which calls wait
    /// within their deadlines.
    ///
    /// # Errors
    /// [`ErrorKind::NoQueue`], [`ErrorKind::Closed`], [`ErrorKind::Forked`],
    /// [`ErrorKind::InvalidUrl`], [`ErrorKind::NoResources`] without a thread to send with, and
    /// [`ErrorKind::WouldDeadlock`] from the token provider: then no completion comes.
    pub fn submit(&self, request: &Request, user_data: usize) -> Result<Pending, Error> {
        self.submit_by(request, user_data, |engine, task, call| {
            engine.run(task, call)
        })
    }

    /// As [`submit`](Client::submit), and what can be done of the call at once is done by this thread. It does not
    /// wait, but takes as much stack as a blocking call. Cheaper, where calls are submitted one after the other.
    ///
    /// # Errors
    /// As [`submit`](Client::submit).
    pub fn submit_begun(&self, request: &Request, user_data: usize) -> Result<Pending, Error> {
        self.submit_by(request, user_data, Engine::begin)
    }

    fn submit_by(
        &self,
        request: &Request,
        user_data: usize,
        run: fn(&Arc<Engine>, Task, Work),
    ) -> Result<Pending, Error> {
        self.begin(request, user_data, run)
            .map_err(|error| self.inner.knowing(error, request, None))
    }

    fn begin(
        &self,
        request: &Request,
        user_data: usize,
        run: fn(&Arc<Engine>, Task, Work),
    ) -> Result<Pending, Error> {
        self.inner.check_is_usable()?;
        self.inner.check_may_call()?;
        self.inner.outlet.check_can_complete()?;
        self.inner.check_request(request)?;
        // Before there is a completion, because one that was made is given.
        let task = self.inner.engine.reserve();
        let task = task.map_err(|error| lacking("no thread to submit to", &error))?;
        let cancel = Arc::new(Cancel::default());
        let mut completion = Completion {
            flight: self.inner.flights.enter()?,
            inner: Arc::clone(&self.inner),
            request: request.clone(),
            cancel: Arc::clone(&cancel),
            user_data,
            is_due: true,
        };
        // The application's code may block: it has threads that it can block.
        let desk = self.inner.needs_its_thread(request).then(|| {
            let (flights, cancel) = (Arc::clone(&self.inner.flights), Arc::clone(&cancel));
            let is_given_up = move || cancel.is_cancelled() || flights.are_cancelled();
            Desk::away(&self.inner.threads, is_given_up)
        });
        // Made where it stays: it is kilobytes, and a box that is made after it is a copy of it.
        let call = Box::write(Box::new_uninit(), async move {
            let of = &completion;
            let call = of
                .inner
                .run(&of.request, desk.as_ref(), &of.flight, &of.cancel);
            let result = call.await;
            if let Some(desk) = &desk {
                desk.close().await;
            }
            completion.give(result);
        });
        run(&self.inner.engine, task, Box::into_pin(call));
        Ok(Pending::of(cancel))
    }

    /// Reads the WSDL's FailoverPolicy now, if it decides anything and was not read yet, or said that
    /// there is no alternate. Where it disables the active endpoint and calls were sent there, a
    /// switch is tried, and this waits for it.
    ///
    /// # Errors
    /// [`ErrorKind::Call`] when it cannot be read at the primary, and, where .NET tries it, at the
    /// alternate. Others as [`send`](Client::send). To cancel it, or not to wait for it, send a
    /// [`Request::discover`].
    pub fn discover(&self) -> Result<(), Error> {
        self.send(&Request::discover()).map(drop)
    }

    /// Looks at one endpoint, whichever is active: a token, a probe on a connection of its own, and the
    /// WSDL's failover policy. Changes nothing. Tells as a JSON object what it has found, step by step,
    /// also where the endpoint fails. To cancel it, not to wait for it, or to set times, send a
    /// [`Request::check`].
    ///
    /// # Errors
    /// As [`send`](Client::send), where it could not be looked.
    pub fn check(&self, role: Role) -> Result<String, Error> {
        let response = self.send(&Request::check(role))?;
        Ok(String::from_utf8_lossy(response.body()).into_owned())
    }
}

impl Inner {
    /// The whole of a call, counted as in flight.
    pub(super) async fn call(
        self: &Arc<Self>,
        request: &Request,
        desk: Option<&Desk>,
        cancel: &Cancel,
    ) -> Result<Response, Error> {
        let flight = self.flights.enter()?;
        self.run(request, desk, &flight, cancel).await
    }

    async fn run(
        self: &Arc<Self>,
        request: &Request,
        desk: Option<&Desk>,
        flight: &Flight,
        cancel: &Cancel,
    ) -> Result<Response, Error> {
        if let Some(errand) = &request.errand {
            let asking = Asking {
                request,
                desk,
                flight,
                cancel,
            };
            // Apart, so that it does not make other calls larger.
            return Box::pin(self.run_errand(errand, &asking)).await;
        }
        let target = self.organization.locate(&request.url)?;
        let (began, record) = (flight.began, Record::Begin);
        let mut call = Call::new(self, request, target, desk, flight, began, record)?;
        call.run(cancel).await
    }

    async fn run_errand(
        self: &Arc<Self>,
        errand: &Errand,
        asking: &Asking<'_>,
    ) -> Result<Response, Error> {
        let (request, flight, cancel) = (asking.request, asking.flight, asking.cancel);
        match errand {
            Errand::Verify(id, _) => self.verify(*id, asking).await,
            Errand::Replay(id, is_wanted) => self.replay(*id, *is_wanted, asking).await,
            Errand::Settle(walk) => self.settle(walk, asking).await,
            Errand::Discover => self.discover(request, flight, cancel).await,
            Errand::Check(role) => self.check(*role, request, flight, cancel).await,
        }
    }

    /// What is wrong with a request can be said before it is sent.
    fn check_request(&self, request: &Request) -> Result<(), Error> {
        let (id, purpose) = match request.errand {
            Some(Errand::Verify(id, _)) => (id, VERIFIED),
            Some(Errand::Replay(id, _)) => (id, SENT_AGAIN),
            Some(_) => return Ok(()),
            None => return self.organization.locate(&request.url).map(drop),
        };
        if self.ledger.is_on_disk() {
            // A file is not read by the thread that submits: the call finds out.
            return Ok(());
        }
        self.ledger.question(id, purpose).wait().map(drop)
    }

    /// Whether a call may have to run the application's code on the thread that sends it.
    pub(super) fn needs_its_thread(&self, request: &Request) -> bool {
        self.settings.prepare.is_some() || request.body.reader().is_some()
    }

    /// Something was given up on a shared connection that perhaps nobody drives now: its peer is told
    /// soon all the same, and not at the next call.
    pub(super) fn nudge(&self) {
        // Without a thread it is told at the next call.
        let _ = self.engine.spawn(async {
            for _ in 0..TURNS {
                yield_now().await;
            }
        });
    }

    /// An error with what is known of the call, whatever it is.
    fn knowing(&self, error: Error, request: &Request, cancel: Option<&Cancel>) -> Error {
        let begun = cancel.and_then(|cancel| cancel.write.get().copied());
        match self.organization.locate(&request.url) {
            Ok(target) => error.of_begun(&located(request, &target), begun),
            Err(_) => error.of_begun(request, begun),
        }
    }

    fn begin_waiting(&self) -> Result<Option<Waiting<'_>>, Error> {
        self.check_is_usable()?;
        self.check_may_call()?;
        self.outlet.begin_waiting()
    }

    fn check_may_call(&self) -> Result<(), Error> {
        self.tokens
            .as_ref()
            .map_or(Ok(()), |tokens| tokens.check_may_call())
    }
}

/// Gives a submitted call's completion exactly once, also when its task panics or is dropped.
struct Completion {
    /// From `submit` on, and until the completion is in the queue: `shutdown` waits for both.
    flight: Flight,
    inner: Arc<Inner>,
    request: Request,
    cancel: Arc<Cancel>,
    user_data: usize,
    is_due: bool,
}

impl Completion {
    fn give(&mut self, result: Result<Response, Error>) {
        self.is_due = false;
        let told = |error| self.inner.knowing(error, &self.request, Some(&self.cancel));
        let result = result.map_err(told);
        self.inner.outlet.complete(self.user_data, result);
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if self.is_due {
            self.give(Err(Error::new(
                ErrorKind::Internal,
                "the call's task ended without a result: a defect of this library",
            )));
        }
    }
}
