//! A client's door to its queue: which events go out, and who is waited for.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::item::Item;
use super::late::in_time;
use super::listener::{Listener, Waiting};
use super::queue::Queue;
use super::race::{First, race};
use crate::{Decision, Error, ErrorKind, Event, ItemKind, Response};

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

    /// This thread is about to wait for a call. Refused where the call may itself wait for this
    /// thread's decision.
    pub(crate) fn begin_waiting(&self) -> Result<Option<Waiting<'_>>, Error> {
        self.listener.begin_waiting()
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

    /// Gives what a submitted read has read.
    pub(crate) fn give_body(&self, user_data: usize, piece: Result<Bytes, Error>) {
        if let Some((queue, client_data)) = &self.queue {
            queue.put(Item::of_body(piece, user_data, *client_data));
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
    /// decision is not asked of it then.
    pub(crate) fn is_busy(&self) -> bool {
        self.listener.is_busy()
    }

    /// Puts an event out, and tells where its answer will come. `None`: nobody listens.
    pub(crate) fn put(&self, event: Event, is_decision: bool) -> Option<Reply> {
        if !self.wants(event.kind) {
            return None;
        }
        let (queue, client_data) = self.queue.as_ref()?;
        let (sender, answer) = oneshot::channel();
        let item = Item::of_event(
            event,
            *client_data,
            &self.listener,
            Some(sender),
            is_decision,
        );
        let is_taken = item.is_taken();
        queue.put(item);
        Some(Reply { answer, is_taken })
    }

    /// Waits for the answer: the decision, or the end of the handler. Takes the default,
    /// `Proceed`, when nobody listens, when the time is over, and when the thread that would have
    /// to take the event waits for a call in the handler of an earlier one.
    pub(crate) async fn answer(&self, reply: Option<Reply>) -> Decision {
        let Some(Reply { answer, is_taken }) = reply else {
            return Decision::Proceed;
        };
        let end = Instant::now() + self.handler_timeout;
        let mut answer = pin!(answer);
        let answer = in_time(end, answer.as_mut());
        match race(answer, self.listener.any_waiting_before(&is_taken)).await {
            First::Left(Some(Ok(decision))) => decision,
            // No reply in time; dropped without a reply; nobody to reply.
            First::Left(None | Some(Err(_))) | First::Right(()) => Decision::Proceed,
        }
    }
}

/// Where the answer to an event will come.
pub(crate) struct Reply {
    answer: oneshot::Receiver<Decision>,
    is_taken: Arc<AtomicBool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event::new(ItemKind::EndpointSwitchRequired, 1, String::new())
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
                .block_on(outlet.answer(outlet.put(event(), true)))
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
            // The item is still held: who has decided is no reason not to be asked again.
            assert!(!outlet.is_busy());
            assert_eq!(asked.join().unwrap(), decision);
            assert_eq!(item.reply(decision).unwrap_err().kind(), ErrorKind::Late);
        }
    }

    #[test]
    fn a_reply_that_came_while_the_process_stood_still_is_in_time() {
        let queue = Queue::new(0).unwrap();
        let timeout = Duration::from_secs(1);
        let outlet = Outlet::new(Some((Arc::clone(&queue), 0)), timeout);
        outlet.subscribe(event().kind.bit()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let decision = runtime.block_on(async {
            let reply = outlet.put(event(), true);
            tokio::spawn(async move {
                std::thread::sleep(timeout * 2);
                // The handler's thread has stood still as well.
                tokio::task::yield_now().await;
                queue.next(None).unwrap().reply(Decision::Veto).unwrap();
            });
            outlet.answer(reply).await
        });
        assert_eq!(decision, Decision::Veto);
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
        assert!(outlet.begin_waiting().unwrap().is_none());
        let item = queue.next(None).unwrap();
        let error = outlet.begin_waiting().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
        let other = Arc::clone(&outlet);
        std::thread::spawn(move || assert!(other.begin_waiting().unwrap().is_none()))
            .join()
            .unwrap();
        item.reply(Decision::Proceed).unwrap();
        assert!(outlet.begin_waiting().unwrap().is_some());
        asked.join().unwrap();
    }

    #[test]
    fn a_handler_that_waits_for_a_call_is_not_waited_for() {
        let (queue, outlet) = outlet();
        outlet.tell(ItemKind::EndpointSwitchRequired, event);
        let held = queue.next(None).unwrap();
        // Behind the event that this thread holds, so it will not be answered.
        let asked = ask_on_a_thread(&outlet);
        while queue.is_empty() {
            std::thread::yield_now();
        }
        let waiting = outlet.begin_waiting().unwrap();
        assert!(waiting.is_some());
        assert_eq!(asked.join().unwrap(), Decision::Proceed);
        drop((waiting, held));
    }

    #[test]
    fn a_handler_that_waits_for_a_call_of_its_own_is_waited_for() {
        let (queue, outlet) = outlet();
        let told = Arc::clone(&outlet);
        let waiting_for_it = std::thread::spawn(move || {
            let reply = told.put(event(), false);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            runtime.unwrap().block_on(told.answer(reply))
        });
        let held = queue.next(None).unwrap();
        let waiting = outlet.begin_waiting().unwrap();
        assert!(waiting.is_some());
        drop(waiting);
        assert!(!waiting_for_it.is_finished());
        drop(held);
        assert_eq!(waiting_for_it.join().unwrap(), Decision::Proceed);
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
