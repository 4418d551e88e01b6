//! What a write on record keeps of its request, so that its values can be compared with the row's,
//! and it can be sent again. Plain data, without a credential.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use memchr::memmem;

use crate::batch::{Batch, Content};
use crate::body::Body;
use crate::content_type;
use crate::header::CREDENTIALS;
use crate::json_batch::{self, JsonBatch};
use crate::operation::web_api::{self, Service};
use crate::soap_request;
use crate::{LedgerBodies, Request};

/// Headers that say what is written, how, and in whose name; none says who asks. Of others nobody
/// knows whether they hold a secret.
const KEPT: [&str; 20] = [
    "accept",
    "accept-language",
    "callerobjectid",
    "content-encoding",
    "content-language",
    "content-type",
    "dataserviceversion",
    "if-match",
    "if-none-match",
    "maxdataserviceversion",
    "mscrmcallerid",
    "odata-isolation",
    "odata-maxversion",
    "odata-version",
    "prefer",
    "soapaction",
    "x-http-method",
    "x-http-method-override",
    "x-ms-api-version",
    "x-requested-with",
];
/// Dataverse's own: `MSCRM.SuppressDuplicateDetection`, `MSCRM.BypassCustomPluginExecution`, …
const DATAVERSE: &str = "mscrm.";
/// Of WS-Security's namespace: a message that has it carries a credential or a signature, and expires.
const WS_SECURITY: &[u8] = b"oasis-200401-wss-wssecurity-secext";

/// A request as the application gave it, or, of a guarded create, as the library has made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) method: String,
    /// On either endpoint, or from the base URL on.
    pub(crate) url: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// It may create its row.
    pub(crate) is_upsert: bool,
}

impl Kept {
    /// What is kept of a request that goes to the organization. `None`: nothing, because nothing is
    /// asked for, the body is read while it is sent, is longer than `longest` bytes, or holds a credential.
    pub(crate) fn of(request: &Request, bodies: LedgerBodies, longest: usize) -> Option<Kept> {
        if bodies != LedgerBodies::Full {
            return None;
        }
        let Body::Bytes(body) = &request.body else {
            return None;
        };
        if body.len() > longest || holds_a_credential(&request.url, &request.headers, body) {
            return None;
        }
        Some(Kept {
            method: request.method.to_string(),
            url: request.url.clone(),
            headers: kept_of(&request.headers),
            body: body.clone(),
            is_upsert: request.is_upsert,
        })
    }

    /// The method as it is sent.
    pub(crate) fn method(&self) -> Option<Method> {
        Method::from_bytes(self.method.as_bytes()).ok()
    }

    /// The headers as they are sent.
    pub(crate) fn header_map(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(value.as_bytes()),
            ) {
                headers.append(name, value);
            }
        }
        headers
    }
}

fn kept_of(headers: &HeaderMap) -> Vec<(String, String)> {
    let is_kept =
        |name: &HeaderName| KEPT.contains(&name.as_str()) || name.as_str().starts_with(DATAVERSE);
    let fields = headers
        .iter()
        .filter(|(name, value)| is_kept(name) && !value.is_sensitive());
    fields
        .filter_map(|(name, value)| {
            let value = std::str::from_utf8(value.as_bytes()).ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        })
        .collect()
}

