//! A write that is sent again, under a condition.

use http::header::{CONTENT_LENGTH, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Method};

use super::Rewritten;
use super::guarded_create::guarded_create;
use super::soap_match;
use crate::kept::Kept;
use crate::operation::Row;
use crate::operation::web_api::{self, OVERRIDES};

const NO_METHOD: &str = "its method is not known";
const NO_VERSION: &str = "the version of its row is none that a header can carry";

/// As it was.
pub(crate) fn as_it_is(kept: &Kept) -> Result<Rewritten, &'static str> {
    Ok(Rewritten {
        method: Method::from_bytes(kept.method.as_bytes()).map_err(|_| NO_METHOD)?,
        url: kept.url.clone(),
        headers: kept.header_map(),
        body: kept.body.clone(),
    })
}

/// As the create of a row that must not be there.
///
/// # Errors
/// Why that cannot be made of it: for a person.
pub(crate) fn create(kept: &Kept, row: &Row) -> Result<Rewritten, &'static str> {
    let request = as_it_is(kept)?;
    let url = match row {
        Row::Url(url) => url,
        Row::Soap { id, .. } => {
            let created = guarded_create(
                &request.method,
                &request.url,
                &request.headers,
                &request.body,
                *id,
            )?;
            return Ok(created.request);
        }
    };
    let query = &kept.url[web_api::without_query(&kept.url).len()..];
    let mut headers = without_conditions(request.headers);
    for name in &OVERRIDES {
        headers.remove(name);
    }
    headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
    Ok(Rewritten {
        method: Method::PATCH,
        url: format!("{url}{query}"),
        headers,
        body: request.body,
    })
}

/// As the change or the delete of a row that must have this version.
///
/// # Errors
/// As [`create`].
pub(crate) fn matching(kept: &Kept, row: &Row, version: &str) -> Result<Rewritten, &'static str> {
    let request = as_it_is(kept)?;
    if let Row::Soap { logical_name, id } = row {
        return soap_match::matching(kept, &request.headers, logical_name, *id, version);
    }
    let mut headers = without_conditions(request.headers);
    headers.insert(
        IF_MATCH,
        HeaderValue::from_str(version).map_err(|_| NO_VERSION)?,
    );
    Ok(Rewritten { headers, ..request })
}

fn without_conditions(mut headers: HeaderMap) -> HeaderMap {
    for name in [IF_MATCH, IF_NONE_MATCH, CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::operation::samples::ID;

    fn kept(method: &str, url: &str, headers: &[(&str, &str)]) -> Kept {
        Kept {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Bytes::from_static(b"{}"),
            is_upsert: false,
        }
    }

    fn shown(made: &Result<Rewritten, &'static str>) -> String {
        let made = made.as_ref().ok().unwrap();
        let condition = |name| {
            made.headers
                .get(name)
                .map_or("-", |value| value.to_str().unwrap())
        };
        let (only, matching) = (condition(IF_NONE_MATCH), condition(IF_MATCH));
        format!("{} {} {only} {matching}", made.method, made.url)
    }

    #[test]
    fn a_row_is_created_where_it_is_not() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let row = Row::Url(by_id.clone());
        let table = [
            (
                kept("POST", "/api/data/v9.2/accounts?$select=name", &[]),
                format!("PATCH {by_id}?$select=name * -"),
            ),
            (
                kept("PATCH", &by_id, &[("if-match", "W/\"1\"")]),
                format!("PATCH {by_id} * -"),
            ),
            (
                kept("POST", &by_id, &[("x-http-method", "PATCH")]),
                format!("PATCH {by_id} * -"),
            ),
        ];
        for (kept, expected) in table {
            let made = create(&kept, &row);
            assert_eq!(shown(&made), expected);
            assert!(!made.ok().unwrap().headers.contains_key("x-http-method"));
        }
        assert_eq!(
            shown(&as_it_is(&kept("DELETE", &by_id, &[]))),
            format!("DELETE {by_id} - -")
        );
    }

    #[test]
    fn a_row_is_changed_that_has_the_version() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let row = Row::Url(by_id.clone());
        let kept = kept("DELETE", &by_id, &[("if-match", "*")]);
        let made = matching(&kept, &row, "W/\"7\"");
        assert_eq!(shown(&made), format!("DELETE {by_id} - W/\"7\""));
        assert!(matching(&kept, &row, "\n").is_err());
    }
}
