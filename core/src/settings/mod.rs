//! How a client behaves.

mod set;
mod value;
mod words;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

pub(crate) use self::value::LONGEST_WAIT;
pub use self::words::{AutoSwitch, LedgerBodies, StoreDurability, StoreFailure, TokenPrecedence};
use crate::allowed_host::AllowedHost;
use crate::client_credentials::OAuthSettings;
use crate::connect_to::ConnectTo;
use crate::proxy::Proxy;
use crate::rule::RulesOff;
use crate::verify_keys::VerifyKeys;
use crate::{
    Error, Failback, Organization, Prepare, Preset, Resolve, Rule, TokenProvider, UrlForm, VERSION,
};

/// The settings of a client: the organization's URL, and options by name. Durations are in
/// milliseconds and their names end in `_ms`.
#[derive(Clone)]
pub struct Settings {
    pub(crate) url: String,
    pub(crate) alternate_url: Option<String>,
    pub(crate) url_form: Option<UrlForm>,
    pub(crate) preset: Preset,
    pub(crate) auto_switch: AutoSwitch,
    pub(crate) connect_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) deadline: Duration,
    pub(crate) handler_timeout: Duration,
    pub(crate) probe_after: Duration,
    pub(crate) probe_timeout: Duration,
    pub(crate) probe_path: String,
    pub(crate) write_grace: Duration,
    pub(crate) hold_down: Duration,
    /// `None`: the preset says.
    pub(crate) outage_wait: Option<Duration>,
    pub(crate) max_waiting: usize,
    pub(crate) failback: Failback,
    pub(crate) failback_interval: Duration,
    pub(crate) failback_after: Duration,
    pub(crate) max_attempts: usize,
    pub(crate) retry_budget: f64,
    pub(crate) replication_window: Duration,
    pub(crate) ledger_bodies: LedgerBodies,
    pub(crate) ledger_body_size: usize,
    pub(crate) ledger_entries: usize,
    pub(crate) verify_keys: VerifyKeys,
    pub(crate) ledger_retention: Duration,
    pub(crate) store: Option<PathBuf>,
    pub(crate) store_durability: StoreDurability,
    pub(crate) store_failure: StoreFailure,
    pub(crate) update_guard: bool,
    /// Whether a 2xx to a write must carry a mark of its service.
    pub(crate) service_mark: bool,
    /// How old what others have on record of where calls go may be.
    pub(crate) state_max_age: Duration,
    pub(crate) rules_off: RulesOff,
    pub(crate) ca_bundle: Option<PathBuf>,
    pub(crate) tls_verify: bool,
    pub(crate) client_certificate: Option<PathBuf>,
    /// Where its private key is, if not in the same file.
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) connect_to: Vec<ConnectTo>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) http2: bool,
    pub(crate) decompress: bool,
    pub(crate) max_redirects: usize,
    pub(crate) allowed_hosts: Vec<AllowedHost>,
    pub(crate) allowed_host_headers: Vec<HeaderName>,
    pub(crate) max_connections: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_connection_age: Duration,
    pub(crate) max_response_headers: usize,
    pub(crate) max_response_body: usize,
    pub(crate) error_prefix: usize,
    pub(crate) user_agent: String,
    pub(crate) token_provider: Option<Arc<dyn TokenProvider>>,
    pub(crate) oauth: OAuthSettings,
    pub(crate) token_precedence: TokenPrecedence,
    pub(crate) prepare: Option<Arc<dyn Prepare>>,
    pub(crate) resolver: Option<Arc<dyn Resolve>>,
}

