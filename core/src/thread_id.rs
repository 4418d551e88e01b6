//! Which thread this is. The standard library panics where it is asked that by a thread whose locals are destroyed:
//! in the destructors of an application that run after them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadId(u64);

impl ThreadId {
    /// The calling one.
    #[must_use]
    pub fn here() -> ThreadId {
        static LAST: AtomicU64 = AtomicU64::new(0);
        thread_local! {
            // Without a destructor: it is there to the end.
            static ID: Cell<u64> = const { Cell::new(0) };
        }
        if ID.get() == 0 {
            ID.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        }
        ThreadId(ID.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_one() {
        let here = ThreadId::here();
        assert_eq!(here, ThreadId::here());
        let other = std::thread::spawn(ThreadId::here).join().unwrap();
        assert_ne!(here, other);
    }
}
