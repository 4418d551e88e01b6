//! The setting `proxy`: through whom connections go.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Host;

use crate::{Error, ErrorKind};

/// Where the proxies are told.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// By the environment.
    System,
    /// One for all.
    One(ProxyAddress),
}

/// A proxy that is spoken to over http.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ProxyAddress {
    /// An IPv6 address has no brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Name and password, as they are said.
    pub(crate) user: Option<(Vec<u8>, Vec<u8>)>,
}

/// What a value without a port means: in the setting http's own, in the environment what curl takes
/// there.
const PORT: u16 = 80;
const PORT_IN_ENVIRONMENT: u16 = 1080;

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
        let (scheme, rest) = value
            .split_once("://")
            .ok_or_else(|| refuse("there is no http:// before it"))?;
        check_scheme(scheme).map_err(|why| refuse(&why))?;
        let (authority, path) = split_path(rest);
        if !matches!(path, "" | "/") {
            return Err(refuse("a proxy has no path"));
        }
        let address = ProxyAddress::of_authority(authority, PORT);
        Ok(Proxy::One(address.map_err(refuse)?))
    }
}

impl ProxyAddress {
    /// The value of a variable: with or without `http://`, and a path that means nothing.
    pub(crate) fn of_variable(value: &str) -> Result<ProxyAddress, String> {
        let rest = match value.split_once("://") {
            Some((scheme, rest)) => {
                check_scheme(scheme)?;
                rest
            }
            None => value,
        };
        let (authority, _) = split_path(rest);
        Ok(ProxyAddress::of_authority(authority, PORT_IN_ENVIRONMENT)?)
    }

    fn of_authority(authority: &str, port: u16) -> Result<ProxyAddress, &'static str> {
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (host, port) = match place.rsplit_once(':') {
            // Within an address of IPv6.
            Some((_, end)) if end.contains(']') => (place, port),
            // As in a URL: a colon with nothing behind it says nothing.
            Some((host, "")) => (host, port),
            Some((host, digits)) => {
                let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
                let port = digits.parse().ok().filter(|port| is_number && *port > 0);
                (host, port.ok_or("its port is no number from 1 to 65535")?)
            }
            None => (place, port),
        };
        if host.is_empty() {
            return Err("there is no host in it");
        }
        let host = match Host::parse(host) {
            Ok(Host::Domain(name)) => name,
            Ok(Host::Ipv4(address)) => address.to_string(),
            Ok(Host::Ipv6(address)) => address.to_string(),
            Err(_) => return Err("its host is neither a name nor an address"),
        };
        let user = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let decoded = |text: &str| percent_decode_str(text).collect();
            (decoded(name), decoded(password))
        });
        Ok(ProxyAddress { host, port, user })
    }
}

fn check_scheme(scheme: &str) -> Result<(), String> {
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "http" => Ok(()),
        "socks" | "socks4" | "socks4a" | "socks5" | "socks5h" => Err(format!(
            "{scheme}: the library speaks no SOCKS; name a proxy that speaks http"
        )),
        "https" => Err(
            "https: TLS to the proxy itself is not spoken; what is sent through it to \
                        an https URL is encrypted all the same, so that http:// will do"
                .to_owned(),
        ),
        _ => Err("proxies are spoken to over http, and not over anything else".to_owned()),
    }
}

fn split_path(rest: &str) -> (&str, &str) {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest.split_at(end)
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Proxy::System => "System",
            Proxy::One(_) => "One(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_system_and_http() {
        assert_eq!(Proxy::parse("system").unwrap(), Proxy::System);
        for (value, host, port) in [
            ("http://u:p@proxy.example:3128", "proxy.example", 3128),
            ("HTTP://proxy.example", "proxy.example", 80),
            ("http://proxy.example:80/", "proxy.example", 80),
            ("http://[::1]:3128", "::1", 3128),
            ("http://[2001:DB8::1]", "2001:db8::1", 80),
        ] {
            let Proxy::One(proxy) = Proxy::parse(value).unwrap() else {
                panic!("{value}");
            };
            assert_eq!((&*proxy.host, proxy.port), (host, port), "{value}");
        }
        for (value, says) in [
            ("", "http://"),
            ("proxy:3128", "http://"),
            ("https://proxy", "TLS to the proxy"),
            ("socks5://u:secret@proxy:1", "no SOCKS"),
            ("ftp://proxy:1", "over http"),
            ("http://u:secret@proxy/path", "no path"),
            ("http://u:secret@", "no host"),
            ("http://u:secret@:80", "no host"),
            ("http://proxy:99999", "port"),
            ("http://proxy:0", "port"),
            ("http://proxy:+1", "port"),
            ("http://a b:1", "neither"),
        ] {
            let error = Proxy::parse(value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{value}");
            assert!(error.message().contains(says), "{value}: {error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
    }

    /// As curl 7.88.1 does, but for what it does not speak to here.
    #[test]
    fn takes_the_values_of_variables() {
        for (value, host, port, user) in [
            ("proxy:3128", "proxy", 3128, None),
            ("http://proxy:3128", "proxy", 3128, None),
            ("HTTP://proxy:3128/path?x", "proxy", 3128, None),
            ("proxy", "proxy", 1080, None),
            ("http://proxy", "proxy", 1080, None),
            ("http://proxy:80", "proxy", 80, None),
            ("[::1]:3128", "::1", 3128, None),
            ("u:p%40s%3as@proxy:1", "proxy", 1, Some(("u", "p@s:s"))),
            ("http://u@proxy:1", "proxy", 1, Some(("u", ""))),
            ("http://:p@proxy:1", "proxy", 1, Some(("", "p"))),
            ("u%zz:p@proxy:1", "proxy", 1, Some(("u%zz", "p"))),
        ] {
            let proxy = ProxyAddress::of_variable(value).unwrap();
            assert_eq!((&*proxy.host, proxy.port), (host, port), "{value}");
            let user = user.map(|(name, password)| (name.into(), password.into()));
            assert_eq!(proxy.user, user, "{value}");
        }
        for (value, says) in [
            (" http://u:secret@proxy:1", "over http"),
            ("http://u:secret@proxy:1 ", "port"),
            ("socks5h://u:secret@proxy:1", "no SOCKS"),
            ("https://u:secret@proxy:1", "TLS to the proxy"),
            ("//u:secret@proxy:1", "no host"),
            ("http://", "no host"),
            ("http://proxy:99999", "port"),
        ] {
            let why = ProxyAddress::of_variable(value).err().unwrap();
            assert!(why.contains(says), "{value}: {why}");
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let proxy = Proxy::parse("http://u:secret@proxy").unwrap();
        assert!(!format!("{proxy:?}").contains("secret"));
    }
}
