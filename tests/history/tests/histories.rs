//! Whole histories against the twin: what is promised is kept, and who keeps it not is found out.

#![allow(
    clippy::print_stdout,
    reason = "a seed is told, so that what it found is found again"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use d365_failover_core::{Effect, Operation, Role, Rule as SafeRule};
use d365_history::{
    Act, Claim, Front, History, Killing, Misfortune, Plan, Preset, Rule, Violation, Word, judge,
    judge_record, run, run_killing, summary, tell,
};
use d365_twin::{Authority, Fault, FaultKind};

/// Decides the requests of the histories whose faults are chosen.
const SEED: u64 = 20_170_217;

#[track_caller]
fn sound(seed: u64) {
    let plan = Plan::draw(seed, 160, 3);
    let history = run(&plan, Preset::Safe, &[]).unwrap();
    let violations = judge(&history);
    let stories: String = violations.iter().map(|it| tell(&history, it)).collect();
    println!("seed {seed}: {}", summary(&history));
    assert!(violations.is_empty(), "seed {seed}\n{stories}");
}

#[test]
fn a_storm_in_which_every_claim_is_so() {
    sound(7);
}

#[test]
fn another_storm_in_which_every_claim_is_so() {
    sound(2016);
}

#[test]
fn a_storm_that_nobody_has_seen_before() {
    let seed = fastrand::u64(..1 << 48);
    println!("seed {seed}");
    sound(seed);
}

/// Processes with one store, killed and started again, through a storm.
#[test]
fn what_a_store_says_after_kills_is_so() {
    let seed = fastrand::u64(..1 << 48);
    let plan = Plan::draw(seed, 120, 3);
    let program = Path::new(env!("CARGO_BIN_EXE_d365-history"));
    let killing = run_killing(program, &plan, 120, Preset::Safe, 6).unwrap();
    println!("seed {seed}: {}", killing.summary());
    assert_eq!(killing.violations, Vec::<String>::new(), "seed {seed}");
    assert!(killing.kills > 0, "seed {seed}");
    let told = |claim: &Claim| claim.told.is_some() && claim.executed > 0;
    assert!(killing.claims.iter().any(told), "seed {seed}");
    a_store_that_lies_is_found_out(&killing);
}

/// The same history, with one word of the store that is not so.
fn a_store_that_lies_is_found_out(killing: &Killing) {
    let of = |effect| {
        let mut all = killing.recorded.iter();
        let found = all.find(|(_, words)| words[0].effect == Some(effect));
        *found.expect("such a write").0
    };
    let spoiled = |number, spoil: fn(&mut Word)| {
        let mut recorded = killing.recorded.clone();
        recorded
            .entry(number)
            .and_modify(|words| spoil(&mut words[0]));
        judge_record(&killing.claims, &recorded).join("; ")
    };
    let (executed, unknown) = (of(Effect::Executed), of(Effect::Unknown));
    let mut recorded = killing.recorded.clone();
    recorded.remove(&executed);
    let missing = judge_record(&killing.claims, &recorded).join("; ");
    assert!(missing.contains("is not on record"), "{missing}");
    let mut claims = killing.claims.clone();
    let claim = claims
        .iter_mut()
        .find(|claim| Some(claim.number) == executed);
    claim.expect("it was begun").executed = 0;
    let invented = judge_record(&claims, &killing.recorded).join("; ");
    assert!(invented.contains("no side has executed it"), "{invented}");
    let denied = spoiled(executed, |word| word.effect = Some(Effect::NotExecuted));
    assert!(denied.contains("not executed on record"), "{denied}");
    let forgotten = spoiled(unknown, |word| word.is_suspect = false);
    assert!(forgotten.contains("and no suspect"), "{forgotten}");
    let left = spoiled(unknown, |word| word.effect = None);
    assert!(left.contains("in flight on record"), "{left}");
}

/// A plan without misfortunes, and with one front that stays.
fn one_front(calls: u32, acts: Vec<Act>) -> Plan {
    let mut plan = Plan::draw(SEED, calls, 2);
    plan.weather = vec![Front {
        acts,
        calls: u32::MAX / 2,
        most: Duration::from_secs(60),
    }];
    for client in &mut plan.clients {
        client.veto_one_in = 0;
        for call in client.lanes.iter_mut().flatten() {
            call.misfortune = None;
        }
    }
    plan
}

