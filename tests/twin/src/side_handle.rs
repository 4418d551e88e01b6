//! A side, as a test steers it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::armed::{FaultStatus, Listening};
use crate::config::Scheme;
use crate::counts::{Condition, Counts};
use crate::error::TwinError;
use crate::fault::{Fault, FaultId};
use crate::fault_kind::FaultKind;
use crate::listener::Listener;
use crate::organization::Organization;
use crate::role::Role;
use crate::state::{Command, State};
use crate::tls::CertificateAuthority;

/// How long a fault waits for the connections that it ends. They end at once; this only keeps a
/// mistake from becoming a hang.
const ENDING: Duration = Duration::from_secs(10);

/// A side of an organization. Clones steer the same side; every method may be called from any
/// thread, and blocks for no longer than it says.
#[derive(Clone)]
pub struct SideHandle {
    organization: Arc<Organization>,
    role: Role,
    listener: Arc<Listener>,
}

/// A side as `GET /state` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideDescription {
    /// `https://<host>`.
    pub url: String,
    /// The main host.
    pub host: String,
    /// The other hosts.
    pub aliases: Vec<String>,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Whether connects are accepted (false also while nothing is accepted from the backlog).
    pub accepting: bool,
    /// What it has seen.
    pub counts: Counts,
    /// The faults that are set.
    pub faults: Vec<FaultStatus>,
}

impl SideHandle {
    pub(crate) fn open(
        runtime: &Handle,
        authority: &CertificateAuthority,
        organization: &Arc<Organization>,
        role: Role,
    ) -> Result<SideHandle, TwinError> {
        let tls = match organization.config.scheme {
            Scheme::Https => Some(authority.identities(
                &organization.config.hosts(role),
                organization.config.http2(role),
                organization.config.client_certificates,
            )?),
            Scheme::Http => None,
        };
        let listener = Listener::open(runtime, organization, role, tls)?;
        let organization = organization.clone();
        Ok(SideHandle {
            organization,
            role,
            listener: Arc::new(listener),
        })
    }

    /// Primary or alternate.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The main host, such as `contoso.crm.twin.test`.
    pub fn host(&self) -> String {
        self.organization.config.host(self.role)
    }

    /// `https://<host>` or `http://<host>`, with the scheme's default port.
    pub fn url(&self) -> String {
        format!(
            "{}://{}",
            self.organization.config.scheme.as_str(),
            self.host()
        )
    }

    /// The port on 127.0.0.1 that it listens on, for its whole life.
    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// A token that this side accepts, without `Bearer `.
    pub fn token(&self) -> String {
        format!("twin-token-for-{}", self.host())
    }

    /// The ways to reach it: (`host:port` of a URL, address and port on this machine), one for
    /// each host.
    pub fn connect_to(&self) -> Vec<(String, String)> {
        let port = self.organization.config.scheme.default_port();
        let hosts = self.organization.config.hosts(self.role).into_iter();
        hosts
            .map(|host| {
                (
                    format!("{host}:{port}"),
                    format!("127.0.0.1:{}", self.port()),
                )
            })
            .collect()
    }

    /// Sets a fault. When this returns it is in force: the listener has closed, connections that
    /// it ends have ended. Refused if the fault cannot do what it says; the error names the key.
    pub fn fault(&self, fault: impl Into<Fault>) -> Result<FaultId, TwinError> {
        let fault = fault.into();
        fault.check()?;
        if fault.kind.is_of_the_handshake() && self.organization.config.scheme == Scheme::Http {
            return Err(TwinError::invalid(format!(
                "`{}`: organization `{}` has the scheme http, where no hands are shaken",
                fault.kind.name(),
                self.organization.config.name
            )));
        }
        if fault.kind.is_of_http2() && !self.organization.config.http2(self.role) {
            return Err(TwinError::invalid(format!(
                "`{}`: the {} of organization `{}` speaks no HTTP/2: set `http2` in its \
                 configuration",
                fault.kind.name(),
                self.role,
                self.organization.config.name
            )));
        }
        let id = self.organization.common.next_fault();
        let kind = fault.kind.clone();
        if kind == FaultKind::CloseIdle {
            self.close_idle();
            return Ok(id);
        }
        self.organization
            .update(|state| state.side_mut(self.role).add_fault(id, fault));
        self.listener.reconcile()?;
        if kind
            == (FaultKind::Refuse {
                keep_existing: false,
            })
        {
            self.reset_connections();
        }
        Ok(id)
    }

    /// Takes a fault off; requests that it holds go on. False if it is not set here.
    pub fn clear_fault(&self, id: FaultId) -> Result<bool, TwinError> {
        let was_set = self
            .organization
            .update(|state| state.side_mut(self.role).remove_fault(id));
        self.listener.reconcile()?;
        Ok(was_set)
    }

    /// Takes every fault off; requests that they hold go on. When this returns the port listens.
    pub fn clear(&self) -> Result<(), TwinError> {
        self.organization
            .update(|state| state.side_mut(self.role).clear_faults());
        self.listener.reconcile()
    }

    /// The faults that are set, oldest first.
    pub fn faults(&self) -> Vec<FaultStatus> {
        self.organization
            .read(|state| state.side(self.role).faults.statuses())
    }

    /// What it has seen.
    pub fn counts(&self) -> Counts {
        self.organization
            .read(|state| state.side(self.role).counts.clone())
    }

    /// Waits until `condition` holds, at most `timeout`; the error says what was seen instead.
    pub fn wait_for(&self, condition: Condition, timeout: Duration) -> Result<(), TwinError> {
        self.organization.wait_for(self.role, &condition, timeout)
    }

    /// The side as `GET /state` shows it.
    pub fn describe(&self) -> SideDescription {
        let aliases = self.organization.config.hosts(self.role).split_off(1);
        self.organization.read(|state| {
            let side = state.side(self.role);
            SideDescription {
                url: self.url(),
                host: self.host(),
                aliases,
                port: self.port(),
                accepting: side.faults.listening() == Listening::Accepting,
                counts: side.counts.clone(),
                faults: side.faults.statuses(),
            }
        })
    }

    fn reset_connections(&self) {
        let told: Vec<u64> = self.organization.update(|state| {
            let connections = &state.side(self.role).connections;
            connections
                .iter()
                .map(|(id, connection)| {
                    connection.command.send_replace(Command::Reset);
                    *id
                })
                .collect()
        });
        self.organization.wait_until(ENDING, |state| {
            let connections = &state.side(self.role).connections;
            told.iter().all(|id| !connections.contains_key(id))
        });
    }

    fn close_idle(&self) {
        let idle = |state: &State| -> Vec<u64> {
            let connections = &state.side(self.role).connections;
            connections
                .iter()
                .filter(|(_, connection)| connection.is_idle())
                .map(|(id, _)| *id)
                .collect()
        };
        let told = self.organization.update(|state| {
            let told = idle(state);
            let side = state.side_mut(self.role);
            for id in &told {
                side.connections[id]
                    .command
                    .send_replace(Command::CloseIdle);
                side.count_fault("close_idle");
            }
            told
        });
        self.organization.wait_until(ENDING, |state| {
            let still_idle = idle(state);
            !told.iter().any(|id| still_idle.contains(id))
        });
    }
}
