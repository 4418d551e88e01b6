//! The twin: organizations, certificate authority, journal and threads.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::config::{OrganizationConfig, TwinConfig};
use crate::control;
use crate::error::TwinError;
use crate::fault::FaultId;
use crate::journal::JournalEntry;
use crate::org_handle::{OrgDescription, OrgHandle};
use crate::organization::Common;
use crate::proxy::{Proxy, ProxyConfig, ProxyDescription};
use crate::role::Role;
use crate::tls::CertificateAuthority;

const CLIENT: &str = "client.pem";
const OTHER_CLIENT: &str = "client-of-other-ca.pem";

/// A running twin. It listens on 127.0.0.1 and serves from threads of its own, so that it is used
/// from tests with and without an async runtime. Dropping it ends its connections and threads.
pub struct Twin {
    _threads: Threads,
    datacenter: Arc<Datacenter>,
    /// Removed with the twin.
    _own_directory: Option<TempDir>,
}

type Organizations = Arc<RwLock<BTreeMap<String, OrgHandle>>>;

/// What a twin can be asked and told; [`Twin`] dereferences to it. Every method may be called from
/// any thread.
pub struct Datacenter {
    common: Arc<Common>,
    authority: CertificateAuthority,
    organizations: Organizations,
    proxies: RwLock<BTreeMap<String, Proxy>>,
    directory: PathBuf,
    runtime: Handle,
    control_port: u16,
    shutdown: Mutex<bool>,
    shutdown_requested: Condvar,
}

/// A twin as `GET /state` and the binary's `twin.json` show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwinDescription {
    /// The control endpoint, `http://127.0.0.1:<port>`.
    pub control_url: String,
    /// The CA that signed the sides' certificates, PEM.
    pub ca_file: PathBuf,
    /// A client's certificate with chain and private key, PEM; signed by that CA.
    pub client_certificate_file: PathBuf,
    /// The same, signed by another CA.
    pub other_client_certificate_file: PathBuf,
    /// `host:port` of a URL to address and port on this machine.
    pub connect_to: BTreeMap<String, String>,
    /// The organizations by name.
    pub organizations: BTreeMap<String, OrgDescription>,
    /// The proxies by name.
    pub proxies: BTreeMap<String, ProxyDescription>,
}

/// The runtime, which ends with the twin and with a start that failed.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        let Some(runtime) = self.0.take() else { return };
        // A thread of its own, because a runtime must not be dropped from within another one,
        // where a test may well be.
        let stopping = thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)));
        // Only a panic of that thread is lost, and it has nothing to say.
        let _ = stopping.join();
    }
}

impl Twin {
    /// Starts a twin. When this returns every side listens and `ca.pem` is written.
    ///
    /// # Errors
    /// A setting that cannot be, or what the system said about a socket, a file or a thread.
    pub fn start(config: TwinConfig) -> Result<Twin, TwinError> {
        let (directory, own_directory) = match config.directory {
            Some(directory) => {
                std::fs::create_dir_all(&directory)
                    .map_err(TwinError::io(directory.display().to_string()))?;
                (directory, None)
            }
            None => {
                let own = TempDir::with_prefix("d365-twin-")
                    .map_err(TwinError::io("temporary directory"))?;
                (own.path().to_owned(), Some(own))
            }
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("d365-twin")
            .enable_all()
            .build()
            .map_err(TwinError::io("threads"))?;
        let handle = runtime.handle().clone();
        let threads = Threads(Some(runtime));
        let authority = CertificateAuthority::new()?;
        authority.write_pem(&directory.join("ca.pem"))?;
        authority.write_client_pem(&directory.join(CLIENT), true)?;
        authority.write_client_pem(&directory.join(OTHER_CLIENT), false)?;
        let control = control::Endpoint::open(&handle, config.control_port)?;
        let datacenter = Arc::new(Datacenter {
            common: Arc::new(Common::new()),
            authority,
            organizations: Organizations::default(),
            proxies: RwLock::default(),
            directory,
            runtime: handle,
            control_port: control.port(),
            shutdown: Mutex::new(false),
            shutdown_requested: Condvar::new(),
        });
        let twin = Twin {
            _threads: threads,
            datacenter,
            _own_directory: own_directory,
        };
        for organization in config.organizations {
            twin.add_organization(organization)?;
        }
        for proxy in config.proxies {
            twin.add_proxy(proxy)?;
        }
        twin.datacenter
            .runtime
            .spawn(control.serve(twin.datacenter.clone()));
        Ok(twin)
    }
}

impl Deref for Twin {
    type Target = Datacenter;

    fn deref(&self) -> &Datacenter {
        &self.datacenter
    }
}

impl Datacenter {
    /// Adds an organization while the twin runs.
    ///
    /// # Errors
    /// A setting that cannot be, a name or host that is taken, or what the system said.
    pub fn add_organization(&self, config: OrganizationConfig) -> Result<OrgHandle, TwinError> {
        let mut organizations = self
            .organizations
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if organizations.contains_key(&config.name) {
            return Err(TwinError::invalid(format!(
                "organization `{}` is there already: take another name",
                config.name
            )));
        }
        let taken: Vec<_> = organizations
            .values()
            .flat_map(OrgHandle::connect_to)
            .collect();
        let port = config.scheme.default_port();
        for host in Role::ALL.iter().flat_map(|role| config.hosts(*role)) {
            let name = format!("{host}:{port}");
            if taken.iter().any(|(other, _)| *other == name) {
                return Err(TwinError::invalid(format!(
                    "`{name}` is taken: take another host"
                )));
            }
        }
        let name = config.name.clone();
        let org = OrgHandle::open(&self.runtime, &self.authority, config, self.common.clone())?;
        organizations.insert(name, org.clone());
        Ok(org)
    }

