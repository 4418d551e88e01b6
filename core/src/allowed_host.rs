//! Hosts outside of the pair that requests may go to: the setting `allowed_hosts`.

use std::fmt;

use http::{HeaderMap, HeaderName};
use url::{Host, Url};

use crate::header::CREDENTIALS;
use crate::url_text::is_host_name;
use crate::{Error, ErrorKind};

/// Headers that say what a request is and not who sends it: they go to every host.
const STANDARD: [&str; 28] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "dataserviceversion",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "maxdataserviceversion",
    "odata-isolation",
    "odata-maxversion",
    "odata-version",
    "prefer",
    "range",
    "user-agent",
];

/// Takes away what does not go to an allowed host: everything of the application's own but what it has
/// `named`.
pub(crate) fn keep_for_allowed_host(headers: &mut HeaderMap, named: &[HeaderName]) {
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let may_go = STANDARD.contains(&name.as_str()) || named.contains(name);
            !may_go || CREDENTIALS.contains(name)
        })
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
}

/// Reads the setting `allowed_host_headers`: names, separated by commas.
pub(crate) fn parse_headers(text: &str) -> Result<Vec<HeaderName>, Error> {
    let refused = |name: &str, why: &str| {
        Err(Error::new(
            ErrorKind::InvalidSetting,
            format!("allowed_host_headers holds {name:?}: {why}"),
        ))
    };
    text.split(',')
        .map(str::trim)
        .map(|name| match HeaderName::from_bytes(name.as_bytes()) {
            Ok(header) if CREDENTIALS.contains(&header) => refused(
                name,
                "it goes to the organization's endpoints alone; leave it out",
            ),
            Ok(header) => Ok(header),
            Err(_) => refused(name, "write names of headers, separated by commas"),
        })
        .collect()
}

/// A host, and its port where one was named, that requests may go to although it is neither
/// endpoint of the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: Host<String>,
    /// `None`: the scheme's default.
    port: Option<u16>,
}

impl AllowedHost {
    /// Reads one host: `files.example.com`, `files.example.com:8443`, `10.0.0.1`, `[::1]:8443`.
    ///
    /// Without a port it stands for https's and http's default ports. Names are compared as the
    /// URL standard writes them: in any case, internationalized ones also in their `xn--` form.
    /// A name that ends in a dot is another one than without.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a URL, a path, user info, a wildcard, and what is no host;
    /// the message says what to write.
    pub fn parse(text: &str) -> Result<AllowedHost, Error> {
        let text = text.trim();
        if text.contains('@') {
            // Not shown: it may hold a password.
            return Err(refused(
                "user info",
                "write the host alone; nothing is sent there that authenticates",
            ));
        }
        let shown = format!("{text:?}");
        let host_alone = "write the host alone, like files.example.com or files.example.com:8443";
        if text.contains(['/', '\\', '?', '#']) {
            return Err(refused(&format!("the URL {shown}"), host_alone));
        }
        if text.contains('*') {
            return Err(refused(
                &format!("the wildcard {shown}"),
                "name each host, separated by commas",
            ));
        }
        let (host, port) = split_port(text);
        let port = port
            .map(|port| parse_port(port).ok_or(port))
            .transpose()
            .map_err(|port| {
                let why = "a port is a number from 1 to 65535; leave it and its colon out for the \
                           scheme's default port";
                refused(&format!("{port:?} as the port of {shown}"), why)
            })?;
        let host = Host::parse(host)
            .ok()
            .filter(is_name_or_address)
            .ok_or_else(|| refused(&format!("{shown}, which is no host"), host_alone))?;
        Ok(AllowedHost { host, port })
    }

    /// Reads the setting: hosts as [`AllowedHost::parse`] takes them, separated by commas.
    ///
    /// # Errors
    /// As [`AllowedHost::parse`], and for an empty place between commas.
    pub fn parse_list(text: &str) -> Result<Vec<AllowedHost>, Error> {
        text.split(',').map(AllowedHost::parse).collect()
    }

