//! An outage, from its first fault to its end.

use super::*;
use crate::decide::alternate::{Alternate, Policy};
use crate::decide::evidence::Evidence;
use crate::decide::look::{Answer, Asks, Heard, Stay};
use crate::decide::outage::Over;
use crate::decide::place::Move;
use crate::decide::switch::tests::{
    AVAILABLE, HERE, INTERVAL, THERE, WAIT, authorized, patient, safe,
};
use crate::decide::switch::{Action, LOOK_HOLDS, Report};
use crate::{FailoverPolicy, Order, Override, OverrideSource, Preset, Probed};

#[test]
fn where_no_endpoint_answers_all_wait_for_one_look() {
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    let from = world.place();
    world.outage_begins();
    // Whatever is reported now, nobody looks a second time, also when the look's second is over.
    for _ in 0..3 {
        for evidence in [Evidence::Weak, Evidence::Strong] {
            assert_eq!(world.report(evidence), Report::Stays(Stay::Outage));
        }
        let begin = world.switch.begin(true, world.now);
        assert!(begin.waits_out && !begin.waits);
        world.look();
        world.silent(HERE);
        world.silent(THERE);
    }
    assert_eq!(world.place(), from);
}

#[test]
fn an_outage_that_ends_where_calls_go_moves_nobody() {
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    let from = world.place();
    world.outage_begins();
    world.look();
    let over = Over {
        answered: Some((HERE, Probed::Serves)),
        lasted: Duration::from_secs(5),
    };
    let end = Action::End(Err(Stay::Alive));
    assert_eq!(world.answers(HERE), [Action::OutageEnded(over), end]);
    let begin = world.switch.begin(true, world.now);
    assert!(!begin.waits_out && !begin.waits);
    assert_eq!(world.place(), from);
    assert_eq!(world.switch.wait_out(world.now), WaitOut::Over);
    // The next one is another one.
    world.now += LOOK_HOLDS;
    world.outage_begins();
}

#[test]
fn an_outage_that_ends_at_the_alternate_is_an_ordinary_switch() {
    for is_vetoed in [false, true] {
        let mut world = patient(Preset::Safe, Alternate::exists(true));
        let from = world.place();
        world.outage_begins();
        world.look();
        world.silent(HERE);
        let over = Over {
            answered: Some((THERE, Probed::Serves)),
            lasted: Duration::from_secs(5),
        };
        let over = Action::OutageEnded(over);
        let raise = Action::Raise(Some(Probed::Serves));
        assert_eq!(world.answers(THERE), [raise]);
        // Until it is decided, calls wait as before, however many they are and however long it takes.
        assert!(world.switch.begin(true, world.now).waits_out);
        let begun = world.now;
        world.now += WAIT;
        for _ in 0..3 {
            let waits = world.switch.wait_out(world.now);
            assert!(matches!(waits, WaitOut::Until(until) if until > world.now + WAIT));
        }
        assert!(world.switch.waits_until(begun, world.now) > world.now + WAIT);
        let end = world.reply(is_vetoed);
        assert!(!world.switch.begin(true, world.now).waits_out);
        if is_vetoed {
            assert_eq!(end, [over, Action::End(Err(Stay::Vetoed))]);
            assert_eq!(world.report(Evidence::Strong), Report::Stays(Stay::Vetoed));
        } else {
            let done = Action::Switched(Move::on_from(from), Some(Probed::Serves));
            assert_eq!(end, [over, done, Action::End(Ok(()))]);
            assert!(world.switch.was_found_dead(from));
        }
    }
}

#[test]
fn what_is_certain_is_no_outage_while_the_endpoint_answers_probes() {
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    world.began(Evidence::Strong);
    world.hear(Heard::NoToken(THERE));
    world.hear(authorized(HERE));
    let end = Err(Stay::AloneUnasked);
    assert_eq!(world.answers(HERE), [Action::End(end)]);
    world.now += LOOK_HOLDS;
    world.began(Evidence::Strong);
    world.hear(authorized(THERE));
    world.silent(THERE);
    assert!(!world.switch.begin(true, world.now).waits);
    world.hear(authorized(HERE));
    let end = Err(Stay::Alone);
    assert_eq!(world.answers(HERE), [Action::End(end)]);
    // One answer for all who have met the same.
    assert!(Switch::answers(Evidence::Strong, false, end));
    assert_eq!(world.report(Evidence::Strong), Report::Stays(Stay::Alone));
}

