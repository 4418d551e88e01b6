//! What the machine does, told by what it asks for.

use super::*;
use crate::decide::failback::Ways;
use crate::decide::look::{Answer, Asks, Glance, Heard};
use crate::decide::switch::{Refusal, Report};
use crate::rule::RulesOff;
use crate::{Failback, FailoverPolicy, Preset, Probed};

pub(super) const HOLD_DOWN: Duration = Duration::from_secs(30);
pub(super) const WAIT: Duration = Duration::from_secs(20);
pub(super) const INTERVAL: Duration = Duration::from_secs(60);
pub(super) const PROBE: Duration = Duration::from_secs(1);
pub(super) const AVAILABLE: FailoverPolicy = FailoverPolicy {
    available: true,
    endpoint_enabled: true,
};
pub(super) const DISABLED: FailoverPolicy = FailoverPolicy {
    endpoint_enabled: false,
    ..AVAILABLE
};
pub(super) const HERE: Role = Role::Primary;
pub(super) const THERE: Role = Role::Alternate;

/// A machine, and the time there.
pub(super) struct World {
    pub(super) switch: Switch,
    pub(super) now: Instant,
}

pub(super) fn world(preset: Preset, alternate: Alternate) -> World {
    let rules = Rules::of(preset, RulesOff::default());
    let limits = Limits {
        hold_down: HOLD_DOWN,
        probe_timeout: PROBE,
        outage_wait: Duration::ZERO,
        max_waiting: 2,
        ways: Ways {
            failback: Failback::OnFault,
            interval: INTERVAL,
            after: INTERVAL * 2,
        },
    };
    World {
        switch: Switch::new(rules, limits, HERE, alternate),
        now: Instant::now(),
    }
}

pub(super) fn safe() -> World {
    world(Preset::Safe, Alternate::exists(true))
}

/// With an alternate or without, where an outage is waited out.
pub(super) fn patient(preset: Preset, alternate: Alternate) -> World {
    let mut world = world(preset, alternate);
    world.switch.limits.outage_wait = WAIT;
    world
}

/// Switched to the alternate by a fault.
pub(super) fn away(failback: Failback) -> World {
    let mut world = safe();
    world.switch.home = Home::new(Ways {
        failback,
        ..world.switch.limits.ways
    });
    world.switch_safely();
    world
}

pub(super) fn dotnet() -> World {
    world(Preset::Dotnet, Alternate::exists(true))
}

pub(super) fn place(role: Role, epoch: u64) -> Place {
    Place { role, epoch }
}

pub(super) fn authorized(role: Role) -> Heard {
    Heard::Authorized {
        role,
        from_provider: true,
    }
}

impl World {
    pub(super) fn waits_out(&mut self, wait: Duration) {
        self.switch.limits.outage_wait = wait;
    }

    pub(super) fn fails_back(&mut self, failback: Failback) {
        let ways = self.switch.limits.ways;
        self.switch.home = Home::new(Ways { failback, ..ways });
    }

    pub(super) fn place(&self) -> Place {
        self.switch.place()
    }

    pub(super) fn report(&mut self, evidence: Evidence) -> Report {
        self.report_at(self.place(), evidence)
    }

