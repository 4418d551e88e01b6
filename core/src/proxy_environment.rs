//! What the environment says of proxies, as curl reads it (measured with curl 7.88.1; IPv6 networks
//! by its documentation).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The variables, of which the first that is not empty counts. `HTTP_PROXY` is none: a CGI script
/// gets it from whoever sends a header `Proxy`.
const HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const HTTP: [&str; 3] = ["http_proxy", "all_proxy", "ALL_PROXY"];
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// A variable that names a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) variable: &'static str,
    pub(crate) value: String,
}

/// What the environment says.
#[derive(Clone)]
pub(crate) struct ProxyEnvironment {
    https: Option<Named>,
    http: Option<Named>,
    exceptions: String,
}

impl ProxyEnvironment {
    /// Reads it. `get` gives a variable.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> ProxyEnvironment {
        let first = |variables: &[&'static str]| {
            variables.iter().find_map(|&variable| {
                let value = get(variable).filter(|value| !value.is_empty())?;
                Some(Named { variable, value })
            })
        };
        ProxyEnvironment {
            https: first(&HTTPS),
            http: first(&HTTP),
            exceptions: first(&EXCEPTIONS).map_or_else(String::new, |named| named.value),
        }
    }

    /// The proxy for a host, whose IPv6 address has no brackets.
    pub(crate) fn proxy_for(&self, is_https: bool, host: &str) -> Option<&Named> {
        let named = if is_https { &self.https } else { &self.http };
        named
            .as_ref()
            .filter(|_| !is_excepted(&self.exceptions, host))
    }
}

/// Whether a list of exceptions has a host.
fn is_excepted(exceptions: &str, host: &str) -> bool {
    if exceptions == "*" {
        return true;
    }
    let address: Option<IpAddr> = host.parse().ok();
    let host = host.strip_suffix('.').unwrap_or(host);
    exceptions
        .split([',', ' ', '\t'])
        .filter(|entry| !entry.is_empty())
        .any(|entry| match address {
            Some(address) => has_address(entry, address),
            None => has_name(entry, host),
        })
}

/// The name itself, or one beneath it.
fn has_name(entry: &str, host: &str) -> bool {
    let entry = entry.strip_suffix('.').unwrap_or(entry);
    let entry = entry.strip_prefix('.').unwrap_or(entry);
    let Some(at) = host.len().checked_sub(entry.len()) else {
        return false;
    };
    let (before, end) = host.as_bytes().split_at(at);
    !entry.is_empty()
        && end.eq_ignore_ascii_case(entry.as_bytes())
        && (before.is_empty() || before.ends_with(b"."))
}

/// The address itself, or a network that it is in. What is no number of bits counts as none, and
/// none as all.
fn has_address(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = entry.split_once('/').unwrap_or((entry, ""));
    let digits = bits.len() - bits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let bits = match &bits[..digits] {
        "" => 0,
        digits => digits.parse().unwrap_or(u32::MAX),
    };
    match address {
        IpAddr::V4(address) => network
            .parse()
            .is_ok_and(|network: Ipv4Addr| is_in(address.to_bits(), network.to_bits(), bits)),
        IpAddr::V6(address) => network
            .parse()
            .is_ok_and(|network: Ipv6Addr| is_in(address.to_bits(), network.to_bits(), bits)),
    }
}

trait Bits: Copy + PartialEq + std::ops::BitXor<Output = Self> {
    const COUNT: u32;
    fn leading_zeros(self) -> u32;
}

impl Bits for u32 {
    const COUNT: u32 = u32::BITS;
    fn leading_zeros(self) -> u32 {
        u32::leading_zeros(self)
    }
}

impl Bits for u128 {
    const COUNT: u32 = u128::BITS;
    fn leading_zeros(self) -> u32 {
        u128::leading_zeros(self)
    }
}

