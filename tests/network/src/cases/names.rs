//! Names, as glibc's resolver tells them.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use d365_failover_core::{AutoSwitch, Cause, Client, ErrorKind, FaultKind, Phase, Role};

use crate::dns::Answer;
use crate::failure::{Failure, Switches};
use crate::firewall::Rules;
use crate::stage::{Stage, create, set, who};

/// More than a silent address may cost, by far.
const NO_WAIT: Duration = Duration::from_secs(5);
const NO_SUCH_NAME: Failure = Failure::unsent(
    FaultKind::EndpointNotFound,
    Cause::NoSuchName,
    Switches::Yes,
);
/// .NET knows one DNS failure. Ours says that it may be this machine's, and moves all the same.
pub(super) const TRY_AGAIN: Failure =
    Failure::unsent(FaultKind::Local, Cause::NameTryAgain, Switches::Yes);

fn is_shown_by(answer: &Answer, failure: &Failure, stage: &Stage) {
    failure.is_shown(stage, |scene, client, request| {
        scene.name(Role::Primary, answer.clone());
        let result = client.send(request);
        assert!(scene.questions(Role::Primary) > 0);
        result
    });
}

pub(super) fn no_such_name(stage: &Stage) {
    is_shown_by(&Answer::NoSuchName, &NO_SUCH_NAME, stage);
}

pub(super) fn a_name_without_addresses(stage: &Stage) {
    is_shown_by(&Answer::of([]), &NO_SUCH_NAME, stage);
}

pub(super) fn a_name_server_that_fails(stage: &Stage) {
    is_shown_by(&Answer::ServerFailure, &TRY_AGAIN, stage);
}

pub(super) fn a_name_server_that_refuses(stage: &Stage) {
    is_shown_by(&Answer::Refused, &TRY_AGAIN, stage);
}

pub(super) fn a_name_server_that_is_silent(stage: &Stage) {
    is_shown_by(&Answer::Silence, &TRY_AGAIN, stage);
}

pub(super) fn a_resolver_that_outlasts_the_attempt(stage: &Stage) {
    let failure = Failure::unsent(FaultKind::Timeout, Cause::AttemptTimeout, Switches::Yes)
        .with(|_, settings| set(settings, "attempt_timeout_ms", "1000"));
    is_shown_by(&Answer::Silence, &failure, stage);
}

/// `safe` leaves a name that nobody can say anything of where the other one leads to an answer.
pub(super) fn safe_goes_where_a_name_leads_anywhere(stage: &Stage) {
    for answer in [Answer::ServerFailure, Answer::Refused, Answer::Silence] {
        let scene = stage.scene();
        let mut settings = scene.settings(AutoSwitch::On);
        set(&mut settings, "preset", "safe");
        let client = Client::open(&settings).unwrap();
        scene.name(Role::Primary, answer.clone());
        let response = client.send(&create()).unwrap();
        let attempts = response.attempts();
        assert_eq!(response.status(), 204, "{answer:?} {attempts:?}");
        assert_eq!(attempts[0].phase, Phase::NotSent, "{answer:?}");
        assert!(!client.is_primary(), "{answer:?}");
        assert_eq!(scene.org.rows().len(), 1, "{answer:?}");
    }
}

/// The resolver of this machine fails: there is nothing to go to.
pub(super) fn safe_stays_where_no_name_leads_anywhere(stage: &Stage) {
    let scene = stage.scene();
    let mut settings = scene.settings(AutoSwitch::On);
    set(&mut settings, "preset", "safe");
    set(&mut settings, "outage_wait_ms", "1000");
    let client = Client::open(&settings).unwrap();
    for role in [Role::Primary, Role::Alternate] {
        scene.name(role, Answer::ServerFailure);
    }
    let error = client.send(&create()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local), "{error}");
    assert!(error.message().contains("resolve"), "{error}");
    assert!(!error.switched() && client.is_primary(), "{error}");
}

pub(super) fn a_name_that_comes_back(stage: &Stage) {
    let scene = stage.scene();
    let client = Client::open(&scene.settings(AutoSwitch::Off)).unwrap();
    scene.name(Role::Primary, Answer::NoSuchName);
    client.send(&who()).unwrap_err();
    scene.name(Role::Primary, Answer::of(["127.0.0.1"]));
    assert_eq!(client.send(&who()).unwrap().status(), 200);
}

