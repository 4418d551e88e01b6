//! The OData v2 endpoint, `OrganizationData.svc`: reads, as JSON.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::odata_query::Query;
use crate::paging::Page;
use crate::reply::{NO_SUCH_RESOURCE, Reply, ServiceError, with_body};
use crate::session::{Row, Session};
use crate::store::Key;

/// The service's own path.
pub(crate) const PATH: &str = "/XRMServices/2011/OrganizationData.svc";
/// What the endpoint shows at most in one answer.
const PAGE: usize = 50;

/// Serves a request.
pub(crate) fn answer(
    session: &Session<'_>,
    request: &Request<Bytes>,
) -> Result<Reply, ServiceError> {
    if request.method() != Method::GET {
        let text = "The twin's OData v2 endpoint only reads.";
        let mut reply = error(&ServiceError::new(NO_SUCH_RESOURCE, 405, text));
        let allowed = HeaderValue::from_static("GET");
        reply.headers_mut().insert(ALLOW, allowed);
        return Ok(reply);
    }
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
    let resource = path.get(PATH.len()..).unwrap_or_default();
    let resource = resource.trim_matches('/');
    let asked = request.uri().query().unwrap_or_default();
    let query = Query::parse(asked)?.in_lower_case();
    let (set, id) = match resource.split_once('(') {
        None => (resource, None),
        Some((set, key)) => (set, Some(row_id(key)?)),
    };
    let name = set.strip_suffix("Set").filter(|name| !name.is_empty());
    let entity = name.ok_or_else(|| no_such(resource))?.to_ascii_lowercase();
    let url = format!("{}{PATH}/{set}", session.base);
    let shown = match id {
        Some(id) => {
            let (_, row) = session.find(&Key {
                entity: entity.clone(),
                id,
            })?;
            show(&url, &entity, id, &query.select(&entity, row))
        }
        None => {
            let page = Page::read(session, &entity, &query, PAGE);
            let rows = page.rows.iter();
            let rows =
                rows.map(|(id, _, row)| show(&url, &entity, *id, &query.select(&entity, row)));
            let mut shown = Map::new();
            shown.insert("results".into(), rows.collect());
            if let Some(next) = page.next_link(&url, asked) {
                shown.insert("__next".into(), next.into());
            }
            Value::Object(shown)
        }
    };
    Ok(reply(200, &json!({"d": shown})))
}

fn no_such(resource: &str) -> ServiceError {
    let text = format!("Resource not found for the segment '{resource}'.");
    ServiceError::new(NO_SUCH_RESOURCE, 404, text)
}

/// The id of `guid'…')`.
fn row_id(key: &str) -> Result<Uuid, ServiceError> {
    key.strip_prefix("guid'")
        .and_then(|key| key.strip_suffix("')"))
        .and_then(|id| Uuid::try_parse(id).ok())
        .ok_or_else(|| ServiceError::invalid("a row is named by (guid'its id')"))
}

/// A row under the names of its schema, as far as the twin can know them: `AccountId`, `Name`.
fn show(set: &str, entity: &str, id: Uuid, row: &Row) -> Value {
    let uri = format!("{set}(guid'{id}')");
    let kind = format!("Microsoft.Crm.Sdk.Data.Services.{}", capital(entity));
    let mut shown = Map::new();
    shown.insert("__metadata".into(), json!({"uri": uri, "type": kind}));
    for (name, value) in row {
        let name = match name.strip_suffix("id").filter(|stem| *stem == entity) {
            Some(entity) => format!("{}Id", capital(entity)),
            None => capital(name),
        };
        shown.insert(name, value.clone());
    }
    Value::Object(shown)
}

fn capital(name: &str) -> String {
    let (first, rest) = name.split_at_checked(1).unwrap_or((name, ""));
    format!("{}{rest}", first.to_ascii_uppercase())
}

/// An error in the form of OData v2, where the message is an object.
pub(crate) fn error(error: &ServiceError) -> Reply {
    let message = json!({"lang": "en-US", "value": error.message});
    let code = error.code.signed().to_string();
    reply(
        error.status,
        &json!({"error": {"code": code, "message": message}}),
    )
}

fn reply(status: u16, body: &Value) -> Reply {
    let builder = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json;charset=utf-8")
        .header("DataServiceVersion", "2.0;");
    with_body(builder, body.to_string())
}
