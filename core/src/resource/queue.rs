//! The one source of events and completions. Clients put in, the host takes out, on a thread of
//! the host's own.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;

use super::outlet::Listener;
use crate::{Decision, Error, ErrorKind, Event, ItemKind, Response};

/// How many chatty items wait before further ones are dropped, unless said otherwise.
const DEFAULT_CAPACITY: usize = 1024;

/// A queue of items. May serve many clients, and many threads may take from it.
///
/// Chatty items are dropped when more than the capacity wait (the next item tells how many);
/// completions, `EndpointSwitchRequired` and `EndpointSwitched` never are.
pub struct Queue {
    capacity: usize,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    chatty: usize,
    dropped: u64,
    sequence: u64,
    is_closed: bool,
    descriptor: Option<OwnedFd>,
}

/// One event or completion. Dropping it answers a decision with its default, and lets go on
/// whoever waits for the handler's end.
pub struct Item {
    kind: ItemKind,
    sequence: u64,
    dropped: u64,
    client_data: usize,
    event: Option<Event>,
    user_data: usize,
    result: Option<Result<Response, Error>>,
    reply: Mutex<Option<oneshot::Sender<Decision>>>,
    is_decision: bool,
    delivery: Option<Delivery>,
}

/// An event that a host has taken and not dropped yet.
struct Delivery {
    listener: Arc<Listener>,
    /// Who took it out. Only then a handler runs.
    taken_by: Option<ThreadId>,
    /// The same, for who waits for that handler.
    is_taken: Arc<AtomicBool>,
    /// Whether its handler counts as running: until the decision is given, or the item dropped.
    is_handled: AtomicBool,
}