impl Settings {
    /// The names that [`set`](Settings::set) takes.
    pub const NAMES: &'static [&'static str] = &[
        "allowed_host_headers",
        "allowed_hosts",
        "alternate_url",
        "attempt_timeout_ms",
        "auto_switch",
        "ca_bundle",
        "client_certificate",
        "client_key",
        "connect_timeout_ms",
        "connect_to",
        "deadline_ms",
        "decompress",
        "error_prefix",
        "failback",
        "failback_after_ms",
        "failback_interval_ms",
        "handler_timeout_ms",
        "hold_down_ms",
        "http2",
        "idle_timeout_ms",
        "ledger_bodies",
        "ledger_body_size",
        "ledger_entries",
        "ledger_retention_ms",
        "max_attempts",
        "max_connection_age_ms",
        "max_connections",
        "max_redirects",
        "max_response_body",
        "max_response_headers",
        "max_waiting",
        "oauth_authority",
        "oauth_certificate",
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_tenant",
        "outage_wait_ms",
        "preset",
        "probe_after_ms",
        "probe_path",
        "probe_timeout_ms",
        "proxy",
        "replication_window_ms",
        "retry_budget",
        "service_mark",
        "state_max_age_ms",
        "store",
        "store_durability",
        "store_failure",
        "tls_verify",
        "token_precedence",
        "update_guard",
        "url_form",
        "user_agent",
        "verify_keys",
        "write_grace_ms",
    ];

    /// Settings with the defaults for the organization at `url`.
    ///
    /// # Errors
    /// [`InvalidUrl`](crate::ErrorKind::InvalidUrl) for what is no http or https URL at all. Whether an
    /// alternate can be told from it is checked when the client is opened, because other settings decide it.
    pub fn new(url: &str) -> Result<Settings, Error> {
        Organization::check_url(url)?;
        Ok(Settings {
            url: url.to_owned(),
            alternate_url: None,
            url_form: None,
            preset: Preset::Safe,
            auto_switch: AutoSwitch::Auto,
            connect_timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(120),
            deadline: Duration::from_secs(300),
            handler_timeout: Duration::from_secs(5),
            probe_after: Duration::from_secs(1),
            probe_timeout: Duration::from_secs(1),
            probe_path: "/api/data/v9.2/WhoAmI".to_owned(),
            write_grace: Duration::from_secs(10),
            hold_down: Duration::from_secs(30),
            outage_wait: None,
            max_waiting: 10_000,
            failback: Failback::OnFault,
            failback_interval: Duration::from_secs(60),
            failback_after: Duration::from_secs(300),
            max_attempts: 4,
            retry_budget: 0.2,
            replication_window: Duration::from_secs(900),
            ledger_bodies: LedgerBodies::Digest,
            ledger_body_size: 1 << 20,
            ledger_entries: 100_000,
            verify_keys: VerifyKeys::default(),
            ledger_retention: Duration::from_secs(7 * 86_400),
            store: None,
            store_durability: StoreDurability::Process,
            store_failure: StoreFailure::Refuse,
            update_guard: true,
            service_mark: true,
            state_max_age: Duration::from_secs(3600),
            rules_off: RulesOff::default(),
            ca_bundle: None,
            tls_verify: true,
            client_certificate: None,
            client_key: None,
            connect_to: Vec::new(),
            proxy: None,
            http2: true,
            decompress: true,
            max_redirects: 0,
            allowed_hosts: Vec::new(),
            allowed_host_headers: Vec::new(),
            max_connections: 256,
            idle_timeout: Duration::from_secs(20),
            max_connection_age: Duration::from_secs(600),
            max_response_headers: 64 << 10,
            max_response_body: 256 << 20,
            error_prefix: 64 << 10,
            user_agent: format!("d365-failover/{VERSION}"),
            token_provider: None,
            oauth: OAuthSettings::default(),
            token_precedence: TokenPrecedence::Application,
            prepare: None,
            resolver: None,
        })
    }

    /// Switches a rule of the preset `safe` off, so that a test sees what it is for.
    #[doc(hidden)]
    pub fn switch_rule_off(&mut self, rule: Rule) {
        self.rules_off.switch_off(rule);
    }

    /// Who gives the bearer tokens, one for each endpoint.
    pub fn set_token_provider(&mut self, provider: Arc<dyn TokenProvider>) {
        self.token_provider = Some(provider);
    }

    /// Who looks at each attempt before it is sent.
    pub fn set_prepare(&mut self, prepare: Arc<dyn Prepare>) {
        self.prepare = Some(prepare);
    }

    /// Who is asked for addresses instead of the system.
    pub fn set_resolver(&mut self, resolver: Arc<dyn Resolve>) {
        self.resolver = Some(resolver);
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("alternate_url", &self.alternate_url)
            .field("preset", &self.preset)
            .field("auto_switch", &self.auto_switch)
            .finish_non_exhaustive()
    }
}
