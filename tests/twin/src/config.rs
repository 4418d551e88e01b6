//! What a twin is made of, as it stands in a scenario or in the binary's configuration file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::coding::Coding;
use crate::error::TwinError;
use crate::fault_kind::FaultKind;
use crate::proxy::ProxyConfig;
use crate::replication::Replication;
use crate::role::{Authority, Role};

/// A whole twin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TwinConfig {
    /// The organizations; more can be added while it runs.
    pub organizations: Vec<OrganizationConfig>,
    /// Forward proxies; more can be added while it runs. None by default.
    pub proxies: Vec<ProxyConfig>,
    /// Where `ca.pem` is written; made if missing. Default: a directory of its own under the
    /// system's temporary one, removed when the twin stops.
    pub directory: Option<PathBuf>,
    /// Port of the control endpoint on 127.0.0.1; 0 (default) takes a free one.
    pub control_port: u16,
}

impl TwinConfig {
    /// A twin of these organizations.
    pub fn new(organizations: impl IntoIterator<Item = OrganizationConfig>) -> TwinConfig {
        TwinConfig {
            organizations: organizations.into_iter().collect(),
            ..TwinConfig::default()
        }
    }
}

/// One organization with its two sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationConfig {
    /// First label of the hosts.
    pub name: String,
    /// The rest of the hosts, `crm.twin.test` by default.
    #[serde(default = "default_suffix")]
    pub suffix: String,
    /// `https` by default.
    #[serde(default)]
    pub scheme: Scheme,
    /// Default: `<name>.<suffix>`.
    #[serde(default)]
    pub primary_host: Option<String>,
    /// Default: `<name>--s.<suffix>`.
    #[serde(default)]
    pub alternate_host: Option<String>,
    /// Other hosts that the primary answers to, such as `contoso.api.crm.twin.test`.
    #[serde(default)]
    pub primary_aliases: Vec<String>,
    /// Other hosts that the alternate answers to.
    #[serde(default)]
    pub alternate_aliases: Vec<String>,
    /// Whether tokens are checked; `off` by default.
    #[serde(default)]
    pub tokens: Tokens,
    /// Which sides serve; `both` by default.
    #[serde(default)]
    pub authority: Authority,
    /// What a passive side answers to everything but the WSDL; 0x8004B065 with 503 on the Web API
    /// by default.
    #[serde(default = "FaultKind::datacenter_not_available")]
    #[schemars(extend("unevaluatedProperties" = false))]
    pub passive: FaultKind,
    /// How commits cross; `off` by default.
    #[serde(default)]
    pub replication: Replication,
    /// What the WSDL says; failover available by default.
    #[serde(default)]
    pub wsdl: Wsdl,
    /// Whether the sides offer HTTP/2 in the TLS handshake, beside HTTP/1.1; false by default.
    #[serde(default)]
    pub http2: bool,
    /// The same for the alternate alone; default: as `http2`.
    #[serde(default)]
    pub alternate_http2: Option<bool>,
    /// Whether connections show a certificate of the client's; `off` by default.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
    /// The content codings that the sides offer, the dearest first: an answer is coded as the
    /// request's `Accept-Encoding` likes best. None by default.
    #[serde(default)]
    pub codings: Vec<Coding>,
    /// The same for the alternate alone; default: as `codings`.
    #[serde(default)]
    pub alternate_codings: Option<Vec<Coding>>,
    /// What its hosts are; `dynamics` by default.
    #[serde(default)]
    pub plays: Plays,
    /// Alternate keys that are enforced: by the entity's logical name (`account`), each the
    /// attributes whose values no two rows of a side share. None by default; the Web API finds
    /// rows by any attributes.
    #[serde(default)]
    pub alternate_keys: BTreeMap<String, Vec<Vec<String>>>,
}

fn default_suffix() -> String {
    "crm.twin.test".to_owned()
}

