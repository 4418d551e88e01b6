//! A forward proxy, as a test steers it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use url::Url;

use crate::error::TwinError;
use crate::proxy_server;

/// A proxy, as it stands in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyConfig {
    /// Its name, `proxy` by default.
    pub name: String,
    /// Who may use it; none (default): everybody.
    pub credentials: Option<ProxyCredentials>,
}

/// What a client must show as Basic `Proxy-Authorization`, else it is answered 407.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyCredentials {
    /// The user, without a colon.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for ProxyCredentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ProxyCredentials")
    }
}

impl Default for ProxyConfig {
    fn default() -> ProxyConfig {
        ProxyConfig {
            name: "proxy".to_owned(),
            credentials: None,
        }
    }
}

/// A fault of a proxy, and the requests that it meets. The first that is set, matches and is armed
/// acts, alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyFault {
    /// What happens.
    pub kind: ProxyFaultKind,
    /// Of `refuse`: the status, 503 by default.
    #[serde(default = "unavailable")]
    pub status: u16,
    /// Only requests for this `host:port`. Default: every one.
    #[serde(default)]
    pub authority: Option<String>,
    /// How many matching requests pass before the fault acts; 0 by default.
    #[serde(default)]
    pub skip: u64,
    /// After how many hits the fault stops acting; none (default): never.
    #[serde(default)]
    pub times: Option<u64>,
}

fn unavailable() -> u16 {
    503
}

/// What a proxy does instead of passing a request on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProxyFaultKind {
    /// It answers `status`.
    Refuse,
    /// It sends the first half of its answer to CONNECT (of a 200 to another method), then a FIN.
    CutAnswer,
    /// It reads the request and never answers.
    NeverAnswer,
    /// It closes the connection with no byte of answer.
    Close,
    /// It resets the connection with no byte of answer.
    Reset,
    /// Every open tunnel is reset at both ends now; nothing remains set.
    CutTunnels,
}

impl ProxyFaultKind {
    /// The kind's name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            ProxyFaultKind::Refuse => "refuse",
            ProxyFaultKind::CutAnswer => "cut_answer",
            ProxyFaultKind::NeverAnswer => "never_answer",
            ProxyFaultKind::Close => "close",
            ProxyFaultKind::Reset => "reset",
            ProxyFaultKind::CutTunnels => "cut_tunnels",
        }
    }
}

impl From<ProxyFaultKind> for ProxyFault {
    fn from(kind: ProxyFaultKind) -> ProxyFault {
        ProxyFault {
            kind,
            status: unavailable(),
            authority: None,
            skip: 0,
            times: None,
        }
    }
}

/// One request to a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyEntry {
    /// Counts the proxy's requests from 1.
    pub seq: u64,
    /// HTTP method.
    pub method: String,
    /// `host:port` that was asked for.
    pub authority: String,
    /// Whether `Proxy-Authorization` was right; none where none came.
    pub authorized: Option<bool>,
    /// The fault that acted on it.
    pub fault: Option<String>,
    /// What the proxy itself answered: 200 for a tunnel, 407, 502 for a host that it does not
    /// know or reach. None where it passed the request on, or answered nothing.
    pub status: Option<u16>,
}

/// What to wait for at a proxy; everything given must hold at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyCondition {
    /// At least so many requests came.
    pub requests_at_least: Option<u64>,
    /// At least so many tunnels (and requests that are passed on) are open now.
    pub tunnels_at_least: Option<u64>,
    /// At most so many are.
    pub tunnels_at_most: Option<u64>,
}

/// A proxy as `GET /state` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyDescription {
    /// `http://127.0.0.1:<port>`.
    pub url: String,
    /// Whether it wants credentials.
    pub authenticates: bool,
    /// Requests that came.
    pub requests: u64,
    /// Gauge: tunnels, and requests that are passed on.
    pub tunnels: u64,
    /// The faults that are set, oldest first.
    pub faults: Vec<ProxyFault>,
}

/// A fault that is set.
struct Armed {
    fault: ProxyFault,
    passed: u64,
    hits: u64,
}

#[derive(Default)]
struct ProxyState {
    faults: Vec<Armed>,
    journal: Vec<ProxyEntry>,
    tunnels: u64,
}

/// Where a `host:port` really is.
pub(crate) type Routes = Arc<dyn Fn(&str) -> Option<SocketAddr> + Send + Sync>;

/// A proxy while it runs, as its tasks see it.
pub(crate) struct Running {
    /// The right `Proxy-Authorization`, where one is wanted.
    pub(crate) wanted: Option<String>,
    pub(crate) routes: Routes,
    /// Counts how often the tunnels were cut.
    pub(crate) cut: watch::Sender<u64>,
    state: Mutex<ProxyState>,
    changed: Condvar,
}

/// A real HTTP proxy on 127.0.0.1: CONNECT for tunnels, absolute-form for http. It knows the hosts
/// of its twin, and 127.0.0.1. Clones steer the same proxy; every method may be called from any
/// thread.
#[derive(Clone)]
pub struct Proxy {
    config: ProxyConfig,
    port: u16,
    running: Arc<Running>,
}

