//! A setting by its name.

use std::path::PathBuf;
use std::time::Duration;

use super::value::{LONGEST_RETENTION, amount, bytes, cut, duration, invalid, number, pause, word};
use super::{AutoSwitch, LedgerBodies, Settings, StoreDurability, StoreFailure, TokenPrecedence};
use crate::allowed_host::{self, AllowedHost};
use crate::connect_to;
use crate::proxy::Proxy;
use crate::unknown_setting::meant;
use crate::url_text::parse_request;
use crate::verify_keys::VerifyKeys;
use crate::{Error, ErrorKind, Failback, Organization, Preset, UrlForm};

impl Settings {
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
    /// | `max_attempts` | 4 | 1 to 100; of one call; what reads the row of a create is none |
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
