//! A client's door to its queue: which events go out, and who is waited for.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::queue::{Item, Queue};
use crate::{Decision, Error, ErrorKind, Event, ItemKind, Response};

/// The handlers of one client that run now.
#[derive(Default)]
pub(crate) struct Listener {
    /// Events that were taken out of the queue and not dropped yet.
    handlers: AtomicUsize,
    /// Threads that hold a decision of this client.
    deciding: Mutex<Vec<ThreadId>>,
    deciding_count: AtomicUsize,
}

impl Listener {
    pub(super) fn begin_handler(&self) {
        self.handlers.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn end_handler(&self) {
        self.handlers.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn begin_deciding(&self, thread: ThreadId) {
        let mut deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        deciding.push(thread);
        self.deciding_count.store(deciding.len(), Ordering::Release);
    }

    pub(super) fn end_deciding(&self, thread: ThreadId) {
        let mut deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = deciding.iter().position(|other| *other == thread) {
            deciding.swap_remove(index);
        }
        self.deciding_count.store(deciding.len(), Ordering::Release);
    }

    fn is_deciding(&self) -> bool {
        self.deciding_count.load(Ordering::Acquire) > 0
            && self
                .deciding
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(&std::thread::current().id())
    }

    fn has_running_handler(&self) -> bool {
        self.handlers.load(Ordering::Acquire) > 0
    }
}

/// Where a client's events and completions go.
pub(crate) struct Outlet {
    queue: Option<(Arc<Queue>, usize)>,
    mask: AtomicU64,
    listener: Arc<Listener>,
    handler_timeout: Duration,
}

impl Outlet {
    pub(crate) fn new(queue: Option<(Arc<Queue>, usize)>, handler_timeout: Duration) -> Outlet {
        Outlet {
            queue,
            mask: AtomicU64::new(0),
            listener: Arc::default(),
            handler_timeout,
        }
    }

    /// Sets which events go out.
    pub(crate) fn subscribe(&self, mask: u64) -> Result<(), Error> {
        self.queue()
            .map(|_| self.mask.store(mask, Ordering::Release))
    }

    /// Whether anybody wants events of this kind.
    pub(crate) fn wants(&self, kind: ItemKind) -> bool {
        self.queue.is_some() && self.mask.load(Ordering::Acquire) & kind.bit() != 0
    }

    fn queue(&self) -> Result<&(Arc<Queue>, usize), Error> {
        self.queue.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::NoQueue,
                "the client was opened without a queue; give its settings one",
            )
        })
    }

    /// Refuses a wait on a thread that holds a decision which the wait may be for.
    pub(crate) fn check_may_block(&self) -> Result<(), Error> {
        if self.listener.is_deciding() {
            return Err(Error::new(
                ErrorKind::WouldDeadlock,
                "a blocking call from the handler of EndpointSwitchRequired would wait for the \
                 decision that this handler has not given yet; call after it has returned, or \
                 from the handler of EndpointSwitched",
            ));
        }
        Ok(())
    }

    /// Checks that submitted calls have somewhere to be completed.
    pub(crate) fn check_can_complete(&self) -> Result<(), Error> {
        let (queue, _) = self.queue()?;
        if queue.is_closed() {
            return Err(Error::new(
                ErrorKind::Closed,
                "the client's queue is closed",
            ));
        }
        Ok(())
    }

    /// Tells of the end of a submitted call.
    pub(crate) fn complete(&self, user_data: usize, result: Result<Response, Error>) {
        if let Some((queue, client_data)) = &self.queue {
            queue.put(Item::of_completion(result, user_data, *client_data));
        }
    }

    /// Tells, and waits for nobody. The event is only made if somebody wants it.
    pub(crate) fn tell(&self, kind: ItemKind, event: impl FnOnce() -> Event) {
        if !self.wants(kind) {
            return;
        }
        if let Some((queue, client_data)) = &self.queue {
            let item = Item::of_event(event(), *client_data, &self.listener, None, false);
            queue.put(item);
        }
    }

    /// Whether a handler of this client is running. It may itself be waiting for a call, so a
    /// call must not wait for it.
    pub(crate) fn is_busy(&self) -> bool {
        self.listener.has_running_handler()
    }

    /// Asks for a decision. Takes the default, `Proceed`, when nobody listens, and when the time
    /// is over.
    pub(crate) async fn ask(&self, event: Event) -> Decision {
        let Some(answer) = self.put_with_reply(event, true) else {
            return Decision::Proceed;
        };
        match timeout(self.handler_timeout, answer).await {
            Ok(Ok(decision)) => decision,
            // Dropped without a reply, or no reply in time.
            Ok(Err(_)) | Err(_) => Decision::Proceed,
        }
    }

    /// Tells, and waits until the handler has ended, or its time is over.
    pub(crate) async fn tell_and_wait(&self, event: Event) {
        if let Some(ended) = self.put_with_reply(event, false) {
            let _ = timeout(self.handler_timeout, ended).await;
        }
    }

    fn put_with_reply(
        &self,
        event: Event,
        is_decision: bool,
    ) -> Option<oneshot::Receiver<Decision>> {
        if !self.wants(event.kind) {
            return None;
        }
        let (queue, client_data) = self.queue.as_ref()?;
        let (sender, receiver) = oneshot::channel();
        queue.put(Item::of_event(
            event,
            *client_data,
            &self.listener,
            Some(sender),
            is_decision,
        ));
        Some(receiver)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::Level;

    fn event() -> Event {
        Event {
            kind: ItemKind::EndpointSwitchRequired,
            time: SystemTime::UNIX_EPOCH,
            previous_url: None,
            new_url: None,
            previous_role: None,
            new_role: None,
            epoch: 1,
            automatic: true,
            fault_kind: None,
            reason: "manual",
            message: String::new(),
            level: Level::Warn,
        }
    }

    fn outlet() -> (Arc<Queue>, Arc<Outlet>) {
        let queue = Queue::new(0).unwrap();
        let outlet = Outlet::new(Some((Arc::clone(&queue), 0)), Duration::from_secs(60));
        outlet
            .subscribe(ItemKind::EndpointSwitchRequired.bit())
            .unwrap();
        (queue, Arc::new(outlet))
    }

    fn ask_on_a_thread(outlet: &Arc<Outlet>) -> std::thread::JoinHandle<Decision> {
        let outlet = Arc::clone(outlet);
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap()
                .block_on(outlet.ask(event()))
        })
    }

    #[test]
    fn a_reply_is_the_decision_and_a_second_one_is_late() {
        for decision in [Decision::Proceed, Decision::Veto] {
            let (queue, outlet) = outlet();
            let asked = ask_on_a_thread(&outlet);
            let item = queue.next(None).unwrap();
            assert!(item.is_decision());
            item.reply(decision).unwrap();
            assert_eq!(asked.join().unwrap(), decision);
            assert_eq!(item.reply(decision).unwrap_err().kind(), ErrorKind::Late);
        }
    }

    #[test]
    fn dropping_the_item_proceeds() {
        let (queue, outlet) = outlet();
        let asked = ask_on_a_thread(&outlet);
        drop(queue.next(None).unwrap());
        assert_eq!(asked.join().unwrap(), Decision::Proceed);
    }

    #[test]
    fn nobody_is_waited_for_who_did_not_subscribe() {
        let (queue, outlet) = outlet();
        outlet.subscribe(0).unwrap();
        assert_eq!(ask_on_a_thread(&outlet).join().unwrap(), Decision::Proceed);
        let error = queue.next(Some(Duration::ZERO)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Empty);
    }

    #[test]
    fn a_handler_runs_from_the_taking_to_the_dropping_of_its_item() {
        let (queue, outlet) = outlet();
        outlet.tell(ItemKind::EndpointSwitchRequired, event);
        assert!(!outlet.is_busy());
        let item = queue.next(None).unwrap();
        assert!(outlet.is_busy());
        assert!(!item.is_decision());
        let error = item.reply(Decision::Veto).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAvailable);
        drop(item);
        assert!(!outlet.is_busy());
        // What was never taken out has begun no handler.
        outlet.tell(ItemKind::EndpointSwitchRequired, event);
        drop(queue);
        assert!(!outlet.is_busy());
    }

    #[test]
    fn the_deciding_thread_may_not_block_until_it_has_replied() {
        let (queue, outlet) = outlet();
        let asked = ask_on_a_thread(&outlet);
        outlet.check_may_block().unwrap();
        let item = queue.next(None).unwrap();
        let error = outlet.check_may_block().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
        let other = Arc::clone(&outlet);
        std::thread::spawn(move || other.check_may_block())
            .join()
            .unwrap()
            .unwrap();
        item.reply(Decision::Proceed).unwrap();
        outlet.check_may_block().unwrap();
        asked.join().unwrap();
    }

    #[test]
    fn a_closed_queue_gives_the_default() {
        let (queue, outlet) = outlet();
        queue.close();
        assert_eq!(ask_on_a_thread(&outlet).join().unwrap(), Decision::Proceed);
        assert!(outlet.check_can_complete().is_err());
    }

    #[test]
    fn closing_the_queue_lets_its_items_be_taken() {
        let (queue, outlet) = outlet();
        let asked = ask_on_a_thread(&outlet);
        while queue.is_empty() {
            std::thread::yield_now();
        }
        queue.close();
        drop(queue.next(None).unwrap());
        assert_eq!(asked.join().unwrap(), Decision::Proceed);
    }
}
