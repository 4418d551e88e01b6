//! Which endpoint calls go to now, and whether a fault moves them.
//!
//! A fault is always reported with the place that its attempt was sent to. If the board stands
//! elsewhere by then, another call has switched already, and the fault changes nothing. This is
//! what .NET did by comparing addresses; with the epoch it also holds when the board has moved
//! away and back.

use crate::{FailoverPolicy, Role};

/// Where an attempt goes: an endpoint, and the number of switches before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) role: Role,
    pub(crate) epoch: u64,
}

/// What is known of the alternate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alternate {
    /// The policy was not read yet.
    Unknown,
    Available,
    Unavailable,
}

/// What a fault leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Another call has switched: send again there.
    Moved,
    /// This fault begins a switch: the one task that carries it out is to be started.
    Begin,
    /// A switch from this place is under way: wait for its outcome.
    Join,
    /// There is no alternate.
    NoAlternate,
    /// Whether there is an alternate must be found out first.
    Undecided,
}

/// A switch from one place to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) from: Place,
    pub(crate) to: Place,
}

impl Switch {
    /// The switch that leads on from a place.
    pub(crate) fn from(from: Place) -> Switch {
        Switch {
            from,
            to: Place {
                role: from.role.other(),
                epoch: from.epoch + 1,
            },
        }
    }
}

/// What became of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    Switched(Switch),
    /// The application has switched by hand meanwhile.
    Moved,
    /// Auto-switch is off, or a handler vetoed.
    Stayed,
}

#[derive(Debug)]
pub(crate) struct Switchboard {
    place: Place,
    alternate: Alternate,
    auto_switch: bool,
    /// Whether the application has said what auto-switch is; then the policy does not.
    auto_switch_was_set: bool,
    /// Where the switch that is not decided yet has begun.
    switching: Option<Place>,
}

impl Switchboard {
    /// A board for an organization whose alternate is known to exist.
    pub(crate) fn with_alternate(starts_on: Role, auto_switch: bool) -> Switchboard {
        Switchboard {
            alternate: Alternate::Available,
            auto_switch,
            ..Switchboard::undecided(starts_on)
        }
    }

