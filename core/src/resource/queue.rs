//! The one source of events and completions. Clients put in, the host takes out, on a thread of
//! the host's own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::item::Item;
use crate::{Error, ErrorKind};

/// How many chatty items wait before further ones are dropped, unless said otherwise.
const DEFAULT_CAPACITY: usize = 1024;

/// Told whether there is anything to be had.
type Teller = dyn Fn(bool) + Send + Sync;

/// A queue of items. May serve many clients, and many threads may take from it.
///
/// Chatty items are dropped when more than the capacity wait (the next item tells how many);
/// completions, `EndpointSwitchRequired` and `EndpointSwitched` never are.
pub struct Queue {
    capacity: usize,
    state: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    chatty: usize,
    dropped: u64,
    sequence: u64,
    is_closed: bool,
    /// Threads that wait, and those of them that were woken and have not come back yet: waking is a
    /// system call, also where nobody waits.
    sleeping: usize,
    woken: usize,
    told: Option<Arc<Teller>>,
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

    fn state(&self) -> MutexGuard<'_, Waiting> {
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
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::new(ErrorKind::Empty, "nothing came in time"));
            }
            state.sleeping += 1;
            state = match left {
                Some(left) => {
                    self.filled
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .filled
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
            state.sleeping -= 1;
            state.woken = state.woken.saturating_sub(1);
        }
    }

    /// Has `told` called with `true` when there is something to be had, an item or the queue's end, and with `false`
    /// when there is nothing any more; now with what is so now, if there is. Each `true` may be on its way still when
    /// the `false` that takes it back is called, which then is to wait for it: it does not come under the
    /// queue's lock, for whom it wakes to find that free. Whoever was told before is told no more.
    pub fn tell(&self, told: impl Fn(bool) + Send + Sync + 'static) {
        let mut state = self.state();
        if !state.items.is_empty() || state.is_closed {
            told(true);
        }
        state.told = Some(Arc::new(told));
    }

    /// Takes no further items. What waits can still be taken out.
    pub fn close(&self) {
        let mut state = self.state();
        if !state.is_closed {
            state.is_closed = true;
            state.signal(true);
        }
        drop(state);
        self.filled.notify_all();
    }

    /// Whether [`close`](Queue::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Whether no item waits. What has none may be closed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state().items.is_empty()
    }

    /// Puts an item in. A closed queue drops it, which gives a decision its default.
    pub(crate) fn put(&self, mut item: Item) {
        let mut state = self.state();
        if state.is_closed {
            drop(state);
            return;
        }
        if item.kind().is_chatty() {
            if state.chatty >= self.capacity {
                state.dropped += 1;
                return;
            }
            state.chatty += 1;
        }
        state.sequence += 1;
        item.number(state.sequence, std::mem::take(&mut state.dropped));
        state.items.push_back(item);
        let told = match state.items.len() {
            1 => state.told.clone(),
            _ => None,
        };
        let wakes = state.sleeping > state.woken;
        state.woken += usize::from(wakes);
        drop(state);
        if let Some(told) = told {
            told(true);
        }
        if wakes {
            self.filled.notify_one();
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        if item.kind().is_chatty() {
            self.chatty -= 1;
        }
        if self.items.is_empty() && !self.is_closed {
            self.signal(false);
        }
        Some(item)
    }

    fn signal(&self, is_ready: bool) {
        if let Some(told) = &self.told {
            told(is_ready);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::ItemKind;

    fn completion(user_data: usize) -> Item {
        let error = Error::new(ErrorKind::Internal, "for the test");
        Item::of_completion(Err(error), user_data, 7)
    }

    fn chatty() -> Item {
        Item::new(ItemKind::Log, 0)
    }

    /// What the queue tells of itself.
    fn readiness(queue: &Queue) -> impl Fn() -> bool {
        let is_ready = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_ready);
        queue.tell(move |now| {
            while !now && !told.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            told.store(now, Ordering::Relaxed);
        });
        move || is_ready.load(Ordering::Relaxed)
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
    fn it_tells_that_items_wait_and_that_it_is_closed() {
        let queue = Queue::new(0).unwrap();
        let is_ready = readiness(&queue);
        assert!(!is_ready());
        queue.put(completion(1));
        queue.put(completion(2));
        assert!(is_ready());
        drop(queue.next(None).unwrap());
        assert!(is_ready());
        drop(queue.next(None).unwrap());
        assert!(!is_ready());
        queue.close();
        assert!(is_ready());
    }

    /// Who puts tells when he has let go of the lock: who takes meanwhile neither finds it locked nor leaves a queue
    /// that is empty and says that it is not.
    #[test]
    fn what_it_tells_is_true_also_where_the_item_was_taken_before_it_was_told() {
        const ITEMS: usize = 5000;
        let queue = Queue::new(0).unwrap();
        let is_ready = readiness(&queue);
        let taking = Arc::clone(&queue);
        let taker = std::thread::spawn(move || {
            for _ in 0..ITEMS {
                drop(taking.next(None).unwrap());
            }
        });
        for number in 0..ITEMS {
            queue.put(completion(number));
        }
        taker.join().unwrap();
        assert!(!is_ready());
        queue.put(completion(0));
        assert!(is_ready());
    }

    #[test]
    fn who_asks_late_is_told_of_what_waits() {
        let queue = Queue::new(0).unwrap();
        queue.put(completion(1));
        assert!(readiness(&queue)());
    }

    /// Also where some give up at the moment in which they are woken.
    #[test]
    fn of_many_who_wait_enough_are_woken() {
        const EACH: usize = 2000;
        let queue = Queue::new(0).unwrap();
        let takers: Vec<_> = [
            None,
            None,
            Some(Duration::from_micros(50)),
            Some(Duration::ZERO),
        ]
        .into_iter()
        .map(|timeout| {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                let mut taken = 0;
                loop {
                    match queue.next(timeout) {
                        Ok(_) => taken += 1,
                        Err(error) if error.kind() == ErrorKind::Empty => {}
                        Err(_) => return taken,
                    }
                }
            })
        })
        .collect();
        let putters = [1, 2, 3].map(|user_data| {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || (0..EACH).for_each(|_| queue.put(completion(user_data))))
        });
        let count = putters.len() * EACH;
        for putter in putters {
            putter.join().unwrap();
        }
        queue.close();
        let taken = takers.into_iter().map(|taker| taker.join().unwrap());
        assert_eq!(taken.sum::<usize>(), count);
    }

    /// A wake-up is a system call: one that nobody needs is not made, and one that is needed is.
    #[test]
    fn one_who_waits_is_woken_once_and_again_when_it_waits_again() {
        let queue = Queue::new(0).unwrap();
        let waiting = Arc::clone(&queue);
        let taker = std::thread::spawn(move || {
            while waiting
                .next(None)
                .is_ok_and(|item| item.user_data() != Some(9))
            {}
        });
        for user_data in [1, 2, 9] {
            while queue.state().sleeping == 0 {
                std::thread::yield_now();
            }
            queue.put(completion(user_data));
        }
        taker.join().unwrap();
        let state = queue.state();
        assert_eq!((state.sleeping, state.woken), (0, 0));
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