impl OrganizationConfig {
    /// An organization with every default.
    pub fn new(name: &str) -> OrganizationConfig {
        OrganizationConfig {
            name: name.to_owned(),
            suffix: default_suffix(),
            scheme: Scheme::default(),
            primary_host: None,
            alternate_host: None,
            primary_aliases: Vec::new(),
            alternate_aliases: Vec::new(),
            tokens: Tokens::default(),
            authority: Authority::default(),
            passive: FaultKind::datacenter_not_available(),
            replication: Replication::default(),
            wsdl: Wsdl::default(),
            http2: false,
            alternate_http2: None,
            client_certificates: ClientCertificates::default(),
            codings: Vec::new(),
            alternate_codings: None,
            plays: Plays::default(),
            alternate_keys: BTreeMap::new(),
        }
    }

    /// `foreign`: two hosts that are no organization's, `foreign.twin.test` and
    /// `foreign--s.twin.test`. They answer 200 to everything.
    pub fn foreign() -> OrganizationConfig {
        OrganizationConfig {
            suffix: "twin.test".to_owned(),
            plays: Plays::Plain,
            ..OrganizationConfig::new("foreign")
        }
    }

    /// The host of a side.
    pub fn host(&self, role: Role) -> String {
        let (given, mark) = match role {
            Role::Primary => (&self.primary_host, ""),
            Role::Alternate => (&self.alternate_host, "--s"),
        };
        let host = given
            .clone()
            .unwrap_or_else(|| format!("{}{mark}.{}", self.name, self.suffix));
        host.to_ascii_lowercase()
    }

    /// Every host that a side answers to, its main one first.
    pub(crate) fn hosts(&self, role: Role) -> Vec<String> {
        let aliases = match role {
            Role::Primary => &self.primary_aliases,
            Role::Alternate => &self.alternate_aliases,
        };
        let aliases = aliases.iter().map(|host| host.to_ascii_lowercase());
        std::iter::once(self.host(role)).chain(aliases).collect()
    }

    /// Whether a side offers HTTP/2.
    pub(crate) fn http2(&self, role: Role) -> bool {
        match role {
            Role::Primary => self.http2,
            Role::Alternate => self.alternate_http2.unwrap_or(self.http2),
        }
    }

    /// The content codings that a side offers.
    pub(crate) fn codings(&self, role: Role) -> &[Coding] {
        match (role, &self.alternate_codings) {
            (Role::Alternate, Some(codings)) => codings,
            _ => &self.codings,
        }
    }

    /// Whether a host, with or without a port, is one of the side's.
    pub(crate) fn is_own_authority(&self, role: Role, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &authority,
        };
        let host = host.trim_end_matches('.');
        self.hosts(role).iter().any(|own| own == host)
    }

    pub(crate) fn check(&self) -> Result<(), TwinError> {
        if self.alternate_keys.values().flatten().any(Vec::is_empty) {
            return Err(TwinError::invalid(format!(
                "organization `{}`: an alternate key without attributes",
                self.name
            )));
        }
        let offers_http2 = Role::ALL.iter().any(|role| self.http2(*role));
        if offers_http2 && self.scheme == Scheme::Http {
            return Err(TwinError::invalid(format!(
                "organization `{}`: HTTP/2 is agreed on in the TLS handshake: take the scheme https",
                self.name
            )));
        }
        if self.client_certificates != ClientCertificates::Off && self.scheme == Scheme::Http {
            return Err(TwinError::invalid(format!(
                "organization `{}`: certificates are shown in the TLS handshake: take the scheme \
                 https",
                self.name
            )));
        }
        self.passive.check_passive()?;
        for host in Role::ALL.iter().flat_map(|role| self.hosts(*role)) {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            if host.is_empty() || !host.bytes().all(fits) {
                return Err(TwinError::invalid(format!(
                    "organization `{}`: `{host}` is no host name: write it without scheme, port \
                     and path",
                    self.name
                )));
            }
        }
        if self.host(Role::Primary) == self.host(Role::Alternate) {
            return Err(TwinError::invalid(format!(
                "organization `{}`: both sides have the host `{}`",
                self.name,
                self.host(Role::Primary)
            )));
        }
        self.wsdl.check()
    }
}

