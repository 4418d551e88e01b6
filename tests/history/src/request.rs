//! The request that a call sends, and what its answer says.

use d365_failover_core::{Error, Operation, Request, Response};
use roxmltree::Document;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::history::Answer;
use crate::work::{Kind, Work, tag};

pub(crate) const ACCOUNTS: &str = "/api/data/v9.2/accounts";
const SOAP: &str = "/XRMServices/2011/Organization.svc/web";
const SERVICES: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";
/// ObjectDoesNotExist, as OData and SOAP write it.
const NO_SUCH_ROW: [&str; 2] = ["0x80040217", "-2147220969"];

/// The request of a call. `version` is the etag's number of the row that is there before.
pub(crate) fn request(number: u32, work: &Work, version: Option<u64>) -> Result<Request, Error> {
    let tag = tag(number);
    let name = work.names.first().map_or("", String::as_str);
    let row = work.row.unwrap_or_default();
    let of_row = format!("{ACCOUNTS}({row})?{tag}");
    let named = json!({ "name": name });
    match work.kind {
        Kind::Retrieve => Request::new("GET", &format!("{ACCOUNTS}({row})?$select=name,{tag}")),
        Kind::Query => Request::new(
            "GET",
            &format!("{ACCOUNTS}?$filter=name%20eq%20'{name}'&$select=name,{tag}"),
        ),
        Kind::SoapRetrieve => {
            let operation = format!(
                r#"<Retrieve xmlns="{SERVICES}"><entityName>account</entityName><id>{row}</id><columnSet xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts"><b:AllColumns>true</b:AllColumns></columnSet></Retrieve>"#
            );
            let mut request = soap(&tag, "Retrieve", &operation)?;
            request.set_operation(Some(Operation::Read));
            Ok(request)
        }
        Kind::Create => web("POST", &format!("{ACCOUNTS}?{tag}"), &named),
        Kind::CreateWithId => {
            let body = json!({ "name": name, "accountid": row });
            web("POST", &format!("{ACCOUNTS}?{tag}"), &body)
        }
        Kind::GuardedCreate => {
            let mut request = web("POST", &format!("{ACCOUNTS}?{tag}"), &named)?;
            request.set_guarded_create(true);
            Ok(request)
        }
        Kind::CreateOnly => conditional("PATCH", &of_row, Some(&named), "If-None-Match", "*"),
        Kind::Upsert => {
            let mut request = web("PATCH", &of_row, &named)?;
            request.set_upsert(true);
            Ok(request)
        }
        Kind::Update | Kind::UpdateLone => web("PATCH", &of_row, &named),
        Kind::UpdateOnly => conditional("PATCH", &of_row, Some(&named), "If-Match", "*"),
        Kind::UpdateVersion => {
            conditional("PATCH", &of_row, Some(&named), "If-Match", &etag(version))
        }
        Kind::Delete => Request::new("DELETE", &of_row),
        Kind::DeleteVersion => conditional("DELETE", &of_row, None, "If-Match", &etag(version)),
        Kind::SoapCreate => soap(&tag, "Create", &entity("Create", Uuid::nil(), name)),
        Kind::SoapCreateWithId => soap(&tag, "Create", &entity("Create", row, name)),
        Kind::SoapGuardedCreate => {
            let mut request = soap(&tag, "Create", &entity("Create", Uuid::nil(), name))?;
            request.set_guarded_create(true);
            Ok(request)
        }
        Kind::SoapUpdate => soap(&tag, "Update", &entity("Update", row, name)),
        Kind::SoapDelete => {
            let operation = format!(
                r#"<Delete xmlns="{SERVICES}"><entityName>account</entityName><id>{row}</id></Delete>"#
            );
            soap(&tag, "Delete", &operation)
        }
        Kind::Batch => batch(&tag, &creates("b", &work.names)),
        Kind::ChangeSet => {
            let inner = creates("c", &work.names);
            let outer = format!(
                "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{inner}\r\n--b--\r\n"
            );
            batch(&tag, &outer)
        }
    }
}

fn etag(version: Option<u64>) -> String {
    format!("W/\"{}\"", version.unwrap_or_default())
}

fn web(method: &str, url: &str, body: &Value) -> Result<Request, Error> {
    let mut request = Request::new(method, url)?;
    request.add_header("Content-Type", "application/json")?;
    request.set_body(body.to_string());
    Ok(request)
}

fn conditional(
    method: &str,
    url: &str,
    body: Option<&Value>,
    header: &str,
    value: &str,
) -> Result<Request, Error> {
    let mut request = match body {
        Some(body) => web(method, url, body)?,
        None => Request::new(method, url)?,
    };
    request.add_header(header, value)?;
    Ok(request)
}

