//! The twin and the name server, and for each scene an organization of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use d365_failover_core::{AutoSwitch, Client, Request, Role, Settings};
use d365_twin::{OrgHandle, OrganizationConfig, SideHandle, Twin, TwinConfig};

use crate::dns::{Answer, NameServer};
use crate::{firewall, namespace};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    twin: Twin,
    dns: NameServer,
    scenes: AtomicUsize,
}

impl Stage {
    /// Furnishes the namespace and starts the servers.
    pub(crate) fn start() -> Stage {
        namespace::furnish();
        firewall::set_up();
        Stage {
            twin: Twin::start(TwinConfig::default()).unwrap(),
            dns: NameServer::start(),
            scenes: AtomicUsize::new(0),
        }
    }

    /// A new organization, whose two names lead to the twin.
    pub(crate) fn scene(&self) -> Scene<'_> {
        let number = self.scenes.fetch_add(1, Ordering::Relaxed);
        let config = OrganizationConfig::new(&format!("contoso{number}"));
        let scene = Scene {
            org: self.twin.add_organization(config).unwrap(),
            stage: self,
        };
        for role in [Role::Primary, Role::Alternate] {
            scene.name(role, Answer::of(["127.0.0.1"]));
        }
        scene
    }
}

/// An organization of the twin: names, ports and rows that no other scene has.
pub(crate) struct Scene<'a> {
    stage: &'a Stage,
    pub(crate) org: OrgHandle,
}

impl Scene<'_> {
    pub(crate) fn side(&self, role: Role) -> &SideHandle {
        match role {
            Role::Primary => &self.org.primary,
            Role::Alternate => &self.org.alternate,
        }
    }

    /// What the name server answers for the name of a side.
    pub(crate) fn name(&self, role: Role, answer: Answer) {
        self.stage.dns.set(&self.side(role).host(), answer);
    }

    /// How often the name server was asked for the name of a side.
    pub(crate) fn questions(&self, role: Role) -> usize {
        self.stage.dns.questions(&self.side(role).host())
    }

    /// The primary's port.
    pub(crate) fn port(&self) -> u16 {
        self.org.primary.port()
    }

    /// The name with the port that the side listens on: nothing leads anywhere else.
    pub(crate) fn url(&self, role: Role) -> String {
        let side = self.side(role);
        format!("{}:{}", side.url(), side.port())
    }

    /// `Off` and `On`: with the alternate's URL. `Auto`: without, so that the WSDL is asked.
    pub(crate) fn settings(&self, auto_switch: AutoSwitch) -> Settings {
        let ca_bundle = self.stage.twin.ca_file();
        let mut settings = Settings::new(&self.url(Role::Primary)).unwrap();
        set(&mut settings, "ca_bundle", ca_bundle.to_str().unwrap());
        set(&mut settings, "connect_timeout_ms", "1000");
        set(&mut settings, "attempt_timeout_ms", "20000");
        set(&mut settings, "preset", "dotnet");
        let word = match auto_switch {
            AutoSwitch::Auto => "auto",
            AutoSwitch::On => "on",
            AutoSwitch::Off => "off",
        };
        set(&mut settings, "auto_switch", word);
        if auto_switch == AutoSwitch::Auto {
            // By the rule of names the alternate has the primary's port; the twin's has another.
            let (host, port) = (self.org.alternate.host(), self.org.alternate.port());
            let rule = format!("{host}:{}:{host}:{port}", self.port());
            set(&mut settings, "connect_to", &rule);
        } else {
            let alternate = self.url(Role::Alternate);
            set(&mut settings, "alternate_url", &alternate);
        }
        settings
    }

    /// A client that switches by itself.
    pub(crate) fn client(&self) -> Client {
        Client::open(&self.settings(AutoSwitch::On)).unwrap()
    }
}

/// Sets an option whose value is known to fit.
pub(crate) fn set(settings: &mut Settings, key: &str, value: &str) {
    settings.set(key, value).unwrap();
}

/// A read.
pub(crate) fn who() -> Request {
    Request::new("GET", "/api/data/v9.2/WhoAmI").unwrap()
}

/// A write.
pub(crate) fn create() -> Request {
    let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    request
        .add_header("Content-Type", "application/json")
        .unwrap();
    request.set_body("{\"name\":\"row\"}");
    request
}
