//! What becomes of an inquiry.

use super::*;
use crate::decide::alternate::Alternate;
use crate::decide::evidence::Evidence;
use crate::decide::look::{Answer, Glance};
use crate::decide::preset::Rules;
use crate::decide::switch::Report;
use crate::decide::switch::tests::{
    AVAILABLE, HERE, HOLD_DOWN, PROBE, THERE, authorized, dotnet, patient, safe, world,
};
use crate::rule::{Rule, RulesOff};
use crate::{FailoverPolicy, Preset};

#[test]
fn an_inquiry_that_is_given_up_can_be_begun_again() {
    for mut world in [safe(), dotnet()] {
        world.began(Evidence::Strong);
        world.switch.give_up(world.switch.inquiries);
        assert!(!world.switch.begin(true, world.now).waits);
        world.began(Evidence::Strong);
    }
}

#[test]
fn the_end_of_one_inquiry_is_not_the_next_one_s() {
    let mut world = world(Preset::Dotnet, Alternate::exists(false));
    world.asked();
    let first = world.switch.inquiries;
    world.reply(false);
    world.asked();
    // Whoever carried out the first one ends only now.
    world.switch.give_up(first);
    assert_eq!(world.report(Evidence::Strong), Report::Joined);
    assert_eq!(world.reply(false), [Action::End(Err(Stay::Off))]);
}

#[test]
fn in_dotnet_what_is_certain_does_not_wait_for_a_doubt_s_look() {
    let mut world = dotnet();
    let from = world.place();
    let looks = [Action::Ask(Asks::Authorize(HERE))];
    assert_eq!(world.began(Evidence::Weak), looks);
    let doubt = world.switch.inquiries;
    world.asked();
    let heard = Input::Look(authorized(HERE), Glance::default());
    let superseded = Err(Stay::Superseded);
    let end = [Action::End(superseded)];
    assert_eq!(world.switch.hear(doubt, heard, world.now, 0.0), end);
    assert!(!Switch::answers(Evidence::Weak, true, superseded));
    // Whoever doubted asks again, and joins.
    assert_eq!(world.report(Evidence::Weak), Report::Joined);
    world.reply(false);
    assert_eq!(world.report_at(from, Evidence::Weak), Report::Moved);
}

#[test]
fn where_doubts_are_not_confirmed_an_endpoint_without_another_is_looked_at_all_the_same() {
    let mut off = RulesOff::default();
    off.switch_off(Rule::ConfirmDead);
    for (has_other, asked) in [(true, THERE), (false, HERE)] {
        let mut world = patient(Preset::Safe, Alternate::undecided());
        world.switch.rules = Rules::of(Preset::Safe, off);
        let policy = FailoverPolicy {
            available: has_other,
            ..AVAILABLE
        };
        let alternate = world.switch.alternate_mut();
        alternate.set_policy(policy, world.now);
        let asks = [Action::Ask(Asks::Authorize(asked))];
        assert_eq!(world.began(Evidence::Weak), asks);
    }
}

#[test]
fn safe_asks_the_other_side_of_what_is_certain_and_holds_calls_meanwhile() {
    let mut world = safe();
    let from = world.place();
    let asks = Action::Ask(Asks::Authorize(THERE));
    assert_eq!(world.began(Evidence::Strong), [asks]);
    assert!(world.switch.begin(true, world.now).waits);
    world.hear(authorized(THERE));
    // Its token is refused: while a new one is waited for, nobody is held.
    let reachable = Heard::Probed(THERE, Answer::Came(Probed::Reachable));
    assert_eq!(world.hear(reachable), [Action::Ask(Asks::Renew(THERE))]);
    assert!(!world.switch.begin(true, world.now).waits);
    world.hear(authorized(THERE));
    assert!(world.switch.begin(true, world.now).waits);
    let end = [Action::End(Err(Stay::OtherSilent))];
    assert_eq!(world.hear(reachable), end);
    assert_eq!(world.place(), from);
    // What was found holds for a moment, against strong evidence as well.
    let stays = Report::Stays(Stay::OtherSilent);
    assert_eq!(world.report(Evidence::Strong), stays);
    world.now += LOOK_HOLDS;
    world.began(Evidence::Strong);
}

#[test]
fn safe_confirms_a_doubt_by_two_silent_probes() {
    let mut world = safe();
    let from = world.place();
    let asks = Action::Ask(Asks::Authorize(HERE));
    assert_eq!(world.began(Evidence::Weak), [asks]);
    assert!(!world.switch.begin(true, world.now).waits);
    let late = world.now + PROBE / 3;
    let both = [Asks::Probe(HERE), Asks::Authorize(THERE), Asks::Wake(late)];
    assert_eq!(world.hear(authorized(HERE)), both.map(Action::Ask));
    world.hear(authorized(THERE));
    let silent = Heard::Probed(HERE, Answer::Silent);
    let second = [Action::Ask(Asks::Probe(HERE))];
    assert_eq!(world.hear(silent), second);
    assert_eq!(world.hear(silent), []);
    let answered = Heard::Probed(THERE, Answer::Came(Probed::Serves));
    let raise = [Action::Raise(Some(Probed::Serves))];
    assert_eq!(world.hear(answered), raise);
    assert!(world.switch.begin(true, world.now).waits);
    world.reply(false);
    assert!(world.switch.was_found_dead(from));
}

