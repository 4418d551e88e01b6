//! Which way connections go: straight, or through a proxy.

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use super::connector::Origin;
use crate::proxy::Proxy;
use crate::{Cause, Fault};

pub(super) struct Router(Option<Matcher>);

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
    pub(super) fn new(proxy: Option<&Proxy>) -> Router {
        Router(proxy.map(|proxy| match proxy {
            Proxy::System => Matcher::from_env(),
            Proxy::Url(url) => Matcher::builder().all(url.as_str()).build(),
        }))
    }

    /// The way to an origin whose connections go to `host` and `port`.
    pub(super) fn route(&self, origin: &Origin, host: &str, port: u16) -> Result<Route, Fault> {
        let Some(matcher) = &self.0 else {
            return Ok(Route::Direct);
        };
        let scheme = if origin.is_https { "https" } else { "http" };
        // An exception is written for the name that the application knows.
        let name = authority(&origin.host, origin.port);
        let Some(uri) = format!("{scheme}://{name}/").parse::<Uri>().ok() else {
            return Ok(Route::Direct);
        };
        let Some(found) = matcher.intercept(&uri) else {
            return Ok(Route::Direct);
        };
        let proxy = found.uri();
        let via = Via {
            host: proxy
                .host()
                .unwrap_or_default()
                .trim_matches(['[', ']'])
                .to_owned(),
            port: proxy.port_u16().unwrap_or(80),
            authorization: found.basic_auth().cloned(),
        };
        if proxy.scheme_str() != Some("http") || via.host.is_empty() {
            return Err(via.fault(&format!(
                "the environment names a proxy for {}:{} that is not spoken to over http",
                host, port
            )));
        }
        Ok(Route::Proxy(via))
    }
}

impl Via {
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