    /// A board that waits for the FailoverPolicy.
    pub(crate) fn undecided(starts_on: Role) -> Switchboard {
        Switchboard {
            place: Place {
                role: starts_on,
                epoch: 0,
            },
            alternate: Alternate::Unknown,
            auto_switch: false,
            auto_switch_was_set: false,
            switching: None,
        }
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn has_alternate(&self) -> bool {
        self.alternate == Alternate::Available
    }

    pub(crate) fn needs_policy(&self) -> bool {
        self.alternate == Alternate::Unknown
    }

    pub(crate) fn auto_switch(&self) -> bool {
        self.auto_switch
    }

    pub(crate) fn set_auto_switch(&mut self, on: bool) {
        self.auto_switch = on;
        self.auto_switch_was_set = true;
    }

    /// Takes what the WSDL of the endpoint `read_from` says. Only the first policy counts.
    pub(crate) fn set_policy(&mut self, policy: FailoverPolicy, read_from: Role) {
        if self.alternate != Alternate::Unknown {
            return;
        }
        if !policy.available {
            self.alternate = Alternate::Unavailable;
            return;
        }
        self.alternate = Alternate::Available;
        if !self.auto_switch_was_set {
            self.auto_switch = true;
        }
        // No switch, but where the client would have started had it known.
        if !policy.endpoint_enabled && self.place.epoch == 0 {
            self.place.role = read_from.other();
        }
    }

    /// A fault that starts failover was seen at `seen_at`.
    pub(crate) fn report(&mut self, seen_at: Place) -> Verdict {
        if self.place != seen_at {
            return Verdict::Moved;
        }
        match self.alternate {
            Alternate::Unknown => Verdict::Undecided,
            Alternate::Unavailable => Verdict::NoAlternate,
            Alternate::Available if self.switching == Some(seen_at) => Verdict::Join,
            Alternate::Available => {
                self.switching = Some(seen_at);
                Verdict::Begin
            }
        }
    }

    /// A fault was seen at `seen_at`, and whether there is an alternate could not be read: the
    /// alternate itself will be asked.
    pub(crate) fn report_unread(&mut self, seen_at: Place) -> Verdict {
        match self.report(seen_at) {
            Verdict::Undecided if self.switching == Some(seen_at) => Verdict::Join,
            Verdict::Undecided => {
                self.switching = Some(seen_at);
                Verdict::Begin
            }
            verdict => verdict,
        }
    }

    /// The switch that has begun at `from` is not carried out, and nobody was asked.
    pub(crate) fn abandon(&mut self, from: Place) {
        if self.switching == Some(from) {
            self.switching = None;
        }
    }

    /// The alternate answers: there is one, whatever could not be read.
    pub(crate) fn has_answered(&mut self) {
        if self.alternate == Alternate::Unknown {
            self.alternate = Alternate::Available;
            if !self.auto_switch_was_set {
                self.auto_switch = true;
            }
        }
    }

    /// Whether auto-switch is on, or would be if there is an alternate.
    pub(crate) fn would_switch(&self) -> bool {
        self.auto_switch || (self.needs_policy() && !self.auto_switch_was_set)
    }

    /// The handlers have spoken: carries out the switch that has begun at `from`, or not.
    /// Auto-switch is read only now, so a handler may have set it.
    pub(crate) fn decide(&mut self, from: Place, vetoed: bool) -> Decided {
        if self.switching == Some(from) {
            self.switching = None;
        }
        if self.place != from {
            return Decided::Moved;
        }
        if vetoed || !self.auto_switch {
            return Decided::Stayed;
        }
        Decided::Switched(self.move_on())
    }

    /// Switches because the application says so. `None`: there is no alternate.
    pub(crate) fn switch_by_hand(&mut self) -> Option<Switch> {
        self.has_alternate().then(|| self.move_on())
    }

    fn move_on(&mut self) -> Switch {
        let switch = Switch::from(self.place);
        self.place = switch.to;
        switch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVAILABLE: FailoverPolicy = FailoverPolicy {
        available: true,
        endpoint_enabled: true,
    };

    fn board() -> Switchboard {
        Switchboard::with_alternate(Role::Primary, true)
    }

    fn place(role: Role, epoch: u64) -> Place {
        Place { role, epoch }
    }

    #[test]
    fn one_switch_for_concurrent_faults() {
        let mut board = board();
        let seen_at = board.place();
        assert_eq!(board.report(seen_at), Verdict::Begin);
        assert_eq!(board.report(seen_at), Verdict::Join);
        let switch = Switch::from(seen_at);
        assert_eq!(board.decide(seen_at, false), Decided::Switched(switch));
        assert_eq!(board.place(), place(Role::Alternate, 1));
        assert_eq!(board.report(seen_at), Verdict::Moved);
        assert_eq!(board.place(), place(Role::Alternate, 1));
    }

    #[test]
    fn a_fault_from_before_two_switches_changes_nothing() {
        let mut board = board();
        let seen_at = board.place();
        board.switch_by_hand().unwrap();
        board.switch_by_hand().unwrap();
        assert_eq!(board.place(), place(Role::Primary, 2));
        assert_eq!(board.report(seen_at), Verdict::Moved);
    }

    #[test]
    fn with_auto_switch_off_nothing_moves_and_the_next_fault_asks_again() {
        let mut board = Switchboard::with_alternate(Role::Primary, false);
        let seen_at = board.place();
        for _ in 0..2 {
            assert_eq!(board.report(seen_at), Verdict::Begin);
            assert_eq!(board.decide(seen_at, false), Decided::Stayed);
        }
        assert_eq!(board.place(), seen_at);
    }

    #[test]
    fn auto_switch_is_read_after_the_handlers() {
        for (before, inside) in [(true, false), (false, true)] {
            let mut board = Switchboard::with_alternate(Role::Primary, before);
            let seen_at = board.place();
            assert_eq!(board.report(seen_at), Verdict::Begin);
            board.set_auto_switch(inside);
            let moved = matches!(board.decide(seen_at, false), Decided::Switched(_));
            assert_eq!(moved, inside);
        }
    }

    #[test]
    fn a_veto_holds_for_this_fault() {
        let mut board = board();
        let seen_at = board.place();
        board.report(seen_at);
        assert_eq!(board.decide(seen_at, true), Decided::Stayed);
        assert_eq!(board.report(seen_at), Verdict::Begin);
    }

    #[test]
    fn a_switch_by_hand_during_a_decision_is_not_undone() {
        let mut board = board();
        let seen_at = board.place();
        board.report(seen_at);
        board.switch_by_hand().unwrap();
        // A fault at the new place does not join the switch that began at the old one.
        assert_eq!(board.report(board.place()), Verdict::Begin);
        assert_eq!(board.decide(seen_at, false), Decided::Moved);
        assert_eq!(board.place(), place(Role::Alternate, 1));
        assert_eq!(board.report(board.place()), Verdict::Join);
    }

    #[test]
    fn a_fault_on_the_alternate_leads_back() {
        let mut board = board();
        board.switch_by_hand().unwrap();
        let seen_at = board.place();
        assert_eq!(board.report(seen_at), Verdict::Begin);
        assert_eq!(
            board.decide(seen_at, false),
            Decided::Switched(Switch {
                from: place(Role::Alternate, 1),
                to: place(Role::Primary, 2)
            })
        );
    }

    #[test]
    fn the_policy_decides_whether_there_is_an_alternate() {
        let mut board = Switchboard::undecided(Role::Primary);
        let seen_at = board.place();
        assert_eq!(board.report(seen_at), Verdict::Undecided);
        assert_eq!(board.switch_by_hand(), None);
        board.set_policy(AVAILABLE, Role::Primary);
        assert!(board.auto_switch());
        assert_eq!(board.report(seen_at), Verdict::Begin);

        let mut board = Switchboard::undecided(Role::Primary);
        let unavailable = FailoverPolicy {
            available: false,
            ..AVAILABLE
        };
        board.set_policy(unavailable, Role::Primary);
        assert_eq!(board.report(seen_at), Verdict::NoAlternate);
        assert_eq!(board.switch_by_hand(), None);
    }

    #[test]
    fn a_disabled_endpoint_is_left_before_the_first_switch() {
        let disabled = FailoverPolicy {
            endpoint_enabled: false,
            ..AVAILABLE
        };
        let mut board = Switchboard::undecided(Role::Primary);
        let seen_at = board.place();
        board.set_policy(disabled, Role::Primary);
        assert_eq!(board.place(), place(Role::Alternate, 0));
        assert_eq!(board.report(seen_at), Verdict::Moved);

        let mut board = Switchboard::undecided(Role::Primary);
        board.set_policy(disabled, Role::Alternate);
        assert_eq!(board.place(), place(Role::Primary, 0));
    }

    #[test]
    fn an_alternate_that_answers_is_one() {
        let mut board = Switchboard::undecided(Role::Primary);
        let seen_at = board.place();
        assert!(board.would_switch());
        assert_eq!(board.report_unread(seen_at), Verdict::Begin);
        assert_eq!(board.report_unread(seen_at), Verdict::Join);
        board.abandon(seen_at);
        assert_eq!(board.report_unread(seen_at), Verdict::Begin);
        board.has_answered();
        let switch = Switch::from(seen_at);
        assert_eq!(board.decide(seen_at, false), Decided::Switched(switch));

        let mut board = Switchboard::undecided(Role::Primary);
        board.set_auto_switch(false);
        assert!(!board.would_switch());
        board.report_unread(board.place());
        board.has_answered();
        assert_eq!(board.decide(board.place(), false), Decided::Stayed);
    }

    #[test]
    fn what_the_application_said_of_auto_switch_outlives_the_policy() {
        let mut board = Switchboard::undecided(Role::Primary);
        board.set_auto_switch(false);
        board.set_policy(AVAILABLE, Role::Primary);
        assert!(!board.auto_switch());
    }
}
