//! The operator speaks, while nothing else happens and while something does.

use std::time::Duration;

use super::*;
use crate::decide::alternate::{Alternate, Policy};
use crate::decide::evidence::Evidence;
use crate::decide::look::{Answer, Asks, Heard};
use crate::decide::outage::Over;
use crate::decide::place::Move;
use crate::decide::switch::tests::{
    DISABLED, HERE, THERE, WAIT, World, authorized, away, dotnet, patient, place, safe, world,
};
use crate::decide::switch::{Refusal, Report};
use crate::{Failback, Override, OverrideSource, Preset, Probed};

const SECOND: Duration = Duration::from_secs(1);

fn order(value: Override) -> Order {
    Order {
        value,
        source: OverrideSource::Store,
        until: None,
    }
}

fn obeys(world: &mut World, value: Override) -> Vec<Action> {
    world.switch.obey(Some(order(value)), world.now)
}

fn stays(value: Override) -> Stay {
    Stay::Ordered(order(value))
}

#[test]
fn a_client_that_opens_begins_where_the_operator_says() {
    for (value, role) in [
        (Override::Off, HERE),
        (Override::Primary, HERE),
        (Override::Alternate, THERE),
    ] {
        let mut world = safe();
        world.switch.begins_under(order(value));
        assert_eq!(world.place(), place(role, 0));
        assert_eq!(world.switch.order(), Some(order(value)));
        let begin = world.switch.begin(true, world.now);
        assert!(!begin.waits && !begin.looks_first);
        assert!(!world.switch.auto_switch());
    }
}

#[test]
fn under_off_the_handlers_are_asked_and_nothing_moves_until_it_is_over() {
    for mut world in [safe(), dotnet()] {
        assert_eq!(obeys(&mut world, Override::Off), []);
        let from = world.place();
        world.began(Evidence::Strong);
        world.hear(authorized(THERE));
        world.answers(THERE);
        // Not even for a handler that sets it.
        world.switch.alternate_mut().set_auto_switch(true);
        let end = [Action::End(Err(stays(Override::Off)))];
        assert_eq!(world.reply(false), end);
        // The application's own hand is no fault.
        world.switch.switch_by_hand(world.now).unwrap();
        assert_eq!(world.place(), Move::on_from(from).to);
        world.switch.obey(None, world.now);
        world.now += WAIT * 10;
        assert!(matches!(world.report(Evidence::Strong), Report::Began(..)));
    }
}

#[test]
fn what_off_has_refused_is_asked_anew_once_it_is_over() {
    let mut world = safe();
    obeys(&mut world, Override::Off);
    world.began(Evidence::Strong);
    world.hear(authorized(THERE));
    world.answers(THERE);
    world.reply(false);
    let refused = Report::Stays(stays(Override::Off));
    assert_eq!(world.report(Evidence::Strong), refused);
    world.switch.obey(None, world.now);
    world.switch_safely();
}

#[test]
fn where_calls_are_kept_is_gone_to_at_once_and_no_fault_or_hand_leads_away() {
    for preset in [Preset::Safe, Preset::Dotnet] {
        let mut world = world(preset, Alternate::exists(true));
        let from = world.place();
        let done = Action::Switched(Move::on_from(from), None);
        assert_eq!(obeys(&mut world, Override::Alternate), [done]);
        assert_eq!(obeys(&mut world, Override::Alternate), []);
        let refusal = Refusal::Ordered(order(Override::Alternate));
        assert_eq!(world.switch.switch_by_hand(world.now), Err(refusal));
        for evidence in [Evidence::Weak, Evidence::Strong] {
            let stays = Report::Stays(stays(Override::Alternate));
            assert_eq!(world.report(evidence), stays);
        }
        // Where they are, the client's own rules begin.
        assert_eq!(world.switch.obey(None, world.now), []);
        assert_eq!(world.place(), place(THERE, 1));
        assert!(matches!(world.report(Evidence::Strong), Report::Began(..)));
    }
}

#[test]
fn the_outage_of_an_endpoint_that_calls_are_kept_at_is_its_own() {
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    obeys(&mut world, Override::Primary);
    let asks = [Action::Ask(Asks::Authorize(HERE))];
    assert_eq!(world.began(Evidence::Strong), asks);
    let began = world.dies();
    assert!(matches!(began[..], [Action::OutageStarted, _]), "{began:?}");
    world.now += SECOND;
    assert_eq!(world.hear(Heard::Woken), asks);
    world.hear(authorized(HERE));
    world.silent(HERE);
    // Once it is over the other one is asked as well, at once.
    world.now += Duration::from_millis(1);
    world.switch.obey(None, world.now);
    let both = [HERE, THERE].map(|role| Action::Ask(Asks::Authorize(role)));
    assert_eq!(world.hear(Heard::Woken), both);
    world.hear(authorized(HERE));
    world.hear(authorized(THERE));
    world.silent(HERE);
    assert_eq!(world.answers(THERE), [Action::Raise(Some(Probed::Serves))]);
}

