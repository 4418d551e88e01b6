//! Where other processes' calls go: what a client makes of it that opens, or hears of it.
//!
//! What is on record is a reason to look, and never an order. A client that opens goes where the others
//! are, because to ask a dead endpoint first costs each script of a disaster the same; before its first
//! write it looks whether that was right. From then on it goes by its own rules.

use std::time::{Duration, Instant, SystemTime};

use super::{Action, Switch};
use crate::Role;
use crate::decide::alternate::Policy;
use crate::decide::look::First;
use crate::whereabouts::{Whereabouts, Worth};

/// What is made of another process's switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heed {
    /// Nothing: calls go there, or would not be moved whatever was found.
    Nothing,
    /// Ask again a moment later: what is being found out may have begun before.
    Later,
    /// The next look of the outage that there is begins sooner.
    Sooner,
    /// A look: the number of the inquiry, and what is to be done for it.
    Look(u64, Vec<Action>),
}

impl Switch {
    /// A client opens, and this is on record. Not its epochs: they count the switches of one client, and
    /// are compared by it alone.
    pub fn recall(
        &mut self,
        record: &Whereabouts,
        max_age: Duration,
        wall: SystemTime,
        now: Instant,
    ) {
        self.heard = record.switches;
        // Others were moved, so there are two.
        self.alternate.has_answered();
        let is_kept = self.pin().is_some();
        let is_elsewhere = record.role != self.place.role;
        if record.worth(max_age, wall) == Worth::Hint {
            self.first = (is_elsewhere && !is_kept).then_some(First::InSpiteOfRecord);
            return;
        }
        let ago = wall.duration_since(record.switched).unwrap_or_default();
        // What the machine's clock of this boot cannot say is long over.
        let since = now.checked_sub(ago);
        if is_kept {
            self.changed = since;
            return;
        }
        self.switched = since;
        self.changed = since;
        if is_elsewhere {
            self.place.role = record.role;
            self.first = Some(First::AtRecord);
        }
        if record.by_fault && record.role == Role::Alternate {
            self.home.leaves(now);
        }
    }

    /// The look that goes before calls: as after a doubt. `None`: whatever it found, calls would go.
    pub fn look_first(&mut self, now: Instant) -> Option<(u64, Vec<Action>)> {
        let has_other = self.has_other();
        if !has_other && self.outage_wait(now).is_zero() {
            self.first = None;
            return None;
        }
        let actions = self.inquire(true, has_other, false);
        Some((self.inquiries, actions))
    }

    /// This is on record now: another process may have gone elsewhere since.
    pub fn hears_of(
        &mut self,
        record: &Whereabouts,
        max_age: Duration,
        wall: SystemTime,
        now: Instant,
    ) -> Heed {
        if record.switches == self.heard {
            return Heed::Nothing;
        }
        let heed = match record.worth(max_age, wall) {
            Worth::Word => self.other_moved(record.role, now),
            Worth::Hint => Heed::Nothing,
        };
        if heed != Heed::Later {
            self.heard = record.switches;
        }
        heed
    }

    /// Another process's calls go to `role` now.
    fn other_moved(&mut self, role: Role, now: Instant) -> Heed {
        // Somebody has found one that serves, whichever it is.
        if self.outage().is_some() {
            self.hints(now);
            return Heed::Sooner;
        }
        let would_move = self.order.is_none() && self.alternate.would_switch();
        if role == self.place.role || !would_move || !self.has_other() {
            return Heed::Nothing;
        }
        let inquiry = self.inquiry.as_ref();
        if inquiry.is_some_and(|inquiry| inquiry.from == self.place)
            || self.refuses(now).is_some()
            || self.has_just_looked(now)
        {
            return Heed::Later;
        }
        let actions = self.inquire(true, true, false);
        Heed::Look(self.inquiries, actions)
    }

    /// What the WSDL said, as another process has read it.
    pub fn recall_policy(
        &mut self,
        policy: Policy,
        read: SystemTime,
        max_age: Duration,
        wall: SystemTime,
        now: Instant,
    ) {
        if wall.duration_since(read).is_ok_and(|age| age <= max_age) {
            self.set_policy(policy, now);
        }
    }
}

#[cfg(test)]
#[path = "recall_tests.rs"]
mod tests;
