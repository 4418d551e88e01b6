//! What was executed, against what the clients were told.

use std::time::Duration;

use d365_failover_core::{Operation, Role};
use serde::Serialize;

use crate::Time;

/// How long a row takes to the other side.
pub const LAG: Duration = Duration::from_secs(2);

/// What a call's application is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The answer; of a write, that it was executed.
    Answered,
    /// An error after which it is certain that nothing was executed, or of a read.
    Failed,
    /// An error of a write that may have been executed.
    InDoubt,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// When it was executed first on each side.
    executed: [Option<Time>; 2],
    times: u8,
    acknowledged: Option<Role>,
    in_doubt: bool,
    /// The client knows that it is to be verified.
    is_suspect: bool,
}

/// All writes.
#[derive(Debug)]
pub struct Truth {
    rows: Vec<Row>,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Executed more than once, though a repeat does it twice.
    pub duplicates: u32,
    /// Ended in doubt.
    pub unknown: u32,
    /// Acknowledged, gone, and the client knows that they are to be verified.
    pub lost_reported: u32,
    /// Acknowledged, gone, and nobody knows.
    pub lost_unreported: u32,
}

pub(crate) fn index(role: Role) -> usize {
    usize::from(role == Role::Alternate)
}

impl Truth {
    /// Of so many calls.
    #[must_use]
    pub fn new(calls: usize) -> Truth {
        Truth {
            rows: vec![Row::default(); calls],
        }
    }

    /// A side executes a write. `false`: a guard has found it there already. `other_died`: when the
    /// other side ended; since then nothing comes over.
    pub fn execute(
        &mut self,
        call: u32,
        operation: Operation,
        role: Role,
        now: Time,
        other_died: Option<Time>,
    ) -> bool {
        let row = &mut self.rows[call as usize];
        let until = other_died.unwrap_or(now);
        if operation == Operation::Guarded && row.is_at(role, until) {
            return false;
        }
        row.executed[index(role)].get_or_insert(now);
        row.times = row.times.saturating_add(1);
        true
    }

    /// Whether a side has the row of a guarded write. `other_died` as for [`Truth::execute`].
    #[must_use]
    pub fn has(&self, call: u32, role: Role, now: Time, other_died: Option<Time>) -> bool {
        self.rows[call as usize].is_at(role, other_died.unwrap_or(now))
    }

    /// A call that writes has ended.
    pub fn tell(&mut self, call: u32, told: Told, by: Role) {
        let row = &mut self.rows[call as usize];
        match told {
            Told::Answered => row.acknowledged = Some(by),
            Told::InDoubt => row.in_doubt = true,
            Told::Failed => {}
        }
    }

    /// The client will verify a write, if it was acknowledged by that side.
    pub fn suspect(&mut self, call: u32, role: Role) {
        let row = &mut self.rows[call as usize];
        row.is_suspect |= row.acknowledged == Some(role);
    }

    /// The verdict. `died`: when each side ended for good, `operation`: what a call was.
    #[must_use]
    pub fn verdict(
        &self,
        died: [Option<Time>; 2],
        operation: impl Fn(u32) -> Operation,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        for (row, call) in self.rows.iter().zip(0..) {
            let is_unsafe = operation(call) == Operation::Unsafe;
            verdict.duplicates += u32::from(is_unsafe && row.times > 1);
            verdict.unknown += u32::from(row.in_doubt);
            if row.acknowledged.is_some() && !row.survives(died) {
                verdict.lost_reported += u32::from(row.is_suspect);
                verdict.lost_unreported += u32::from(!row.is_suspect);
            }
        }
        verdict
    }
}

impl Row {
    /// Whether a side has it, where rows have come over until then.
    fn is_at(&self, role: Role, until: Time) -> bool {
        let here = self.executed[index(role)];
        let there = self.executed[index(role.other())];
        here.is_some() || there.is_some_and(|at| at + LAG <= until)
    }

    /// Whether it is on a side that has not ended, or had come over from the one that has.
    fn survives(&self, died: [Option<Time>; 2]) -> bool {
        self.executed.iter().zip(died).any(|(executed, died)| {
            executed.is_some_and(|at| died.is_none_or(|died| at + LAG <= died))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Time {
        Duration::from_secs(seconds)
    }

    fn verdict(truth: &Truth, died: Option<Time>) -> Verdict {
        truth.verdict([died, None], |call| match call {
            0 => Operation::Unsafe,
            _ => Operation::Guarded,
        })
    }

    #[test]
    fn what_was_executed_twice_is_a_duplicate_unless_a_guard_holds() {
        let mut truth = Truth::new(2);
        for call in 0..2 {
            let operation = [Operation::Unsafe, Operation::Guarded][call as usize];
            assert!(truth.execute(call, operation, Role::Primary, at(1), None));
            assert_eq!(
                truth.execute(call, operation, Role::Primary, at(2), None),
                call == 0
            );
        }
        assert_eq!(verdict(&truth, None).duplicates, 1);
    }

    #[test]
    fn a_guard_finds_at_the_other_side_what_came_over() {
        for (died, is_new) in [(None, false), (Some(at(2)), true), (Some(at(3)), false)] {
            let mut truth = Truth::new(1);
            truth.execute(0, Operation::Guarded, Role::Primary, at(1), None);
            assert_eq!(
                truth.has(0, Role::Alternate, at(9), died),
                !is_new,
                "{died:?}"
            );
            let new = truth.execute(0, Operation::Guarded, Role::Alternate, at(9), died);
            assert_eq!(new, is_new, "{died:?}");
        }
    }

    #[test]
    fn what_was_acknowledged_and_had_not_come_over_is_lost() {
        for (executed, is_suspect, expected) in [
            (at(1), false, (0, 0)),
            (at(9), false, (0, 1)),
            (at(9), true, (1, 0)),
        ] {
            let mut truth = Truth::new(1);
            truth.execute(0, Operation::Unsafe, Role::Primary, executed, None);
            truth.tell(0, Told::Answered, Role::Primary);
            if is_suspect {
                truth.suspect(0, Role::Primary);
            }
            let found = verdict(&truth, Some(at(10)));
            assert_eq!((found.lost_reported, found.lost_unreported), expected);
            assert_eq!(verdict(&truth, None).lost_unreported, 0);
        }
    }

    #[test]
    fn what_was_not_acknowledged_is_not_lost_but_may_be_in_doubt() {
        let mut truth = Truth::new(1);
        truth.execute(0, Operation::Unsafe, Role::Primary, at(9), None);
        truth.tell(0, Told::InDoubt, Role::Primary);
        truth.suspect(0, Role::Primary);
        let expected = Verdict {
            unknown: 1,
            ..Verdict::default()
        };
        assert_eq!(verdict(&truth, Some(at(10))), expected);
    }
}