    /// Whether an http or https URL is on this host and port.
    pub(crate) fn holds(&self, url: &Url) -> bool {
        let default = match url.scheme() {
            "https" => 443,
            "http" => 80,
            _ => return false,
        };
        url.port_or_known_default() == Some(self.port.unwrap_or(default))
            && url.host().is_some_and(|host| host.to_owned() == self.host)
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

/// The URL standard lets punctuation pass that no host name has.
fn is_name_or_address(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => is_host_name(name),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    }
}

/// The colons inside of an IPv6 address's brackets are none of a port.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let after_address = text.rfind(']').map_or(0, |bracket| bracket + 1);
    match text[after_address..].rfind(':') {
        Some(colon) => {
            let colon = after_address + colon;
            (&text[..colon], Some(&text[colon + 1..]))
        }
        None => (text, None),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    // `parse` would take a sign.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain
        .then(|| text.parse().ok())
        .flatten()
        .filter(|port| *port != 0)
}

fn refused(what: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidSetting,
        format!("allowed_hosts holds {what}: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_what() {
        let table = [
            ("files.example.com", "https://files.example.com/a?b", true),
            ("files.example.com", "http://files.example.com/a", true),
            ("files.example.com", "https://files.example.com:443", true),
            ("files.example.com", "https://files.example.com:80", false),
            ("files.example.com", "https://files.example.com:8443", false),
            ("files.example.com", "https://a.files.example.com", false),
            ("files.example.com", "https://files.example.com.", false),
            ("files.example.com", "ftp://files.example.com", false),
            (
                "FILES.example.com:8443",
                "https://files.EXAMPLE.com:8443",
                true,
            ),
            ("files.example.com:8443", "https://files.example.com", false),
            ("files.example.com:443", "https://files.example.com", true),
            ("files.example.com:443", "http://files.example.com", false),
            ("localhost:1", "http://localhost:1/", true),
            ("10.0.0.1", "https://10.0.0.1", true),
            ("10.0.0.1", "https://0xa.1", true),
            ("[::1]:8443", "https://[0::1]:8443", true),
            ("[::1]", "http://[::1]", true),
            ("bücher.example", "https://xn--bcher-kva.example", true),
        ];
        for (allowed, url, expected) in table {
            let url = Url::parse(url).unwrap();
            let allowed = AllowedHost::parse(allowed).unwrap();
            assert_eq!(allowed.holds(&url), expected, "{allowed} {url}");
        }
    }

    #[test]
    fn what_is_refused_says_what_to_write() {
        let table = [
            ("https://files.example.com", "host alone"),
            ("files.example.com/a", "host alone"),
            ("files.example.com\\a", "host alone"),
            ("files.example.com?a", "host alone"),
            ("files.example.com#a", "host alone"),
            ("u:secret@files.example.com", "host alone"),
            ("*.example.com", "name each host"),
            ("*", "name each host"),
            ("files.example.com:", "a port is"),
            ("files.example.com:0", "a port is"),
            ("files.example.com:+1", "a port is"),
            ("files.example.com:65536", "a port is"),
            ("files.example.com:x", "a port is"),
            ("", "no host"),
            ("a b", "no host"),
            ("a\tb", "no host"),
            ("[::1", "no host"),
            ("[::g]", "no host"),
            ("1.2.3.4.5", "no host"),
            ("::1", "no host"),
            ("a.example;b.example", "no host"),
            ("a~b", "no host"),
        ];
        for (text, why) in table {
            let error = AllowedHost::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{text:?}");
            assert!(error.message().contains(why), "{text:?}: {error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_list() {
        let hosts = AllowedHost::parse_list("a.example, b.example:1 ,[::1]:2").unwrap();
        let shown: Vec<String> = hosts.iter().map(AllowedHost::to_string).collect();
        assert_eq!(shown, ["a.example", "b.example:1", "[::1]:2"]);
        for text in ["", "a.example,", ",", "a.example;b.example"] {
            assert!(AllowedHost::parse_list(text).is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_does_not_panic_and_what_is_read_is_read_again(text in "\\PC{0,40}") {
            for host in AllowedHost::parse_list(&text).unwrap_or_default() {
                proptest::prop_assert_eq!(AllowedHost::parse(&host.to_string()).unwrap(), host);
            }
        }
    }
}
