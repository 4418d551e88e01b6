//! The thread that plays the application's handlers, and what it has in common with the subject.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use d365_failover_core::{Client, Decision, Error, Item, ItemKind, Queue, Request, Response};
use serde_json::{Value, json};

use super::HANGS;
use super::records::{event_record, kind_name};
use crate::protocol::{EventRecord, OnRequired, OnSwitched};
use crate::subject::Broken;

/// What the handler thread has in common with the subject.
#[derive(Default)]
pub(super) struct Shared {
    events: Mutex<Vec<EventRecord>>,
    more: Condvar,
    pub(super) calls: Submitted<Response>,
    reads: Submitted<Vec<u8>>,
}

/// What was submitted and has not come back, by the number that goes with it.
pub(super) struct Submitted<T> {
    next: AtomicUsize,
    waiting: Mutex<HashMap<usize, Sender<Result<T, Error>>>>,
}

impl<T> Default for Submitted<T> {
    fn default() -> Submitted<T> {
        Submitted {
            next: AtomicUsize::new(0),
            waiting: Mutex::default(),
        }
    }
}

impl<T> Submitted<T> {
    fn waiting(&self) -> MutexGuard<'_, HashMap<usize, Sender<Result<T, Error>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits, and gives where the end will come.
    pub(super) fn submit<R>(
        &self,
        submit: impl FnOnce(usize) -> Result<R, Error>,
    ) -> Result<(R, Receiver<Result<T, Error>>), Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel();
        self.waiting().insert(number, sender);
        match submit(number) {
            Ok(submitted) => Ok((submitted, receiver)),
            Err(error) => {
                self.waiting().remove(&number);
                Err(error)
            }
        }
    }

    fn end(&self, number: usize, result: Result<T, Error>) {
        let sender = self.waiting().remove(&number);
        if let Some(sender) = sender {
            // What nobody awaits has nobody to tell.
            let _ = sender.send(result);
        }
    }
}

impl Shared {
    fn record(&self, event: EventRecord) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
        self.more.notify_all();
    }

    pub(super) fn events(&self, at_least: usize, timeout: Duration) -> Vec<EventRecord> {
        let end = Instant::now() + timeout;
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while events.len() < at_least {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            events = self
                .more
                .wait_timeout(events, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        events.clone()
    }

    /// A read of a stream whose bytes come in the queue.
    pub(super) fn submitted_read(
        &self,
        response: &Response,
        most: usize,
    ) -> Result<Result<Vec<u8>, Error>, Broken> {
        let submitted = self
            .reads
            .submit(|number| response.submit_read(most, number));
        match submitted {
            Ok(((), end)) => end
                .recv_timeout(HANGS)
                .map_err(|_| Broken("a submitted read has no end".into())),
            Err(error) => Ok(Err(error)),
        }
    }
}

/// The thread that plays the application's handlers.
pub(super) struct Handler {
    pub(super) client: Client,
    pub(super) queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
    pub(super) on_required: Option<OnRequired>,
    pub(super) on_switched: Option<OnSwitched>,
    /// What is subscribed.
    pub(super) mask: u64,
}

impl Handler {
    pub(super) fn run(self) {
        while let Ok(mut item) = self.queue.next(None) {
            match item.kind() {
                ItemKind::EndpointSwitchRequired => self.required(&item),
                ItemKind::EndpointSwitched => self.switched(&item),
                ItemKind::Completion => self.completed(&mut item),
                ItemKind::Body => self.read(&item),
                _ => self.heard(&item),
            }
        }
    }

    fn required(&self, item: &Item) {
        let Some(event) = item.event() else { return };
        let call = self.on_required == Some(OnRequired::Call);
        self.shared
            .record(event_record(event, call.then(|| self.call())));
        // A reply or a setting that fails shows in what the switch does next.
        let _ = match self.on_required {
            Some(OnRequired::Veto) => item.reply(Decision::Veto),
            Some(OnRequired::Proceed | OnRequired::Call) => item.reply(Decision::Proceed),
            Some(OnRequired::DisableAutoSwitch) => {
                self.client.set_endpoint_auto_switch_enabled(false)
            }
            Some(OnRequired::EnableAutoSwitch) => {
                self.client.set_endpoint_auto_switch_enabled(true)
            }
            // Dropped without a reply.
            Some(OnRequired::Throw) | None => Ok(()),
        };
    }

    fn switched(&self, item: &Item) {
        let Some(event) = item.event() else { return };
        let call = self.on_switched == Some(OnSwitched::Call);
        self.shared
            .record(event_record(event, call.then(|| self.call())));
        if self.on_switched == Some(OnSwitched::Unsubscribe) {
            // Failing would show as another event.
            let _ = self
                .client
                .subscribe(self.mask & !ItemKind::EndpointSwitched.bit());
        }
    }

    /// An event that is only recorded; nothing comes that was not subscribed.
    fn heard(&self, item: &Item) {
        if let Some(event) = item.event() {
            self.shared.record(event_record(event, None));
        }
    }

    fn completed(&self, item: &mut Item) {
        if let (Some(number), Some(result)) = (item.user_data(), item.take_result()) {
            self.shared.calls.end(number, result);
        }
    }

    fn read(&self, item: &Item) {
        if let (Some(number), Some(result)) = (item.user_data(), item.body()) {
            let result = result.as_ref().map(|bytes| bytes.to_vec());
            self.shared.reads.end(number, result.map_err(Clone::clone));
        }
    }

    fn call(&self) -> Value {
        let request = Request::new("GET", "/api/data/v9.2/WhoAmI");
        match request.and_then(|request| self.client.send(&request)) {
            Ok(response) => json!({ "status": response.status() }),
            Err(error) => json!({ "error": kind_name(error.kind()) }),
        }
    }
}
