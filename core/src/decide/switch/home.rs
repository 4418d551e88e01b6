//! The way back to the primary, for calls that a fault has moved.

use std::time::Instant;

use super::inquiry::{Inquiry, Stage};
use super::{Action, Switch};
use crate::Role;
use crate::decide::look::{Found, Look};
use crate::decide::place::Place;

impl Switch {
    /// Whether only the application leads away from where calls go.
    pub fn is_left_by_hand(&self) -> bool {
        self.home.is_manual() && self.place.role == Role::Alternate
    }

    /// A look at the primary, for calls at the alternate to go back there, and when it is due.
    /// `None`: none is, as long as calls do not move.
    pub fn look_home(&self) -> Option<(Instant, Look)> {
        let next = self.home.next_look()?;
        Some((next, self.look(false, true)))
    }

    /// What such a look has found that began when calls went to `from`. Perhaps that begins an inquiry:
    /// its number, and what is to be done for it.
    pub fn looked_home(
        &mut self,
        from: Place,
        found: Found,
        now: Instant,
    ) -> Option<(u64, Vec<Action>)> {
        if self.place != from {
            return None;
        }
        let probed = match found {
            Found::Go(probed) => probed,
            Found::Stay(_) => None,
        };
        let is_time = self.home.looked(probed.is_some(), now);
        if !self.auto_switch() {
            self.home.stays_away();
            return None;
        }
        // Asked again with the next look that is a good one.
        if !is_time || self.inquiry.is_some() || self.refuses(now).is_some() {
            return None;
        }
        self.inquiries += 1;
        self.inquiry = Some(Inquiry {
            number: self.inquiries,
            from,
            must_confirm: false,
            has_other: true,
            is_failback: true,
            outage: None,
            holds_calls: false,
            stage: Stage::Asking(probed),
        });
        Some((self.inquiries, vec![Action::Raise(probed)]))
    }
}

#[cfg(test)]
#[path = "home_tests.rs"]
mod tests;
