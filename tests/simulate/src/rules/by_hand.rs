//! A fallback by hand: what an application outside .NET is told to write when its datacenter fails,
//! "try the URL with `--s`". After a failure of the connection, a timeout, or the service's own "not
//! here" it changes to the other URL, unless another call has done so meanwhile, and asks once more
//! there; it stays until that one fails. Every request is sent again, as such code does.

use std::time::Duration;

use d365_failover_core::Role;

use super::rival::{Policy, Then, Tried, Where};
use crate::outcome::Outcome;
use crate::world::World;

pub(super) struct ByHand {
    at: Role,
}

impl Default for ByHand {
    fn default() -> ByHand {
        ByHand { at: Role::Primary }
    }
}

impl Policy for ByHand {
    fn goes(&mut self, _: u32, _: u32, _: &mut World<'_>) -> Where {
        Where::To(self.at)
    }

    fn failed(&mut self, tried: &Tried, client: u32, world: &mut World<'_>) -> Then {
        // The service has answered; so it is there.
        if matches!(tried.outcome, Outcome::Throttled(_) | Outcome::AlreadyThere) {
            return Then::End;
        }
        if tried.at == self.at {
            world.leaves(client, self.at);
            self.at = self.at.other();
        }
        match tried.attempts {
            1 => Then::Again(Duration::ZERO),
            _ => Then::End,
        }
    }
}
