//! Creates with an id that the library chooses: a repeat of one finds the row there.

use bytes::Bytes;
use http::header::{HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Method};
use uuid::Uuid;

use super::update_guard::is_conditional;
use super::{Rewritten, Splice, spliced};
use crate::byte_set::is_identifier;
use crate::operation::web_api::{self, Service};
use crate::operation::{Guard, Row};
use crate::soap_request::{SoapRequest, text};

/// A create that may be repeated.
pub(crate) struct GuardedCreate {
    pub(crate) request: Rewritten,
    pub(crate) guard: Guard,
}

const NO_POST: &str = "a guarded create is made of a POST that creates one row; write the condition \
     If-None-Match: * of a PATCH yourself, and leave guarded_create out";
const BATCH: &str = "a $batch cannot be sent as a guarded create; write each create in it as a PATCH of \
     the row with an id of your own and If-None-Match: *";
const ODATA_2: &str = "OData v2 knows no create with a condition; create the row at the Web API";
const NO_WEB_API: &str = "the URL is neither an entity set of the Web API (/api/data/v9.2/accounts) nor a \
     SOAP service; only creates there can be guarded";
const NO_SET: &str = "the URL names no entity set; a guarded create is posted to one, as \
     /api/data/v9.2/accounts";
const ROW: &str = "the URL names a row or calls a function; a guarded create is posted to an entity set, \
     as /api/data/v9.2/accounts";
const ACTION: &str =
    "the URL calls an action, which has no id to be guarded by; leave guarded_create out";
const NAVIGATION: &str = "a create by way of a navigation property cannot be guarded; post to the entity \
     set, and name the other row in the body with @odata.bind";
const OTHER_METHOD: &str = "the header X-HTTP-Method lets the POST stand for another method; leave it out, \
     or leave guarded_create out";
const CONDITION: &str =
    "the POST has the condition If-Match, which no create can meet; leave it out";
const NO_MESSAGE: &str = "the body is no whole SOAP message in UTF-8, so no id can be put into it";
const NO_CREATE: &str = "the SOAP message is no Create, and no Execute of a CreateRequest; leave \
     guarded_create out";
const NAMES_DISAGREE: &str = "SOAPAction, WS-Addressing Action and Body of the message name different \
     operations; let them name one";
const NO_ID: &str = "the entity has no Id before its LogicalName; write \
     <Id>00000000-0000-0000-0000-000000000000</Id> there, in the namespace of the LogicalName, and the \
     library puts an id in its place";
const BAD_ID: &str = "the entity's Id is no GUID; write 00000000-0000-0000-0000-000000000000 for one that \
     the library chooses";
const NO_LOGICAL_NAME: &str = "the entity has no LogicalName; the service could not create it";
const SIGNED: &str = "the message is signed, and an id put into it would break the signature; set the \
     entity's Id before it is signed";

/// The request that creates the row with this id, and with no other. A SOAP message that has
/// chosen an id keeps it.
///
/// # Errors
/// Why it cannot be made, and what to do: for a person.
pub(crate) fn guarded_create(
    method: &Method,
    url: &str,
    headers: &HeaderMap,
    body: &Bytes,
    id: Uuid,
) -> Result<GuardedCreate, &'static str> {
    let path = web_api::path(url);
    if web_api::is_batch(path) {
        return Err(BATCH);
    }
    if *method != Method::POST {
        return Err(NO_POST);
    }
    match web_api::service(path) {
        Service::Soap => return by_soap(url, headers, body, id),
        Service::OData2 => return Err(ODATA_2),
        Service::WebApi => check_entity_set(path)?,
    }
    if web_api::OVERRIDES
        .iter()
        .any(|name| headers.contains_key(name))
    {
        return Err(OTHER_METHOD);
    }
    if is_conditional(headers, &IF_MATCH) {
        return Err(CONDITION);
    }
    let set = web_api::without_query(url);
    let row = format!("{}({id})", set.trim_end_matches('/'));
    let mut headers = headers.clone();
    headers.remove(IF_MATCH);
    headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
    Ok(GuardedCreate {
        request: Rewritten {
            method: Method::PATCH,
            url: format!("{row}{}", &url[set.len()..]),
            headers,
            body: body.clone(),
        },
        guard: Guard::Created(Row::Url(row)),
    })
}

/// Whether the path is that of a set right under the Web API's root.
fn check_entity_set(path: &str) -> Result<(), &'static str> {
    let mut segments = path.trim_matches('/').split('/');
    let mut before = ["", ""];
    let is_root = segments.any(|segment| {
        let is_root = before[0].eq_ignore_ascii_case("api")
            && before[1].eq_ignore_ascii_case("data")
            && is_version(segment);
        before = [before[1], segment];
        is_root
    });
    if !is_root {
        return Err(NO_WEB_API);
    }
    let (Some(set), rest) = (segments.next(), segments.next()) else {
        return Err(NO_SET);
    };
    let last = path.trim_end_matches('/').rsplit('/').next();
    match rest {
        _ if last.is_some_and(|last| last.contains("Microsoft.Dynamics.CRM.")) => Err(ACTION),
        Some(_) => Err(NAVIGATION),
        None if is_identifier(set) => Ok(()),
        None if web_api::is_row(path) => Err(ROW),
        None => Err(NO_SET),
    }
}

/// `v9.2`
fn is_version(segment: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    segment
        .strip_prefix(['v', 'V'])
        .and_then(|version| version.split_once('.'))
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

fn by_soap(
    url: &str,
    headers: &HeaderMap,
    body: &Bytes,
    id: Uuid,
) -> Result<GuardedCreate, &'static str> {
    let (start, text) = text(headers, body, usize::MAX).ok_or(NO_MESSAGE)?;
    let request = SoapRequest::read(text, |request| request.has_ended)
        .filter(|request| request.has_ended)
        .ok_or(NO_MESSAGE)?;
    if !request.is_create() {
        return Err(NO_CREATE);
    }
    if !request.agrees_with(headers) {
        return Err(NAMES_DISAGREE);
    }
    let chosen = request.entity.chosen_id();
    let is_body_signed = request.is_body_signed();
    let logical_name = request.entity.logical_name.ok_or(NO_LOGICAL_NAME)?;
    let place = request.entity.id.ok_or(NO_ID)?;
    let body = match chosen {
        Some(_) => body.clone(),
        None => {
            if !Uuid::try_parse(&place.text).is_ok_and(|id| id.is_nil()) {
                return Err(if place.text.is_empty() { NO_ID } else { BAD_ID });
            }
            if is_body_signed {
                return Err(SIGNED);
            }
            let splice = Splice {
                at: start + place.at.start..start + place.at.end,
                by: id.to_string(),
            };
            spliced(body, vec![splice])
        }
    };
    let id = chosen.unwrap_or(id);
    Ok(GuardedCreate {
        request: Rewritten {
            method: Method::POST,
            url: url.to_owned(),
            headers: headers.clone(),
            body,
        },
        guard: Guard::Created(Row::Soap { logical_name, id }),
    })
}
