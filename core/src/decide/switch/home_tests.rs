//! How calls come back to the primary, and how they do not.

use super::*;
use crate::decide::evidence::Evidence;
use crate::decide::look::{Answer, Asks, Heard, Stay};
use crate::decide::place::Move;
use crate::decide::switch::Report;
use crate::decide::switch::tests::{
    HERE, HOLD_DOWN, INTERVAL, PROBE, THERE, WAIT, World, authorized, away, place,
};
use crate::{Failback, Probed};

/// So many looks at the primary, each of them good; what the last one has begun.
fn look_home(world: &mut World, looks: u32) -> Option<(u64, Vec<Action>)> {
    let mut began = None;
    for _ in 0..looks {
        assert_eq!(began, None);
        let (due, look) = world.switch.look_home().unwrap();
        assert_eq!(due, world.now + INTERVAL);
        assert_eq!(look.begin(), Some(Asks::Authorize(HERE)));
        world.now = due;
        let found = Found::Go(Some(Probed::Serves));
        began = world.switch.looked_home(world.place(), found, world.now);
    }
    began
}

#[test]
fn good_looks_lead_back_by_an_ordinary_switch() {
    let mut world = away(Failback::Probe);
    let from = world.place();
    let raise = vec![Action::Raise(Some(Probed::Serves))];
    let before = world.switch.inquiries;
    let (number, actions) = look_home(&mut world, 3).unwrap();
    assert_eq!((number, actions), (before + 1, raise));
    // The alternate serves: nobody is held, and a fault there is part of it.
    let begin = world.switch.begin(true, world.now);
    assert!(!begin.waits && !begin.waits_out);
    assert_eq!(world.report(Evidence::Strong), Report::Joined);
    let done = Action::Switched(Move::on_from(from), Some(Probed::Serves));
    assert_eq!(world.reply_to(number, false), [done, Action::End(Ok(()))]);
    assert_eq!(world.place(), place(HERE, 2));
    assert!(!world.switch.was_found_dead(from));
    assert!(world.switch.look_home().is_none());
}

#[test]
fn a_veto_of_a_failback_says_nothing_against_a_switch() {
    let mut world = away(Failback::Probe);
    let (number, _) = look_home(&mut world, 3).unwrap();
    let superseded = Err(Stay::Superseded);
    let stays = Action::StaysAway(Stay::Vetoed);
    assert_eq!(
        world.reply_to(number, true),
        [stays, Action::End(superseded)]
    );
    world.began(Evidence::Strong);
    world.switch.give_up(world.switch.inquiries);
    // The looks begin anew.
    assert!(look_home(&mut world, 3).is_some());
}

#[test]
fn a_veto_of_a_switch_holds_against_a_failback_as_well() {
    for (is_vetoed, later, is_asked) in [
        (true, HOLD_DOWN - PROBE, false),
        (true, HOLD_DOWN, true),
        (false, PROBE, true),
    ] {
        let mut world = away(Failback::Probe);
        look_home(&mut world, 2);
        let next = world.now + INTERVAL;
        // A fault at the alternate is vetoed so long before the look that would lead back.
        world.now = next - later;
        if is_vetoed {
            world.began(Evidence::Strong);
            world.hear(authorized(HERE));
            world.hear(Heard::Probed(HERE, Answer::Came(Probed::Serves)));
            assert_eq!(world.reply(true), [Action::End(Err(Stay::Vetoed))]);
        }
        let found = Found::Go(Some(Probed::Serves));
        let begun = world.switch.looked_home(world.place(), found, next);
        assert_eq!(begun.is_some(), is_asked, "{later:?}");
        // The good looks were not in vain.
        let again = world
            .switch
            .looked_home(world.place(), found, next + INTERVAL);
        assert_eq!(again.is_some(), !is_asked);
    }
}

#[test]
fn looks_lead_nobody_back_who_has_gone_meanwhile_or_is_busy_or_has_auto_switch_off() {
    let mut world = away(Failback::Probe);
    let from = world.place();
    look_home(&mut world, 2);
    let found = Found::Go(Some(Probed::Serves));
    let late = world.now + INTERVAL * 9;
    world.switch.alternate_mut().set_auto_switch(false);
    assert_eq!(world.switch.looked_home(from, found, late), None);
    world.switch.alternate_mut().set_auto_switch(true);
    // That has begun them anew.
    assert_eq!(world.switch.looked_home(from, found, late), None);
    world.began(Evidence::Weak);
    let late = late + INTERVAL * 9;
    assert_eq!(world.switch.looked_home(from, found, late), None);
    world.switch.give_up(world.switch.inquiries);
    world.switch.switch_by_hand(world.now).unwrap();
    assert_eq!(world.switch.looked_home(from, found, late), None);
    // What the application has done, looks do not undo.
    world.switch.switch_by_hand(world.now).unwrap();
    assert!(world.switch.look_home().is_none());
}

#[test]
fn a_fault_at_the_alternate_leads_back_unless_that_is_the_application_s() {
    for failback in [Failback::OnFault, Failback::Probe] {
        let mut world = away(failback);
        world.now += HOLD_DOWN;
        let from = world.place();
        world.began(Evidence::Strong);
        world.hear(authorized(HERE));
        world.answers(HERE);
        world.reply(false);
        assert_eq!(world.place(), Move::on_from(from).to);
    }
    let mut world = away(Failback::Manual);
    assert_eq!(world.report(Evidence::Strong), Report::Stays(Stay::ByHand));
    assert_eq!(world.report(Evidence::Weak), Report::Stays(Stay::ByHand));
    world.switch.switch_by_hand(world.now).unwrap();
    world.now += HOLD_DOWN;
    world.began(Evidence::Strong);
}

#[test]
fn where_only_the_application_leads_back_an_outage_is_that_of_the_alternate() {
    let mut world = away(Failback::Manual);
    world.switch.limits.outage_wait = WAIT;
    let asks = [Action::Ask(Asks::Authorize(THERE))];
    assert_eq!(world.began(Evidence::Strong), asks);
    world.hear(authorized(THERE));
    world.silent(THERE);
    let began = world.silent(THERE);
    assert!(matches!(began[..], [Action::OutageStarted, _]), "{began:?}");
    world.now += INTERVAL;
    assert_eq!(world.hear(Heard::Woken), asks);
}
