//! Connections that fail once they stand.

use d365_failover_core::{Cause, Client, Error, FaultKind, Request, Response};
use d365_twin::{Condition, FaultKind as TwinFault};

use crate::failure::{Failure, Switches};
use crate::firewall::Rules;
use crate::stage::{LONG, Scene, Stage, set, who};

const OUT_OF_TIME: Failure =
    Failure::sent(FaultKind::Timeout, Cause::AttemptTimeout, Switches::Yes)
        .with(|_, settings| set(settings, "attempt_timeout_ms", "2000"));

/// Nothing gets to the primary or comes from it any more.
fn black_hole(port: u16) -> Rules {
    Rules::new([
        &*format!("tcp dport {port} drop"),
        &*format!("tcp sport {port} drop"),
    ])
}

/// The tunnel that lets no large packet through, and tells nobody: the connection stands, and the
/// server's certificates never arrive.
pub(super) fn large_packets_vanish(stage: &Stage) {
    let failure = Failure::unsent(FaultKind::Timeout, Cause::AttemptTimeout, Switches::Yes)
        .with(|_, settings| set(settings, "attempt_timeout_ms", "2000"));
    failure.is_shown(stage, |scene, client, request| {
        let port = scene.port();
        let rules = Rules::new([&*format!("tcp sport {port} meta length > 600 counter drop")]);
        let result = client.send(request);
        assert!(rules.packets() > 0);
        result
    });
}

pub(super) fn a_firewall_resets_the_handshake(stage: &Stage) {
    let failure = Failure::unsent(FaultKind::ConnectionLost, Cause::Reset, Switches::No);
    failure.is_shown(stage, |scene, client, request| {
        let port = scene.port();
        let rule = format!("tcp dport {port} tcp flags & psh == psh counter reject with tcp reset");
        let rules = Rules::new([&*rule]);
        let result = client.send(request);
        assert!(rules.packets() > 0);
        result
    });
}

/// The primary executes the write, and its answer is lost: what is said to be in doubt is.
pub(super) fn a_black_hole_while_the_call_waits(stage: &Stage) {
    OUT_OF_TIME.is_shown(stage, |scene, client, request| {
        let primary = &scene.org.primary;
        primary
            .fault(TwinFault::StallBeforeCommit { ms: None })
            .unwrap();
        let result = std::thread::scope(|scope| {
            let call = scope.spawn(|| client.send(request));
            primary.wait_for(Condition::received(1), LONG).unwrap();
            let _rules = black_hole(scene.port());
            primary.clear().unwrap();
            call.join().unwrap()
        });
        primary.wait_for(Condition::committed(1), LONG).unwrap();
        result
    });
}

/// A call that opens the connection which the next one is sent on, and what happens to it between
/// the two.
fn on_a_kept_connection(
    scene: &Scene<'_>,
    client: &Client,
    request: &Request,
    happens: impl FnOnce(u16) -> Rules,
) -> Result<Response, Error> {
    client.send(&who()).unwrap();
    let _rules = happens(scene.port());
    let result = client.send(request);
    assert_eq!(scene.org.primary.counts().connections, 1);
    assert_eq!(scene.org.primary.counts().creates, 0);
    result
}

pub(super) fn a_kept_connection_becomes_a_black_hole(stage: &Stage) {
    OUT_OF_TIME.is_shown(stage, |scene, client, request| {
        on_a_kept_connection(scene, client, request, black_hole)
    });
}

pub(super) fn a_firewall_forgets_a_kept_connection(stage: &Stage) {
    let failure = Failure::sent(FaultKind::ConnectionLost, Cause::Reset, Switches::No);
    failure.is_shown(stage, |scene, client, request| {
        on_a_kept_connection(scene, client, request, |port| {
            Rules::new([&*format!("tcp dport {port} reject with tcp reset")])
        })
    });
}
