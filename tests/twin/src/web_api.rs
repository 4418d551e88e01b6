//! The Web API, `/api/data/v9.x/`: rows of any entity set, and WhoAmI.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{ALLOW, DATE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Method, Request, Response, Uri};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::alternate_key::RowKey;
use crate::batch;
use crate::entity::logical_name;
use crate::file_column::{self, FileColumn};
use crate::odata_query::Query;
use crate::paging::Page;
use crate::prefer::preference;
use crate::reply::{
    DUPLICATE_ENTITY_KEY, DUPLICATE_RECORD, NO_ROW_WITH_ENTITY_KEY, NO_SUCH_RESOURCE, Reply,
    ServiceError, empty, json_reply,
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

/// Whether a path is that of batches.
pub(crate) fn is_batch(uri: &Uri) -> bool {
    matches!(
        resource(uri.path()).map(Resource::parse),
        Some(Ok(Resource::Batch))
    )
}

/// A resource of the Web API.
enum Resource {
    WhoAmI,
    Batch,
    Set(String),
    Row {
        set: String,
        key: RowKey,
    },
    File {
        set: String,
        key: RowKey,
        column: String,
        value: bool,
    },
}

impl Resource {
    fn parse(resource: &str) -> Result<Resource, ServiceError> {
        let text = percent_decode_str(resource).decode_utf8_lossy();
        let text = text.trim_end_matches('/');
        if matches!(text, "WhoAmI" | "WhoAmI()") {
            return Ok(Resource::WhoAmI);
        }
        if text == "$batch" {
            return Ok(Resource::Batch);
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
        if let Some((key, rest)) = key.rsplit_once(")/")
            && let (Some(key), Some((column, value))) =
                (RowKey::parse(key), file_column::parse(rest))
        {
            return Ok(Resource::File {
                set: set.to_owned(),
                key,
                column: column.to_owned(),
                value,
            });
        }
        let key = key.strip_suffix(')').and_then(RowKey::parse);
        let key = key.ok_or_else(|| {
            ServiceError::invalid(format!(
                "'{text}': a row is named by its id, or by name='value', in parentheses"
            ))
        })?;
        Ok(Resource::Row {
            set: set.to_owned(),
            key,
        })
    }
}

/// The `name` in the body, and the id in the path or the body.
pub(crate) fn subject(request: &Request<Bytes>) -> (Option<String>, Option<Uuid>) {
    let parsed = resource(request.uri().path()).map(Resource::parse);
    let row = serde_json::from_slice::<Row>(request.body()).unwrap_or_default();
    let name = row.get("name").and_then(Value::as_str).map(str::to_owned);
    let id = match parsed {
        Some(Ok(
            Resource::Row {
                key: RowKey::Id(id),
                ..
            }
            | Resource::File {
                key: RowKey::Id(id),
                ..
            },
        )) => Some(id),
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
        (&Method::POST, Resource::Batch) => batch::answer(session, request),
        (&Method::GET, Resource::Row { set, key }) => {
            let query = Query::parse(request.uri().query().unwrap_or_default())?;
            let key = located(session, &set, key)?;
            retrieve(session, &set, &key, &query, headers)
        }
        (&Method::PATCH, Resource::Row { set, key }) => patch(session, &set, key, request),
        (&Method::DELETE, Resource::Row { set, key }) => {
            let key = located(session, &set, key)?;
            check_if_match(session, &key, headers)?;
            session.delete(&key)?;
            Ok(no_content(None))
        }
        (
            _,
            Resource::File {
                set,
                key,
                column,
                value,
            },
        ) => {
            let key = located(session, &set, key)?;
            let url = format!("{}/{column}", entity_url(session, &set, key.id));
            let file = FileColumn {
                url,
                key,
                column: &column,
                value,
            };
            file.answer(session, request)
        }
        (_, resource) => Ok(method_not_allowed(&resource)),
    }
}

/// The row's key, also where no row has that id.
fn located(session: &Session<'_>, set: &str, key: RowKey) -> Result<Key, ServiceError> {
    let entity = logical_name(set);
    match key {
        RowKey::Id(id) => Ok(Key { entity, id }),
        RowKey::Alternate(key) => session.locate(&entity, &key).ok_or_else(|| {
            ServiceError::new(
                NO_ROW_WITH_ENTITY_KEY,
                404,
                format!("A record with the specified key values does not exist in {entity} entity"),
            )
        }),
    }
}

fn method_not_allowed(resource: &Resource) -> Reply {
    let allowed = match resource {
        Resource::WhoAmI => "GET",
        Resource::Batch => "POST",
        Resource::Set(_) => "GET, POST",
        Resource::Row { .. } | Resource::File { .. } => "GET, PATCH, DELETE",
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
    let row: Row = serde_json::from_slice(request.body())
        .map_err(|error| ServiceError::invalid(format!("the body is no JSON object: {error}")))?;
    Ok(row.into_iter().map(bound).collect())
}

/// A reference to a row by its id is the column of a lookup.
fn bound((name, value): (String, Value)) -> (String, Value) {
    let Some(property) = name.strip_suffix("@odata.bind") else {
        return (name, value);
    };
    let id = value.as_str().and_then(|link| {
        let (_, key) = link.strip_suffix(')')?.rsplit_once('(')?;
        Uuid::try_parse(key).ok()
    });
    match (id, &value) {
        (Some(id), _) => (
            format!("_{}_value", property.to_lowercase()),
            id.to_string().into(),
        ),
        (None, Value::Null) => (format!("_{}_value", property.to_lowercase()), Value::Null),
        (None, _) => (name, value),
    }
}

fn wants_representation(headers: &HeaderMap) -> bool {
    preference(headers, "return").is_some_and(|value| value.eq_ignore_ascii_case("representation"))
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
    let chosen = chosen_id(&entity, &row)?;
    let key = session.create(&entity, chosen, row)?;
    written(session, set, &key, request.headers(), 201)
}

/// The id that the body gives to the row.
fn chosen_id(entity: &str, row: &Row) -> Result<Option<Uuid>, ServiceError> {
    let attribute = id_attribute(entity);
    match row.get(&attribute) {
        None | Some(Value::Null) => Ok(None),
        Some(id) => {
            let read = id.as_str().and_then(|id| Uuid::try_parse(id).ok());
            let wrong = || ServiceError::invalid(format!("{attribute}: {id} is no id"));
            read.map(Some).ok_or_else(wrong)
        }
    }
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
                .header(ETAG, etag(commit))
                .header("OData-Version", "4.0"),
        ));
    }
    let mut reply = json_reply(200, &representation(session, set, key, query)?);
    if let Ok(etag) = etag(commit).try_into() {
        reply.headers_mut().insert(ETAG, etag);
    }
    if let Ok(date) = httpdate::fmt_http_date(SystemTime::now()).try_into() {
        reply.headers_mut().insert(DATE, date);
    }
    Ok(reply)
}

