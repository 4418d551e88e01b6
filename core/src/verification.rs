//! What was found out about a write on record.

use std::fmt;
use std::time::SystemTime;

/// What a look at its row says of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verified {
    /// It was executed. See [`Verification::is_final`].
    Present = 1,
    /// Its effect is not there. See [`Verification::is_final`].
    Missing = 2,
    /// No look at a row could tell. See [`Verification::why`].
    Unverifiable = 3,
    /// The row is there, with other values than were sent: [`Verification::differences`]. Somebody has
    /// written it since, or the write was not executed.
    Conflicting = 4,
}

impl Verified {
    /// `present`, `missing`, `unverifiable` or `conflicting`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verified::Present => "present",
            Verified::Missing => "missing",
            Verified::Unverifiable => "unverifiable",
            Verified::Conflicting => "conflicting",
        }
    }
}

/// What was found when a write was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// What.
    pub verdict: Verified,
    /// Whether replication can change nothing any more about it. Only when the setting
    /// `replication_window` has passed since the write ended are final: `missing`, `conflicting`, the
    /// `present` of a delete, and whatever was found of a write of which an attempt may still come
    /// late. Resolve a write when it is, whichever verdict it has.
    pub is_final: bool,
    /// When.
    pub time: SystemTime,
    /// One sentence for a person: why it is `unverifiable`, or what the verdict goes by. Empty where
    /// there is nothing to say.
    pub why: String,
    /// Of `conflicting`: which values differ, the first 50.
    pub differences: Vec<Difference>,
    /// The names of values that were sent and could not be compared, the first 50.
    pub left_out: Vec<String>,
    /// Whether there was a row.
    pub is_there: bool,
    /// The version that the row had, as `If-Match` takes it, or SOAP's `RowVersion`. `None`: there
    /// was no row, or it told none.
    pub version: Option<String>,
}

impl Verification {
    /// What says no more than this.
    #[must_use]
    pub fn new(verdict: Verified, is_final: bool, time: SystemTime) -> Verification {
        Verification {
            verdict,
            is_final,
            time,
            why: String::new(),
            differences: Vec::new(),
            left_out: Vec::new(),
            is_there: false,
            version: None,
        }
    }
}

/// A value that the row has otherwise than it was sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Difference {
    /// As the write names it.
    pub name: String,
    /// What was sent, as JSON; a long one is cut.
    pub sent: String,
    /// What the row has, likewise.
    pub found: String,
}

// Values of rows are nobody's business in a log.
impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Difference")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