/// As of tunnels and home routers: the answer that there is is enough.
pub(super) fn a_name_server_that_is_silent_over_ipv6(stage: &Stage) {
    let scene = stage.scene();
    let client = scene.client();
    scene.name(Role::Primary, Answer::SilenceOverIpv6(Ipv4Addr::LOCALHOST));
    assert_eq!(client.send(&create()).unwrap().attempts().len(), 1);
    assert!(client.is_primary());
}

/// What was told to one call is not told to a later one: the next answer may be another.
pub(super) fn each_call_asks_for_the_name_anew(stage: &Stage) {
    let scene = stage.scene();
    let client = Client::open(&scene.settings(AutoSwitch::Off)).unwrap();
    scene.name(Role::Primary, Answer::NoSuchName);
    for call in 1..=1000 {
        let before = scene.questions(Role::Primary);
        client.send(&who()).unwrap_err();
        let after = scene.questions(Role::Primary);
        assert!(after > before, "call {call} has asked nobody");
    }
}

/// As .NET did: where the WSDL cannot be read for a DNS failure, the other URL's is, once.
pub(super) fn the_policy_is_read_at_the_other_name(stage: &Stage) {
    for answer in [Answer::NoSuchName, Answer::ServerFailure] {
        let scene = stage.scene();
        scene.name(Role::Primary, answer);
        let client = Client::open(&scene.settings(AutoSwitch::Auto)).unwrap();
        let response = client.send(&create()).unwrap();
        assert_eq!(response.attempts().len(), 2);
        assert_eq!(response.attempts()[1].role, Some(Role::Alternate));
        let counts = scene.org.alternate.counts();
        assert_eq!(counts.received_by.get("GET wsdl"), Some(&1), "{counts:?}");
        assert_eq!(counts.creates, 1);
    }
}

/// ::1 comes before 127.0.0.1 (RFC 6724, 2.1), and nobody listens there.
fn goes_on_with_the_second_address(stage: &Stage, rule: impl Fn(u16) -> String) {
    for preset in ["dotnet", "safe"] {
        let scene = stage.scene();
        let mut settings = scene.settings(AutoSwitch::On);
        set(&mut settings, "preset", preset);
        // Longer than the call may take: the addresses are raced.
        set(&mut settings, "connect_timeout_ms", "15000");
        let client = Client::open(&settings).unwrap();
        scene.name(Role::Primary, Answer::of(["::1", "127.0.0.1"]));
        let rules = Rules::new([&*rule(scene.port())]);
        let begun = Instant::now();
        let response = client.send(&create()).unwrap();
        assert!(begun.elapsed() < NO_WAIT, "{preset}");
        assert!(rules.packets() > 0, "the first address was not tried");
        assert_eq!(response.status(), 204);
        assert_eq!(response.attempts().len(), 1);
        assert!(client.is_primary());
        assert_eq!(scene.org.primary.counts().creates, 1);
    }
}

pub(super) fn the_first_address_refuses(stage: &Stage) {
    goes_on_with_the_second_address(stage, |port| {
        format!("ip6 daddr ::1 tcp dport {port} counter accept")
    });
}

pub(super) fn the_first_address_is_a_black_hole(stage: &Stage) {
    goes_on_with_the_second_address(stage, |port| {
        format!("ip6 daddr ::1 tcp dport {port} counter drop")
    });
}

pub(super) fn every_address_is_dead(stage: &Stage) {
    let failure = Failure::unsent(FaultKind::EndpointNotFound, Cause::Refused, Switches::Yes);
    failure.is_shown(stage, |scene, client, request| {
        scene.name(Role::Primary, Answer::of(["::1", "127.0.0.99"]));
        let black_hole = format!("ip6 daddr ::1 tcp dport {} counter drop", scene.port());
        let rules = Rules::new([&*black_hole]);
        let result = client.send(request);
        assert!(rules.packets() > 0, "the first address was not tried");
        result
    });
}
