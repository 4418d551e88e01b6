//! The setting `proxy`: through whom connections go.

use std::fmt;

use url::Url;

use crate::{Error, ErrorKind};

/// Where the proxies are told.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// By the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case.
    System,
    /// One for all.
    Url(String),
}

impl Proxy {
    pub(crate) fn parse(value: &str) -> Result<Proxy, Error> {
        if value == "system" {
            return Ok(Proxy::System);
        }
        // A proxy's URL may hold a password, so the messages do not show it.
        let refuse = |why: &str| {
            Error::new(
                ErrorKind::InvalidSetting,
                format!("proxy: {why}; it takes system, or http://[user:password@]host:port"),
            )
        };
        let url = Url::parse(value).map_err(|error| refuse(&error.to_string()))?;
        if url.scheme() != "http" {
            return Err(refuse(&format!(
                "proxies are spoken to over http, and not over {}",
                url.scheme()
            )));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(refuse("there is no host in it"));
        }
        if url.path() != "/" || url.query().is_some() {
            return Err(refuse("a proxy has no path"));
        }
        Ok(Proxy::Url(String::from(url)))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Proxy::System => "System",
            Proxy::Url(_) => "Url(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_system_and_http() {
        assert_eq!(Proxy::parse("system").unwrap(), Proxy::System);
        assert!(Proxy::parse("http://u:p@proxy.example:3128").is_ok());
        for value in [
            "",
            "proxy:3128",
            "https://proxy",
            "socks5://proxy:1",
            "http://u:secret@proxy/path",
            "http://u:secret@",
        ] {
            let error = Proxy::parse(value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{value}");
            assert!(!error.message().contains("secret"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let proxy = Proxy::parse("http://u:secret@proxy").unwrap();
        assert!(!format!("{proxy:?}").contains("secret"));
    }
}