impl Queue {
    /// A queue. `capacity` bounds the chatty items that wait; 0 stands for 1024.
    ///
    /// # Errors
    /// None today.
    pub fn new(capacity: usize) -> Result<Arc<Queue>, Error> {
        Ok(Arc::new(Queue {
            capacity: if capacity == 0 {
                DEFAULT_CAPACITY
            } else {
                capacity
            },
            state: Mutex::default(),
            filled: Condvar::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next item, waiting for it at most `timeout`; `None` waits for ever.
    ///
    /// # Errors
    /// [`ErrorKind::Empty`] when nothing came in time, [`ErrorKind::Closed`] when the queue is
    /// closed and empty.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Item, Error> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state();
        loop {
            if let Some(mut item) = state.take() {
                drop(state);
                item.taken();
                return Ok(item);
            }
            if state.is_closed {
                return Err(Error::new(ErrorKind::Closed, "the queue is closed"));
            }
            state = match (timeout, until) {
                (Some(_), Some(until)) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Error::new(ErrorKind::Empty, "nothing came in time"));
                    }
                    self.filled
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                _ => self
                    .filled
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// A file descriptor that is readable while items wait, and once the queue is closed. It
    /// stays the queue's: wait for it, do not read from it or close it.
    ///
    /// # Errors
    /// [`ErrorKind::Call`] with `local` when the process has no descriptor left.
    pub fn descriptor(&self) -> Result<i32, Error> {
        let mut state = self.state();
        if state.descriptor.is_none() {
            let descriptor =
                eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| {
                    Error::new(
                        ErrorKind::Call(crate::FaultKind::Local),
                        format!("no descriptor for the queue: {error}"),
                    )
                })?;
            state.descriptor = Some(descriptor);
            if !state.items.is_empty() || state.is_closed {
                state.signal();
            }
        }
        Ok(state
            .descriptor
            .as_ref()
            .map_or(-1, |descriptor| descriptor.as_raw_fd()))
    }

    /// Takes no further items. What waits can still be taken out.
    pub fn close(&self) {
        let mut state = self.state();
        if !state.is_closed {
            state.is_closed = true;
            state.signal();
        }
        drop(state);
        self.filled.notify_all();
    }

    /// Whether [`close`](Queue::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.state().items.is_empty()
    }

    /// Puts an item in. A closed queue drops it, which gives a decision its default.
    pub(crate) fn put(&self, mut item: Item) {
        let mut state = self.state();
        if state.is_closed {
            drop(state);
            return;
        }
        if item.kind.is_chatty() {
            if state.chatty >= self.capacity {
                state.dropped += 1;
                return;
            }
            state.chatty += 1;
        }
        state.sequence += 1;
        item.sequence = state.sequence;
        item.dropped = std::mem::take(&mut state.dropped);
        state.items.push_back(item);
        if state.items.len() == 1 {
            state.signal();
        }
        drop(state);
        self.filled.notify_one();
    }
}

impl State {
    fn take(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        if item.kind.is_chatty() {
            self.chatty -= 1;
        }
        if self.items.is_empty() && !self.is_closed {
            self.unsignal();
        }
        Some(item)
    }

    fn signal(&self) {
        if let Some(descriptor) = &self.descriptor {
            // Fails only when the counter is full, and then it is readable.
            let _ = rustix::io::write(descriptor, &1u64.to_ne_bytes());
        }
    }

    fn unsignal(&self) {
        if let Some(descriptor) = &self.descriptor {
            // Fails only when the counter is zero, and then it is not readable.
            let _ = rustix::io::read(descriptor, &mut [0; 8]);
        }
    }
}

impl Item {
    fn new(kind: ItemKind, client_data: usize) -> Item {
        Item {
            kind,
            sequence: 0,
            dropped: 0,
            client_data,
            event: None,
            user_data: 0,
            result: None,
            reply: Mutex::new(None),
            is_decision: false,
            delivery: None,
        }
    }

    pub(crate) fn of_event(
        event: Event,
        client_data: usize,
        listener: &Arc<Listener>,
        reply: Option<oneshot::Sender<Decision>>,
        is_decision: bool,
    ) -> Item {
        let mut item = Item::new(event.kind, client_data);
        item.event = Some(event);
        item.reply = Mutex::new(reply);
        item.is_decision = is_decision;
        item.delivery = Some(Delivery {
            listener: Arc::clone(listener),
            taken_by: None,
            is_taken: Arc::default(),
            is_handled: AtomicBool::new(false),
        });
        item
    }

    /// Becomes true when the event is taken out of the queue.
    pub(crate) fn is_taken(&self) -> Arc<AtomicBool> {
        self.delivery
            .as_ref()
            .map(|delivery| Arc::clone(&delivery.is_taken))
            .unwrap_or_default()
    }

    pub(crate) fn of_completion(
        result: Result<Response, Error>,
        user_data: usize,
        client_data: usize,
    ) -> Item {
        let mut item = Item::new(ItemKind::Completion, client_data);
        item.user_data = user_data;
        item.result = Some(result);
        item
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ItemKind {
        self.kind
    }

    /// What [`Settings::set_queue`](crate::Settings::set_queue) was given for its client.
    #[must_use]
    pub fn client_data(&self) -> usize {
        self.client_data
    }

    /// Its number in the queue, from 1 on.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.sequence
    }

    /// How many chatty items were dropped since the item before it.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether somebody waits for a [`reply`](Item::reply).
    #[must_use]
    pub fn is_decision(&self) -> bool {
        self.is_decision
    }

    /// The event. `None` for a completion.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        self.event.as_ref()
    }

    /// What [`Client::submit`](crate::Client::submit) was given. `None` for an event.
    #[must_use]
    pub fn user_data(&self) -> Option<usize> {
        (self.kind == ItemKind::Completion).then_some(self.user_data)
    }

    /// The end of the submitted call, once. `None` for an event, and the second time.
    pub fn take_result(&mut self) -> Option<Result<Response, Error>> {
        self.result.take()
    }

    /// Answers the decision.
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`] for what is no decision, [`ErrorKind::Late`] when it was
    /// answered before or its time is over.
    pub fn reply(&self, decision: Decision) -> Result<(), Error> {
        if !self.is_decision {
            return Err(Error::new(
                ErrorKind::NotAvailable,
                "this item asks for no decision",
            ));
        }
        self.handled();
        let reply = self
            .reply
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        reply
            .and_then(|reply| reply.send(decision).ok())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Late,
                    "the decision was already taken, by a reply or by handler_timeout",
                )
            })
    }

    fn taken(&mut self) {
        let (is_decision, is_chatty) = (self.is_decision, self.kind.is_chatty());
        let Some(delivery) = &mut self.delivery else {
            return;
        };
        let thread = std::thread::current().id();
        delivery.taken_by = Some(thread);
        delivery.is_taken.store(true, Ordering::Release);
        delivery.listener.begin_holding(thread);
        if !is_chatty {
            *delivery.is_handled.get_mut() = true;
            delivery.listener.begin_handler(thread, is_decision);
        }
    }

    /// The handler has ended, or said all that is waited for. Before the answer goes out, so that
    /// who gets it and asks again finds no handler running.
    fn handled(&self) {
        if let Some(delivery) = &self.delivery
            && let Some(thread) = delivery.taken_by
            && delivery.is_handled.swap(false, Ordering::AcqRel)
        {
            delivery.listener.end_handler(thread, self.is_decision);
        }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.handled();
        if let Some(delivery) = &self.delivery
            && let Some(thread) = delivery.taken_by
        {
            delivery.listener.end_holding(thread);
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn completion(user_data: usize) -> Item {
        let error = Error::new(ErrorKind::Internal, "for the test");
        Item::of_completion(Err(error), user_data, 7)
    }

    fn chatty() -> Item {
        Item::new(ItemKind::Log, 0)
    }

    fn is_readable(queue: &Queue) -> bool {
        queue.descriptor().unwrap();
        let state = queue.state();
        let descriptor = state.descriptor.as_ref().unwrap();
        let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
        poll(
            &mut polled,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        )
        .unwrap()
            == 1
    }

    #[test]
    fn items_come_in_order_and_the_result_once() {
        let queue = Queue::new(0).unwrap();
        for number in 1..=3 {
            queue.put(completion(number));
        }
        for number in 1..=3 {
            let mut item = queue.next(None).unwrap();
            assert_eq!(item.seq(), number as u64);
            assert_eq!(item.user_data(), Some(number));
            assert_eq!(item.client_data(), 7);
            assert!(item.take_result().is_some());
            assert!(item.take_result().is_none());
        }
        let error = queue.next(Some(Duration::ZERO)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Empty);
    }

    #[test]
    fn a_full_queue_drops_chatty_items_and_counts_them() {
        let queue = Queue::new(2).unwrap();
        for _ in 0..5 {
            queue.put(chatty());
        }
        queue.put(completion(1));
        assert_eq!(queue.next(None).unwrap().dropped(), 0);
        assert_eq!(queue.next(None).unwrap().dropped(), 0);
        let item = queue.next(None).unwrap();
        assert_eq!((item.kind(), item.dropped()), (ItemKind::Completion, 3));
    }

    #[test]
    fn the_descriptor_is_readable_while_items_wait_and_when_closed() {
        let queue = Queue::new(0).unwrap();
        assert!(!is_readable(&queue));
        queue.put(completion(1));
        queue.put(completion(2));
        assert!(is_readable(&queue));
        drop(queue.next(None).unwrap());
        assert!(is_readable(&queue));
        drop(queue.next(None).unwrap());
        assert!(!is_readable(&queue));
        queue.close();
        assert!(is_readable(&queue));
    }

    #[test]
    fn a_descriptor_made_late_knows_of_what_waits() {
        let queue = Queue::new(0).unwrap();
        queue.put(completion(1));
        assert!(is_readable(&queue));
    }

    #[test]
    fn closing_wakes_who_waits_and_leaves_what_is_there() {
        let queue = Queue::new(0).unwrap();
        queue.put(completion(1));
        queue.close();
        queue.put(completion(2));
        assert_eq!(queue.next(None).unwrap().user_data(), Some(1));
        assert_eq!(queue.next(None).err().unwrap().kind(), ErrorKind::Closed);

        let queue = Queue::new(0).unwrap();
        let waiting = Arc::clone(&queue);
        let thread = std::thread::spawn(move || waiting.next(None).err().unwrap().kind());
        queue.close();
        assert_eq!(thread.join().unwrap(), ErrorKind::Closed);
    }
}
