//! Evidence is of a host: what fails at `contoso.api.` says nothing certain of `contoso.`.

mod support;

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use d365_failover_core::{Client, FaultKind, ItemKind, Queue, Request, Resolve, ResolveError};
use support::contoso::LONG;
use support::serve::{Do, Side, json, serve};

/// Knows every name but these.
struct Names(&'static [&'static str]);

impl Resolve for Names {
    fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if self.0.contains(&host) {
            return Err(ResolveError::NoSuchName);
        }
        Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
    }
}

/// What the sibling host does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sibling {
    NoSuchName,
    Refuses,
    Closes,
    IsPassive,
    HasNoService,
    IsSilent,
}

const BASE: &str = "contoso.crm.script.test";
const SIBLING: &str = "contoso.api.crm.script.test";

fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn sibling_side(sibling: Sibling) -> Option<Side> {
    let answer = move |_: &str, _: usize| match sibling {
        Sibling::Closes => Do::Close,
        Sibling::IsPassive => json(
            "500 Internal Server Error",
            r#"{"error":{"code":"0x8004B065","message":"elsewhere"}}"#,
        ),
        Sibling::HasNoService => json("502 Bad Gateway", "{}"),
        _ => Do::Answer("200 OK", "{}", Duration::from_secs(8)),
    };
    (!matches!(sibling, Sibling::NoSuchName | Sibling::Refuses)).then(|| serve(answer))
}

struct Pair {
    client: Client,
    queue: Arc<Queue>,
    alternate: Side,
    _sides: Vec<Side>,
}

/// `base`: the host of the client's URL; the other of the two is the sibling.
fn pair(preset: &str, base: &'static str, sibling: Sibling, base_lives: bool) -> Pair {
    let other = if base == BASE { SIBLING } else { BASE };
    let primary = serve(|_, _| json("200 OK", "{}"));
    let alternate = serve(|_, _| json("200 OK", "{}"));
    let sibling_side = sibling_side(sibling);
    let mut settings = d365_failover_core::Settings::new(&format!("http://{base}")).unwrap();
    let mut rules = vec![
        format!(
            "{base}:80:127.0.0.1:{}",
            if base_lives {
                primary.port
            } else {
                closed_port()
            }
        ),
        format!("contoso--s.crm.script.test:80:127.0.0.1:{}", alternate.port),
        format!(
            "contoso--s.api.crm.script.test:80:127.0.0.1:{}",
            alternate.port
        ),
    ];
    if sibling == Sibling::NoSuchName {
        let names: &[&str] = if base == BASE { &[SIBLING] } else { &[BASE] };
        settings.set_resolver(Arc::new(Names(names)));
    } else {
        let port = sibling_side
            .as_ref()
            .map_or_else(closed_port, |side| side.port);
        rules.push(format!("{other}:80:127.0.0.1:{port}"));
    }
    settings.set("connect_to", &rules.join(",")).unwrap();
    settings.set("auto_switch", "on").unwrap();
    settings.set("preset", preset).unwrap();
    settings.set("probe_after_ms", "200").unwrap();
    settings.set("attempt_timeout_ms", "2000").unwrap();
    settings.set("write_grace_ms", "200").unwrap();
    settings.set("handler_timeout_ms", "200").unwrap();
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    let kinds = ItemKind::EndpointSwitchRequired.bit() | ItemKind::EndpointSwitched.bit();
    client.subscribe(kinds).unwrap();
    Pair {
        client,
        queue,
        alternate,
        _sides: [Some(primary), sibling_side]
            .into_iter()
            .flatten()
            .collect(),
    }
}

fn read_at(host: &str) -> Request {
    let mut request =
        Request::new("GET", &format!("http://{host}/api/data/v9.2/accounts")).unwrap();
    request.set_timeout(Duration::from_secs(6)).unwrap();
    request
}

#[test]
fn a_fault_at_a_sibling_moves_nobody_off_a_base_host_that_answers() {
    for preset in ["safe", "dotnet"] {
        for (base, other) in [(BASE, SIBLING), (SIBLING, BASE)] {
            for sibling in [
                Sibling::NoSuchName,
                Sibling::Refuses,
                Sibling::Closes,
                Sibling::IsPassive,
                Sibling::HasNoService,
                Sibling::IsSilent,
            ] {
                let case = format!("{preset}, base {base}, the sibling {sibling:?}");
                let pair = pair(preset, base, sibling, true);
                let client = &pair.client;
                assert_eq!(client.send(&read_at(base)).unwrap().status(), 200, "{case}");
                let ended = client.send(&read_at(other));
                let error = ended.expect_err(&case);
                assert!(!error.switched(), "{case}: {error}");
                assert!(client.is_primary(), "{case}: {error}");
                assert_eq!(client.epoch(), 0, "{case}");
                assert!(pair.queue.next(Some(Duration::ZERO)).is_err(), "{case}");
                assert_eq!(client.send(&read_at(base)).unwrap().status(), 200, "{case}");
                assert_eq!(pair.alternate.count("accounts"), 0, "{case}");
            }
        }
    }
}

#[test]
fn a_fault_at_a_sibling_of_a_dead_base_host_switches() {
    for preset in ["safe", "dotnet"] {
        for sibling in [
            Sibling::NoSuchName,
            Sibling::Refuses,
            Sibling::IsPassive,
            Sibling::IsSilent,
        ] {
            let case = format!("{preset}, the sibling {sibling:?}");
            let pair = pair(preset, BASE, sibling, false);
            let mut request = read_at(SIBLING);
            request.set_timeout(LONG).unwrap();
            let response = pair.client.send(&request).expect(&case);
            assert_eq!(response.status(), 200, "{case}");
            assert!(
                response.url().starts_with("http://contoso--s.api.crm."),
                "{case}: {}",
                response.url()
            );
            assert!(!pair.client.is_primary(), "{case}");
            let required = pair.queue.next(Some(LONG)).unwrap();
            assert_eq!(required.kind(), ItemKind::EndpointSwitchRequired, "{case}");
            assert_ne!(required.event().unwrap().fault_kind, Some(FaultKind::Local));
        }
    }
}