fn soap(tag: &str, action: &str, operation: &str) -> Result<Request, Error> {
    let mut request = Request::new("POST", &format!("{SOAP}?SdkClientVersion={tag}"))?;
    request.add_header("Content-Type", "text/xml; charset=utf-8")?;
    let action = format!("\"{SERVICES}/IOrganizationService/{action}\"");
    request.add_header("SOAPAction", &action)?;
    request.set_body(format!(
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{operation}</s:Body></s:Envelope>"#
    ));
    Ok(request)
}

fn entity(operation: &str, id: Uuid, name: &str) -> String {
    format!(
        r#"<{operation} xmlns="{SERVICES}"><entity xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><b:Attributes xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic"><b:KeyValuePairOfstringanyType><c:key>name</c:key><c:value i:type="d:string" xmlns:d="http://www.w3.org/2001/XMLSchema">{name}</c:value></b:KeyValuePairOfstringanyType></b:Attributes><b:EntityState i:nil="true"/><b:FormattedValues/><b:Id>{id}</b:Id><b:LogicalName>account</b:LogicalName><b:RelatedEntities/></entity></{operation}>"#
    )
}

fn batch(tag: &str, body: &str) -> Result<Request, Error> {
    let mut request = Request::new("POST", &format!("/api/data/v9.2/$batch?{tag}"))?;
    request.add_header("Content-Type", "multipart/mixed; boundary=b")?;
    request.set_body(body.to_owned());
    Ok(request)
}

/// Parts that create rows, to the end of the multipart body.
fn creates(boundary: &str, names: &[String]) -> String {
    let parts = names.iter().enumerate().map(|(at, name)| {
        let body = json!({ "name": name });
        format!(
            "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {}\r\n\r\nPOST {ACCOUNTS} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}\r\n",
            at + 1
        )
    });
    let parts: String = parts.collect();
    format!("{parts}--{boundary}--\r\n")
}

/// What the response to a call says about rows.
pub(crate) fn answer(kind: Kind, response: &Response) -> Answer {
    let body = String::from_utf8_lossy(response.body());
    if response.status() == 200 {
        let read = match kind {
            Kind::Retrieve => json_row(&body).map(|row| vec![row]),
            Kind::Query => json_rows(&body),
            Kind::SoapRetrieve => soap_row(&body).map(|row| vec![row]),
            _ => return Answer::Nothing,
        };
        let broken = || Answer::Broken(body.chars().take(200).collect());
        return read.map_or_else(broken, Answer::Rows);
    }
    let says_absent = matches!(kind, Kind::Retrieve | Kind::SoapRetrieve)
        && matches!(response.status(), 404 | 500)
        && NO_SUCH_ROW.iter().any(|code| body.contains(code));
    match says_absent {
        true => Answer::Absent,
        false => Answer::Nothing,
    }
}

pub(crate) fn row_of(value: &Value) -> Option<(Uuid, String)> {
    let id = value["accountid"].as_str()?.parse().ok()?;
    Some((id, value["name"].as_str()?.to_owned()))
}

fn json_row(body: &str) -> Option<(Uuid, String)> {
    row_of(&serde_json::from_str(body).ok()?)
}

fn json_rows(body: &str) -> Option<Vec<(Uuid, String)>> {
    let value: Value = serde_json::from_str(body).ok()?;
    value["value"].as_array()?.iter().map(row_of).collect()
}

fn soap_row(body: &str) -> Option<(Uuid, String)> {
    let document = Document::parse(body).ok()?;
    let result = document
        .descendants()
        .find(|node| node.tag_name().name() == "RetrieveResult")?;
    let text = |name: &str| {
        let mut children = result.children();
        children.find(|node| node.tag_name().name() == name)?.text()
    };
    let pairs = result
        .descendants()
        .filter(|node| node.tag_name().name() == "KeyValuePairOfstringanyType");
    let pair = |wanted: &str| {
        pairs.clone().find_map(|pair| {
            let mut texts = pair
                .children()
                .filter(roxmltree::Node::is_element)
                .map(|node| node.text().unwrap_or_default());
            (texts.next()? == wanted).then(|| texts.next())?
        })
    };
    Some((text("Id")?.parse().ok()?, pair("name")?.to_owned()))
}

/// The row that the answer to a write names.
pub(crate) fn row_named(kind: Kind, response: &Response) -> Option<Uuid> {
    if kind.is_soap() {
        let body = String::from_utf8_lossy(response.body());
        let document = Document::parse(&body).ok()?;
        let result = document
            .descendants()
            .find(|node| node.tag_name().name() == "CreateResult")?;
        return result.text()?.parse().ok();
    }
    let url = response.headers().get("OData-EntityId")?.to_str().ok()?;
    let id = url.rsplit_once('(')?.1.strip_suffix(')')?;
    id.parse().ok()
}
