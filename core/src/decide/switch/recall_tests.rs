//! What is on record, what another process does, and what a client makes of it.

use super::*;
use crate::decide::alternate::Alternate;
use crate::decide::evidence::Evidence;
use crate::decide::look::{Answer, Asks, Heard, Stay};
use crate::decide::place::Move;
use crate::decide::switch::Report;
use crate::decide::switch::tests::{
    AVAILABLE, DISABLED, HERE, HOLD_DOWN, INTERVAL, THERE, WAIT, World, authorized, dotnet,
    patient, place, safe, world,
};
use crate::{Failback, Order, Override, OverrideSource, Preset, Probed};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + HOUR * 1000
}

/// Calls went there so long ago, and it was found so a second later.
fn gone(role: Role, ago: Duration) -> Whereabouts {
    Whereabouts {
        role,
        switched: wall() - ago,
        confirmed: wall() - ago.saturating_sub(SECOND),
        by_fault: true,
        switches: 7,
    }
}

fn recalls(world: &mut World, record: Whereabouts) {
    world.switch.recall(&record, HOUR, wall(), world.now);
}

/// Another process has gone there.
fn hears(world: &mut World, role: Role) -> Heed {
    let record = Whereabouts {
        switches: world.switch.heard + 1,
        ..gone(role, SECOND)
    };
    let (wall, now) = (wall(), world.now);
    let heed = world.switch.hears_of(&record, HOUR, wall, now);
    let again = world.switch.hears_of(&record, HOUR, wall, now);
    // It is heard once, unless it is to be heard later.
    let is_later = heed == Heed::Later;
    assert_eq!(again, if is_later { Heed::Later } else { Heed::Nothing });
    heed
}

fn order(value: Override) -> Order {
    Order {
        value,
        source: OverrideSource::Environment,
        until: None,
    }
}

/// The look that goes before calls begins.
fn looks_first(world: &mut World) -> Vec<Action> {
    assert!(world.switch.begin(true, world.now).looks_first);
    let (_, actions) = world.switch.look_first(world.now).unwrap();
    assert!(!world.switch.begin(true, world.now).looks_first);
    actions
}

#[test]
fn a_client_begins_where_others_went_and_looks_before_its_first_write() {
    for mut world in [safe(), dotnet()] {
        recalls(&mut world, gone(THERE, SECOND * 5));
        // The others' epochs are theirs.
        assert_eq!(world.place(), place(THERE, 0));
        let read = world.switch.begin(false, world.now);
        assert!(!read.waits && !read.looks_first);
        let asks = [Action::Ask(Asks::Authorize(THERE))];
        assert_eq!(looks_first(&mut world), asks);
        assert!(world.switch.begin(true, world.now).waits);
        assert!(!world.switch.begin(false, world.now).waits);
        world.hear(authorized(THERE));
        let end = [Action::Recalled(true), Action::End(Err(Stay::Alive))];
        assert_eq!(world.answers(THERE), end);
        // Once for all.
        let write = world.switch.begin(true, world.now);
        assert!(!write.waits && !write.looks_first);
    }
}

#[test]
fn the_others_hold_down_and_what_rows_may_lack_are_its_own() {
    for (ago, holds_down) in [(SECOND, true), (HOLD_DOWN, false)] {
        let mut world = safe();
        recalls(&mut world, gone(THERE, ago));
        let asked = if holds_down { THERE } else { HERE };
        let asks = [Action::Ask(Asks::Authorize(asked))];
        assert_eq!(world.began(Evidence::Strong), asks);
        assert!(world.switch.has_changed_within(ago + SECOND, world.now));
        assert!(!world.switch.has_changed_within(ago, world.now));
    }
    // A switch before this boot is over.
    let mut world = safe();
    let mut record = gone(THERE, SECOND);
    record.switched = SystemTime::UNIX_EPOCH;
    recalls(&mut world, record);
    assert!(!world.switch.has_changed_within(HOLD_DOWN, world.now));
}

#[test]
fn a_record_of_where_it_begins_anyway_is_waited_for_by_none() {
    let mut world = safe();
    for ago in [SECOND, HOUR * 9] {
        recalls(&mut world, gone(HERE, ago));
        let begin = world.switch.begin(true, world.now);
        assert!(!begin.waits && !begin.looks_first);
    }
}

#[test]
fn the_endpoint_of_the_record_is_dead_and_the_other_one_lives() {
    let mut world = patient(Preset::Safe, Alternate::exists(true));
    recalls(&mut world, gone(THERE, SECOND));
    looks_first(&mut world);
    world.hear(authorized(THERE));
    world.silent(THERE);
    let asks = [Action::Ask(Asks::Authorize(HERE))];
    assert_eq!(world.silent(THERE), asks);
    world.hear(authorized(HERE));
    assert_eq!(world.answers(HERE), [Action::Raise(Some(Probed::Serves))]);
    let done = Action::Switched(Move::on_from(place(THERE, 0)), Some(Probed::Serves));
    assert_eq!(world.reply(false), [done, Action::End(Ok(()))]);
    assert!(!world.switch.begin(true, world.now).looks_first);
    // In `dotnet` the other one is not asked.
    let mut world = dotnet();
    recalls(&mut world, gone(THERE, SECOND));
    looks_first(&mut world);
    world.hear(authorized(THERE));
    world.silent(THERE);
    assert_eq!(world.silent(THERE), [Action::Raise(None)]);
}

