//! Which way connections go: straight, or through a proxy.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;

use super::connector::Origin;
use crate::proxy::{Proxy, ProxyAddress};
use crate::proxy_environment::ProxyEnvironment;
use crate::{Cause, Error, ErrorKind, Fault};

pub(super) enum Router {
    Direct,
    One(ProxyAddress),
    System(ProxyEnvironment),
}

pub(super) enum Route {
    Direct,
    Proxy(Via),
}

/// A proxy.
pub(super) struct Via {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authorization: Option<HeaderValue>,
}

impl Router {
    /// # Errors
    /// When the environment names a proxy for one of these that cannot be used.
    pub(super) fn new(proxy: Option<&Proxy>, own: &[Origin]) -> Result<Router, Error> {
        let router = match proxy {
            None => Router::Direct,
            Some(Proxy::One(address)) => Router::One(address.clone()),
            Some(Proxy::System) => {
                let get = |name: &str| {
                    let value = std::env::var_os(name)?;
                    Some(value.to_string_lossy().into_owned())
                };
                Router::System(ProxyEnvironment::read(get))
            }
        };
        for origin in own {
            let routed = router.route(origin);
            routed.map_err(|why| Error::new(ErrorKind::InvalidSetting, why))?;
        }
        Ok(router)
    }

    /// The way to an origin. An exception is written for the name that the application knows,
    /// wherever `connect_to` leads.
    pub(super) fn route(&self, origin: &Origin) -> Result<Route, String> {
        let address = match self {
            Router::Direct => return Ok(Route::Direct),
            Router::One(address) => address.clone(),
            Router::System(environment) => {
                let Some(named) = environment.proxy_for(origin.is_https, &origin.host) else {
                    return Ok(Route::Direct);
                };
                // The value may hold a password.
                ProxyAddress::of_variable(&named.value).map_err(|why| {
                    format!(
                        "proxy = system: the proxy of the variable {} cannot be used for {}: {why}",
                        named.variable, origin.host
                    )
                })?
            }
        };
        Ok(Route::Proxy(Via {
            authorization: address.user.as_ref().and_then(basic),
            host: address.host,
            port: address.port,
        }))
    }
}

/// RFC 7617.
fn basic((name, password): &(Vec<u8>, Vec<u8>)) -> Option<HeaderValue> {
    let both = [name, &b":"[..], password].concat();
    let text = format!("Basic {}", BASE64_STANDARD.encode(both));
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Via {
    /// Whose certificate may have been seen instead of the server's, for a sentence.
    pub(super) fn may_have_answered(&self) -> String {
        format!(
            "through the proxy {}: one that looks into TLS shows a certificate of its own, whose \
             issuer has to be in ca_bundle",
            authority(&self.host, self.port)
        )
    }

    /// A failure of the proxy's: this network's, and not the endpoint's.
    pub(super) fn fault(&self, why: &str) -> Fault {
        let message = format!("the proxy {}: {why}", authority(&self.host, self.port));
        Fault::new(Cause::Proxy, message)
    }
}

/// Host and port as a request names them.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
