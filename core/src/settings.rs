//! How a client behaves.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::allowed_host::{self, AllowedHost};
use crate::client_credentials::OAuthSettings;
use crate::connect_to::{self, ConnectTo};
use crate::proxy::Proxy;
use crate::rule::RulesOff;
use crate::unknown_setting::meant;
use crate::url_text::parse_request;
use crate::verify_keys::VerifyKeys;
use crate::{
    Error, ErrorKind, Failback, Organization, Prepare, Preset, Resolve, Rule, TokenProvider,
    UrlForm, VERSION,
};

/// The setting `auto_switch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoSwitch {
    /// On for an explicit alternate and for a URL that is the alternate itself; else as the
    /// WSDL's FailoverPolicy says.
    Auto,
    /// On. The WSDL is not asked.
    On,
    /// Off: `EndpointSwitchRequired` is raised and nothing moves. The WSDL is not asked.
    Off,
}

/// The setting `token_precedence`: whose `Authorization` a call carries that has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenPrecedence {
    /// The request's own.
    Application,
    /// The token provider's.
    Provider,
}

/// The setting `ledger_bodies`: what a write on record keeps of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LedgerBodies {
    /// Its length.
    Off,
    /// Its length and its SHA-256.
    Digest,
    /// All of it, and the headers that say what is written, none with a credential: so that its values
    /// can be compared, and it can be sent again.
    Full,
}

/// The setting `store_durability`: what a write on record survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreDurability {
    /// The end of the process, however it ends. Power that fails takes the last moments' records, and
    /// leaves the store whole.
    Process,
    /// Power that fails as well. Each write waits twice for the disk.
    Power,
}