    /// Starts a forward proxy, which knows the twin's hosts, also those that come later.
    ///
    /// # Errors
    /// A name that is taken, or what the system said.
    pub fn add_proxy(&self, config: ProxyConfig) -> Result<Proxy, TwinError> {
        let mut proxies = self.proxies.write().unwrap_or_else(PoisonError::into_inner);
        if proxies.contains_key(&config.name) {
            return Err(TwinError::invalid(format!(
                "proxy `{}` is there already: take another name",
                config.name
            )));
        }
        let organizations = self.organizations.clone();
        let routes = move |authority: &str| route(&organizations, authority);
        let proxy = Proxy::open(&self.runtime, config, Arc::new(routes))?;
        proxies.insert(proxy.name().to_owned(), proxy.clone());
        Ok(proxy)
    }

    /// The proxy with this name.
    pub fn proxy(&self, name: &str) -> Result<Proxy, TwinError> {
        let proxies = self.proxies.read().unwrap_or_else(PoisonError::into_inner);
        let proxy = proxies.get(name).cloned();
        proxy.ok_or_else(|| TwinError::UnknownProxy(name.to_owned()))
    }

    /// The organization with this name.
    pub fn org(&self, name: &str) -> Result<OrgHandle, TwinError> {
        let organizations = self
            .organizations
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let org = organizations.get(name).cloned();
        org.ok_or_else(|| TwinError::UnknownOrganization(name.to_owned()))
    }

    /// Every organization, by name.
    pub fn organizations(&self) -> Vec<OrgHandle> {
        let organizations = self
            .organizations
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        organizations.values().cloned().collect()
    }

    /// The PEM file of the CA that signed the sides' certificates.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// A PEM file for clients, with certificate, chain and private key, that leads to the twin's
    /// CA: what organizations with `client_certificates` accept.
    pub fn client_certificate_file(&self) -> PathBuf {
        self.directory.join(CLIENT)
    }

    /// The same of another CA: nobody accepts it.
    pub fn other_client_certificate_file(&self) -> PathBuf {
        self.directory.join(OTHER_CLIENT)
    }

    /// The directory that `ca.pem` is in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// All sides' ways to reach them: (`host:port` of a URL, address and port on this machine).
    pub fn connect_to(&self) -> Vec<(String, String)> {
        self.organizations()
            .iter()
            .flat_map(OrgHandle::connect_to)
            .collect()
    }

    /// The control endpoint's port on 127.0.0.1.
    pub fn control_port(&self) -> u16 {
        self.control_port
    }

    /// The control endpoint, `http://127.0.0.1:<port>`.
    pub fn control_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.control_port)
    }

    /// Every request that was read whole, in the order of arrival.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.common.journal.entries()
    }

    /// Takes a fault off, on whichever side it is set. False if it is not set.
    pub fn clear_fault(&self, id: FaultId) -> Result<bool, TwinError> {
        for org in self.organizations() {
            for role in Role::ALL {
                if org.side(role).clear_fault(id)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Everything, as `GET /state` shows it.
    pub fn describe(&self) -> TwinDescription {
        let organizations = self.organizations();
        TwinDescription {
            control_url: self.control_url(),
            ca_file: self.ca_file(),
            client_certificate_file: self.client_certificate_file(),
            other_client_certificate_file: self.other_client_certificate_file(),
            connect_to: self.connect_to().into_iter().collect(),
            organizations: organizations
                .iter()
                .map(|org| (org.name().to_owned(), org.describe()))
                .collect(),
            proxies: self
                .proxies
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .map(|(name, proxy)| (name.clone(), proxy.describe()))
                .collect(),
        }
    }

    /// Asks whoever owns the twin to end it; does not end it by itself.
    pub fn request_shutdown(&self) {
        *self.shutdown.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shutdown_requested.notify_all();
    }

    /// Blocks until [`request_shutdown`](Self::request_shutdown) was called, here or by the
    /// control endpoint.
    pub fn wait_for_shutdown_request(&self) {
        let requested = self.shutdown.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .shutdown_requested
            .wait_while(requested, |requested| !*requested);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Where a `host:port` listens: one of the twin's by its URL or by its real port, or this machine.
fn route(organizations: &Organizations, authority: &str) -> Option<SocketAddr> {
    let (host, port) = authority.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    if host == "127.0.0.1" || host == "localhost" {
        return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let organizations = organizations.read().unwrap_or_else(PoisonError::into_inner);
    let mut ways = organizations.values().flat_map(OrgHandle::connect_to);
    ways.find_map(|(name, address)| {
        let address: SocketAddr = address.parse().ok()?;
        let (known, _) = name.rsplit_once(':')?;
        let fits = name == authority || known == host && address.port() == port;
        fits.then_some(address)
    })
}
