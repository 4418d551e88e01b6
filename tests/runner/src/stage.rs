//! The twin as a scenario sees it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use d365_twin::{
    Authority, Condition, Fault, FaultId, JournalEntry, OrgHandle, Proxy, ProxyEntry, ProxyFault,
    Replication, Role, RowView, SideHandle, Twin, TwinConfig,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::expect::json;
use crate::step::{SetFault, Trust};
use crate::variables::Variables;

/// How much of the journal a failure shows.
const JOURNAL_TAIL: usize = 12;
/// More connections than any backlog takes that is meant to be full.
const MOST_FILLERS: usize = 16;
/// A connect on one machine is done by its kernel at once; one that still waits is not let in.
const NOT_LET_IN: Duration = Duration::from_millis(500);

/// A twin that plays one scenario.
pub(crate) struct Stage {
    /// First, so that they end before the twin does.
    timers: Vec<Timer>,
    twin: Twin,
    first: String,
    names: Vec<String>,
    proxies: Vec<Proxy>,
    faults: HashMap<String, (SideHandle, FaultId)>,
    /// They stand in backlogs.
    fillers: Vec<TcpStream>,
    folder: TempDir,
}

/// A fault that comes later, or goes by itself; dropped, it does nothing any more.
struct Timer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Timer {
    fn start(
        side: SideHandle,
        fault: Fault,
        set: Option<FaultId>,
        after: Duration,
        lasting: Option<Duration>,
    ) -> Timer {
        let (stop, stopped) = channel::<()>();
        let thread = thread::spawn(move || {
            let over = |time| stopped.recv_timeout(time) != Err(RecvTimeoutError::Timeout);
            let id = match set {
                Some(id) => id,
                None if over(after) => return,
                // It was checked when it was read; a twin that stops has no use for it.
                None => match side.fault(fault) {
                    Ok(id) => id,
                    Err(_) => return,
                },
            };
            if lasting.is_some_and(|lasting| !over(lasting)) {
                // As above.
                let _ = side.clear_fault(id);
            }
        });
        Timer {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed by its thread.
            let _ = thread.join();
        }
    }
}

impl Stage {
    pub(crate) fn start(config: &TwinConfig) -> Result<Stage, String> {
        let organizations = config.organizations.iter();
        let names: Vec<String> = organizations.map(|org| org.name.clone()).collect();
        let first = names
            .first()
            .cloned()
            .ok_or("a scenario needs an organization")?;
        let twin = Twin::start(config.clone()).map_err(text)?;
        let proxies = config.proxies.iter();
        let proxies = proxies
            .map(|proxy| twin.proxy(&proxy.name))
            .collect::<Result<_, _>>()
            .map_err(text)?;
        let folder = tempfile::tempdir().map_err(text)?;
        fs::write(folder.path().join("ca.pem"), stranger_ca()?).map_err(text)?;
        Ok(Stage {
            timers: Vec::new(),
            twin,
            first,
            names,
            proxies,
            faults: HashMap::new(),
            fillers: Vec::new(),
            folder,
        })
    }

    /// `contoso.primary` is the base URL, `contoso.primary_host` its host, and
    /// `contoso.primary_address` where it listens on this machine, with `contoso.primary_port`;
    /// likewise for the alternate. The first organization's stand without its name, too. Then the
    /// first proxy's URLs, the files with clients' certificates, and a file that a store can be.
    pub(crate) fn variables(&self) -> Result<Variables, String> {
        let mut variables = Variables::default();
        for name in &self.names {
            for role in Role::ALL {
                let side = self.side(Some(name), role)?;
                for (key, value) in [
                    (role.to_string(), side.url()),
                    (format!("{role}_host"), side.host()),
                    (
                        format!("{role}_address"),
                        format!("127.0.0.1:{}", side.port()),
                    ),
                    (format!("{role}_port"), side.port().to_string()),
                ] {
                    variables.set(format!("{name}.{key}"), value.clone());
                    if *name == self.first {
                        variables.set(key, value);
                    }
                }
            }
        }
        if let Some(proxy) = self.proxies.first() {
            variables.set("proxy", proxy.url());
            variables.set("proxy_with_credentials", proxy.url_with_credentials());
        }
        for (name, path) in [
            ("client_certificate", self.twin.client_certificate_file()),
            (
                "other_client_certificate",
                self.twin.other_client_certificate_file(),
            ),
        ] {
            variables.set(name, path.to_string_lossy());
        }
        let store = self.folder.path().join("store");
        variables.set("store", store.to_string_lossy());
        Ok(variables)
    }

    fn proxy(&self, name: Option<&str>) -> Result<&Proxy, String> {
        let mut proxies = self.proxies.iter();
        let wanted = |proxy: &&Proxy| name.is_none_or(|name| proxy.name() == name);
        proxies
            .find(wanted)
            .ok_or_else(|| "the scenario has no such proxy".to_owned())
    }

    pub(crate) fn proxy_fault(&self, name: Option<&str>, fault: ProxyFault) -> Result<(), String> {
        self.proxy(name)?.fault(fault).map_err(text)
    }

    /// The journal's entries of a proxy.
    pub(crate) fn proxy_journal(&self, name: Option<&str>) -> Result<Vec<ProxyEntry>, String> {
        Ok(self.proxy(name)?.journal())
    }

