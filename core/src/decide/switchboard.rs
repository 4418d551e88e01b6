//! Which endpoint calls go to now, and whether a fault moves them.
//!
//! A fault is always reported with the place that its attempt was sent to. If the board stands
//! elsewhere by then, another call has switched already, and the fault changes nothing. This is
//! what .NET did by comparing addresses; with the epoch it also holds when the board has moved
//! away and back.

use std::time::{Duration, Instant};

use crate::{FailoverPolicy, Role};

/// "Not available" is read again after this long: an alternate may have been made meanwhile…
const READ_AGAIN: Duration = Duration::from_secs(3600);
/// …and when that failed, after this long.
const TRY_AGAIN: Duration = Duration::from_secs(60);

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
    /// The policy says that there is none. When it is read again.
    Unavailable(Instant),
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
    /// Calls were sent: where to start is no question any more.
    has_begun: bool,
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
            has_begun: false,
        }
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn has_alternate(&self) -> bool {
        self.alternate == Alternate::Available
    }

    /// Whether a policy has said that there is no alternate.
    pub(crate) fn has_none(&self) -> bool {
        matches!(self.alternate, Alternate::Unavailable(_))
    }

    /// Whether the policy is to be read: nobody has, or it is long ago that it said "not
    /// available".
    pub(crate) fn needs_policy(&self, now: Instant) -> bool {
        match self.alternate {
            Alternate::Unknown => true,
            Alternate::Available => false,
            Alternate::Unavailable(again) => now >= again,
        }
    }

    /// Whether it is long ago that the policy said "not available".
    pub(crate) fn is_due_again(&self, now: Instant) -> bool {
        self.alternate != Alternate::Unknown && self.needs_policy(now)
    }

    /// Whether reading the policy could change anything.
    pub(crate) fn may_need_policy(&self) -> bool {
        self.alternate != Alternate::Available
    }

    /// A call is sent.
    pub(crate) fn begin(&mut self) -> Place {
        self.has_begun = true;
        self.place
    }

    pub(crate) fn auto_switch(&self) -> bool {
        self.auto_switch
    }

    pub(crate) fn set_auto_switch(&mut self, on: bool) {
        self.auto_switch = on;
        self.auto_switch_was_set = true;
    }

    /// Takes what the WSDL of the endpoint `read_from` says, unless it is known that there is an
    /// alternate. Tells the place that is to be left, by a switch like any other, because calls
    /// were sent there already.
    pub(crate) fn set_policy(
        &mut self,
        policy: FailoverPolicy,
        read_from: Role,
        now: Instant,
    ) -> Option<Place> {
        if self.alternate == Alternate::Available {
            return None;
        }
        if !policy.available {
            self.alternate = Alternate::Unavailable(now + READ_AGAIN);
            return None;
        }
        self.has_answered();
        if policy.endpoint_enabled || self.place.role != read_from {
            return None;
        }
        if self.has_begun || self.place.epoch > 0 {
            return Some(self.place);
        }
        // No switch, but where the client would have started had it known.
        self.place.role = read_from.other();
        None
    }

    /// The policy could not be read.
    pub(crate) fn policy_is_unread(&mut self, now: Instant) {
        if let Alternate::Unavailable(again) = &mut self.alternate {
            *again = now + TRY_AGAIN;
        }
    }

    /// A fault that starts failover was seen at `seen_at`.
    pub(crate) fn report(&mut self, seen_at: Place, now: Instant) -> Verdict {
        if self.place != seen_at {
            return Verdict::Moved;
        }
        match self.alternate {
            _ if self.needs_policy(now) => Verdict::Undecided,
            Alternate::Unknown | Alternate::Unavailable(_) => Verdict::NoAlternate,
            Alternate::Available if self.switching == Some(seen_at) => Verdict::Join,
            Alternate::Available => {
                self.switching = Some(seen_at);
                Verdict::Begin
            }
        }
    }

    /// A fault was seen at `seen_at`, and whether there is an alternate could not be read: the
    /// alternate itself will be asked.
    pub(crate) fn report_unread(&mut self, seen_at: Place, now: Instant) -> Verdict {
        match self.report(seen_at, now) {
            // What it said when it was read last holds.
            Verdict::Undecided if self.alternate != Alternate::Unknown => Verdict::NoAlternate,
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

    /// There is an alternate: the policy says so, or it answers, whatever could not be read.
    pub(crate) fn has_answered(&mut self) {
        if self.alternate != Alternate::Available {
            self.alternate = Alternate::Available;
            if !self.auto_switch_was_set {
                self.auto_switch = true;
            }
        }
    }

    /// Whether auto-switch is on, or would be if there is an alternate.
    pub(crate) fn would_switch(&self) -> bool {
        self.auto_switch || (self.alternate == Alternate::Unknown && !self.auto_switch_was_set)
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
        assert_eq!(board.report(seen_at, Instant::now()), Verdict::Begin);
        assert_eq!(board.report(seen_at, Instant::now()), Verdict::Join);
        let switch = Switch::from(seen_at);
        assert_eq!(board.decide(seen_at, false), Decided::Switched(switch));
        assert_eq!(board.place(), place(Role::Alternate, 1));
        assert_eq!(board.report(seen_at, Instant::now()), Verdict::Moved);
        assert_eq!(board.place(), place(Role::Alternate, 1));
    }

    #[test]
    fn a_fault_from_before_two_switches_changes_nothing() {
        let mut board = board();
        let seen_at = board.place();
        board.switch_by_hand().unwrap();
        board.switch_by_hand().unwrap();
        assert_eq!(board.place(), place(Role::Primary, 2));
        assert_eq!(board.report(seen_at, Instant::now()), Verdict::Moved);
    }

    #[test]
    fn with_auto_switch_off_nothing_moves_and_the_next_fault_asks_again() {
        let mut board = Switchboard::with_alternate(Role::Primary, false);
        let seen_at = board.place();
        for _ in 0..2 {
            assert_eq!(board.report(seen_at, Instant::now()), Verdict::Begin);
            assert_eq!(board.decide(seen_at, false), Decided::Stayed);
        }
        assert_eq!(board.place(), seen_at);
    }

    #[test]
    fn auto_switch_is_read_after_the_handlers() {
        for (before, inside) in [(true, false), (false, true)] {
            let mut board = Switchboard::with_alternate(Role::Primary, before);
            let seen_at = board.place();
            assert_eq!(board.report(seen_at, Instant::now()), Verdict::Begin);
            board.set_auto_switch(inside);
            let moved = matches!(board.decide(seen_at, false), Decided::Switched(_));
            assert_eq!(moved, inside);
        }
    }

    #[test]
    fn a_veto_holds_for_this_fault() {
        let mut board = board();
        let seen_at = board.place();
        board.report(seen_at, Instant::now());
        assert_eq!(board.decide(seen_at, true), Decided::Stayed);
        assert_eq!(board.report(seen_at, Instant::now()), Verdict::Begin);
    }

    #[test]
    fn a_switch_by_hand_during_a_decision_is_not_undone() {
        let mut board = board();
        let seen_at = board.place();
        board.report(seen_at, Instant::now());
        board.switch_by_hand().unwrap();
        // A fault at the new place does not join the switch that began at the old one.
        assert_eq!(board.report(board.place(), Instant::now()), Verdict::Begin);
        assert_eq!(board.decide(seen_at, false), Decided::Moved);
        assert_eq!(board.place(), place(Role::Alternate, 1));
        assert_eq!(board.report(board.place(), Instant::now()), Verdict::Join);
    }

    #[test]
    fn a_fault_on_the_alternate_leads_back() {
        let mut board = board();
        board.switch_by_hand().unwrap();
        let seen_at = board.place();
        assert_eq!(board.report(seen_at, Instant::now()), Verdict::Begin);
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
        assert_eq!(board.report(seen_at, Instant::now()), Verdict::Undecided);
        assert_eq!(board.switch_by_hand(), None);
        board.set_policy(AVAILABLE, Role::Primary, Instant::now());
        assert!(board.auto_switch());
        assert_eq!(board.report(seen_at, Instant::now()), Verdict::Begin);

        let mut board = Switchboard::undecided(Role::Primary);
        let unavailable = FailoverPolicy {
            available: false,
            ..AVAILABLE
        };
        board.set_policy(unavailable, Role::Primary, Instant::now());
        assert_eq!(board.report(seen_at, Instant::now()), Verdict::NoAlternate);
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
        board.set_policy(disabled, Role::Primary, Instant::now());
        assert_eq!(board.place(), place(Role::Alternate, 0));
        assert_eq!(board.report(seen_at, Instant::now()), Verdict::Moved);

        let mut board = Switchboard::undecided(Role::Primary);
        board.set_policy(disabled, Role::Alternate, Instant::now());
        assert_eq!(board.place(), place(Role::Primary, 0));
    }

    #[test]
    fn an_alternate_that_answers_is_one() {
        let mut board = Switchboard::undecided(Role::Primary);
        let seen_at = board.place();
        assert!(board.would_switch());
        assert_eq!(board.report_unread(seen_at, Instant::now()), Verdict::Begin);
        assert_eq!(board.report_unread(seen_at, Instant::now()), Verdict::Join);
        board.abandon(seen_at);
        assert_eq!(board.report_unread(seen_at, Instant::now()), Verdict::Begin);
        board.has_answered();
        let switch = Switch::from(seen_at);
        assert_eq!(board.decide(seen_at, false), Decided::Switched(switch));

        let mut board = Switchboard::undecided(Role::Primary);
        board.set_auto_switch(false);
        assert!(!board.would_switch());
        board.report_unread(board.place(), Instant::now());
        board.has_answered();
        assert_eq!(board.decide(board.place(), false), Decided::Stayed);
    }

    #[test]
    fn what_the_application_said_of_auto_switch_outlives_the_policy() {
        let mut board = Switchboard::undecided(Role::Primary);
        board.set_auto_switch(false);
        board.set_policy(AVAILABLE, Role::Primary, Instant::now());
        assert!(!board.auto_switch());
    }

    #[test]
    fn a_disabled_endpoint_is_left_by_a_switch_once_calls_were_sent() {
        let disabled = FailoverPolicy {
            endpoint_enabled: false,
            ..AVAILABLE
        };
        for (read_from, leaves) in [(Role::Primary, true), (Role::Alternate, false)] {
            let mut board = Switchboard::undecided(Role::Primary);
            let sent_at = board.begin();
            let left = board.set_policy(disabled, read_from, Instant::now());
            assert_eq!(left, leaves.then_some(sent_at));
            assert_eq!(board.place(), sent_at);
            assert!(board.auto_switch());
        }
    }

    #[test]
    fn not_available_is_read_again_after_an_hour() {
        let not_available = FailoverPolicy {
            available: false,
            ..AVAILABLE
        };
        let mut board = Switchboard::undecided(Role::Primary);
        let (place, begin) = (board.place(), Instant::now());
        board.set_policy(not_available, Role::Primary, begin);
        let later = begin + READ_AGAIN;
        assert!(!board.needs_policy(begin) && board.may_need_policy());
        assert_eq!(board.report(place, begin), Verdict::NoAlternate);
        assert!(board.needs_policy(later));
        assert_eq!(board.report(place, later), Verdict::Undecided);
        // It cannot be read: what it said holds, and nobody asks for a while.
        board.policy_is_unread(later);
        assert_eq!(board.report_unread(place, later), Verdict::NoAlternate);
        assert_eq!(board.report(place, later), Verdict::NoAlternate);
        let later = later + TRY_AGAIN;
        assert_eq!(board.report(place, later), Verdict::Undecided);
        board.set_policy(AVAILABLE, Role::Primary, later);
        assert_eq!(board.report(place, later), Verdict::Begin);
        assert!(!board.may_need_policy());
    }
}
