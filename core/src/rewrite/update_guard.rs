//! Updates that would create a fragment of a row where the row is missing.

use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Method};

use crate::operation::web_api::{self, Service, conditions};

/// Whether a request is a `PATCH` of a row of the Web API without a condition: with `If-Match: *` it
/// would update the row and never create it.
pub(crate) fn wants_update_guard(method: &Method, url: &str, headers: &HeaderMap) -> bool {
    let path = web_api::path(url);
    *method == Method::PATCH
        && web_api::is_row(path)
        && web_api::service(path) == Service::WebApi
        && !is_conditional(headers, &IF_MATCH)
        && !is_conditional(headers, &IF_NONE_MATCH)
}

/// Whether a conditional header names a condition.
pub(crate) fn is_conditional(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut values = headers.get_all(name).into_iter();
    values.any(|value| conditions(value.as_bytes()).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
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
            ("POST", ROW, &[("x-http-method", "PATCH")], false),
            ("GET", ROW, &[], false),
        ];
        for (method, url, list, expected) in table {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let got = wants_update_guard(&method, url, &headers(list));
            assert_eq!(got, *expected, "{method} {url} {list:?}");
        }
    }
}
