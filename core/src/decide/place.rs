//! Where calls go: an endpoint at an epoch.

use crate::Role;

/// Where an attempt goes: an endpoint, and the number of switches before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub role: Role,
    pub epoch: u64,
}

/// A switch from one place to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub from: Place,
    pub to: Place,
}

impl Move {
    /// The switch that leads on from a place.
    pub fn on_from(from: Place) -> Move {
        Move {
            from,
            to: Place {
                role: from.role.other(),
                epoch: from.epoch + 1,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_switch_leads_to_the_other_endpoint_and_the_next_epoch() {
        let first = Place {
            role: Role::Primary,
            epoch: 0,
        };
        let second = Move::on_from(first).to;
        assert_eq!((second.role, second.epoch), (Role::Alternate, 1));
        let third = Move::on_from(second).to;
        assert_eq!((third.role, third.epoch), (Role::Primary, 2));
    }
}