#[test]
fn an_endpoint_that_answers_late_has_several_times_as_long_as_the_other() {
    let mut world = safe();
    world.report(Evidence::Weak);
    world.hear(authorized(HERE));
    world.hear(authorized(THERE));
    let end = world.now + PROBE * 2;
    world.now += PROBE / 3;
    let second = [Action::Ask(Asks::Probe(HERE))];
    assert_eq!(world.hear(Heard::Woken), second);
    world.now = end - PROBE * 3 / 2;
    let answered = Heard::Probed(THERE, Answer::Came(Probed::Serves));
    assert_eq!(world.hear(answered), [Action::Ask(Asks::Wake(end))]);
    world.now = end;
    let raise = Action::Raise(Some(Probed::Serves));
    assert_eq!(world.hear(Heard::Woken), [raise]);
}

#[test]
fn the_second_probe_leaves_when_the_first_is_late_also_where_the_other_has_answered() {
    let mut world = safe();
    world.report(Evidence::Weak);
    world.hear(authorized(HERE));
    let late = [Action::Ask(Asks::Wake(world.now + PROBE / 3))];
    let answered = Heard::Probed(THERE, Answer::Came(Probed::Serves));
    assert_eq!(world.hear(answered), late);
    world.now += PROBE / 3;
    let end = Asks::Wake(world.now - PROBE / 3 + PROBE);
    let second = [Asks::Probe(HERE), end].map(Action::Ask);
    assert_eq!(world.hear(Heard::Woken), second);
}

#[test]
fn an_endpoint_that_answers_stays_and_that_is_no_answer_to_what_is_certain() {
    let mut world = safe();
    world.report(Evidence::Weak);
    world.hear(authorized(HERE));
    let alive = Heard::Probed(HERE, Answer::Came(Probed::Reachable));
    let end = Err(Stay::Alive);
    assert_eq!(world.hear(alive), [Action::End(end)]);
    assert!(Switch::answers(Evidence::Weak, false, end));
    assert!(!Switch::answers(Evidence::Strong, false, end));
    assert!(Switch::answers(Evidence::Strong, true, end));
    assert_eq!(world.report(Evidence::Weak), Report::Stays(Stay::Alive));
    world.began(Evidence::Strong);
}

#[test]
fn in_the_hold_down_what_is_certain_is_confirmed() {
    let mut world = safe();
    world.switch_safely();
    let confirms = [Action::Ask(Asks::Authorize(THERE))];
    assert_eq!(world.began(Evidence::Strong), confirms);
    world.switch.give_up(world.switch.inquiries);
    world.now += HOLD_DOWN;
    let asks_other = [Action::Ask(Asks::Authorize(HERE))];
    assert_eq!(world.began(Evidence::Strong), asks_other);
}

#[test]
fn a_veto_holds_for_its_time_and_its_place_and_auto_switch_that_is_set_is_heard() {
    for (is_vetoed, stay) in [(true, Stay::Vetoed), (false, Stay::Off)] {
        let mut world = world(Preset::Safe, Alternate::exists(is_vetoed));
        world.report(Evidence::Strong);
        world.hear(authorized(THERE));
        world.hear(Heard::Probed(THERE, Answer::Came(Probed::Serves)));
        assert_eq!(world.reply(is_vetoed), [Action::End(Err(stay))]);
        assert_eq!(world.report(Evidence::Strong), Report::Stays(stay));
        if stay == Stay::Off {
            world.switch.alternate_mut().set_auto_switch(true);
        } else {
            world.now += HOLD_DOWN;
        }
        world.began(Evidence::Strong);
    }
}

#[test]
fn a_token_that_does_not_come_leaves_the_other_unasked() {
    let mut world = safe();
    world.report(Evidence::Strong);
    let end = [Action::End(Err(Stay::OtherUnasked))];
    assert_eq!(world.hear(Heard::NoToken(THERE)), end);
}

#[test]
fn what_was_found_alive_again_and_again_holds_twice_as_long_each_time_for_silence_alone() {
    let mut world = safe();
    let mut alive = |pause: Duration| {
        world.now += pause;
        world.began(Evidence::Weak);
        world.hear(authorized(HERE));
        let answered = Heard::Probed(HERE, Answer::Came(Probed::Serves));
        assert_eq!(world.hear(answered), [Action::End(Err(Stay::Alive))]);
        let mut times = (0..=8).map(|times| LOOK_HOLDS * times);
        let still = |must_confirm, evidence, held: Duration| {
            let switch = &world.switch;
            switch.holds_still(must_confirm, evidence, world.now + held)
        };
        let held = times
            .find(|held| still(true, Evidence::Silence, *held).is_none())
            .expect("no longer than the longest");
        // What fails is looked at anew a second later, however often it was found alive.
        let a_moment = LOOK_HOLDS - Duration::from_millis(1);
        assert!(still(true, Evidence::Weak, a_moment).is_some());
        assert_eq!(still(true, Evidence::Weak, LOOK_HOLDS), None);
        // No answer to what is certain.
        assert_eq!(still(false, Evidence::Strong, Duration::ZERO), None);
        held
    };
    let seconds = Duration::from_secs;
    for (pause, held) in [
        (0, 1),
        (2, 2),
        (3, 4),
        (4, 8),
        (9, 8),
        (16, 1),
        (9, 1),
        (8, 2),
    ] {
        assert_eq!(alive(seconds(pause)), seconds(held), "after {pause} s");
    }
    // Another finding between, or another place, and it is the first time again.
    let alive = Stay::Alive;
    for (first, second, is_again) in [
        (alive, alive, true),
        (alive, Stay::OtherSilent, false),
        (Stay::OtherSilent, alive, false),
    ] {
        for moves in [false, true] {
            let mut world = safe();
            let now = world.now;
            world.switch.stays(first, now);
            if moves {
                world.switch.switch_by_hand(now).unwrap();
            }
            world.switch.stays(second, now);
            let times = 1 + u32::from(is_again && !moves);
            let held = (world.switch.look_holds, LOOK_HOLDS * times);
            assert_eq!(held.0, held.1, "{first:?} {second:?} {moves}");
        }
    }
}