#[test]
fn a_doubt_s_look_at_both_is_enough() {
    for heard in [Heard::Probed(THERE, Answer::Silent), Heard::NoToken(THERE)] {
        let mut world = patient(Preset::Safe, Alternate::exists(true));
        world.began(Evidence::Weak);
        world.dies();
        let began = world.hear(heard);
        assert!(matches!(began[..], [Action::OutageStarted, _]), "{began:?}");
    }
}

#[test]
fn an_organization_of_one_endpoint_waits_for_that_one() {
    for preset in [Preset::Safe, Preset::Dotnet] {
        for evidence in [Evidence::Weak, Evidence::Strong] {
            let mut alternate = Alternate::undecided();
            let none = FailoverPolicy {
                available: false,
                ..AVAILABLE
            };
            let mut world = patient(preset, Alternate::undecided());
            alternate.set_policy(none, world.now);
            *world.switch.alternate_mut() = alternate;
            world.began(evidence);
            let began = world.dies();
            assert!(matches!(began[..], [Action::OutageStarted, _]), "{began:?}");
            world.now += Duration::from_secs(1);
            let asks = [Action::Ask(Asks::Authorize(HERE))];
            assert_eq!(world.hear(Heard::Woken), asks);
            world.hear(authorized(HERE));
            let ended = world.answers(HERE);
            assert!(
                matches!(ended[..], [Action::OutageEnded(_), _]),
                "{ended:?}"
            );
            // One that answers was slow, or refuses what it is asked.
            world.now += LOOK_HOLDS;
            world.began(evidence);
            world.hear(authorized(HERE));
            assert_eq!(world.answers(HERE), [Action::End(Err(Stay::Alone))]);
        }
    }
}

#[test]
fn so_many_wait_and_so_long() {
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    assert_eq!(world.switch.wait_out(world.now), WaitOut::Over);
    world.outage_begins();
    let until = WaitOut::Until(world.now + WAIT);
    assert_eq!(world.switch.wait_out(world.now), until);
    assert_eq!(world.switch.wait_out(world.now), until);
    assert_eq!(world.switch.wait_out(world.now), WaitOut::Full);
    world.switch.waits_no_more();
    assert_eq!(world.switch.wait_out(world.now), until);
}

#[test]
fn a_switch_by_hand_ends_an_outage() {
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    let from = world.place();
    world.outage_begins();
    world.now += Duration::from_secs(1);
    let over = Over {
        answered: None,
        lasted: Duration::from_secs(1),
    };
    let done = Action::Switched(Move::on_from(from), None);
    let by_hand = world.switch.switch_by_hand(world.now).unwrap();
    assert_eq!(by_hand, [Action::OutageEnded(over), done]);
    assert!(!world.switch.begin(true, world.now).waits_out);
    assert_eq!(world.switch.wait_out(world.now), WaitOut::Over);
    let superseded = [Action::End(Err(Stay::Superseded))];
    assert_eq!(world.hear(Heard::Woken), superseded);
}

#[test]
fn an_outage_that_nobody_looks_after_any_more_is_none() {
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    world.outage_begins();
    world.switch.give_up(world.switch.inquiries);
    assert!(!world.switch.begin(true, world.now).waits_out);
    assert_eq!(world.switch.wait_out(world.now), WaitOut::Over);
}

#[test]
fn a_planned_interruption_is_waited_out_to_its_end() {
    // Also where an outage is not waited out otherwise.
    for wait in [Duration::ZERO, WAIT] {
        let mut world = safe();
        world.switch.limits.outage_wait = wait;
        let (start, end) = (world.now + INTERVAL, world.now + INTERVAL * 10);
        world.switch.announce(start, end, world.now);
        assert!(!world.switch.is_planned(world.now));
        world.now = start;
        assert!(world.switch.is_planned(world.now));
        world.outage_begins();
        let until = |until| WaitOut::Until(until);
        assert_eq!(world.switch.wait_out(world.now), until(end));
        // Who has waited before hears of what was announced since.
        assert_eq!(world.switch.waits_until(start, world.now), end);
        world.switch.announce(end, end + INTERVAL, world.now);
        assert_eq!(world.switch.waits_until(start, world.now), end + INTERVAL);
        let end = end + INTERVAL;
        // Near its end not shorter than otherwise.
        world.now = end - Duration::from_secs(1);
        let later = end.max(world.now + wait);
        assert_eq!(world.switch.wait_out(world.now), until(later));
    }
}