/// Whether a body holds a credential, or nobody can tell: a message with WS-Security, a batch with a
/// request that has an `Authorization` of its own.
fn holds_a_credential(url: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let path = web_api::path(url);
    let is_credential = |name: &[u8]| {
        CREDENTIALS.iter().any(|known| {
            name.trim_ascii()
                .eq_ignore_ascii_case(known.as_str().as_bytes())
        })
    };
    if web_api::is_batch(path) {
        let (Some(content_type), false) = (
            content_type::of(headers),
            headers.contains_key(CONTENT_ENCODING),
        ) else {
            return true;
        };
        if json_batch::is_json(content_type) {
            let Some(batch) = JsonBatch::read(content_type, body) else {
                return true;
            };
            let mut fields = batch.requests.iter().flat_map(|request| &request.headers);
            return fields.any(|(name, _, _)| is_credential(name.as_bytes()));
        }
        let batch = Batch::read(content_type, body);
        let mut has_one = false;
        for part in &batch.parts {
            if let Content::Request(request) = &part.content {
                batch.fields(request.fields.clone(), |name, _| {
                    has_one |= is_credential(name)
                });
            }
        }
        return has_one;
    }
    if web_api::service(path) == Service::Soap {
        let Some((start, text)) = soap_request::text(headers, body, usize::MAX) else {
            return true;
        };
        // What is not UTF-8 to its end is not looked through.
        return start + text.len() != body.len()
            || memmem::find(text.as_bytes(), WS_SECURITY).is_some();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(url: &str, headers: &[(&str, &str)], body: &str) -> Option<Kept> {
        let mut request = Request::new("POST", url).unwrap();
        for (name, value) in headers {
            request.add_header(name, value).unwrap();
        }
        request.set_body(body.to_owned());
        Kept::of(&request, LedgerBodies::Full, 1000)
    }

    #[test]
    fn no_header_is_kept_that_may_be_a_credential() {
        let headers = [
            ("Content-Type", "application/json"),
            ("Authorization", "Bearer secret"),
            ("Cookie", "secret"),
            ("Proxy-Authorization", "secret"),
            ("X-Api-Key", "secret"),
            ("MSCRM.SuppressDuplicateDetection", "true"),
            ("If-None-Match", "*"),
        ];
        let kept = kept("/api/data/v9.2/accounts", &headers, "{}").unwrap();
        let names: Vec<&str> = kept.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "content-type",
                "mscrm.suppressduplicatedetection",
                "if-none-match"
            ]
        );
        assert!(!format!("{kept:?}").contains("secret"));
        assert_eq!(kept.header_map().len(), 3);
    }

    #[test]
    fn a_body_that_holds_a_credential_or_is_too_long_is_not_kept() {
        const SOAP: &str = "/XRMServices/2011/Organization.svc";
        const BATCH: &str = "/api/data/v9.2/$batch";
        let xml = [("content-type", "text/xml; charset=utf-8")];
        let json = [("content-type", "application/json")];
        let mixed = [("content-type", "multipart/mixed; boundary=b")];
        let security = "<a xmlns:o='http://docs.oasis-open.org/wss/2004/01/\
                        oasis-200401-wss-wssecurity-secext-1.0.xsd'><o:Security/></a>";
        let json_batch = |header: &str| {
            format!(
                r#"{{"requests":[{{"id":"1","method":"POST","url":"x","headers":{{"{header}":"s"}}}}]}}"#
            )
        };
        let multipart = |header: &str| {
            format!(
                "--b\r\nContent-Type: application/http\r\n\r\nPOST /x HTTP/1.1\r\n{header}: s\r\n\r\n{{}}\r\n--b--\r\n"
            )
        };
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, bool);
        let table: [Case<'_>; 12] = [
            ("/api/data/v9.2/accounts", &json, "{}", true),
            ("/api/data/v9.2/accounts", &json, &"x".repeat(1000), true),
            ("/api/data/v9.2/accounts", &json, &"x".repeat(1001), false),
            (SOAP, &xml, "<a/>", true),
            (SOAP, &xml, security, false),
            (SOAP, &[("content-encoding", "gzip")], "x", false),
            (BATCH, &json, &json_batch("If-Match"), true),
            (BATCH, &json, &json_batch("authorization"), false),
            (BATCH, &json, "{", false),
            (BATCH, &mixed, &multipart("If-Match"), true),
            (BATCH, &mixed, &multipart("Cookie"), false),
            (BATCH, &[], "", false),
        ];
        for (url, headers, body, expected) in table {
            assert_eq!(kept(url, headers, body).is_some(), expected, "{url} {body}");
        }
    }

    #[test]
    fn nothing_is_kept_unless_it_is_asked_for() {
        let request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
        for bodies in [LedgerBodies::Off, LedgerBodies::Digest] {
            assert_eq!(Kept::of(&request, bodies, 1000), None);
        }
    }
}