/// The setting `store_failure`: what becomes of a write that cannot be put on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreFailure {
    /// It is refused, and nothing of it is sent.
    Refuse,
    /// It is sent, and `StoreFailed` tells of it.
    GoOn,
}

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
    /// [`ErrorKind::InvalidUrl`] for what is no http or https URL at all. Whether an alternate can
    /// be told from it is checked when the client is opened, because other settings decide it.
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

    /// Sets the option `key` from its text.
    ///
    /// | Key | Default | Values |
    /// |---|---|---|
    /// | `alternate_url` | none | the other endpoint's base URL |
    /// | `url_form` | none | `host`, `path` |
    /// | `preset` | `safe` | `safe`, `dotnet` |
    /// | `auto_switch` | `auto` | `auto`, `on`, `off` |
    /// | `connect_timeout_ms` | 10000 | 1 to 86400000; for each address; the next one is tried after 250 ms beside a silent one |
    /// | `attempt_timeout_ms` | 120000 | likewise; one attempt, whole |
    /// | `deadline_ms` | 300000 | likewise; the call with all attempts |
    /// | `handler_timeout_ms` | 5000 | likewise; how long a handler is waited for |
    /// | `probe_after_ms` | 1000 | 0 to 86400000; silence after which the endpoint is probed while a call waits, once in 10 s after two fifths of it; 0: never |
    /// | `probe_timeout_ms` | 1000 | 1 to 86400000; one probe, whole |
    /// | `probe_path` | `/api/data/v9.2/WhoAmI` | a path from the base URL on, beginning with `/`; read with GET |
    /// | `write_grace_ms` | 10000 | 0 to 86400000; how long a write is waited for whose endpoint was left, where it is not sent again at the other one |
    /// | `hold_down_ms` | 30000 | 0 to 86400000; after a switch, a veto: how long no other switch is asked for without proof |
    /// | `outage_wait_ms` | 30000 | 0 to 86400000; with `dotnet` 0 unless it is set; where no endpoint answers: how long a call waits for the first one that does, within its deadline |
    /// | `max_waiting` | 10000 | 1 to 1000000; how many calls wait so; others are `busy`, and nothing of them is sent |
    /// | `failback` | `on_fault` | `on_fault`: a fault at the alternate leads back to the primary; `probe`: good looks at the primary do as well, where a fault had moved calls; `manual`: the application alone |
    /// | `failback_interval_ms` | 60000 | 1 to 86400000; with `probe`: how often the primary is looked at |
    /// | `failback_after_ms` | 300000 | 0 to 86400000; how long each look must be good; doubled by each switch that follows such a failback within an hour |
    /// | `max_attempts` | 4 | 1 to 100; of one call |
    /// | `retry_budget` | 0.2 | 0 to 1; retries in one place as a share of recent calls, at least 10 a second |
    /// | `replication_window_ms` | 900000 | 0 to 86400000; how long before and after a switch rows may be missing at the new endpoint |
    /// | `ledger_entries` | 100000 | 1 to 10000000; how many acknowledged writes are on record, and as many of those to verify |
    /// | `ledger_bodies` | `digest` | what a write on record keeps of its body: `off`: the length; `digest`: its SHA-256 as well; `full`: all of it, and the headers that say what is written, never a credential, for comparing and sending again |
    /// | `ledger_body_size` | 1048576 | 0 to 1073741824 bytes; with `full`: a longer body is kept as its digest |
    /// | `verify_keys` | none | `set=column`, separated by commas, of several columns `set=column+column`: by what a created row is looked for whose id nobody knows, with `ledger_bodies` = `full` |
    /// | `ledger_retention_ms` | 604800000 | 0 to 315360000000; with `store`: how long an acknowledged or resolved write stays on record, not shorter than `replication_window_ms`; what is to be verified stays |
    /// | `store` | none | path of a file, made if there is none: the ledger, on disk, for all processes of this machine that name it; none: in memory, as long as the client |
    /// | `store_durability` | `process` | `process`: a record survives the end of the process, by `kill -9` too; `power`: a loss of power as well, and each write waits twice for the disk |
    /// | `store_failure` | `refuse` | a write that cannot be put on record: `refuse`: ends as `local`, and nothing of it is sent; `go_on`: is sent, and `StoreFailed` tells of it |
    /// | `update_guard` | `on` | `on`: within that time a plain PATCH gets `If-Match: *`; `off` |
    /// | `service_mark` | `required` | `required`: a 2xx to a write without its service's mark (`OData-Version`, a SOAP envelope without fault, …) is nobody's answer; `any`: for gateways that take the marks off |
    /// | `state_max_age_ms` | 3600000 | 0 to 86400000; with a `store`: how long a client that opens goes by what other processes have on record of where calls go; older than that it is a reason to look |
    /// | `ca_bundle` | system store | path of a PEM file; broken certificates in it are left out, and told in the log |
    /// | `client_certificate` | none | path of a PEM file with the certificate, its chain and its key, shown to the two endpoints alone |
    /// | `client_key` | none | path of a PEM file with the private key of `client_certificate`, where it is not in that file |
    /// | `tls_verify` | `on` | `on`, `off` |
    /// | `oauth_tenant` | none | the directory (tenant) of Microsoft Entra ID: its id, or a domain; with the next two: the library gets the tokens itself, as an application, by client credentials |
    /// | `oauth_client_id` | none | the application's id |
    /// | `oauth_client_secret` | none | its secret; in no text of the library's |
    /// | `oauth_certificate` | none | instead of it: path of a PEM file with the application's certificate and RSA key |
    /// | `oauth_authority` | `https://login.microsoftonline.com` | who gives the tokens; https, or http on this machine |
    /// | `token_precedence` | `application` | `application`: a request's own `Authorization` goes before the token provider's; `provider`: it is replaced by the token of the endpoint that the attempt goes to |
    /// | `http2` | `on` | `on`: HTTP/2 where the server speaks it over TLS; `off` |
    /// | `decompress` | `on` | `on`: asks for gzip and brotli where the request says nothing of it, and decodes; `off` |
    /// | `proxy` | none | `system` (the environment's, as curl reads it), `http://[user:password@]host:port` |
    /// | `max_redirects` | 0 | 0 to 20 |
    /// | `allowed_hosts` | none | `host` or `host:port`, separated by commas: requests and redirects may go there as well, without failover, and without the application's own headers |
    /// | `allowed_host_headers` | none | names, separated by commas: headers of the application's that go to `allowed_hosts` with those of HTTP and OData themselves (`Content-Type`, `Accept`, `If-Match`, `Range`, `Prefer`, `OData-Version`, …); `Authorization`, `Cookie` and `Proxy-Authorization` never do |
    /// | `connect_to` | none | `host:port:address:port`, separated by commas |
    /// | `max_connections` | 256 | 1 to 65536; for each endpoint |
    /// | `idle_timeout_ms` | 20000 | 1 to 86400000; then a connection is closed, also if nobody calls |
    /// | `max_connection_age_ms` | 600000 | likewise; ± 20 % |
    /// | `max_response_headers` | 65536 | 8192 to 1048576 bytes |
    /// | `max_response_body` | 268435456 | 1 to 2^40 bytes |
    /// | `error_prefix` | 65536 | 1024 to 16777216 bytes: how much of a failure's body is read for its code |
    /// | `user_agent` | `d365-failover/VERSION` | |
    ///
    /// # Errors
    /// [`ErrorKind::UnknownSetting`], [`ErrorKind::InvalidSetting`], [`ErrorKind::InvalidUrl`].
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        match key {
            "alternate_url" => {
                Organization::check_url(value)?;
                self.alternate_url = Some(value.to_owned());
            }
            "url_form" => {
                let words = [("host", UrlForm::Host), ("path", UrlForm::Path)];
                self.url_form = Some(word(key, value, &words)?);
            }
            "preset" => {
                let words = [("safe", Preset::Safe), ("dotnet", Preset::Dotnet)];
                self.preset = word(key, value, &words)?;
            }
            "probe_after_ms" => self.probe_after = pause(key, value)?,
            "probe_timeout_ms" => self.probe_timeout = duration(key, value)?,
            "probe_path" => {
                let is_path = value.starts_with('/') && !value.starts_with("//");
                if !is_path || value.contains(' ') || parse_request(value).is_err() {
                    return Err(invalid(key, value, "a path from the base URL on: /api/…"));
                }
                value.clone_into(&mut self.probe_path);
            }
            "write_grace_ms" => self.write_grace = pause(key, value)?,
            "hold_down_ms" => self.hold_down = pause(key, value)?,
            "outage_wait_ms" => self.outage_wait = Some(pause(key, value)?),
            "max_waiting" => self.max_waiting = number(key, value, 1, 1_000_000)?,
            "failback" => {
                let words = [
                    ("on_fault", Failback::OnFault),
                    ("probe", Failback::Probe),
                    ("manual", Failback::Manual),
                ];
                self.failback = word(key, value, &words)?;
            }
            "failback_interval_ms" => self.failback_interval = duration(key, value)?,
            "failback_after_ms" => self.failback_after = pause(key, value)?,
            "max_attempts" => self.max_attempts = number(key, value, 1, 100)?,
            "retry_budget" => {
                let share = value
                    .parse()
                    .ok()
                    .filter(|share| (0.0..=1.0).contains(share));
                self.retry_budget =
                    share.ok_or_else(|| invalid(key, value, "a number from 0 to 1"))?;
            }
            "replication_window_ms" => self.replication_window = pause(key, value)?,
            "ledger_entries" => self.ledger_entries = number(key, value, 1, 10_000_000)?,
            "ledger_retention_ms" => {
                let milliseconds = amount(key, value, " of milliseconds", 0, LONGEST_RETENTION)?;
                self.ledger_retention = Duration::from_millis(milliseconds as u64);
            }
            "store" if value.is_empty() => {
                return Err(invalid(key, value, "the path of a file"));
            }
            "store" => self.store = Some(PathBuf::from(value)),
            "store_durability" => {
                let words = [
                    ("process", StoreDurability::Process),
                    ("power", StoreDurability::Power),
                ];
                self.store_durability = word(key, value, &words)?;
            }
            "store_failure" => {
                let words = [
                    ("refuse", StoreFailure::Refuse),
                    ("go_on", StoreFailure::GoOn),
                ];
                self.store_failure = word(key, value, &words)?;
            }
            "ledger_bodies" => {
                let words = [
                    ("off", LedgerBodies::Off),
                    ("digest", LedgerBodies::Digest),
                    ("full", LedgerBodies::Full),
                ];
                self.ledger_bodies = word(key, value, &words)?;
            }
            "ledger_body_size" => self.ledger_body_size = bytes(key, value, 0, 1 << 30)?,
            "verify_keys" => self.verify_keys = VerifyKeys::parse(value)?,
            "update_guard" => {
                self.update_guard = word(key, value, &[("on", true), ("off", false)])?;
            }
            "service_mark" => {
                self.service_mark = word(key, value, &[("required", true), ("any", false)])?;
            }
            "state_max_age_ms" => self.state_max_age = pause(key, value)?,
            "auto_switch" => {
                let words = [
                    ("auto", AutoSwitch::Auto),
                    ("on", AutoSwitch::On),
                    ("off", AutoSwitch::Off),
                ];
                self.auto_switch = word(key, value, &words)?;
            }
            "connect_timeout_ms" => self.connect_timeout = duration(key, value)?,
            "attempt_timeout_ms" => self.attempt_timeout = duration(key, value)?,
            "deadline_ms" => self.deadline = duration(key, value)?,
            "handler_timeout_ms" => self.handler_timeout = duration(key, value)?,
            "ca_bundle" => self.ca_bundle = Some(PathBuf::from(value)),
            "tls_verify" => {
                self.tls_verify = word(key, value, &[("on", true), ("off", false)])?;
            }
            "token_precedence" => {
                let words = [
                    ("application", TokenPrecedence::Application),
                    ("provider", TokenPrecedence::Provider),
                ];
                self.token_precedence = word(key, value, &words)?;
            }
            "oauth_tenant"
            | "oauth_client_id"
            | "oauth_client_secret"
            | "oauth_certificate"
            | "oauth_authority" => self.oauth.set(key, value)?,
            "client_certificate" => self.client_certificate = Some(PathBuf::from(value)),
            "client_key" => self.client_key = Some(PathBuf::from(value)),
            "connect_to" => {
                self.connect_to = connect_to::parse(value).map_err(|rule| {
                    let form = "host:port:address:port, an IPv6 address in brackets";
                    invalid("connect_to", rule, form)
                })?;
            }
            "allowed_hosts" => self.allowed_hosts = AllowedHost::parse_list(value)?,
            "allowed_host_headers" => {
                self.allowed_host_headers = allowed_host::parse_headers(value)?;
            }
            "proxy" => self.proxy = Some(Proxy::parse(value)?),
            "http2" => self.http2 = word(key, value, &[("on", true), ("off", false)])?,
            "decompress" => self.decompress = word(key, value, &[("on", true), ("off", false)])?,
            "max_redirects" => self.max_redirects = number(key, value, 0, 20)?,
            "max_connections" => self.max_connections = number(key, value, 1, 65_536)?,
            "idle_timeout_ms" => self.idle_timeout = duration(key, value)?,
            "max_connection_age_ms" => self.max_connection_age = duration(key, value)?,
            "max_response_headers" => {
                self.max_response_headers = bytes(key, value, 8 << 10, 1 << 20)?;
            }
            "max_response_body" => self.max_response_body = bytes(key, value, 1, 1 << 40)?,
            "error_prefix" => self.error_prefix = bytes(key, value, 1 << 10, 16 << 20)?,
            "user_agent" => {
                if http::HeaderValue::from_str(value).is_err() {
                    return Err(invalid(key, value, "printable ASCII"));
                }
                value.clone_into(&mut self.user_agent);
            }
            _ => {
                let message = format!(
                    "there is no setting {:?}{}",
                    cut(key),
                    meant(key, Settings::NAMES)
                );
                return Err(Error::new(ErrorKind::UnknownSetting, message));
            }
        }
        Ok(())
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

