//! Updates that would create a fragment of a row where the row is missing.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Method};

use super::batch::with_lengths;
use super::{Splice, spliced};
use crate::batch::{Batch, PartRequest};
use crate::content_type;
use crate::json_batch::{JsonBatch, JsonRequest, is_json};
use crate::operation::web_api::{self, OVERRIDES, Service, conditions, effective_method};

/// Whether a request stands for a `PATCH` of a row of the Web API without a condition: with
/// `If-Match: *` it would update the row and never create it.
pub(crate) fn wants_update_guard(method: &Method, url: &str, headers: &HeaderMap) -> bool {
    let may_be_one = *method == Method::PATCH || *method == Method::POST;
    may_be_one
        && web_api::row(url).is_some()
        && is_update(web_api::written_as(method, url, headers), url)
        && !is_conditional(headers, &IF_MATCH)
        && !is_conditional(headers, &IF_NONE_MATCH)
}

/// `method`: the one that the request stands for.
fn is_update(method: Option<&[u8]>, url: &str) -> bool {
    if method != Some(b"PATCH") {
        return false;
    }
    let path = web_api::path(url);
    web_api::is_row(path) && web_api::service(path) == Service::WebApi
}

/// The body of a `$batch` in which such requests have the condition. `None`: it holds none, or
/// cannot be read.
pub(crate) fn guard_parts(url: &str, headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    let path = web_api::path(url);
    if !web_api::is_batch(path)
        || web_api::service(path) != Service::WebApi
        || headers.contains_key(CONTENT_ENCODING)
    {
        return None;
    }
    let content_type = content_type::of(headers)?;
    let splices = if is_json(content_type) {
        let batch = JsonBatch::read(content_type, body)?;
        let requests = batch.requests.iter();
        requests.flat_map(guard_json).collect()
    } else {
        let batch = Batch::read(content_type, body);
        with_lengths(&batch, |request| guard_part(&batch, request))
    };
    (!splices.is_empty()).then(|| spliced(body, splices))
}

fn guard_part(batch: &Batch<'_>, request: &PartRequest) -> Vec<Splice> {
    let (mut places, mut is_conditional) = (Vec::new(), false);
    let mut overrides = Vec::new();
    batch.fields(request.fields.clone(), |name, value| {
        if OVERRIDES
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known.as_str().as_bytes()))
        {
            overrides.push(batch.bytes(&value));
        }
        let is_match = name.eq_ignore_ascii_case(b"if-match");
        if is_match || name.eq_ignore_ascii_case(b"if-none-match") {
            is_conditional |= conditions(batch.bytes(&value)).next().is_some();
        }
        if is_match {
            places.push(value);
        }
    });
    let is_update = batch.text(&request.target).is_some_and(|target| {
        let method = batch.bytes(&request.method);
        let overrides = overrides.into_iter();
        let method = effective_method(method, web_api::path(target), overrides);
        is_update(method, target)
    });
    if !is_update || is_conditional {
        return Vec::new();
    }
    if places.is_empty() {
        let at = request.fields.start;
        // A request of one line may end without a line break.
        let before = if batch.bytes(&(0..at)).ends_with(b"\n") {
            ""
        } else {
            "\r\n"
        };
        return vec![Splice {
            at: at..at,
            by: format!("{before}If-Match: *\r\n"),
        }];
    }
    star(places, "*")
}

