//! What is known of the alternate: whether there is one, and whether faults lead to it.

use std::time::{Duration, Instant};

use crate::{FailoverPolicy, Role};

/// "Not available" is read again after this long: an alternate may have been made meanwhile…
const READ_AGAIN: Duration = Duration::from_secs(3600);
/// …and when that failed, after this long.
const TRY_AGAIN: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// The policy was not read yet.
    Nothing,
    Available,
    /// The policy says that there is none. When it is read again.
    Unavailable(Instant),
}

/// Who reads the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Nobody has.
    Never,
    UnderWay,
    Over,
}

#[derive(Debug)]
pub struct Alternate {
    known: Known,
    reading: Reading,
    auto_switch: bool,
    /// Whether the application has said what auto-switch is; then the policy does not.
    auto_switch_was_set: bool,
}

impl Alternate {
    /// There is one.
    pub fn exists(auto_switch: bool) -> Alternate {
        Alternate {
            known: Known::Available,
            auto_switch,
            ..Alternate::undecided()
        }
    }

    /// The FailoverPolicy decides.
    pub fn undecided() -> Alternate {
        Alternate {
            known: Known::Nothing,
            reading: Reading::Never,
            auto_switch: false,
            auto_switch_was_set: false,
        }
    }

    pub fn is_available(&self) -> bool {
        self.known == Known::Available
    }

    /// Whether nobody knows.
    pub fn is_unknown(&self) -> bool {
        self.known == Known::Nothing
    }

    /// Whether a policy has said that there is none.
    pub fn is_none(&self) -> bool {
        matches!(self.known, Known::Unavailable(_))
    }

    pub fn auto_switch(&self) -> bool {
        self.auto_switch
    }

    pub fn set_auto_switch(&mut self, on: bool) {
        self.auto_switch = on;
        self.auto_switch_was_set = true;
    }

    /// Whether auto-switch is on, or would be if there is an alternate.
    pub fn would_switch(&self) -> bool {
        self.auto_switch || (self.is_unknown() && !self.auto_switch_was_set)
    }

    /// There is one: the policy says so, or it answers, whatever could not be read.
    pub fn has_answered(&mut self) {
        if self.known != Known::Available {
            self.known = Known::Available;
            if !self.auto_switch_was_set {
                self.auto_switch = true;
            }
        }
    }

    /// Whether the policy is to be read: nobody has, or it is long ago that it said "not
    /// available".
    pub fn needs_policy(&self, now: Instant) -> bool {
        match self.known {
            Known::Nothing => true,
            Known::Available => false,
            Known::Unavailable(again) => now >= again,
        }
    }

    /// Whether a call that begins has it read. One that has failed is tried anew when a fault needs
    /// it.
    pub fn is_due(&self, now: Instant) -> bool {
        match self.reading {
            Reading::Never => self.needs_policy(now),
            Reading::UnderWay => false,
            Reading::Over => !self.is_unknown() && self.needs_policy(now),
        }
    }

    /// The application wants it read. Whether that could change anything: then it is being read from
    /// now on.
    pub fn is_discovered(&mut self) -> bool {
        if self.known != Known::Available {
            self.reading_begins();
        }
        self.reading == Reading::UnderWay
    }

    pub fn reading_begins(&mut self) {
        self.reading = Reading::UnderWay;
    }

    /// It was read, or not, and what follows from it was done.
    pub fn reading_is_over(&mut self) {
        self.reading = Reading::Over;
    }

    /// What the WSDL says, unless it is known already that there is an alternate. Tells whether that
    /// is so.
    pub fn set_policy(&mut self, policy: FailoverPolicy, now: Instant) -> bool {
        if self.known == Known::Available {
            return false;
        }
        if policy.available {
            self.has_answered();
        } else {
            self.known = Known::Unavailable(now + READ_AGAIN);
        }
        policy.available
    }

    /// The policy could not be read.
    pub fn policy_is_unread(&mut self, now: Instant) {
        if let Known::Unavailable(again) = &mut self.known {
            *again = now + TRY_AGAIN;
        }
    }
}

/// Which endpoint a policy's document was read from, and what it says.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub read_from: Role,
    pub says: FailoverPolicy,
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVAILABLE: FailoverPolicy = FailoverPolicy {
        available: true,
        endpoint_enabled: true,
    };
    const NOT_AVAILABLE: FailoverPolicy = FailoverPolicy {
        available: false,
        ..AVAILABLE
    };

    #[test]
    fn the_policy_decides_and_the_application_outlives_it() {
        let now = Instant::now();
        let mut alternate = Alternate::undecided();
        assert!(alternate.would_switch() && !alternate.auto_switch());
        assert!(alternate.set_policy(AVAILABLE, now));
        assert!(alternate.auto_switch() && alternate.is_available());

        let mut alternate = Alternate::undecided();
        alternate.set_auto_switch(false);
        assert!(!alternate.would_switch());
        alternate.set_policy(AVAILABLE, now);
        assert!(!alternate.auto_switch());

        let mut alternate = Alternate::undecided();
        assert!(!alternate.set_policy(NOT_AVAILABLE, now));
        assert!(alternate.is_none() && !alternate.is_unknown());
    }

    #[test]
    fn not_available_is_read_again_after_an_hour() {
        let begin = Instant::now();
        let mut alternate = Alternate::undecided();
        assert!(alternate.is_due(begin));
        alternate.reading_begins();
        assert!(!alternate.is_due(begin) && alternate.is_discovered());
        alternate.set_policy(NOT_AVAILABLE, begin);
        alternate.reading_is_over();
        assert!(!alternate.needs_policy(begin));
        let later = begin + READ_AGAIN;
        assert!(alternate.needs_policy(later) && alternate.is_due(later));
        // It cannot be read: what it said holds, and nobody asks for a while.
        alternate.policy_is_unread(later);
        assert!(!alternate.needs_policy(later));
        let later = later + TRY_AGAIN;
        assert!(alternate.needs_policy(later));
        // The application may ask at any time, and joins whoever reads it.
        assert!(alternate.is_discovered());
        assert!(alternate.set_policy(AVAILABLE, later));
        assert!(alternate.is_discovered());
        alternate.reading_is_over();
        assert!(!alternate.is_discovered());
    }

    #[test]
    fn a_reading_that_has_failed_is_tried_anew_when_a_fault_needs_it() {
        let now = Instant::now();
        let mut alternate = Alternate::undecided();
        alternate.reading_begins();
        alternate.reading_is_over();
        assert!(!alternate.is_due(now) && alternate.needs_policy(now));
    }
}