impl Proxy {
    pub(crate) fn open(
        runtime: &Handle,
        config: ProxyConfig,
        routes: Routes,
    ) -> Result<Proxy, TwinError> {
        let _context = runtime.enter();
        let listen = || {
            let listener = StdListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
            listener.set_nonblocking(true)?;
            let port = listener.local_addr()?.port();
            Ok((TcpListener::from_std(listener)?, port))
        };
        let (listener, port) = listen().map_err(TwinError::io("proxy"))?;
        let wanted = config.credentials.as_ref().map(|credentials| {
            let pair = format!("{}:{}", credentials.user, credentials.password);
            format!("Basic {}", BASE64_STANDARD.encode(pair))
        });
        let running = Arc::new(Running {
            wanted,
            routes,
            cut: watch::channel(0).0,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        runtime.spawn(proxy_server::serve(listener, running.clone()));
        Ok(Proxy {
            config,
            port,
            running,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The same with user and password, where it wants them.
    pub fn url_with_credentials(&self) -> String {
        let Some(credentials) = &self.config.credentials else {
            return self.url();
        };
        let mut url = Url::parse(&self.url()).expect("a URL that was just written");
        // Only URLs without a host have no place for them.
        let _ = url.set_username(&credentials.user);
        let _ = url.set_password(Some(&credentials.password));
        url.as_str().trim_end_matches('/').to_owned()
    }

    /// Sets a fault, from the next request on.
    ///
    /// # Errors
    /// A status that is none.
    pub fn fault(&self, fault: impl Into<ProxyFault>) -> Result<(), TwinError> {
        let fault = fault.into();
        if !(200..=999).contains(&fault.status) {
            return Err(TwinError::invalid(format!(
                "status {} is none: take a number from 200 to 999",
                fault.status
            )));
        }
        if fault.kind == ProxyFaultKind::CutTunnels {
            self.running.cut.send_modify(|cuts| *cuts += 1);
            return Ok(());
        }
        self.running.update(|state| {
            state.faults.push(Armed {
                fault,
                passed: 0,
                hits: 0,
            });
        });
        Ok(())
    }

    /// Takes every fault off. Requests that were never answered stay so.
    pub fn clear(&self) {
        self.running.update(|state| state.faults.clear());
    }

    /// Every request that came, in the order of arrival.
    pub fn journal(&self) -> Vec<ProxyEntry> {
        self.running.lock().journal.clone()
    }

    /// Waits until `condition` holds, at most `timeout`; the error says what was seen instead.
    pub fn wait_for(&self, condition: &ProxyCondition, timeout: Duration) -> Result<(), TwinError> {
        let deadline = Instant::now() + timeout;
        let mut state = self.running.lock();
        while !condition.holds(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TwinError::TimedOut {
                    wanted: format!("{} {condition:?}", self.config.name),
                    seen: format!(
                        "{} requests, {} tunnels",
                        state.journal.len(),
                        state.tunnels
                    ),
                });
            }
            let woken = self.running.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// The proxy as `GET /state` shows it.
    pub fn describe(&self) -> ProxyDescription {
        let state = self.running.lock();
        ProxyDescription {
            url: self.url(),
            authenticates: self.config.credentials.is_some(),
            requests: state.journal.len() as u64,
            tunnels: state.tunnels,
            faults: state
                .faults
                .iter()
                .map(|armed| armed.fault.clone())
                .collect(),
        }
    }
}

impl ProxyCondition {
    fn holds(&self, state: &ProxyState) -> bool {
        let requests = state.journal.len() as u64;
        self.requests_at_least.is_none_or(|want| requests >= want)
            && self
                .tunnels_at_least
                .is_none_or(|want| state.tunnels >= want)
            && self
                .tunnels_at_most
                .is_none_or(|want| state.tunnels <= want)
    }
}

impl Armed {
    /// Whether the fault acts on what it matched; counts the skip or the hit.
    fn strike(&mut self) -> bool {
        if self.fault.times.is_some_and(|times| self.hits >= times) {
            return false;
        }
        if self.passed < self.fault.skip {
            self.passed += 1;
            return false;
        }
        self.hits += 1;
        true
    }
}

/// Counts a tunnel as long as it lives.
pub(crate) struct OpenTunnel(Arc<Running>);

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.update(|state| state.tunnels -= 1);
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, ProxyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update<R>(&self, change: impl FnOnce(&mut ProxyState) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Notes a request; returns its number and the fault that acts.
    pub(crate) fn receive(
        &self,
        method: &str,
        authority: &str,
        authorized: Option<bool>,
    ) -> (u64, Option<ProxyFault>) {
        self.update(|state| {
            let mut matching = state.faults.iter_mut().filter(|armed| {
                let wanted = armed.fault.authority.as_deref();
                wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(authority))
            });
            let fault = matching.find_map(|armed| armed.strike().then(|| armed.fault.clone()));
            let seq = state.journal.len() as u64 + 1;
            state.journal.push(ProxyEntry {
                seq,
                method: method.to_owned(),
                authority: authority.to_owned(),
                authorized,
                fault: fault.as_ref().map(|fault| fault.kind.name().to_owned()),
                status: None,
            });
            (seq, fault)
        })
    }

    pub(crate) fn answered(&self, seq: u64, status: u16) {
        self.update(|state| state.journal[seq as usize - 1].status = Some(status));
    }

    pub(crate) fn open_tunnel(self: &Arc<Running>) -> OpenTunnel {
        self.update(|state| state.tunnels += 1);
        OpenTunnel(self.clone())
    }
}
