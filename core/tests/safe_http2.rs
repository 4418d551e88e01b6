//! The preset `safe` and black holes, over HTTP/1.1 and on a connection that many calls share.
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use d365_failover_core::{Client, Queue};
use d365_twin::{FaultKind, OrganizationConfig, Twin, TwinConfig};
use support::contoso::{WHO, create, get, settings};

fn found(http2: bool) -> Option<Duration> {
    let mut organization = OrganizationConfig::new("contoso");
    organization.http2 = http2;
    let twin = Twin::start(TwinConfig::new([organization])).unwrap();
    let org = twin.org("contoso").unwrap();
    let queue = Queue::new(0).unwrap();
    let mut settings = settings(&twin);
    settings.set("preset", "safe").unwrap();
    settings.set("probe_after_ms", "500").unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(0).unwrap();
    client.send(&get(WHO)).unwrap();
    client.send(&get(WHO)).unwrap();
    org.primary.fault(FaultKind::AcceptNeverAnswer).unwrap();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(10) {
        client.submit(&get("/api/data/v9.2/accounts"), 0).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        if !client.is_primary() {
            return Some(begin.elapsed());
        }
    }
    None
}

#[test]
fn a_black_hole_is_found_over_http1() {
    assert!(found(false).is_some());
}

#[test]
fn a_black_hole_is_found_over_http2_while_calls_go_on_beginning() {
    assert!(found(true).is_some());
}

#[test]
fn one_read_over_http2_finds_it() {
    let mut organization = OrganizationConfig::new("contoso");
    organization.http2 = true;
    let twin = Twin::start(TwinConfig::new([organization])).unwrap();
    let org = twin.org("contoso").unwrap();
    let mut settings = settings(&twin);
    settings.set("preset", "safe").unwrap();
    settings.set("probe_after_ms", "500").unwrap();
    let client = Client::open(&settings).unwrap();
    client.send(&get(WHO)).unwrap();
    org.primary.fault(FaultKind::AcceptNeverAnswer).unwrap();
    assert_eq!(client.send(&get(WHO)).unwrap().status(), 200);
    assert!(!client.is_primary());
}

/// Whoever had to wait for the probe does not wait for a connection as well.
#[test]
fn after_a_switch_a_call_goes_on_the_connection_of_the_probe() {
    for http2 in [false, true] {
        let mut organization = OrganizationConfig::new("contoso");
        organization.http2 = http2;
        let twin = Twin::start(TwinConfig::new([organization])).unwrap();
        let org = twin.org("contoso").unwrap();
        let mut settings = settings(&twin);
        settings.set("preset", "safe").unwrap();
        let client = Client::open(&settings).unwrap();
        client.send(&get(WHO)).unwrap();
        let refuse = FaultKind::Refuse {
            keep_existing: false,
        };
        org.primary.fault(refuse).unwrap();
        assert_eq!(client.send(&create("row")).unwrap().status(), 204);
        assert!(!client.is_primary());
        assert_eq!(org.alternate.counts().connections, 1, "HTTP/2: {http2}");
    }
}