    /// What a fault has begun.
    pub(super) fn began(&mut self, evidence: Evidence) -> Vec<Action> {
        match self.report(evidence) {
            Report::Began(_, actions) => actions,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn report_at(&mut self, seen_at: Place, evidence: Evidence) -> Report {
        self.switch
            .report(seen_at, evidence, false, || true, self.now)
    }

    /// The inquiry that began last hears this.
    pub(super) fn hear(&mut self, heard: Heard) -> Vec<Action> {
        let input = Input::Look(heard, Glance::default());
        self.switch
            .hear(self.switch.inquiries, input, self.now, 0.0)
    }

    pub(super) fn reply(&mut self, is_vetoed: bool) -> Vec<Action> {
        self.reply_to(self.switch.inquiries, is_vetoed)
    }

    pub(super) fn reply_to(&mut self, number: u64, is_vetoed: bool) -> Vec<Action> {
        let input = Input::Replied { is_vetoed };
        self.switch.hear(number, input, self.now, 0.0)
    }

    /// A fault has begun an inquiry whose handlers are asked at once.
    pub(super) fn asked(&mut self) -> Place {
        let from = self.place();
        assert_eq!(self.began(Evidence::Strong), [Action::Raise(None)]);
        from
    }

    pub(super) fn silent(&mut self, role: Role) -> Vec<Action> {
        self.hear(Heard::Probed(role, Answer::Silent))
    }

    pub(super) fn answers(&mut self, role: Role) -> Vec<Action> {
        self.hear(Heard::Probed(role, Answer::Came(Probed::Serves)))
    }

    /// This endpoint is found dead by two probes.
    pub(super) fn dies(&mut self) -> Vec<Action> {
        self.hear(authorized(HERE));
        self.silent(HERE);
        self.silent(HERE)
    }

    /// What is certain, and no answer from anywhere.
    pub(super) fn outage_begins(&mut self) {
        self.began(Evidence::Strong);
        self.hear(authorized(THERE));
        let confirms = [Action::Ask(Asks::Authorize(HERE))];
        assert_eq!(self.silent(THERE), confirms);
        let next = Asks::Wake(self.now + Duration::from_millis(500));
        assert_eq!(self.dies(), [Action::OutageStarted, Action::Ask(next)]);
    }

    /// The next look of the outage begins.
    pub(super) fn look(&mut self) {
        self.now += Duration::from_secs(5);
        assert_eq!(self.hear(Heard::Woken).len(), 2);
        self.hear(authorized(HERE));
        self.hear(authorized(THERE));
    }

    /// Strong evidence, an answer of the other endpoint, and no veto.
    pub(super) fn switch_safely(&mut self) {
        let from = self.place();
        self.began(Evidence::Strong);
        let other = from.role.other();
        self.hear(authorized(other));
        let probed = Answer::Came(Probed::Serves);
        let raise = self.hear(Heard::Probed(other, probed));
        assert_eq!(raise, [Action::Raise(Some(Probed::Serves))]);
        let done = Action::Switched(Move::on_from(from), Some(Probed::Serves));
        assert_eq!(self.reply(false), [done, Action::End(Ok(()))]);
    }
}

#[test]
fn one_switch_for_concurrent_faults_and_none_for_late_ones() {
    let mut world = dotnet();
    let from = world.asked();
    assert_eq!(world.report(Evidence::Strong), Report::Joined);
    let done = Action::Switched(Move::on_from(from), None);
    let actions = [done, Action::AwaitHandlers, Action::End(Ok(()))];
    assert_eq!(world.reply(false), actions);
    assert_eq!(world.place(), place(THERE, 1));
    assert_eq!(world.report_at(from, Evidence::Strong), Report::Moved);
    // Away and back.
    world.switch.switch_by_hand(world.now).unwrap();
    assert_eq!(world.place(), place(HERE, 2));
    assert_eq!(world.report_at(from, Evidence::Strong), Report::Moved);
}

#[test]
fn a_fault_on_the_alternate_leads_back() {
    let mut world = dotnet();
    world.switch.switch_by_hand(world.now).unwrap();
    world.asked();
    world.reply(false);
    assert_eq!(world.place(), place(HERE, 2));
}

#[test]
fn with_auto_switch_off_nothing_moves_and_in_dotnet_the_next_fault_asks_again() {
    let mut world = world(Preset::Dotnet, Alternate::exists(false));
    for (is_vetoed, stay) in [(false, Stay::Off), (true, Stay::Vetoed), (false, Stay::Off)] {
        world.asked();
        assert_eq!(world.reply(is_vetoed), [Action::End(Err(stay))]);
    }
    assert_eq!(world.place(), place(HERE, 0));
}

#[test]
fn auto_switch_is_read_after_the_handlers() {
    for (before, inside) in [(true, false), (false, true)] {
        let mut world = world(Preset::Dotnet, Alternate::exists(before));
        let from = world.asked();
        world.switch.alternate_mut().set_auto_switch(inside);
        world.reply(false);
        assert_eq!(world.place() != from, inside);
    }
}

#[test]
fn a_switch_by_hand_during_a_decision_is_not_undone() {
    let mut world = dotnet();
    world.asked();
    world.switch.switch_by_hand(world.now).unwrap();
    // A fault at the new place does not join the switch that began at the old one.
    let old = world.switch.inquiries;
    let new = world.asked();
    let superseded = [Action::End(Err(Stay::Superseded))];
    assert_eq!(world.reply_to(old, false), superseded);
    assert_eq!(world.place(), new);
    assert_eq!(world.report(Evidence::Strong), Report::Joined);
}

#[test]
fn the_policy_decides_whether_there_is_an_alternate() {
    let mut world = world(Preset::Dotnet, Alternate::undecided());
    assert!(world.switch.begin(true, world.now).reads_policy);
    assert!(!world.switch.begin(true, world.now).reads_policy);
    assert_eq!(world.report(Evidence::Strong), Report::ReadPolicy);
    assert_eq!(
        world.switch.switch_by_hand(world.now),
        Err(Refusal::NoAlternate)
    );
    let says = |says| Policy {
        read_from: HERE,
        says,
    };
    let none = FailoverPolicy {
        available: false,
        ..AVAILABLE
    };
    assert_eq!(world.switch.set_policy(says(none), world.now), None);
    assert_eq!(world.report(Evidence::Strong), Report::NoAlternate);
    world.now += Duration::from_secs(3600);
    assert_eq!(world.report(Evidence::Strong), Report::ReadPolicy);
    world.switch.set_policy(says(AVAILABLE), world.now);
    world.asked();
}

#[test]
fn where_the_policy_is_unread_safe_asks_the_alternate_and_dotnet_does_not() {
    for (preset, is_asked) in [(Preset::Safe, true), (Preset::Dotnet, false)] {
        let mut world = world(preset, Alternate::undecided());
        let from = world.place();
        world.switch.alternate_mut().policy_is_unread(world.now);
        let report = world
            .switch
            .report(from, Evidence::Strong, true, || true, world.now);
        assert_eq!(matches!(report, Report::Began(..)), is_asked);
        assert_eq!(report == Report::PolicyUnread, !is_asked);
    }
    // One that answers is one.
    let mut world = world(Preset::Safe, Alternate::undecided());
    let from = world.place();
    world
        .switch
        .report(from, Evidence::Strong, true, || true, world.now);
    world.hear(authorized(THERE));
    world.hear(Heard::Probed(THERE, Answer::Came(Probed::Serves)));
    assert!(world.switch.alternate().auto_switch());
    world.reply(false);
    assert_eq!(world.place(), place(THERE, 1));
}

#[test]
fn a_disabled_endpoint_is_no_place_to_start_and_is_left_once_calls_were_sent() {
    for (read_from, has_begun, starts_on, leaves) in [
        (HERE, false, THERE, false),
        (THERE, false, HERE, false),
        (HERE, true, HERE, true),
        (THERE, true, HERE, false),
    ] {
        let mut world = world(Preset::Dotnet, Alternate::undecided());
        if has_begun {
            world.switch.begin(true, world.now);
        }
        let says = Policy {
            read_from,
            says: DISABLED,
        };
        let left = world.switch.set_policy(says, world.now);
        assert_eq!(left.is_some(), leaves);
        assert_eq!(world.place(), place(starts_on, 0));
    }
}

#[test]
fn what_the_active_endpoint_has_changes_with_a_switch_and_behind_its_url() {
    let mut world = safe();
    let changed = |world: &World| world.switch.has_changed_within(HOLD_DOWN, world.now);
    assert!(!changed(&world));
    for changes in [
        |world: &mut World| world.switch.has_lost(world.now),
        |world: &mut World| world.switch_safely(),
    ] {
        changes(&mut world);
        assert!(changed(&world));
        world.now += HOLD_DOWN;
        assert!(!changed(&world));
    }
}

#[test]
fn a_look_back_serves_all_who_ask_for_a_moment() {
    let mut world = safe();
    assert!(world.switch.look_back(HERE, world.now).is_ok());
    world.switch.looked_back(HERE, true, world.now);
    assert!(world.switch.look_back(HERE, world.now).unwrap_err());
    assert!(world.switch.look_back(THERE, world.now).is_ok());
    world.now += LOOK_HOLDS;
    assert!(world.switch.look_back(HERE, world.now).is_ok());
}
