//! Failures of this machine. They say nothing of the endpoint.

use std::net::ToSocketAddrs;

use d365_failover_core::{AutoSwitch, Cause, Client, ErrorKind, FaultKind, Role, Settings};

use super::names::TRY_AGAIN;
use crate::failure::{Failure, Switches};
use crate::machine::{NoDescriptors, NoNetwork, NoPorts};
use crate::stage::{Scene, Stage, set, who};

pub(super) const NO_RESOURCES: Failure =
    Failure::unsent(FaultKind::Local, Cause::NoResources, Switches::No);

/// The primary by its address, so that no name is looked up.
fn by_address(scene: &Scene<'_>, settings: &mut Settings) {
    let (host, port) = (scene.org.primary.host(), scene.port());
    let rule = format!("{host}:{port}:127.0.0.1:{port}");
    set(settings, "connect_to", &rule);
}

/// The machine has again what it lacked: the primary answers.
pub(super) fn goes_on(client: &Client) {
    let response = client.send(&who()).unwrap();
    assert_eq!(response.attempts()[0].role, Some(Role::Primary));
}

pub(super) fn no_descriptor_to_connect_with(stage: &Stage) {
    NO_RESOURCES
        .with(by_address)
        .is_shown(stage, |_, client, request| {
            let none = NoDescriptors::new();
            let result = client.send(request);
            drop(none);
            goes_on(client);
            result
        });
}

pub(super) fn no_descriptor_to_look_up_with(stage: &Stage) {
    NO_RESOURCES.is_shown(stage, |scene, client, request| {
        // So that the resolver has read its files; the case `first` is the one where it has not.
        let name = (scene.org.primary.host(), scene.port());
        name.to_socket_addrs().unwrap();
        let none = NoDescriptors::new();
        let result = client.send(request);
        drop(none);
        goes_on(client);
        result
    });
}

pub(super) fn no_descriptor_to_open_a_client_with(stage: &Stage) {
    let scene = stage.scene();
    let settings = scene.settings(AutoSwitch::On);
    let none = NoDescriptors::new();
    let error = Client::open(&settings).err();
    drop(none);
    assert_eq!(error.unwrap().kind(), ErrorKind::NoResources);
    assert_eq!(
        Client::open(&settings)
            .unwrap()
            .send(&who())
            .unwrap()
            .status(),
        200
    );
}

pub(super) fn no_port_to_connect_from(stage: &Stage) {
    let failure = Failure::unsent(FaultKind::Local, Cause::LocalFailure, Switches::No);
    failure.is_shown(stage, |scene, client, request| {
        let none = NoPorts::to(scene.port());
        let result = client.send(request);
        drop(none);
        goes_on(client);
        result
    });
}

/// glibc says no more than it says of a silent name server, so the rule of DNS failures holds.
pub(super) fn no_port_to_look_up_from(stage: &Stage) {
    TRY_AGAIN.is_shown_with(AutoSwitch::Off, stage, |_, client, request| {
        let none = NoPorts::to_ask_from();
        let result = client.send(request);
        drop(none);
        goes_on(client);
        result
    });
}

/// The name server is out of reach as well, so neither endpoint has an address.
pub(super) fn no_network_at_all(stage: &Stage) {
    let scene = stage.scene();
    let client = scene.client();
    let none = NoNetwork::new();
    let error = client.send(&who()).unwrap_err();
    drop(none);
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local), "{error}");
    assert_eq!(error.attempts().len(), 2);
    assert_eq!(client.send(&who()).unwrap().status(), 200);
}
