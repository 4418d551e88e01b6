//! Which requests of the twin's journals a scenario counts.

use d365_twin::{JournalEntry, ProxyEntry, Role};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::names::{Wanted, one_of};

/// How many requests of the twin's journal are so; what is not given is not looked at.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = one_of(["count", "at_least", "at_most"])))]
pub(crate) struct Requests {
    pub(crate) org: Option<String>,
    pub(crate) side: Role,
    method: Option<String>,
    path_contains: Option<String>,
    /// The host that the request's token names.
    token_for: Option<String>,
    authorization: Option<bool>,
    cookie: Option<bool>,
    /// Null: it had none.
    #[serde(default)]
    accept_encoding: Wanted<String>,
    expects_continue: Option<bool>,
    client_certificate: Option<bool>,
    /// The row's name.
    name: Option<String>,
    /// The fault that acted.
    fault: Option<String>,
    committed: Option<bool>,
    answered: Option<bool>,
    /// The status that was answered.
    status: Option<u16>,
    pub(crate) count: Option<usize>,
    /// So many or more, instead.
    pub(crate) at_least: Option<usize>,
    /// So many or fewer, instead.
    pub(crate) at_most: Option<usize>,
}

/// How many requests of a proxy's journal are so; what is not given is not looked at.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProxyRequests {
    pub(crate) proxy: Option<String>,
    method: Option<String>,
    /// `host:port` that was asked for.
    authority: Option<String>,
    /// Null: none was shown.
    #[serde(default)]
    authorized: Wanted<bool>,
    /// The fault that acted.
    fault: Option<String>,
    pub(crate) count: usize,
}

fn fits<T: PartialEq>(wanted: Option<&T>, got: &T) -> bool {
    wanted.is_none_or(|wanted| wanted == got)
}

/// Something is there, and as wanted.
fn is<T: PartialEq>(wanted: Option<&T>, got: Option<&T>) -> bool {
    wanted.is_none_or(|wanted| got == Some(wanted))
}

fn is_method(wanted: Option<&String>, got: &str) -> bool {
    wanted.is_none_or(|wanted| got.eq_ignore_ascii_case(wanted))
}

impl Requests {
    pub(crate) fn hold(&self, entry: &JournalEntry) -> bool {
        let path = self.path_contains.as_ref();
        is_method(self.method.as_ref(), &entry.method)
            && path.is_none_or(|part| entry.path.contains(part))
            && is(self.token_for.as_ref(), entry.token_for.as_ref())
            && fits(self.authorization.as_ref(), &entry.authorization)
            && fits(self.cookie.as_ref(), &entry.cookie)
            && fits(self.accept_encoding.given(), &entry.accept_encoding)
            && fits(self.expects_continue.as_ref(), &entry.expects_continue)
            && fits(self.client_certificate.as_ref(), &entry.client_certificate)
            && is(self.name.as_ref(), entry.name.as_ref())
            && is(self.fault.as_ref(), entry.fault.as_ref())
            && fits(self.committed.as_ref(), &entry.committed)
            && fits(self.answered.as_ref(), &entry.answered)
            && is(self.status.as_ref(), entry.status.as_ref())
    }
}

impl ProxyRequests {
    pub(crate) fn hold(&self, entry: &ProxyEntry) -> bool {
        is_method(self.method.as_ref(), &entry.method)
            && fits(self.authority.as_ref(), &entry.authority)
            && fits(self.authorized.given(), &entry.authorized)
            && is(self.fault.as_ref(), entry.fault.as_ref())
    }
}