fn is_in<T: Bits>(address: T, network: T, bits: u32) -> bool {
    let bits = if bits == 0 { T::COUNT } else { bits };
    bits <= T::COUNT && (address ^ network).leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row but those of IPv6 networks was asked of curl 7.88.1.
    #[test]
    fn exceptions_are_those_of_curl() {
        for (exceptions, host, is_direct) in [
            ("*", "a.test", true),
            (" * ", "a.test", false),
            ("*,b.test", "a.test", false),
            ("*.a.test", "x.a.test", false),
            ("a.test", "a.test", true),
            (".a.test", "a.test", true),
            ("a.test", "x.a.test", true),
            (".a.test", "x.a.test", true),
            ("a.test", "xa.test", false),
            ("..a.test", "x.a.test", false),
            ("A.TEST", "x.a.test", true),
            ("a.test", "X.A.Test", true),
            ("a.test.", "a.test", true),
            ("a.test", "a.test.", true),
            (".a.test.", "x.a.test.", true),
            ("x.a.test", "a.test", false),
            ("a.test:80", "a.test", false),
            ("a.test:8080", "a.test", false),
            ("b.test a.test", "a.test", true),
            ("b.test, a.test", "a.test", true),
            ("b.test,a.test", "a.test", true),
            ("b.test ,a.test", "a.test", true),
            ("b.test,,a.test", "a.test", true),
            ("b.test\ta.test", "a.test", true),
            (",a.test", "a.test", true),
            ("b.test;a.test", "a.test", false),
            ("test", "a.test", true),
            (".", "a.test", false),
            ("", "a.test", false),
            ("localhost", "localhost", true),
            ("127.0.0.1", "localhost", false),
            ("localhost", "127.0.0.1", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.0/24", "192.0.2.77", true),
            ("192.0.2.0/25", "192.0.2.200", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("192.0.2.1/32", "192.0.2.1", true),
            ("192.0.2.0/0", "198.51.100.1", false),
            ("192.0.2.0/33", "192.0.2.0", false),
            ("192.0.2.0/x", "192.0.2.0", true),
            ("192.0.2.1/", "192.0.2.1", true),
            ("192.0.2.1/24x", "192.0.2.9", true),
            ("192.0.2", "192.0.2.1", false),
            (".0.2.1", "192.0.2.1", false),
            ("192.0.2.1.", "192.0.2.1", false),
            ("0.0.0.0/0", "a.test", false),
            ("::ffff:192.0.2.1", "192.0.2.1", false),
            ("2001:db8::1", "2001:db8::1", true),
            ("[2001:db8::1]", "2001:db8::1", false),
            // By the documentation.
            ("2001:DB8:0::1", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::9", true),
            ("2001:db8::/33", "2001:db8:8000::9", false),
            ("2001:db8::/61", "2001:db8:0:7::9", true),
            ("2001:db8::/61", "2001:db8:0:8::9", false),
            ("2001:db8::/129", "2001:db8::9", false),
        ] {
            assert_eq!(
                is_excepted(exceptions, host),
                is_direct,
                "{exceptions:?} {host}"
            );
        }
    }

    /// As curl 7.88.1 does, row by row.
    #[test]
    fn variables_are_those_of_curl() {
        const P: &str = "proxy.test:3128";
        for (is_https, variables, proxied_by) in [
            (false, &[("http_proxy", P)][..], Some("http_proxy")),
            (false, &[("HTTP_PROXY", P)], None),
            (false, &[("HTTP_PROXY", P), ("REQUEST_METHOD", "GET")], None),
            (
                false,
                &[("http_proxy", P), ("REQUEST_METHOD", "GET")],
                Some("http_proxy"),
            ),
            (false, &[("all_proxy", P)], Some("all_proxy")),
            (false, &[("ALL_PROXY", P)], Some("ALL_PROXY")),
            (false, &[("https_proxy", P), ("HTTPS_PROXY", P)], None),
            (
                false,
                &[("http_proxy", ""), ("all_proxy", P)],
                Some("all_proxy"),
            ),
            (true, &[("https_proxy", P)], Some("https_proxy")),
            (true, &[("HTTPS_PROXY", P)], Some("HTTPS_PROXY")),
            (
                true,
                &[("HTTPS_PROXY", P), ("REQUEST_METHOD", "GET")],
                Some("HTTPS_PROXY"),
            ),
            (
                true,
                &[("HTTPS_PROXY", "x"), ("https_proxy", P)],
                Some("https_proxy"),
            ),
            (
                true,
                &[("HTTPS_PROXY", P), ("https_proxy", "")],
                Some("HTTPS_PROXY"),
            ),
            (
                true,
                &[("https_proxy", ""), ("ALL_PROXY", P)],
                Some("ALL_PROXY"),
            ),
            (true, &[("http_proxy", P)], None),
            (
                true,
                &[("all_proxy", P), ("ALL_PROXY", "x")],
                Some("all_proxy"),
            ),
            (true, &[("https_proxy", P), ("NO_PROXY", "a.test")], None),
            (
                true,
                &[
                    ("https_proxy", P),
                    ("NO_PROXY", "a.test"),
                    ("no_proxy", "b.test"),
                ],
                Some("https_proxy"),
            ),
            (
                true,
                &[("https_proxy", P), ("NO_PROXY", "a.test"), ("no_proxy", "")],
                None,
            ),
            (true, &[("https_proxy", P), ("no_proxy", "*")], None),
            (true, &[], None),
        ] {
            let get = |name: &str| {
                let mut found = variables.iter().filter(|(variable, _)| *variable == name);
                found.next().map(|(_, value)| (*value).to_owned())
            };
            let environment = ProxyEnvironment::read(get);
            let named = environment.proxy_for(is_https, "a.test");
            let variable = named.map(|named| named.variable);
            assert_eq!(variable, proxied_by, "{is_https} {variables:?}");
            assert!(named.is_none_or(|named| named.value == P));
        }
    }
}
