//! Looking for the row that a guarded write should have left, and the answer that its application
//! gets when the row is found.

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderName,
    HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderMap, Method, Response, StatusCode};
use quick_xml::escape::escape;
use uuid::Uuid;

use super::{Rewritten, Splice, spliced};
use crate::Request;
use crate::classify::{CONTRACTS, SOAP_1_1};
use crate::content_type;
use crate::odata_header::{ENTITY_ID, ODATA_VERSION};
use crate::operation::{Class, Guard, Row};
use crate::soap_request::{ACTIONS, GENERIC, INSTANCE, SERVICES, SoapRequest, text};

const SERIALIZATION: &str = "http://schemas.microsoft.com/2003/10/Serialization/";
const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");

/// Headers that speak of a write or of its body. All others say who asks, and how.
const OF_A_WRITE: [HeaderName; 14] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_UNMODIFIED_SINCE,
    RANGE,
    HeaderName::from_static("mscrm.suppressduplicatedetection"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
];

/// The request that reads the row that a request creates. `None`: it creates none that could be read.
pub(crate) fn created(class: &Class, request: &Request) -> Option<Rewritten> {
    let guard @ Guard::Created(_) = class.guard.as_ref()? else {
        return None;
    };
    let none = Bytes::new();
    let body = request.body.bytes().unwrap_or(&none);
    read_back(guard, &request.url, &request.headers, body)
}

