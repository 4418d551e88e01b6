//! The Web API, `/api/data/v9.x/`: rows of any entity set, and WhoAmI.

use bytes::Bytes;
use http::header::{ALLOW, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Method, Request, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::entity::logical_name;
use crate::odata_query::Query;
use crate::reply::{
    DUPLICATE_RECORD, NO_SUCH_RESOURCE, Reply, ServiceError, VERSION_MISMATCH, empty, json_reply,
};
use crate::session::{Row, Session, id_attribute};
use crate::store::Key;

type Answer = Result<Reply, ServiceError>;

/// What follows `/api/data/v9.x/`.
pub(crate) fn resource(path: &str) -> Option<&str> {
    let (start, rest) = path.split_at_checked("/api/data/v9.".len())?;
    let (minor, resource) = rest.split_once('/')?;
    let fits = start.eq_ignore_ascii_case("/api/data/v9.")
        && !minor.is_empty()
        && minor.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some(resource)
}

/// A resource of the Web API.
enum Resource {
    WhoAmI,
    Set(String),
    Row { set: String, key: Key },
}

impl Resource {
    fn parse(resource: &str) -> Result<Resource, ServiceError> {
        let text = percent_decode_str(resource).decode_utf8_lossy();
        let text = text.trim_end_matches('/');
        if matches!(text, "WhoAmI" | "WhoAmI()") {
            return Ok(Resource::WhoAmI);
        }
        let (set, key) = match text.split_once('(') {
            Some((set, key)) => (set, Some(key)),
            None => (text, None),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if set.is_empty() || !set.bytes().all(is_name) {
            return Err(ServiceError::new(
                NO_SUCH_RESOURCE,
                404,
                format!("Resource not found for the segment '{text}'."),
            ));
        }
        let Some(key) = key else {
            return Ok(Resource::Set(set.to_owned()));
        };
        let id = key
            .strip_suffix(')')
            .and_then(|key| Uuid::try_parse(key).ok());
        let id = id.ok_or_else(|| {
            ServiceError::invalid(format!("'{text}': a row is named by its id in parentheses"))
        })?;
        Ok(Resource::Row {
            set: set.to_owned(),
            key: Key {
                entity: logical_name(set),
                id,
            },
        })
    }
}

/// The `name` in the body, and the id in the path or the body.
pub(crate) fn subject(request: &Request<Bytes>) -> (Option<String>, Option<Uuid>) {
    let parsed = resource(request.uri().path()).map(Resource::parse);
    let row = serde_json::from_slice::<Row>(request.body()).unwrap_or_default();
    let name = row.get("name").and_then(Value::as_str).map(str::to_owned);
    let id = match parsed {
        Some(Ok(Resource::Row { key, .. })) => Some(key.id),
        Some(Ok(Resource::Set(set))) => row
            .get(&id_attribute(&logical_name(&set)))
            .and_then(Value::as_str)
            .and_then(|id| Uuid::try_parse(id).ok()),
        _ => None,
    };
    (name, id)
}

/// Serves a request.
pub(crate) fn answer(session: &mut Session<'_>, request: &Request<Bytes>) -> Answer {
    let resource = resource(request.uri().path()).unwrap_or_default();
    let headers = request.headers();
    match (request.method(), Resource::parse(resource)?) {
        (&Method::GET, Resource::WhoAmI) => Ok(who_am_i(session)),
        (&Method::GET, Resource::Set(set)) => query(session, &set, request),
        (&Method::POST, Resource::Set(set)) => create(session, &set, request),
        (&Method::GET, Resource::Row { set, key }) => {
            let query = Query::parse(request.uri().query().unwrap_or_default())?;
            retrieve(session, &set, &key, &query, headers)
        }
        (&Method::PATCH, Resource::Row { set, key }) => patch(session, &set, &key, request),
        (&Method::DELETE, Resource::Row { key, .. }) => {
            check_if_match(session, &key, headers)?;
            session.delete(&key)?;
            Ok(no_content(None))
        }
        (_, resource) => Ok(method_not_allowed(&resource)),
    }
}

fn method_not_allowed(resource: &Resource) -> Reply {
    let allowed = match resource {
        Resource::WhoAmI => "GET",
        Resource::Set(_) => "GET, POST",
        Resource::Row { .. } => "GET, PATCH, DELETE",
    };
    let error = ServiceError::new(NO_SUCH_RESOURCE, 405, "The method is not allowed here.");
    let mut reply = error.odata();
    reply
        .headers_mut()
        .insert(ALLOW, http::HeaderValue::from_static(allowed));
    reply
}

fn api(session: &Session<'_>) -> String {
    format!("{}/api/data/v9.2", session.base)
}

fn entity_url(session: &Session<'_>, set: &str, id: Uuid) -> String {
    format!("{}/{set}({id})", api(session))
}

fn etag(commit: u64) -> String {
    format!("W/\"{commit}\"")
}

fn no_content(entity_id: Option<String>) -> Reply {
    let mut builder = Response::builder()
        .status(204)
        .header("OData-Version", "4.0");
    if let Some(entity_id) = entity_id {
        builder = builder
            .header("OData-EntityId", entity_id.as_str())
            .header("Location", entity_id);
    }
    empty(builder)
}

fn who_am_i(session: &Session<'_>) -> Reply {
    let [unit, user, organization] = session.identity;
    let context = format!(
        "{}/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse",
        api(session)
    );
    json_reply(
        200,
        &json!({
            "@odata.context": context,
            "BusinessUnitId": unit, "UserId": user, "OrganizationId": organization,
        }),
    )
}

fn body_row(request: &Request<Bytes>) -> Result<Row, ServiceError> {
    serde_json::from_slice(request.body())
        .map_err(|error| ServiceError::invalid(format!("the body is no JSON object: {error}")))
}

fn wants_representation(headers: &HeaderMap) -> bool {
    headers
        .get_all("Prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .any(|preference| {
            preference
                .trim()
                .eq_ignore_ascii_case("return=representation")
        })
}

/// The row as the client sees it, with its context.
fn representation(
    session: &Session<'_>,
    set: &str,
    key: &Key,
    query: &Query,
) -> Result<Value, ServiceError> {
    let (commit, row) = session.find(key)?;
    let mut shown = Map::new();
    let context = format!("{}/$metadata#{set}/$entity", api(session));
    shown.insert("@odata.context".into(), context.into());
    shown.insert("@odata.etag".into(), etag(commit).into());
    shown.extend(query.select(&key.entity, row));
    Ok(Value::Object(shown))
}

/// Answers a write: with the row if the client prefers it, else with its URL.
fn written(
    session: &Session<'_>,
    set: &str,
    key: &Key,
    headers: &HeaderMap,
    status: u16,
) -> Answer {
    let url = entity_url(session, set, key.id);
    if !wants_representation(headers) {
        return Ok(no_content(Some(url)));
    }
    let mut reply = json_reply(
        status,
        &representation(session, set, key, &Query::default())?,
    );
    let url = url
        .try_into()
        .map_err(|_| ServiceError::invalid("the Host header is no host"))?;
    reply.headers_mut().insert("OData-EntityId", url);
    Ok(reply)
}

fn create(session: &mut Session<'_>, set: &str, request: &Request<Bytes>) -> Answer {
    let row = body_row(request)?;
    let entity = logical_name(set);
    let chosen = match row.get(&id_attribute(&entity)) {
        None | Some(Value::Null) => None,
        Some(id) => Some(
            id.as_str()
                .and_then(|id| Uuid::try_parse(id).ok())
                .ok_or_else(|| {
                    ServiceError::invalid(format!("{}: {id} is no id", id_attribute(&entity)))
                })?,
        ),
    };
    let key = session.create(&entity, chosen, row)?;
    written(session, set, &key, request.headers(), 201)
}

fn retrieve(
    session: &Session<'_>,
    set: &str,
    key: &Key,
    query: &Query,
    headers: &HeaderMap,
) -> Answer {
    let (commit, _) = session.find(key)?;
    if named_in(headers, IF_NONE_MATCH).is_some_and(|known| known == etag(commit)) {
        return Ok(empty(
            Response::builder()
                .status(304)
                .header("OData-Version", "4.0"),
        ));
    }
    let mut reply = json_reply(200, &representation(session, set, key, query)?);
    if let Ok(etag) = etag(commit).try_into() {
        reply.headers_mut().insert(ETAG, etag);
    }
    Ok(reply)
}

fn named_in(headers: &HeaderMap, header: http::HeaderName) -> Option<&str> {
    headers.get(header)?.to_str().ok().map(str::trim)
}

/// `If-Match`: the row must be there, and be of that version.
fn check_if_match(
    session: &Session<'_>,
    key: &Key,
    headers: &HeaderMap,
) -> Result<(), ServiceError> {
    let Some(wanted) = named_in(headers, IF_MATCH) else {
        return Ok(());
    };
    let (commit, _) = session.find(key)?;
    if wanted == "*" || wanted == etag(commit) {
        return Ok(());
    }
    Err(ServiceError::new(
        VERSION_MISMATCH,
        412,
        "The version of the existing record doesn't match the RowVersion property provided.",
    ))
}

fn patch(session: &mut Session<'_>, set: &str, key: &Key, request: &Request<Bytes>) -> Answer {
    let headers = request.headers();
    let row = body_row(request)?;
    check_if_match(session, key, headers)?;
    let exists = session.get(key).is_some();
    if exists && named_in(headers, IF_NONE_MATCH) == Some("*") {
        return Err(ServiceError::new(
            DUPLICATE_RECORD,
            412,
            "A record with matching key values already exists.",
        ));
    }
    if exists {
        session.update(key, row)?;
        return written(session, set, key, headers, 200);
    }
    session.create(&key.entity, Some(key.id), row)?;
    written(session, set, key, headers, 201)
}

fn query(session: &Session<'_>, set: &str, request: &Request<Bytes>) -> Answer {
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    let entity = logical_name(set);
    let matching: Vec<_> = session
        .rows_of(&entity)
        .filter(|(_, _, row)| query.matches(row))
        .collect();
    let shown = matching.iter().take(query.top).map(|(_, commit, row)| {
        let mut shown = Map::new();
        shown.insert("@odata.etag".into(), etag(*commit).into());
        shown.extend(query.select(&entity, row));
        Value::Object(shown)
    });
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        format!("{}/$metadata#{set}", api(session)).into(),
    );
    if query.count {
        body.insert("@odata.count".into(), matching.len().into());
    }
    body.insert("value".into(), shown.collect());
    Ok(json_reply(200, &Value::Object(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_follows_the_version() {
        assert_eq!(resource("/api/data/v9.2/accounts"), Some("accounts"));
        assert_eq!(resource("/api/data/v9.10/"), Some(""));
        assert_eq!(resource("/api/data/v9./accounts"), None);
        assert_eq!(resource("/api/data/v8.2/accounts"), None);
    }

    #[test]
    fn what_is_no_resource_is_refused() {
        assert!(Resource::parse("accounts(no-id)").is_err_and(|error| error.status == 400));
        assert!(Resource::parse("").is_err_and(|error| error.status == 404));
        assert!(Resource::parse("acc%6funts").is_ok());
    }
}