/// As much of a text as helps whoever wrote it.
fn cut(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn invalid(key: &str, value: &str, expected: &str) -> Error {
    Error::new(
        ErrorKind::InvalidSetting,
        format!(
            "{key} = {:?} cannot be used; it takes {expected}",
            cut(value)
        ),
    )
}

fn word<T: Copy>(key: &str, value: &str, words: &[(&str, T)]) -> Result<T, Error> {
    words
        .iter()
        .find(|(name, _)| *name == value)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            invalid(key, value, &names.join(" or "))
        })
}

fn number(key: &str, value: &str, least: usize, most: usize) -> Result<usize, Error> {
    amount(key, value, "", least, most)
}

fn bytes(key: &str, value: &str, least: usize, most: usize) -> Result<usize, Error> {
    amount(key, value, " of bytes", least, most)
}

fn amount(key: &str, value: &str, of: &str, least: usize, most: usize) -> Result<usize, Error> {
    value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            invalid(
                key,
                value,
                &format!("a whole number{of} from {least} to {most}"),
            )
        })
}

/// Longer waits overflow some platforms' timers and are no one's intent.
/// Ten years.
const LONGEST_RETENTION: usize = 315_360_000_000;

pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// A time that may be none.
fn pause(key: &str, value: &str) -> Result<Duration, Error> {
    wait(key, value, 0)
}