/// The request that reads the row of a guarded write, from the write as it was sent. `None`: it
/// cannot be made of a message that is signed, or that is not whole.
///
/// The whole row is asked for: there is no column that every table has.
pub(crate) fn read_back(
    guard: &Guard,
    url: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Option<Rewritten> {
    match guard.row() {
        Row::Url(row) => {
            let mut headers = headers.clone();
            for name in &OF_A_WRITE {
                headers.remove(name);
            }
            Some(Rewritten {
                method: Method::GET,
                url: row.clone(),
                headers,
                body: Bytes::new(),
            })
        }
        Row::Soap { logical_name, id } => {
            let (start, text) = text(headers, body, usize::MAX)?;
            let request = SoapRequest::read(text, |request| request.body.is_some())?;
            if request.is_body_signed() || request.is_action_signed() {
                return None;
            }
            let mut splices = vec![Splice {
                at: request.body?,
                by: retrieve(logical_name, *id, Columns::All),
            }];
            splices.extend(request.action.map(|action| Splice {
                at: action.at,
                by: format!("{ACTIONS}Retrieve"),
            }));
            for splice in &mut splices {
                splice.at = start + splice.at.start..start + splice.at.end;
            }
            Some(Rewritten {
                method: Method::POST,
                url: url.to_owned(),
                headers: with_action(headers, "Retrieve")?,
                body: spliced(body, splices),
            })
        }
    }
}

/// Which columns of a row a message asks for.
#[derive(Clone, Copy)]
pub(crate) enum Columns<'a> {
    All,
    These(&'a [String]),
}

fn retrieve(logical_name: &str, id: Uuid, columns: Columns<'_>) -> String {
    let (is_all, these) = match columns {
        Columns::All => (true, &[][..]),
        Columns::These(these) => (false, these),
    };
    let these = these
        .iter()
        .map(|name| format!("<b:string>{}</b:string>", escape(name)));
    let these: String = these.collect();
    format!(
        "<Retrieve xmlns=\"{SERVICES}\"><entityName>{}</entityName><id>{id}</id>\
         <columnSet xmlns:a=\"{CONTRACTS}\"><a:AllColumns>{is_all}</a:AllColumns>\
         <a:Columns xmlns:b=\"http://schemas.microsoft.com/2003/10/Serialization/Arrays\">{these}</a:Columns>\
         </columnSet></Retrieve>",
        escape(logical_name)
    )
}

/// A message that reads a row, and its action. SOAP 1.1 without WS-Addressing, as the endpoint for
/// bearer tokens takes it.
pub(crate) fn retrieve_message(
    logical_name: &str,
    id: Uuid,
    columns: Columns<'_>,
) -> (HeaderValue, Bytes) {
    let action = HeaderValue::from_static(
        "http://schemas.microsoft.com/xrm/2011/Contracts/Services/IOrganizationService/Retrieve",
    );
    let message = format!(
        "<s:Envelope xmlns:s=\"{SOAP_1_1}\"><s:Body>{}</s:Body></s:Envelope>",
        retrieve(logical_name, id, columns)
    );
    (action, Bytes::from(message))
}

/// The headers with another action in each place where they name one.
pub(super) fn with_action(headers: &HeaderMap, operation: &str) -> Option<HeaderMap> {
    let action = format!("\"{ACTIONS}{operation}\"");
    let mut changed = headers.clone();
    if headers.contains_key(SOAP_ACTION) {
        changed.insert(SOAP_ACTION, HeaderValue::from_str(&action).ok()?);
    }
    if let Some(content_type) = content_type::of(headers)
        && content_type::parameter(content_type, "action").is_some()
    {
        let media_type = content_type::media_type(content_type);
        let content_type = format!("{media_type}; charset=utf-8; action={action}");
        changed.insert(CONTENT_TYPE, HeaderValue::from_str(&content_type).ok()?);
    }
    changed.remove(CONTENT_LENGTH);
    Some(changed)
}

/// The service's answer to a create, for a create whose row was found. `row_url` is the row's
/// absolute URL at the endpoint; SOAP has no use for it. `None`: the write created nothing.
pub(crate) fn created_answer(
    guard: &Guard,
    headers: &HeaderMap,
    body: &Bytes,
    row_url: &str,
) -> Option<Response<Bytes>> {
    let Guard::Created(row) = guard else {
        return None;
    };
    match row {
        Row::Url(_) => Response::builder()
            .status(StatusCode::NO_CONTENT)
            .header(&ENTITY_ID, row_url)
            .header(&ODATA_VERSION, "4.0")
            .body(Bytes::new())
            .ok(),
        Row::Soap { id, .. } => {
            let (_, text) = text(headers, body, usize::MAX)?;
            let request = SoapRequest::read(text, |request| request.operation.is_some())?;
            let media_type = request.version.media_type();
            Response::builder()
                .header(CONTENT_TYPE, format!("{media_type}; charset=utf-8"))
                .body(Bytes::from(soap_answer(&request, *id)?))
                .ok()
        }
    }
}

fn soap_answer(request: &SoapRequest, id: Uuid) -> Option<String> {
    let operation = request.operation.as_deref()?;
    let result = match operation {
        "Create" => format!("<CreateResult>{id}</CreateResult>"),
        "Execute" => format!(
            "<ExecuteResult i:type=\"a:CreateResponse\" xmlns:a=\"{CONTRACTS}\" xmlns:i=\"{INSTANCE}\">\
             <a:ResponseName>Create</a:ResponseName><a:Results xmlns:b=\"{GENERIC}\">\
             <a:KeyValuePairOfstringanyType><b:key>id</b:key>\
             <b:value i:type=\"c:guid\" xmlns:c=\"{SERIALIZATION}\">{id}</b:value>\
             </a:KeyValuePairOfstringanyType></a:Results></ExecuteResult>"
        ),
        _ => return None,
    };
    let header = request.addressing.map_or(String::new(), |addressing| {
        let relates_to = request.message_id.as_deref().map_or(String::new(), |id| {
            format!("<w:RelatesTo>{}</w:RelatesTo>", escape(id))
        });
        format!(
            "<s:Header xmlns:w=\"{addressing}\">\
             <w:Action s:mustUnderstand=\"1\">{ACTIONS}{operation}Response</w:Action>{relates_to}</s:Header>"
        )
    });
    Some(format!(
        "<s:Envelope xmlns:s=\"{}\">{header}<s:Body>\
         <{operation}Response xmlns=\"{SERVICES}\">{result}</{operation}Response></s:Body></s:Envelope>",
        request.version.namespace()
    ))
}