#[test]
fn where_both_are_dead_it_is_an_outage() {
    for record in [gone(THERE, SECOND), gone(THERE, HOUR * 2)] {
        let mut world = patient(Preset::Safe, Alternate::exists(true));
        recalls(&mut world, record);
        looks_first(&mut world);
        let here = world.place().role;
        world.hear(authorized(here));
        world.silent(here);
        world.silent(here);
        world.hear(authorized(here.other()));
        assert_eq!(
            world.silent(here.other()),
            [Action::Ask(Asks::Authorize(here))]
        );
        world.hear(authorized(here));
        world.silent(here);
        let began = world.silent(here);
        assert!(matches!(began[..], [Action::OutageStarted, _]), "{began:?}");
        assert!(world.switch.begin(false, world.now).waits_out);
    }
}

#[test]
fn a_read_that_fails_there_is_the_look_for_the_writes() {
    let mut world = safe();
    recalls(&mut world, gone(THERE, HOLD_DOWN));
    world.began(Evidence::Weak);
    let write = world.switch.begin(true, world.now);
    assert!(write.waits && !write.looks_first);
    world.hear(authorized(THERE));
    let end = [Action::Recalled(true), Action::End(Err(Stay::Alive))];
    assert_eq!(world.answers(THERE), end);
    assert!(!world.switch.begin(true, world.now).looks_first);
}

#[test]
fn what_is_old_or_to_come_is_a_reason_to_look_before_anything_goes() {
    let mut of_the_future = gone(THERE, SECOND);
    of_the_future.confirmed = wall() + SECOND;
    for record in [gone(THERE, HOUR * 2), of_the_future] {
        let mut world = safe();
        recalls(&mut world, record);
        assert_eq!(world.place(), place(HERE, 0));
        assert!(!world.switch.has_changed_within(HOUR * 9, world.now));
        assert!(world.switch.begin(false, world.now).looks_first);
        looks_first(&mut world);
        assert!(world.switch.begin(false, world.now).waits);
        world.hear(authorized(HERE));
        let end = [Action::Recalled(false), Action::End(Err(Stay::Alive))];
        assert_eq!(world.answers(HERE), end);
        assert!(!world.switch.begin(false, world.now).looks_first);
    }
    // And if it is as it was, calls go there.
    let mut world = safe();
    recalls(&mut world, gone(THERE, HOUR * 2));
    looks_first(&mut world);
    world.hear(authorized(HERE));
    world.silent(HERE);
    world.silent(HERE);
    world.hear(authorized(THERE));
    assert_eq!(world.answers(THERE), [Action::Raise(Some(Probed::Serves))]);
    world.reply(false);
    assert_eq!(world.place(), place(THERE, 1));
}

#[test]
fn a_look_that_is_given_up_or_overtaken_holds_nobody() {
    let mut world = safe();
    recalls(&mut world, gone(THERE, SECOND));
    looks_first(&mut world);
    world.switch.give_up(world.switch.inquiries);
    assert!(world.switch.begin(true, world.now).looks_first);
    world.switch.switch_by_hand(world.now).unwrap();
    assert!(!world.switch.begin(true, world.now).looks_first);
}

#[test]
fn with_nowhere_else_to_go_and_nothing_to_wait_for_nobody_looks() {
    let mut world = safe();
    recalls(&mut world, gone(THERE, SECOND));
    world.fails_back(Failback::Manual);
    assert_eq!(world.switch.look_first(world.now), None);
    assert!(!world.switch.begin(true, world.now).looks_first);
    // Where an outage is waited out, that is looked for.
    world.waits_out(WAIT);
    recalls(&mut world, gone(HERE, HOUR * 2));
    looks_first(&mut world);
}

#[test]
fn whoever_was_moved_by_a_fault_is_led_home_by_looks() {
    for (by_fault, role, is_led) in [
        (true, THERE, true),
        (false, THERE, false),
        (true, HERE, false),
    ] {
        let mut world = safe();
        world.fails_back(Failback::Probe);
        recalls(
            &mut world,
            Whereabouts {
                by_fault,
                ..gone(role, SECOND)
            },
        );
        let next = world.switch.look_home().map(|(next, _)| next);
        assert_eq!(next, is_led.then(|| world.now + INTERVAL));
    }
}

#[test]
fn a_record_says_that_there_is_an_alternate() {
    let mut world = world(Preset::Safe, Alternate::undecided());
    recalls(&mut world, gone(THERE, HOUR * 2));
    assert!(world.switch.alternate().is_available() && world.switch.auto_switch());
}