#[test]
fn what_a_call_has_waited_for_is_told() {
    let world = patient(Preset::Safe, Alternate::exists(true));
    let (began, wait) = (world.now, world.switch.limits.outage_wait);
    let moment = Duration::from_nanos(1);
    let planned = "to the end of the interruption that is planned";
    for (waited, expected) in [
        (wait - moment, "outage_wait"),
        (wait, "outage_wait"),
        (wait + moment, planned),
    ] {
        let found = world.switch.has_waited_for(began, began + waited);
        assert_eq!(found, expected, "{waited:?}");
    }
}

#[test]
fn what_was_found_a_moment_before_an_interruption_does_not_hold_in_it() {
    for is_known in [true, false] {
        let mut world = safe();
        world.switch.limits.outage_wait = Duration::ZERO;
        let moment = LOOK_HOLDS / 2;
        let (start, end) = (world.now + moment, world.now + INTERVAL);
        if is_known {
            world.switch.announce(start, end, world.now);
        }
        world.began(Evidence::Strong);
        world.hear(authorized(THERE));
        let silent = Err(Stay::OtherSilent);
        assert_eq!(world.silent(THERE), [Action::End(silent)]);
        let stays = Report::Stays(Stay::OtherSilent);
        assert_eq!(world.report(Evidence::Strong), stays);
        world.now = start;
        if !is_known {
            // From before it, as whoever announces it for now.
            world.switch.announce(start - moment * 2, end, world.now);
        }
        world.outage_begins();
    }
}

#[test]
fn an_alternate_that_is_announced_in_an_outage_is_asked() {
    let mut world = patient(Preset::Safe, Alternate::undecided());
    let says = |available| Policy {
        read_from: HERE,
        says: FailoverPolicy {
            available,
            ..AVAILABLE
        },
    };
    world.switch.set_policy(says(false), world.now);
    world.began(Evidence::Strong);
    world.dies();
    // Not one that is none still, or that the operator leads nobody to.
    let primary = Order {
        value: Override::Primary,
        source: OverrideSource::Store,
        until: None,
    };
    for (available, order) in [(false, None), (true, Some(primary))] {
        let mut world = patient(Preset::Safe, Alternate::undecided());
        world.switch.set_policy(says(false), world.now);
        world.began(Evidence::Strong);
        world.dies();
        world.switch.obey(order, world.now);
        world.switch.set_policy(says(available), world.now);
        world.now += Duration::from_secs(1);
        let asks = [Action::Ask(Asks::Authorize(HERE))];
        assert_eq!(world.hear(Heard::Woken), asks, "{available}");
    }
    world.switch.set_policy(says(true), world.now);
    world.look();
    world.silent(HERE);
    let raise = Action::Raise(Some(Probed::Serves));
    assert_eq!(world.answers(THERE), [raise]);
}

#[test]
fn a_service_that_answers_probes_with_a_fault_is_no_outage() {
    for evidence in [Evidence::Weak, Evidence::Strong] {
        let mut world = patient(Preset::Safe, Alternate::exists(true));
        world.began(evidence);
        let odd = Heard::Probed(HERE, Answer::Odd);
        let end = if evidence == Evidence::Strong {
            world.hear(authorized(THERE));
            world.silent(THERE);
            world.hear(authorized(HERE));
            world.hear(odd);
            assert_eq!(world.hear(odd), [Action::End(Err(Stay::Alone))]);
            continue;
        } else {
            world.hear(authorized(HERE));
            world.hear(odd);
            world.hear(odd);
            world.silent(THERE)
        };
        assert_eq!(end, [Action::End(Err(Stay::OtherSilent))]);
    }
    // Nor of the only one.
    let mut world = patient(Preset::Safe, Alternate::undecided());
    let none = FailoverPolicy {
        available: false,
        ..AVAILABLE
    };
    let alternate = world.switch.alternate_mut();
    alternate.set_policy(none, world.now);
    world.began(Evidence::Weak);
    world.hear(authorized(HERE));
    let odd = Heard::Probed(HERE, Answer::Odd);
    world.hear(odd);
    assert_eq!(world.hear(odd), [Action::End(Err(Stay::Alone))]);
}

#[test]
fn a_call_that_is_tried_and_answered_ends_the_outage() {
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    assert!(!world.switch.tries());
    world.outage_begins();
    assert!(world.switch.tries() && !world.switch.tries());
    let elsewhere = Move::on_from(world.place()).to;
    world.switch.is_answered(elsewhere, world.now);
    assert!(world.hear(Heard::Woken).len() == 1);
    world.switch.is_answered(world.place(), world.now);
    let ended = world.hear(Heard::Woken);
    let end = Action::End(Err(Stay::Alive));
    assert!(matches!(&ended[..], [Action::OutageEnded(_), last] if *last == end));
}