/// What a conditional header names. `null` is passed over, as Dataverse does.
fn named_in(headers: &HeaderMap, header: http::HeaderName) -> Option<&str> {
    let values = headers.get_all(header).into_iter();
    let mut values = values.filter_map(|value| Some(value.to_str().ok()?.trim()));
    values.find(|value| !value.is_empty() && !value.eq_ignore_ascii_case("null"))
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
    let version = match wanted {
        "*" => None,
        etag => Some(version_of(etag)),
    };
    session.check_version(key, version)
}

/// The version that an etag names; 0, which no row has, for what is no etag of the twin.
fn version_of(etag: &str) -> u64 {
    etag.strip_prefix("W/\"")
        .and_then(|etag| etag.strip_suffix('"'))
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

fn patch(session: &mut Session<'_>, set: &str, named: RowKey, request: &Request<Bytes>) -> Answer {
    let headers = request.headers();
    let mut row = body_row(request)?;
    let (key, code_where_there) = match &named {
        RowKey::Id(_) => (located(session, set, named), DUPLICATE_RECORD),
        RowKey::Alternate(values) => {
            // What the path says holds for a row that is created, whatever the body says.
            row.extend(values.attributes());
            (located(session, set, named), DUPLICATE_ENTITY_KEY)
        }
    };
    let key = match key {
        Ok(key) => {
            check_if_match(session, &key, headers)?;
            key
        }
        Err(missing) if named_in(headers, IF_MATCH).is_some() => return Err(missing),
        Err(_) => Key {
            entity: logical_name(set),
            id: chosen_id(&logical_name(set), &row)?.unwrap_or_else(Uuid::new_v4),
        },
    };
    let exists = session.get(&key).is_some();
    if exists && named_in(headers, IF_NONE_MATCH) == Some("*") {
        return Err(ServiceError::new(
            code_where_there,
            412,
            "A record with matching key values already exists.",
        ));
    }
    if exists {
        session.update(&key, row)?;
        return written(session, set, &key, headers, 200);
    }
    session.create(&key.entity, Some(key.id), row)?;
    written(session, set, &key, headers, 201)
}

/// Dataverse's own page size.
const LARGEST_PAGE: usize = 5000;

fn query(session: &Session<'_>, set: &str, request: &Request<Bytes>) -> Answer {
    let asked = request.uri().query().unwrap_or_default();
    let query = Query::parse(asked)?;
    let entity = logical_name(set);
    let preferred = preference(request.headers(), "odata.maxpagesize");
    let page_size = match preferred.map(str::parse) {
        None => LARGEST_PAGE,
        Some(Ok(size)) if size > 0 => LARGEST_PAGE.min(size),
        Some(_) => return Err(ServiceError::invalid("odata.maxpagesize takes 1 or more")),
    };
    let page = Page::read(session, &entity, &query, page_size);
    let shown = page.rows.iter().map(|(_, commit, row)| {
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
        body.insert("@odata.count".into(), page.total.into());
    }
    body.insert("value".into(), shown.collect());
    // The client prefers its page size with every page again.
    if let Some(link) = page.next_link(&format!("{}/{set}", api(session)), asked) {
        body.insert("@odata.nextLink".into(), link.into());
    }
    let mut reply = json_reply(200, &Value::Object(body));
    if preferred.is_some() {
        let applied = format!("odata.maxpagesize={page_size}");
        if let Ok(applied) = applied.try_into() {
            reply.headers_mut().insert("Preference-Applied", applied);
        }
    }
    Ok(reply)
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
