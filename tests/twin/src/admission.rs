//! Which streams of an HTTP/2 connection are processed: those that a GOAWAY disowns never are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a connection has begun to process, and what it said that it will not. Clones are of the
/// same connection.
#[derive(Clone, Default)]
pub(crate) struct Admission(Arc<Mutex<Streams>>);

struct Streams {
    highest: u32,
    last: u32,
}

impl Default for Streams {
    fn default() -> Streams {
        Streams {
            highest: 0,
            last: u32::MAX,
        }
    }
}

impl Admission {
    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a stream may be processed; from then on no GOAWAY disowns it.
    pub(crate) fn admit(&self, stream: u32) -> bool {
        let mut streams = self.lock();
        let admitted = stream <= streams.last;
        if admitted {
            streams.highest = streams.highest.max(stream);
        }
        admitted
    }

    /// The last stream that a GOAWAY can name where it is to name this one: none that is
    /// processed stands above it, and none above it will be.
    pub(crate) fn disown_above(&self, wanted: u32) -> u32 {
        let mut streams = self.lock();
        // What an earlier GOAWAY disowned stays so (RFC 9113, 6.8).
        streams.last = wanted.max(streams.highest).min(streams.last);
        streams.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_processed_is_not_disowned_nor_the_other_way_about() {
        let admission = Admission::default();
        assert!(admission.admit(5));
        assert_eq!(admission.disown_above(1), 5);
        assert!(admission.admit(3));
        assert!(!admission.admit(7));
        assert_eq!(admission.disown_above(9), 5);
        let admission = Admission::default();
        assert_eq!(admission.disown_above(1), 1);
        assert!(!admission.admit(3));
        assert_eq!(admission.disown_above(u32::MAX >> 1), 1);
    }
}
