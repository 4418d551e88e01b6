//! The queue, the gate, the store's queue and the table of handles under schedules of their threads that shuttle makes
//! up: each lock taken, each wake-up, each atomic of theirs is a place where another thread may go
//! on. What waits for ever is a deadlock, which shuttle reports with the schedule that repeats it.
//!
//! The files are the product's own; build.rs puts shuttle's locks into them.
#![allow(dead_code, unused_imports)]

use std::fmt;

/// What of the product the three name.
mod lock {
    use shuttle::sync::{Mutex, MutexGuard};

    pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

mod time {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::future::Future;
    use std::time::{Duration, Instant};

    thread_local! {
        /// All threads of a schedule are one of the machine's.
        static NOW: Cell<Instant> = Cell::new(Instant::now());
    }

    /// Each look at the clock is a hundredth of a second after the one before.
    pub(crate) fn now() -> Instant {
        NOW.replace(NOW.get() + Duration::from_millis(10))
    }

    pub(crate) struct Elapsed(Infallible);

    /// It never comes: what is waited for must be there without it.
    pub(crate) async fn timeout<F: Future>(_: Duration, future: F) -> Result<F::Output, Elapsed> {
        Ok(future.await)
    }
}

mod decide {
    pub(crate) mod offered {
        include!(concat!(env!("OUT_DIR"), "/offered.rs"));
    }
    pub(crate) mod ramp {
        include!(concat!(env!("OUT_DIR"), "/ramp.rs"));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    Closed,
    Empty,
}

#[derive(Debug)]
pub struct Error(ErrorKind);

impl Error {
    fn new(kind: ErrorKind, _: &str) -> Error {
        Error(kind)
    }
}

mod fork {
    pub(crate) fn era() -> u32 {
        0
    }
    pub(crate) fn watch() {}
}

mod status {
    pub(crate) const D365_NULL_POINTER: i32 = 11;
    pub(crate) const D365_INVALID_HANDLE: i32 = 16;
    pub(crate) const D365_WRONG_HANDLE: i32 = 17;
    pub(crate) const D365_FORKED: i32 = 32;
}

/// Of the store, what its queue knows of it.
mod group {
    use std::time::Duration;

    pub(crate) trait Job: Send {
        fn done(self: Box<Self>);
    }

    #[derive(Default)]
    pub(crate) struct Gathering {
        pub(crate) size: usize,
    }

    impl Gathering {
        pub(crate) fn is_due(&self) -> bool {
            self.size > 1
        }
        pub(crate) fn was_away(&self, _: Duration) {}
    }
}

mod opening {
    use std::time::Duration;

    pub(crate) const BRIEF: Duration = Duration::MAX;
    pub(crate) const LONGEST_LOCK: Duration = Duration::MAX;
}

mod guard {
    #[derive(Debug)]
    pub(crate) struct Failure;

    impl Failure {
        pub(crate) fn new(_: i32, _: String) -> Failure {
            Failure
        }
        pub(crate) fn lacking(_: String) -> Failure {
            Failure
        }
    }
}

/// An item of a queue, as far as the queue knows one.
pub mod item {
    pub struct Kind(bool);

    impl Kind {
        pub(crate) fn is_chatty(&self) -> bool {
            self.0
        }
    }

    pub struct Item {
        pub(crate) number: u64,
        pub(crate) dropped: u64,
        is_chatty: bool,
    }

    impl Item {
        pub(crate) fn completion() -> Item {
            Item {
                number: 0,
                dropped: 0,
                is_chatty: false,
            }
        }
        pub(crate) fn chatty() -> Item {
            Item {
                is_chatty: true,
                ..Item::completion()
            }
        }
        pub(crate) fn kind(&self) -> Kind {
            Kind(self.is_chatty)
        }
        pub(crate) fn number(&mut self, number: u64, dropped: u64) {
            (self.number, self.dropped) = (number, dropped);
        }
        pub(crate) fn taken(&mut self) {}
    }
}

macro_rules! product {
    ($($name:ident: $model:literal;)*) => {
        $(mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
            include!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $model));
        })*
    };
}

product! {
    queue: "queue.rs";
    queue_put: "queue.rs";
    queue_close: "queue.rs";
    gate: "gate.rs";
    gate_leave: "gate.rs";
    store_queue: "store_queue.rs";
    store_queue_next: "store_queue.rs";
    store_queue_left: "store_queue.rs";
    handle: "handle.rs";
    handle_reuse: "handle.rs";
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::panic::catch_unwind;

    use super::*;

    /// How many schedules each model runs under: `SCHEDULES`.
    fn schedules() -> usize {
        let said = env::var("SCHEDULES").ok();
        said.map_or(20_000, |count| {
            count.parse().expect("SCHEDULES is a number")
        })
    }

    /// Half of them by chance, half with few changes of thread at the worst places.
    fn holds(model: fn()) {
        shuttle::check_random(model, schedules() / 2);
        shuttle::check_pct(model, schedules() / 2, 3);
    }

    /// What is planted is found.
    fn fails(model: fn()) {
        let found = catch_unwind(|| shuttle::check_random(model, schedules()));
        assert!(found.is_err(), "what was planted was not found");
    }

    #[test]
    fn queue_wakes() {
        holds(queue::whoever_waits_is_woken);
        fails(queue_put::whoever_waits_is_woken);
    }

    #[test]
    fn queue_ends() {
        holds(queue::the_end_wakes_everybody);
        fails(queue_close::the_end_wakes_everybody);
    }

    #[test]
    fn queue_counts() {
        holds(queue::what_is_dropped_is_counted);
    }

    #[test]
    fn store_queue_commits() {
        holds(store_queue::each_group_is_committed);
        fails(store_queue_next::each_group_is_committed);
    }

    #[test]
    fn store_queue_leaves() {
        holds(store_queue::what_is_left_is_committed);
        fails(store_queue_left::what_is_left_is_committed);
    }

    #[test]
    fn gate_lets_go() {
        holds(gate::whoever_waits_is_let_go);
        fails(gate_leave::whoever_waits_is_let_go);
    }

    #[test]
    fn gate_ramps_again() {
        holds(gate::a_second_ramp_leaves_nobody_behind);
    }

    #[test]
    fn handle_means_its_object() {
        holds(handle::a_handle_is_its_object_or_none);
        fails(handle_reuse::a_handle_is_its_object_or_none);
    }

    #[test]
    fn handle_is_freed_once() {
        holds(handle::one_frees_it_and_its_end_may_call_back);
    }
}
