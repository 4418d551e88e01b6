//! Takes a client's events out of its queue, answers its decisions, and writes them down.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use d365_failover_core::{Decision, Error, ItemKind, Queue, Response};
use fastrand::Rng;

use crate::history::EventSeen;

/// Logical time: every begin, end, event and change of the weather has a moment of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn tick(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// The ends of submitted calls, for who waits for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Completions(Arc<Mutex<HashMap<usize, SyncSender<Ended>>>>);

/// How a call ended.
pub(crate) type Ended = Result<Response, Error>;

impl Completions {
    /// Where the end of the call with this number will come. To be asked for before it is
    /// submitted.
    pub(crate) fn expect(&self, number: usize) -> Receiver<Ended> {
        let (to, from) = sync_channel(1);
        self.lock().insert(number, to);
        from
    }

    fn give(&self, number: usize, ended: Ended) {
        if let Some(to) = self.lock().remove(&number) {
            // Who has left meanwhile does not want it.
            let _ = to.try_send(ended);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, SyncSender<Ended>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client's witness.
pub(crate) struct Witness {
    queue: Arc<Queue>,
    is_content: Arc<AtomicBool>,
    pub(crate) completions: Completions,
    thread: JoinHandle<Vec<EventSeen>>,
}

/// The events that are written down.
pub(crate) const KINDS: [ItemKind; 6] = [
    ItemKind::EndpointSwitchRequired,
    ItemKind::EndpointSwitched,
    ItemKind::WriteInDoubt,
    ItemKind::DataLossSuspected,
    ItemKind::CallRetried,
    ItemKind::Throttled,
];

impl Witness {
    pub(crate) fn call(queue: &Arc<Queue>, clock: &Clock, veto_one_in: u32, seed: u64) -> Witness {
        let is_content = Arc::new(AtomicBool::new(veto_one_in == 0));
        let completions = Completions::default();
        let watch = Watch {
            completions: completions.clone(),
            queue: Arc::clone(queue),
            clock: clock.clone(),
            veto_one_in,
            rng: Rng::with_seed(seed),
            is_content: Arc::clone(&is_content),
        };
        Witness {
            queue: Arc::clone(queue),
            is_content,
            completions,
            thread: thread::spawn(move || watch.run()),
        }
    }

    /// Vetoes nothing any more.
    pub(crate) fn agree(&self) {
        self.is_content.store(true, Ordering::SeqCst);
    }

    /// Takes no further events, and gives those that there were.
    pub(crate) fn end(self) -> Vec<EventSeen> {
        self.queue.close();
        self.thread.join().unwrap_or_default()
    }
}

struct Watch {
    queue: Arc<Queue>,
    clock: Clock,
    veto_one_in: u32,
    rng: Rng,
    is_content: Arc<AtomicBool>,
    completions: Completions,
}

impl Watch {
    fn run(mut self) -> Vec<EventSeen> {
        let mut seen = Vec::new();
        // It ends when the queue is closed, and what was in it is taken.
        while let Ok(mut item) = self.queue.next(None) {
            if let (Some(number), Some(ended)) = (item.user_data(), item.take_result()) {
                self.completions.give(number, ended);
            }
            let Some(event) = item.event() else { continue };
            let wants_veto = item.is_decision()
                && !self.is_content.load(Ordering::SeqCst)
                && self.rng.u32(..self.veto_one_in) == 0;
            // A veto that comes too late is none.
            let vetoed = wants_veto && item.reply(Decision::Veto).is_ok();
            seen.push(EventSeen {
                at: self.clock.tick(),
                kind: event.kind,
                time: event.time,
                epoch: event.epoch,
                from: event.previous_role,
                to: event.new_role,
                automatic: event.automatic,
                probed: event.probed.is_some(),
                ledger_id: event.ledger_id,
                vetoed,
                message: event.message.clone(),
            });
        }
        seen
    }
}