#[test]
fn an_order_ends_an_outage_elsewhere_and_keeps_one_here() {
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    let from = world.place();
    world.outage_begins();
    world.now += SECOND;
    assert_eq!(obeys(&mut world, Override::Primary), []);
    // The other one is none to go to: it is asked no more, and what it says is nothing.
    world.now += SECOND * 5;
    let asks = [Action::Ask(Asks::Authorize(HERE))];
    assert_eq!(world.hear(Heard::Woken), asks);
    assert_eq!(world.answers(THERE), []);
    let over = Action::OutageEnded(Over {
        answered: None,
        lasted: SECOND * 6,
    });
    let done = Action::Switched(Move::on_from(from), None);
    assert_eq!(obeys(&mut world, Override::Alternate), [over, done]);
    let superseded = [Action::End(Err(Stay::Superseded))];
    assert_eq!(world.hear(Heard::Woken), superseded);
}

#[test]
fn an_order_in_the_middle_of_a_look_is_another_question() {
    let superseded = [Action::End(Err(Stay::Superseded))];
    let ended = [Action::End(Ok(()))];
    for (value, end) in [
        (Override::Primary, &superseded),
        (Override::Alternate, &ended),
    ] {
        let mut world = patient(Preset::Safe, Alternate::exists(true));
        world.began(Evidence::Strong);
        world.hear(authorized(THERE));
        obeys(&mut world, value);
        assert_eq!(world.answers(THERE), end);
        assert!(!world.switch.begin(true, world.now).waits);
    }
    // And so is its end.
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    obeys(&mut world, Override::Primary);
    world.began(Evidence::Strong);
    world.switch.obey(None, world.now);
    assert_eq!(world.hear(authorized(HERE)), superseded);
    // `off` changes nothing of what is being looked at.
    let mut world = safe();
    world.began(Evidence::Strong);
    obeys(&mut world, Override::Off);
    world.hear(authorized(THERE));
    assert_eq!(world.answers(THERE), [Action::Raise(Some(Probed::Serves))]);
}

#[test]
fn an_order_while_the_handlers_are_asked_counts_before_what_they_say() {
    for (value, role) in [
        (Override::Off, HERE),
        (Override::Primary, HERE),
        (Override::Alternate, THERE),
    ] {
        let mut world = dotnet();
        world.asked();
        obeys(&mut world, value);
        let end = match value {
            Override::Off => Err(stays(value)),
            Override::Primary => Err(Stay::Superseded),
            Override::Alternate => Ok(()),
        };
        assert_eq!(world.reply(false), [Action::End(end)]);
        assert_eq!(world.place().role, role);
    }
    // In an outage that an answer of the other one is about to end.
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    world.outage_begins();
    world.look();
    world.silent(HERE);
    world.answers(THERE);
    obeys(&mut world, Override::Primary);
    let end = world.reply(false);
    let stays = Action::End(Err(stays(Override::Primary)));
    assert!(matches!(&end[..], [Action::OutageEnded(_), last] if *last == stays));
}

#[test]
fn looks_lead_nobody_home_whom_the_operator_keeps() {
    let mut world = away(Failback::Probe);
    obeys(&mut world, Override::Alternate);
    let (from, late) = (world.place(), world.now + WAIT * 1000);
    let found = crate::decide::look::Found::Go(Some(Probed::Serves));
    for _ in 0..9 {
        assert_eq!(world.switch.looked_home(from, found, late), None);
    }
    // And what the operator has moved, looks do not.
    world.switch.obey(None, world.now);
    obeys(&mut world, Override::Primary);
    obeys(&mut world, Override::Alternate);
    world.switch.obey(None, world.now);
    assert!(world.switch.look_home().is_none());
}

#[test]
fn a_policy_moves_nobody_whom_the_operator_keeps() {
    let undecided = || world(Preset::Safe, Alternate::undecided());
    let mut world = undecided();
    world.switch.begins_under(order(Override::Primary));
    let policy = Policy {
        read_from: HERE,
        says: DISABLED,
    };
    assert_eq!(world.switch.set_policy(policy, world.now), None);
    assert_eq!(world.place(), place(HERE, 0));
    // Where the operator has moved them is no place to start: it is left by a switch.
    let mut moved = undecided();
    obeys(&mut moved, Override::Alternate);
    moved.switch.obey(None, moved.now);
    let policy = Policy {
        read_from: THERE,
        says: DISABLED,
    };
    let left = moved.switch.set_policy(policy, moved.now);
    assert_eq!(
        (left, moved.place()),
        (Some(place(THERE, 1)), place(THERE, 1))
    );
    // Nor need it be read.
    let mut world = patient(Preset::Safe, Alternate::undecided());
    world.switch.begins_under(order(Override::Primary));
    world.began(Evidence::Strong);
    world.hear(authorized(HERE));
    assert_eq!(
        world.hear(Heard::Probed(HERE, Answer::Came(Probed::Serves))),
        [Action::End(Err(Stay::Alone))]
    );
}