/// Without its rule the clients break one of the checker's; with it every claim is so.
fn is_missed(plan: &Plan, off: SafeRule, broken: Rule) {
    let (_, violations) = judged(plan, Preset::Safe, &[off]);
    assert!(
        violations.iter().any(|it| it.rule == broken),
        "{off:?} is not missed: {violations:?}"
    );
    let (history, violations) = judged(plan, Preset::Safe, &[]);
    let stories: String = violations.iter().map(|it| tell(&history, it)).collect();
    assert!(violations.is_empty(), "{stories}");
}

/// In fair weather, each unsafe write meets this fault the first time that it is sent.
fn unlucky(kind: &FaultKind) -> Plan {
    let mut plan = Plan::draw(SEED, 60, 2);
    plan.weather.clear();
    for client in &mut plan.clients {
        client.veto_one_in = 0;
        for call in client.lanes.iter_mut().flatten() {
            call.misfortune = None;
            if call.work.operation() == Operation::Unsafe {
                let tag = format!("tag_{:06}", call.number);
                call.misfortune = Some(Misfortune {
                    fault: Fault::from(kind.clone()).path_contains(&tag).times(1),
                    sides: vec![Role::Primary, Role::Alternate],
                    ends_with_call: false,
                });
            }
        }
    }
    plan
}

fn committed(status: u16) -> FaultKind {
    FaultKind::Status {
        status,
        headers: BTreeMap::new(),
        body: String::new(),
        commit: true,
    }
}

fn judged(plan: &Plan, preset: Preset, off: &[SafeRule]) -> (History, Vec<Violation>) {
    let history = run(plan, preset, off).unwrap();
    let violations = judge(&history);
    (history, violations)
}

/// The writes that were doubled.
fn doubled(violations: &[Violation]) -> usize {
    let of_rule = violations.iter().filter(|it| it.rule == Rule::Doubled);
    let mut calls: Vec<Option<u32>> = of_rule.map(|it| it.call).collect();
    calls.dedup();
    calls.len()
}

#[test]
fn dotnet_is_guilty_where_safe_is_not() {
    let plan = unlucky(&committed(504));
    let (_, violations) = judged(&plan, Preset::Dotnet, &[]);
    assert!(doubled(&violations) > 5, "{violations:?}");
    let (history, violations) = judged(&plan, Preset::Safe, &[]);
    let stories: String = violations.iter().map(|it| tell(&history, it)).collect();
    assert!(violations.is_empty(), "{stories}");
}

/// Each rule of the matrix that keeps an unsafe write from being sent twice is missed when it is
/// off.
#[test]
fn a_rule_that_is_off_is_missed() {
    let stall = FaultKind::Stall { ms: Some(4000) };
    for (rule, fault) in [
        (SafeRule::ResendLost, FaultKind::CommitThenReset),
        (SafeRule::ResendTimedOut, stall),
        (SafeRule::ResendFrontEnd, committed(503)),
        (SafeRule::ResendExecuted, FaultKind::cut_body()),
    ] {
        let plan = unlucky(&fault);
        let (_, violations) = judged(&plan, Preset::Safe, &[rule]);
        assert!(doubled(&violations) > 0, "{rule:?} is not missed");
        let (history, violations) = judged(&plan, Preset::Safe, &[]);
        let stories: String = violations.iter().map(|it| tell(&history, it)).collect();
        assert!(violations.is_empty(), "{rule:?}\n{stories}");
    }
}

#[test]
fn updates_without_their_guard_make_fragments() {
    let acts = vec![Act::SwitchByHand(0), Act::SwitchByHand(1)];
    let mut plan = one_front(200, acts);
    for client in &mut plan.clients {
        client.update_guard = true;
    }
    is_missed(&plan, SafeRule::UpdateGuard, Rule::Fragment);
}

#[test]
fn a_switch_to_a_side_that_was_not_asked_is_found_out() {
    let refuse = FaultKind::Refuse {
        keep_existing: false,
    };
    let acts = vec![Act::Fault(Role::Primary, Box::new(refuse))];
    is_missed(&one_front(30, acts), SafeRule::ProbeOther, Rule::Events);
}

#[test]
fn a_veto_that_does_not_hold_is_found_out() {
    let mut plan = one_front(30, vec![Act::Authority(Authority::Alternate)]);
    for client in &mut plan.clients {
        client.veto_one_in = 1;
    }
    is_missed(&plan, SafeRule::RefusalHolds, Rule::Events);
}