#[test]
fn what_the_operator_says_goes_before_what_is_on_record() {
    for ago in [SECOND, HOUR * 2] {
        let mut world = safe();
        world.switch.begins_under(order(Override::Primary));
        recalls(&mut world, gone(THERE, ago));
        assert_eq!(world.place(), place(HERE, 0));
        assert!(!world.switch.begin(true, world.now).looks_first);
        let mut world = safe();
        recalls(&mut world, gone(THERE, ago));
        world.switch.begins_under(order(Override::Alternate));
        assert_eq!(world.place(), place(THERE, 0));
        assert!(!world.switch.begin(true, world.now).looks_first);
    }
}

#[test]
fn another_process_s_switch_is_a_reason_to_look_at_both() {
    let mut world = safe();
    assert_eq!(hears(&mut world, HERE), Heed::Nothing);
    let asks = vec![Action::Ask(Asks::Authorize(HERE))];
    let looked = hears(&mut world, THERE);
    assert_eq!(looked, Heed::Look(1, asks));
    // Nobody waits for it, and a fault meanwhile joins it.
    assert!(!world.switch.begin(true, world.now).waits);
    assert_eq!(hears(&mut world, THERE), Heed::Later);
    assert_eq!(world.report(Evidence::Weak), Report::Joined);
    world.dies();
    world.hear(authorized(THERE));
    assert_eq!(world.answers(THERE), [Action::Raise(Some(Probed::Serves))]);
    let done = Action::Switched(Move::on_from(place(HERE, 0)), Some(Probed::Serves));
    assert_eq!(world.reply(false), [done, Action::End(Ok(()))]);
    assert_eq!(hears(&mut world, THERE), Heed::Nothing);
}

#[test]
fn another_process_s_switch_has_an_outage_looked_at_sooner() {
    for role in [HERE, THERE] {
        let mut world = patient(Preset::Safe, Alternate::exists(true));
        world.outage_begins();
        for _ in 0..5 {
            world.look();
            world.silent(HERE);
            world.silent(THERE);
        }
        world.now += Duration::from_millis(500);
        assert!(matches!(
            world.hear(Heard::Woken)[..],
            [Action::Ask(Asks::Wake(_))]
        ));
        assert_eq!(hears(&mut world, role), Heed::Sooner);
        let both = [HERE, THERE].map(|role| Action::Ask(Asks::Authorize(role)));
        assert_eq!(world.hear(Heard::Woken), both);
    }
}

#[test]
fn where_its_own_look_finds_otherwise_it_stays() {
    let mut world = safe();
    hears(&mut world, THERE);
    world.hear(authorized(HERE));
    let end = [Action::End(Err(Stay::Alive))];
    assert_eq!(
        world.hear(Heard::Probed(HERE, Answer::Came(Probed::Reachable))),
        end
    );
    assert_eq!(world.place(), place(HERE, 0));
    // What was found may be older than what was done elsewhere.
    assert_eq!(hears(&mut world, THERE), Heed::Later);
    world.now += SECOND;
    assert!(matches!(hears(&mut world, THERE), Heed::Look(..)));
}

#[test]
fn nobody_looks_whom_no_fault_would_move() {
    let mut off = world(Preset::Safe, Alternate::exists(false));
    let mut kept = safe();
    kept.switch.begins_under(order(Override::Primary));
    let mut told_off = safe();
    told_off.switch.begins_under(order(Override::Off));
    for world in [&mut off, &mut kept, &mut told_off] {
        assert_eq!(hears(world, THERE), Heed::Nothing);
    }
    let mut by_hand = safe();
    recalls(&mut by_hand, gone(THERE, SECOND));
    by_hand.fails_back(Failback::Manual);
    let home = hears(&mut by_hand, HERE);
    assert_eq!(home, Heed::Nothing);
}

#[test]
fn an_old_record_is_no_news_for_who_runs() {
    let mut world = safe();
    let record = gone(THERE, HOUR * 2);
    let heed = world.switch.hears_of(&record, HOUR, wall(), world.now);
    assert_eq!(heed, Heed::Nothing);
}

#[test]
fn a_policy_that_another_has_read_counts_while_it_is_young() {
    for (ago, is_known) in [(SECOND, true), (HOUR * 2, false)] {
        for says in [AVAILABLE, DISABLED] {
            let mut world = world(Preset::Dotnet, Alternate::undecided());
            let policy = Policy {
                read_from: HERE,
                says,
            };
            let read = wall() - ago;
            world
                .switch
                .recall_policy(policy, read, HOUR, wall(), world.now);
            assert_eq!(world.switch.alternate().is_available(), is_known);
            // No switch, but where it begins.
            let is_moved = is_known && says == DISABLED;
            assert_eq!(world.place(), place(if is_moved { THERE } else { HERE }, 0));
        }
    }
}