fn duration(key: &str, value: &str) -> Result<Duration, Error> {
    wait(key, value, 1)
}

fn wait(key: &str, value: &str, least: usize) -> Result<Duration, Error> {
    let most = LONGEST_WAIT.as_millis() as usize;
    let milliseconds = amount(key, value, " of milliseconds", least, most)?;
    Ok(Duration::from_millis(milliseconds as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("https://contoso.crm.dynamics.com").unwrap()
    }

    #[test]
    fn every_name_is_known_and_every_other_is_refused() {
        for name in Settings::NAMES {
            let error = settings().set(name, "\u{1}").err();
            assert!(
                error.is_none_or(|error| error.kind() != ErrorKind::UnknownSetting),
                "{name}"
            );
        }
        for name in [
            "",
            "Preset",
            "attempt_timeout",
            "hold_down",
            &"é".repeat(300),
        ] {
            let error = settings().set(name, "1").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownSetting, "{name:?}");
            assert!(error.message().contains("; there are: "), "{error}");
            assert!(error.message().len() < 2000, "{error}");
        }
    }

    #[test]
    fn refuses_values_outside_the_range() {
        for (key, value) in [
            ("preset", "java"),
            ("auto_switch", "true"),
            ("attempt_timeout_ms", "0"),
            ("attempt_timeout_ms", "-1"),
            ("probe_timeout_ms", "0"),
            ("probe_path", "api"),
            ("probe_path", "//evil.example/"),
            ("probe_path", "/a#b"),
            ("probe_path", "/\\evil.example/"),
            ("allowed_host_headers", "x-a b"),
            ("allowed_host_headers", "x-a,"),
            ("allowed_host_headers", "X-Api-Key, cookie"),
            ("allowed_host_headers", "Authorization"),
            ("max_attempts", "0"),
            ("retry_budget", "1.1"),
            ("retry_budget", "NaN"),
            ("update_guard", "yes"),
            ("ledger_entries", "0"),
            ("service_mark", "on"),
            ("attempt_timeout_ms", "1.5"),
            ("deadline_ms", "86400001"),
            ("max_connections", "0"),
            ("max_response_headers", "100"),
            ("user_agent", "a\nb"),
            ("url_form", ""),
            ("connect_to", "a:1:b"),
            ("connect_to", "a:0:b:1"),
            ("connect_to", "a:1:b:70000"),
            ("connect_to", "a:1:b:2:c"),
        ] {
            let error = settings().set(key, value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{key} = {value}");
            assert!(error.message().contains(key), "{error}");
        }
    }
}