    pub(crate) fn connect_to(&self) -> Map<String, Value> {
        self.twin
            .connect_to()
            .into_iter()
            .map(|(from, to)| (from, Value::String(to)))
            .collect()
    }

    pub(crate) fn ca_bundle(&self, trust: Trust) -> PathBuf {
        match trust {
            Trust::Twin => self.twin.ca_file(),
            Trust::Stranger => self.folder.path().join("ca.pem"),
        }
    }

    fn org(&self, name: Option<&str>) -> Result<OrgHandle, String> {
        self.twin.org(name.unwrap_or(&self.first)).map_err(text)
    }

    fn side(&self, org: Option<&str>, role: Role) -> Result<SideHandle, String> {
        Ok(self.org(org)?.side(role).clone())
    }

    pub(crate) fn fault(&mut self, step: SetFault) -> Result<(), String> {
        let side = self.side(step.org.as_deref(), step.side)?;
        let after = Duration::from_millis(step.after_ms);
        let lasting = step.for_ms.map(Duration::from_millis);
        let timed = !after.is_zero() || lasting.is_some();
        let mut set = None;
        if after.is_zero() {
            set = Some(side.fault(step.fault.clone()).map_err(text)?);
        }
        match (step.name, set) {
            (Some(_), _) if timed => {
                return Err("a fault with `after_ms` or `for_ms` takes no name".into());
            }
            (Some(name), Some(id)) => {
                self.faults.insert(name, (side.clone(), id));
            }
            _ => {}
        }
        if timed {
            self.timers
                .push(Timer::start(side, step.fault, set, after, lasting));
        }
        Ok(())
    }

    /// Connects to a side until a connect hangs.
    pub(crate) fn fill_backlog(&mut self, org: Option<&str>, side: Role) -> Result<(), String> {
        let port = self.side(org, side)?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for _ in 0..MOST_FILLERS {
            match TcpStream::connect_timeout(&address, NOT_LET_IN) {
                Ok(filler) => self.fillers.push(filler),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
                Err(error) => return Err(text(error)),
            }
        }
        Err("the backlog is never full: set `listen_never_accept` first".into())
    }

    pub(crate) fn clear(
        &mut self,
        org: Option<&str>,
        side: Option<Role>,
        name: Option<&str>,
    ) -> Result<(), String> {
        self.fillers.clear();
        if name.is_none() && side.is_none() {
            self.proxies.iter().for_each(Proxy::clear);
        }
        if let Some(name) = name {
            let (side, id) = self
                .faults
                .remove(name)
                .ok_or_else(|| format!("no fault is named `{name}`"))?;
            return side.clear_fault(id).map(drop).map_err(text);
        }
        match side {
            Some(role) => self.side(org, role)?.clear().map_err(text),
            None => Role::ALL
                .into_iter()
                .try_for_each(|role| self.side(org, role)?.clear().map_err(text)),
        }
    }

    /// Lets everything go that a fault holds, so that the clients can be closed.
    pub(crate) fn release(&mut self) -> Result<(), String> {
        self.timers.clear();
        for name in self.names.clone() {
            self.clear(Some(&name), None, None)?;
        }
        Ok(())
    }

    pub(crate) fn set_authority(&self, org: Option<&str>, active: Authority) -> Result<(), String> {
        self.org(org)?.set_authority(active);
        Ok(())
    }

    pub(crate) fn set_replication(
        &self,
        org: Option<&str>,
        replication: Replication,
    ) -> Result<(), String> {
        self.org(org)?.set_replication(replication);
        Ok(())
    }

    pub(crate) fn replicate(&self, org: Option<&str>) -> Result<(), String> {
        self.org(org)?.replicate().map(drop).map_err(text)
    }

    pub(crate) fn wait(
        &self,
        org: Option<&str>,
        side: Role,
        condition: &Condition,
        timeout: Duration,
    ) -> Result<(), String> {
        self.side(org, side)?
            .wait_for(condition.clone(), timeout)
            .map(drop)
            .map_err(text)
    }

    /// A side's counts, by their names.
    pub(crate) fn counts(&self, org: Option<&str>, side: Role) -> Result<Value, String> {
        Ok(json(&self.side(org, side)?.counts()))
    }

    /// The journal's entries of one side.
    pub(crate) fn journal(&self, org: Option<&str>, side: Role) -> Vec<JournalEntry> {
        let org = org.unwrap_or(&self.first);
        let ours = |entry: &JournalEntry| entry.org == org && entry.side == side;
        self.twin.journal().into_iter().filter(ours).collect()
    }

    pub(crate) fn rows(&self, org: Option<&str>) -> Result<Vec<RowView>, String> {
        Ok(self.org(org)?.rows())
    }

    pub(crate) fn duplicates(&self, org: Option<&str>) -> Result<usize, String> {
        Ok(self.org(org)?.duplicates().len())
    }

    /// The last entries of the journal, a line each.
    pub(crate) fn journal_tail(&self) -> Vec<String> {
        let entries = self.twin.journal();
        let skipped = entries.len().saturating_sub(JOURNAL_TAIL);
        entries[skipped..]
            .iter()
            .map(|entry| json(entry).to_string())
            .collect()
    }
}

/// A CA that signed nothing.
fn stranger_ca() -> Result<String, String> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "stranger");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(text)?;
    Ok(params.self_signed(&key).map_err(text)?.pem())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
