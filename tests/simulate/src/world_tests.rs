use d365_failover_core::machines::Given;

use super::*;
use crate::arrivals::arrivals;
use crate::disaster::disasters;
use crate::run::defaults;

fn call(at: u64, operation: Operation) -> Call {
    Call {
        at: Duration::from_secs(at),
        client: 0,
        operation,
        service: SERVICE,
    }
}

/// The world, and how the first attempt of each of these calls ends in a disaster.
fn outcomes(name: &str, calls: &[Call]) -> Vec<(Time, Outcome)> {
    let disasters = disasters();
    let disaster = disasters.iter().find(|disaster| disaster.name == name);
    let mut world = World::new(disaster.unwrap(), calls, 10, 1);
    let mut found = Vec::new();
    while let Some(notice) = world.what_comes() {
        match notice {
            Notice::Begins(call) => {
                let operation = world.call(call).operation;
                world.send(call, Role::Primary, operation, Duration::MAX);
            }
            Notice::Ended { outcome, .. } => found.push((world.now(), outcome)),
            Notice::Probed(..) | Notice::Woken(..) => unreachable!(),
        }
    }
    found
}

#[test]
fn times_are_those_of_the_settings_and_no_ledger_is_too_small() {
    let given = Given::of(&defaults());
    assert_eq!(
        (given.connect_timeout, given.idle_timeout),
        (CONNECT_TIMEOUT, IDLE)
    );
    for disaster in disasters() {
        assert!(disaster.ends < given.replication_window);
        let calls = arrivals(1, 10_000, disaster.ends, disaster.rush);
        let mut of_each = [0_usize; 10_000];
        for call in &calls {
            of_each[call.client as usize] += 1;
        }
        assert!(of_each.iter().all(|calls| *calls < given.ledger_entries));
    }
}

#[test]
fn a_request_takes_its_way_its_connection_and_its_service() {
    let calls = [call(1, Operation::Read), call(2, Operation::Read)];
    let found = outcomes("refused", &calls);
    let way = ROUND_TRIP[0];
    let first = calls[0].at + way * 3 + SERVICE;
    let second = calls[1].at + way + SERVICE;
    assert_eq!(
        found,
        [(first, Outcome::Answered), (second, Outcome::Answered)]
    );
}

#[test]
fn what_is_under_way_when_a_side_ends_is_lost_and_what_comes_after_is_refused() {
    let mut calls = [call(20, Operation::Read), call(21, Operation::Read)];
    calls[0].at -= Duration::from_millis(70);
    let found = outcomes("refused", &calls);
    let kinds: Vec<_> = found.iter().map(|(_, outcome)| *outcome).collect();
    assert_eq!(kinds, [Outcome::Lost, Outcome::Refused]);
}

#[test]
fn into_a_black_hole_nothing_goes_and_connections_time_out() {
    let found = outcomes(
        "black hole",
        &[
            call(19, Operation::Read),
            call(20, Operation::Read),
            call(50, Operation::Read),
        ],
    );
    let end = Duration::from_secs(50) + CONNECT_TIMEOUT;
    assert_eq!(found[1..], [(end, Outcome::ConnectTimeout)]);
}
