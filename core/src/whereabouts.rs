//! Where the calls of an organization go, as a store has it for all processes of a machine.

use std::time::{Duration, SystemTime};

use crate::Role;

/// Where they went last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// The endpoint that they go to.
    pub role: Role,
    /// When they went there.
    pub switched: SystemTime,
    /// When that was found to be so last.
    pub confirmed: SystemTime,
    /// A fault had moved them, and not a person.
    pub by_fault: bool,
    /// How many switches of whatever process are on record. It tells news from what was heard; it is no
    /// client's epoch.
    pub switches: u64,
}

/// What such a record is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Calls go there.
    Word,
    /// A reason to look: it is old, or from the future, because the clock was set back.
    Hint,
}

impl Whereabouts {
    /// What it is worth now. `max_age`: how old a word may be.
    pub fn worth(&self, max_age: Duration, now: SystemTime) -> Worth {
        match now.duration_since(self.confirmed) {
            Ok(age) if age <= max_age && self.switched <= now => Worth::Word,
            _ => Worth::Hint,
        }
    }

    /// Whether it is to be confirmed again, if that can be: long before it is old.
    pub fn is_due(&self, max_age: Duration, now: SystemTime) -> bool {
        match now.duration_since(self.confirmed) {
            Ok(age) => age > max_age / 4,
            Err(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_young_is_a_word_and_what_is_old_or_to_come_is_a_hint() {
        let second = Duration::from_secs(1);
        let now = SystemTime::UNIX_EPOCH + HOUR * 1000;
        for (switched, confirmed, worth, is_due) in [
            (now, now, Worth::Word, false),
            (now - HOUR * 9, now, Worth::Word, false),
            (now - HOUR, now - HOUR / 4, Worth::Word, false),
            (now - HOUR, now - HOUR / 4 - second, Worth::Word, true),
            (now - HOUR, now - HOUR, Worth::Word, true),
            (now - HOUR * 9, now - HOUR - second, Worth::Hint, true),
            // The clock was set back.
            (now - HOUR, now + second, Worth::Hint, true),
            (now + second, now, Worth::Hint, false),
        ] {
            let whereabouts = Whereabouts {
                role: Role::Alternate,
                switched,
                confirmed,
                by_fault: true,
                switches: 1,
            };
            assert_eq!(whereabouts.worth(HOUR, now), worth, "{whereabouts:?}");
            assert_eq!(whereabouts.is_due(HOUR, now), is_due, "{whereabouts:?}");
        }
    }
}
