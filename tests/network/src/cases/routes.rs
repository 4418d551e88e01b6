//! Ways that do not lead to the endpoint.

use d365_failover_core::{Cause, FaultKind, Role};

use crate::dns::Answer;
use crate::failure::{Failure, Switches};
use crate::firewall::Rules;
use crate::namespace::{NO_ROUTE, NO_ROUTE_V6, PROHIBITED, UNREACHABLE};
use crate::stage::{Stage, set};

const REFUSED: Failure =
    Failure::unsent(FaultKind::EndpointNotFound, Cause::Refused, Switches::Yes);
const NOT_REACHED: Failure = Failure::unsent(
    FaultKind::EndpointNotFound,
    Cause::Unreachable,
    Switches::Yes,
);

/// The primary's name leads to this address.
fn is_shown_at(address: &str, failure: &Failure, stage: &Stage) {
    failure.is_shown(stage, |scene, client, request| {
        scene.name(Role::Primary, Answer::of([address]));
        client.send(request)
    });
}

/// What comes for the primary's port meets this verdict.
fn is_shown_by(verdict: &str, failure: Failure, stage: &Stage) {
    // On loopback the answer to the first packet arrives while the kernel still holds the socket,
    // and is put aside; the one to its repetition, after a second, counts.
    let failure = failure.with(|_, settings| set(settings, "connect_timeout_ms", "10000"));
    failure.is_shown(stage, |scene, client, request| {
        let _rules = Rules::new([&*format!("tcp dport {} {verdict}", scene.port())]);
        client.send(request)
    });
}

pub(super) fn nobody_listens(stage: &Stage) {
    is_shown_at("127.0.0.99", &REFUSED, stage);
}

pub(super) fn a_firewall_resets_the_connect(stage: &Stage) {
    is_shown_by("reject with tcp reset", REFUSED, stage);
}

pub(super) fn a_firewall_says_port_unreachable(stage: &Stage) {
    is_shown_by("reject with icmpx type port-unreachable", REFUSED, stage);
}

pub(super) fn no_route(stage: &Stage) {
    is_shown_at(NO_ROUTE, &NOT_REACHED, stage);
}

pub(super) fn no_route_over_ipv6(stage: &Stage) {
    is_shown_at(NO_ROUTE_V6, &NOT_REACHED, stage);
}

pub(super) fn an_unreachable_host(stage: &Stage) {
    is_shown_at(UNREACHABLE, &NOT_REACHED, stage);
}

pub(super) fn a_router_says_host_unreachable(stage: &Stage) {
    is_shown_by(
        "reject with icmpx type host-unreachable",
        NOT_REACHED,
        stage,
    );
}

pub(super) fn a_router_says_prohibited(stage: &Stage) {
    is_shown_by(
        "reject with icmpx type admin-prohibited",
        NOT_REACHED,
        stage,
    );
}

pub(super) fn a_black_hole(stage: &Stage) {
    let failure = Failure::unsent(
        FaultKind::EndpointNotFound,
        Cause::ConnectTimeout,
        Switches::Yes,
    );
    failure.is_shown(stage, |scene, client, request| {
        let rules = Rules::new([&*format!("tcp dport {} counter drop", scene.port())]);
        let result = client.send(request);
        assert!(rules.packets() > 0);
        result
    });
}

pub(super) fn a_route_that_this_machine_forbids(stage: &Stage) {
    let failure = Failure::unsent(FaultKind::Local, Cause::LocalFailure, Switches::No);
    is_shown_at(PROHIBITED, &failure, stage);
}
