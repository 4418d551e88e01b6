//! What the machine does, told by what it asks for.

use super::*;
use crate::decide::look::Answer;
use crate::rule::RulesOff;
use crate::{Failback, FailoverPolicy, Preset};

pub(in crate::decide) const HOLD_DOWN: Duration = Duration::from_secs(30);
pub(in crate::decide) const WAIT: Duration = Duration::from_secs(20);
pub(in crate::decide) const INTERVAL: Duration = Duration::from_secs(60);
pub(in crate::decide) const PROBE: Duration = Duration::from_secs(1);
pub(in crate::decide) const AVAILABLE: FailoverPolicy = FailoverPolicy {
    available: true,
    endpoint_enabled: true,
};
pub(in crate::decide) const DISABLED: FailoverPolicy = FailoverPolicy {
    endpoint_enabled: false,
    ..AVAILABLE
};
pub(in crate::decide) const HERE: Role = Role::Primary;
pub(in crate::decide) const THERE: Role = Role::Alternate;

/// A machine, and the time there.
pub(in crate::decide) struct World {
    pub(in crate::decide) switch: Switch,
    pub(in crate::decide) now: Instant,
}

pub(in crate::decide) fn world(preset: Preset, alternate: Alternate) -> World {
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

pub(in crate::decide) fn safe() -> World {
    world(Preset::Safe, Alternate::exists(true))
}

/// With an alternate or without, where an outage is waited out.
pub(in crate::decide) fn patient(preset: Preset, alternate: Alternate) -> World {
    let mut world = world(preset, alternate);
    world.switch.limits.outage_wait = WAIT;
    world
}

/// Switched to the alternate by a fault.
pub(in crate::decide) fn away(failback: Failback) -> World {
    let mut world = safe();
    world.switch.home = Home::new(Ways {
        failback,
        ..world.switch.limits.ways
    });
    world.switch_safely();
    world
}

pub(in crate::decide) fn dotnet() -> World {
    world(Preset::Dotnet, Alternate::exists(true))
}

pub(in crate::decide) fn place(role: Role, epoch: u64) -> Place {
    Place { role, epoch }
}

pub(in crate::decide) fn authorized(role: Role) -> Heard {
    Heard::Authorized {
        role,
        from_provider: true,
    }
}

impl World {
    pub(in crate::decide) fn waits_out(&mut self, wait: Duration) {
        self.switch.limits.outage_wait = wait;
    }

    pub(in crate::decide) fn fails_back(&mut self, failback: Failback) {
        let ways = self.switch.limits.ways;
        self.switch.home = Home::new(Ways { failback, ..ways });
    }

    pub(in crate::decide) fn place(&self) -> Place {
        self.switch.place()
    }

    pub(in crate::decide) fn report(&mut self, evidence: Evidence) -> Report {
        self.report_at(self.place(), evidence)
    }

    /// What a fault has begun.
    pub(in crate::decide) fn began(&mut self, evidence: Evidence) -> Vec<Action> {
        match self.report(evidence) {
            Report::Began(_, actions) => actions,
            other => panic!("{other:?}"),
        }
    }

    pub(in crate::decide) fn report_at(&mut self, seen_at: Place, evidence: Evidence) -> Report {
        self.switch.report(seen_at, evidence, false, true, self.now)
    }

    /// The inquiry that began last hears this.
    pub(in crate::decide) fn hear(&mut self, heard: Heard) -> Vec<Action> {
        let input = Input::Look(heard, Glance::default());
        self.switch
            .hear(self.switch.inquiries, input, self.now, 0.0)
    }

    pub(in crate::decide) fn reply(&mut self, is_vetoed: bool) -> Vec<Action> {
        self.reply_to(self.switch.inquiries, is_vetoed)
    }

    pub(in crate::decide) fn reply_to(&mut self, number: u64, is_vetoed: bool) -> Vec<Action> {
        let input = Input::Replied { is_vetoed };
        self.switch.hear(number, input, self.now, 0.0)
    }

    /// A fault has begun an inquiry whose handlers are asked at once.
    pub(in crate::decide) fn asked(&mut self) -> Place {
        let from = self.place();
        assert_eq!(self.began(Evidence::Strong), [Action::Raise(None)]);
        from
    }

    pub(in crate::decide) fn silent(&mut self, role: Role) -> Vec<Action> {
        self.hear(Heard::Probed(role, Answer::Silent))
    }

    pub(in crate::decide) fn answers(&mut self, role: Role) -> Vec<Action> {
        self.hear(Heard::Probed(role, Answer::Came(Probed::Serves)))
    }

    /// This endpoint is found dead by two probes.
    pub(in crate::decide) fn dies(&mut self) -> Vec<Action> {
        self.hear(authorized(HERE));
        self.silent(HERE);
        self.silent(HERE)
    }

    /// What is certain, and no answer from anywhere.
    pub(in crate::decide) fn outage_begins(&mut self) {
        self.began(Evidence::Strong);
        self.hear(authorized(THERE));
        let confirms = [Action::Ask(Asks::Authorize(HERE))];
        assert_eq!(self.silent(THERE), confirms);
        let next = Asks::Wake(self.now + Duration::from_millis(500));
        assert_eq!(self.dies(), [Action::OutageStarted, Action::Ask(next)]);
    }

    /// The next look of the outage begins.
    pub(in crate::decide) fn look(&mut self) {
        self.now += Duration::from_secs(5);
        assert_eq!(self.hear(Heard::Woken).len(), 2);
        self.hear(authorized(HERE));
        self.hear(authorized(THERE));
    }

    /// Strong evidence, an answer of the other endpoint, and no veto.
    pub(in crate::decide) fn switch_safely(&mut self) {
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
            .report(from, Evidence::Strong, true, true, world.now);
        assert_eq!(matches!(report, Report::Began(..)), is_asked);
        assert_eq!(report == Report::PolicyUnread, !is_asked);
    }
    // One that answers is one.
    let mut world = world(Preset::Safe, Alternate::undecided());
    let from = world.place();
    world
        .switch
        .report(from, Evidence::Strong, true, true, world.now);
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
fn a_look_back_serves_all_who_ask_for_a_moment() {
    let mut world = safe();
    assert!(world.switch.look_back(HERE, world.now).is_ok());
    world.switch.looked_back(HERE, true, world.now);
    assert!(world.switch.look_back(HERE, world.now).unwrap_err());
    assert!(world.switch.look_back(THERE, world.now).is_ok());
    world.now += LOOK_HOLDS;
    assert!(world.switch.look_back(HERE, world.now).is_ok());
}

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
    let (number, actions) = look_home(&mut world, 3).unwrap();
    assert_eq!(actions, raise);
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
    assert_eq!(world.reply_to(number, true), [Action::End(superseded)]);
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
fn what_was_found_alive_again_and_again_holds_twice_as_long_each_time() {
    let mut world = safe();
    let mut alive = |pause: Duration| {
        world.now += pause;
        world.began(Evidence::Weak);
        world.hear(authorized(HERE));
        let answered = Heard::Probed(HERE, Answer::Came(Probed::Serves));
        assert_eq!(world.hear(answered), [Action::End(Err(Stay::Alive))]);
        let mut held = Duration::ZERO;
        while world.switch.holds_still(true, world.now + held).is_some() {
            held += LOOK_HOLDS;
        }
        // No answer to what is certain.
        assert_eq!(world.switch.holds_still(false, world.now), None);
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