/// How a side is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// TLS, by default; the certificate is signed by the twin's CA.
    #[default]
    Https,
    /// Plain.
    Http,
}

impl Scheme {
    /// As it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
        }
    }

    /// 443 or 80.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Https => 443,
            Scheme::Http => 80,
        }
    }
}

/// Whether a connection shows a certificate of the client's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// None is asked for.
    #[default]
    Off,
    /// One is asked for; who shows none is served as well.
    Ask,
    /// Without one that leads to the twin's CA the handshake fails.
    Require,
}

/// What the hosts of an organization are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Plays {
    /// The services of Dynamics 365.
    #[default]
    Dynamics,
    /// Hosts of somebody else: every request is answered 200, whatever its token, with
    /// `{"origin", "method", "path"}`. Faults and `/bulk` are as ever.
    Plain,
}

/// Whether bearer tokens are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// Any request is served; what came is recorded.
    #[default]
    Off,
    /// A request needs `twin-token-for-<host>`, or that followed by `.` and anything, where host
    /// is one of the side's; else 401.
    Check,
}

/// What the WSDL says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wsdl {
    /// `FailoverAvailable`; none leaves the element out. True by default.
    pub failover_available: Option<bool>,
    /// `EndpointEnabled`; none (default) leaves the element out.
    pub endpoint_enabled: Option<bool>,
    /// Whether the `FailoverPolicy` element is there at all (on-premises AD has none). True by
    /// default.
    pub policy: bool,
    /// How many bindings carry the policy, 1 or more; 1 by default.
    pub bindings: u32,
    /// True: bindings and policies stand in an imported document, `?wsdl=wsdl0` on the same
    /// origin. False by default.
    pub imported: bool,
    /// True: the body is no XML. False by default.
    pub unreadable: bool,
}

impl Wsdl {
    pub(crate) fn check(&self) -> Result<(), TwinError> {
        if self.bindings == 0 {
            return Err(TwinError::invalid("wsdl: `bindings` must be 1 or more"));
        }
        Ok(())
    }
}

impl Default for Wsdl {
    fn default() -> Wsdl {
        Wsdl {
            failover_available: Some(true),
            endpoint_enabled: None,
            policy: true,
            bindings: 1,
            imported: false,
            unreadable: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_enough() {
        let read: OrganizationConfig = serde_json::from_value(json!({"name": "contoso"})).unwrap();
        assert_eq!(read, OrganizationConfig::new("contoso"));
        assert_eq!(read.host(Role::Primary), "contoso.crm.twin.test");
        assert_eq!(read.host(Role::Alternate), "contoso--s.crm.twin.test");
        let again = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(read, again);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut same = OrganizationConfig::new("contoso");
        same.alternate_host = Some("Contoso.crm.twin.test".into());
        let mut committing = OrganizationConfig::new("contoso");
        committing.passive = FaultKind::CommitThenReset;
        let mut keyless = OrganizationConfig::new("contoso");
        keyless.alternate_keys = BTreeMap::from([("account".into(), vec![vec![]])]);
        let mut plain = OrganizationConfig::new("contoso");
        (plain.scheme, plain.alternate_http2) = (Scheme::Http, Some(true));
        let mut certified = OrganizationConfig::new("contoso");
        certified.scheme = Scheme::Http;
        certified.client_certificates = ClientCertificates::Require;
        let mut url = OrganizationConfig::new("contoso");
        url.primary_host = Some("https://contoso".into());
        for (config, word) in [
            (same, "both sides"),
            (committing, "passive"),
            (keyless, "without attributes"),
            (plain, "scheme https"),
            (certified, "certificates are shown"),
            (url, "no host name"),
        ] {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