fn guard_json(request: &JsonRequest) -> Vec<Splice> {
    let has = |header| request.values(header).flat_map(conditions).next().is_some();
    let overrides = OVERRIDES
        .iter()
        .flat_map(|header| request.values(header.as_str()));
    let path = web_api::path(&request.url);
    let method = effective_method(request.method.as_bytes(), path, overrides);
    if !is_update(method, &request.url) || has("if-match") || has("if-none-match") {
        return Vec::new();
    }
    let named = request
        .headers
        .iter()
        .filter(|(name, ..)| name.trim().eq_ignore_ascii_case("if-match"));
    let places: Vec<_> = named.map(|(_, _, at)| at.clone()).collect();
    if !places.is_empty() {
        return star(places, "\"*\"");
    }
    let member = r#""If-Match":"*""#;
    let (at, by) = match &request.headers_at {
        Some(at) if request.headers.is_empty() => (at.clone(), format!("{{{member}}}")),
        Some(at) => (at.start + 1..at.start + 1, format!("{member},")),
        None => {
            let first = request.at.start + 1;
            (first..first, format!(r#""headers":{{{member}}},"#))
        }
    };
    vec![Splice { at, by }]
}

fn star(places: Vec<std::ops::Range<usize>>, star: &str) -> Vec<Splice> {
    let splice = |at| Splice {
        at,
        by: star.to_owned(),
    };
    places.into_iter().map(splice).collect()
}

/// Whether a conditional header names a condition.
pub(crate) fn is_conditional(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut values = headers.get_all(name).into_iter();
    values.any(|value| conditions(value.as_bytes()).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::samples::BATCH_URL;
    use crate::operation::samples::{Header, headers};

    #[test]
    fn which_updates() {
        const ROW: &str = "/api/data/v9.2/accounts(1)";
        type Case<'a> = (&'a str, &'a str, &'a [Header<'a>], bool);
        #[rustfmt::skip]
        let table: &[Case<'_>] = &[
            ("PATCH", ROW, &[], true),
            ("PATCH", "https://contoso.crm.test/api/data/v9.2/accounts(1)?$select=name", &[("prefer", "x")], true),
            ("PATCH", "api/data/v9.2/accounts(accountnumber='a')", &[], true),
            ("PATCH", "/api/data/v9.2/accounts%281%29", &[], true),
            ("PATCH", ROW, &[("if-match", "null")], true),
            ("PATCH", ROW, &[("if-none-match", "null")], true),
            ("PATCH", ROW, &[("if-match", " NULL "), ("if-none-match", "\"null\"")], true),
            ("PATCH", ROW, &[("if-match", ""), ("if-match", "null,")], true),
            ("PATCH", ROW, &[("if-match", "null"), ("if-match", "W/\"1\"")], false),
            ("PATCH", ROW, &[("if-none-match", "null"), ("if-none-match", "*")], false),
            ("PATCH", ROW, &[("if-match", "\"nullified\"")], false),
            ("PATCH", ROW, &[("if-match", "*")], false),
            ("PATCH", ROW, &[("if-match", "W/\"1\"")], false),
            ("PATCH", ROW, &[("if-none-match", "*")], false),
            ("PATCH", "/api/data/v9.2/accounts", &[], false),
            ("PATCH", "/api/data/v9.2/accounts(1)/name", &[], false),
            ("PATCH", "/api/data/v9.2/accounts?x=(1)", &[], false),
            ("PATCH", "/XRMServices/2011/OrganizationData.svc/AccountSet(1)", &[], false),
            ("PUT", ROW, &[], false),
            ("DELETE", ROW, &[], false),
            ("PATCH", "/api/data/v9.2/accounts(1)/", &[], true),
            ("PATCH", "/api/data/v9.2/accounts%281%29/?$select=name", &[], true),
            ("PATCH", "/api/data/v9.2/accounts/", &[], false),
            ("POST", ROW, &[("x-http-method", "PATCH")], true),
            ("POST", ROW, &[("x-http-method-override", "PATCH")], true),
            ("POST", "/api/data/v9.2/accounts(1)/", &[("x-http-method", "PATCH")], true),
            ("POST", ROW, &[("x-http-method", "PATCH"), ("x-http-method-override", "PATCH")], true),
            ("POST", ROW, &[("x-http-method", "PATCH"), ("x-http-method-override", "DELETE")], false),
            ("POST", ROW, &[("x-http-method", "PATCH"), ("if-match", "W/\"1\"")], false),
            ("POST", ROW, &[("x-http-method", "PUT")], false),
            ("POST", ROW, &[], false),
            ("POST", "/api/data/v9.2/accounts", &[("x-http-method", "PATCH")], false),
            ("PUT", ROW, &[("x-http-method", "PATCH")], false),
            ("GET", ROW, &[], false),
        ];
        for (method, url, list, expected) in table {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let got = wants_update_guard(&method, url, &headers(list));
            assert_eq!(got, *expected, "{method} {url} {list:?}");
        }
    }

    fn guarded(content_type: &str, body: &str) -> String {
        let list = headers(&[("content-type", content_type)]);
        let body = Bytes::copy_from_slice(body.as_bytes());
        let guarded = guard_parts(BATCH_URL, &list, &body);
        if let Some(guarded) = &guarded {
            // What has a condition by then is left alone.
            assert_eq!(guard_parts(BATCH_URL, &list, guarded), None);
        }
        let guarded = guarded.unwrap_or(body);
        String::from_utf8(guarded.to_vec()).unwrap()
    }

    #[test]
    fn updates_in_a_batch() {
        let part = |boundary: &str, request: &str| {
            format!(
                "--{boundary}\r\nContent-Type: application/http\r\nContent-Length: {}\r\n\r\n{request}\r\n",
                request.len()
            )
        };
        let whole = |requests: [&str; 4]| {
            let [first, second, third, fourth] = requests;
            let set = format!("{}{}--c--", part("c", first), part("c", second));
            format!(
                "--b\r\nContent-Type: multipart/mixed; boundary=c\r\nContent-Length: {}\r\n\r\n{set}\r\n{}{}--b--\r\n",
                set.len(),
                part("b", third),
                part("b", fourth)
            )
        };
        let before = whole([
            "PATCH /api/data/v9.2/accounts(1) HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{\"a\":1}",
            "PATCH accounts(2) HTTP/1.1\r\nIf-None-Match: null\r\nIf-Match: null\r\n\r\n{}",
            "PATCH https://contoso.crm.test/api/data/v9.2/accounts(3) HTTP/1.1\r\n\r\n",
            "PATCH accounts(4) HTTP/1.1\r\nif-match: W/\"1\"\r\n\r\n{}",
        ]);
        let after = whole([
            "PATCH /api/data/v9.2/accounts(1) HTTP/1.1\r\nIf-Match: *\r\nContent-Type: application/json\r\n\r\n{\"a\":1}",
            "PATCH accounts(2) HTTP/1.1\r\nIf-None-Match: null\r\nIf-Match: *\r\n\r\n{}",
            "PATCH https://contoso.crm.test/api/data/v9.2/accounts(3) HTTP/1.1\r\nIf-Match: *\r\n\r\n",
            "PATCH accounts(4) HTTP/1.1\r\nif-match: W/\"1\"\r\n\r\n{}",
        ]);
        assert_eq!(guarded("multipart/mixed; boundary=b", &before), after);
        let before = whole([
            "POST accounts(1) HTTP/1.1\r\nX-HTTP-Method: PATCH\r\n\r\n{}",
            "POST accounts(2)/ HTTP/1.1\r\nx-http-method-override: PATCH\r\nIf-Match: null\r\n\r\n{}",
            "PATCH accounts(3)/ HTTP/1.1\r\n\r\n{}",
            "POST accounts(4) HTTP/1.1\r\nX-HTTP-Method: DELETE\r\n\r\n",
        ]);
        let after = whole([
            "POST accounts(1) HTTP/1.1\r\nIf-Match: *\r\nX-HTTP-Method: PATCH\r\n\r\n{}",
            "POST accounts(2)/ HTTP/1.1\r\nx-http-method-override: PATCH\r\nIf-Match: *\r\n\r\n{}",
            "PATCH accounts(3)/ HTTP/1.1\r\nIf-Match: *\r\n\r\n{}",
            "POST accounts(4) HTTP/1.1\r\nX-HTTP-Method: DELETE\r\n\r\n",
        ]);
        assert_eq!(guarded("multipart/mixed; boundary=b", &before), after);
        let others = whole([
            "PATCH $1 HTTP/1.1\r\n\r\n{}",
            "PATCH accounts(2)/name HTTP/1.1\r\n\r\n{}",
            "PATCH accounts(3) HTTP/1.1\r\nIf-None-Match: *\r\n\r\n{}",
            "DELETE accounts(4) HTTP/1.1\r\n\r\n",
        ]);
        assert_eq!(guarded("multipart/mixed; boundary=b", &others), others);
        let bare = "--b\r\nContent-Type: application/http\r\n\r\nPATCH accounts(1) HTTP/1.1";
        let expected = format!("{bare}\r\nIf-Match: *\r\n");
        assert_eq!(guarded("multipart/mixed; boundary=b", bare), expected);
    }

    #[test]
    fn updates_in_a_batch_in_json() {
        #[rustfmt::skip]
        let table = [
            (r#"{"method":"PATCH","url":"accounts(1)","body":{}}"#,
             r#"{"headers":{"If-Match":"*"},"method":"PATCH","url":"accounts(1)","body":{}}"#),
            (r#"{"method":"patch","url":"accounts(1)","headers":{}}"#,
             r#"{"method":"patch","url":"accounts(1)","headers":{"If-Match":"*"}}"#),
            (r#"{"method":"patch","url":"accounts(1)","headers":null}"#,
             r#"{"method":"patch","url":"accounts(1)","headers":{"If-Match":"*"}}"#),
            (r#"{"method":"patch","url":"accounts(1)","headers":{ "If-None-Match":null}}"#,
             r#"{"method":"patch","url":"accounts(1)","headers":{"If-Match":"*", "If-None-Match":null}}"#),
            (r#"{"method":"patch","url":"accounts(1)","headers":{"if-match":"NULL"}}"#,
             r#"{"method":"patch","url":"accounts(1)","headers":{"if-match":"*"}}"#),
            (r#"{"method":"PATCH","url":"accounts(1)/","headers":{}}"#,
             r#"{"method":"PATCH","url":"accounts(1)/","headers":{"If-Match":"*"}}"#),
            (r#"{"method":"post","url":"accounts(1)","headers":{"X-HTTP-Method":"PATCH"}}"#,
             r#"{"method":"post","url":"accounts(1)","headers":{"If-Match":"*","X-HTTP-Method":"PATCH"}}"#),
        ];
        for (before, after) in table {
            let batch = |request: &str| {
                format!(r#"{{"requests":[{{"method":"GET","url":"a(1)"}}, {request}]}}"#)
            };
            assert_eq!(guarded("application/json", &batch(before)), batch(after));
        }
        for same in [
            r#"{"requests":[{"method":"PATCH","url":"accounts(1)","headers":{"If-Match":"W/\"1\""}}]}"#,
            r#"{"requests":[{"method":"PATCH","url":"accounts(1)","headers":{"if-none-match":"*"}}]}"#,
            r#"{"requests":[{"method":"PATCH","url":"accounts"}]}"#,
            r#"{"requests":[{"method":"PATCH","url":"accounts(1)"}"#,
        ] {
            assert_eq!(guarded("application/json", same), same);
        }
    }
}
