//! An Update or a Delete over SOAP that is done only to a row of a version: as an Execute of the
//! request that has a ConcurrencyBehavior.

use http::{HeaderMap, Method};
use quick_xml::escape::escape;
use uuid::Uuid;

use super::read_back::with_action;
use super::{Rewritten, Splice, spliced};
use crate::classify::CONTRACTS;
use crate::kept::Kept;
use crate::soap_request::{ACTIONS, GENERIC, INSTANCE, SERVICES, SoapRequest, text};

const NO_MESSAGE: &str = "its message cannot be read";
const SIGNED: &str = "its message is signed, and would be another";
const EXECUTED: &str = "it was sent as an Execute, which is not made anew";
const NO_ENTITY: &str = "its message has no entity that a version can be added to";

/// The message that does the same where the row `id` has the version.
///
/// # Errors
/// Why that cannot be made of it: for a person.
pub(super) fn matching(
    kept: &Kept,
    headers: &HeaderMap,
    logical_name: &str,
    id: Uuid,
    version: &str,
) -> Result<Rewritten, &'static str> {
    let (start, text) = text(headers, &kept.body, usize::MAX).ok_or(NO_MESSAGE)?;
    let request = SoapRequest::read(text, |request| request.body.is_some()).ok_or(NO_MESSAGE)?;
    if request.is_body_signed() || request.is_action_signed() {
        return Err(SIGNED);
    }
    let at = request.body.clone().ok_or(NO_MESSAGE)?;
    let version = escape(version);
    let by = match request.operation.as_deref() {
        Some("Delete") => execute(
            "Delete",
            "EntityReference",
            "",
            &format!(
                "<d365a:Id>{id}</d365a:Id><d365a:LogicalName>{}</d365a:LogicalName>\
                 <d365a:RowVersion>{version}</d365a:RowVersion>",
                escape(logical_name)
            ),
        ),
        Some("Update") => updating(&text[at.clone()], &version)?,
        _ => return Err(EXECUTED),
    };
    let mut splices = vec![Splice { at, by }];
    splices.extend(request.action.map(|action| Splice {
        at: action.at,
        by: format!("{ACTIONS}Execute"),
    }));
    for splice in &mut splices {
        splice.at = start + splice.at.start..start + splice.at.end;
    }
    Ok(Rewritten {
        method: Method::POST,
        url: kept.url.clone(),
        headers: with_action(headers, "Execute").ok_or(NO_MESSAGE)?,
        body: spliced(&kept.body, splices),
    })
}

/// Of `<Update …><entity …>…</entity></Update>`: the declarations of both, and what stands in the entity.
fn updating(body: &str, version: &str) -> Result<String, &'static str> {
    let (operation, rest) = tag(body).ok_or(NO_ENTITY)?;
    let (entity, rest) = tag(rest).ok_or(NO_ENTITY)?;
    let name = entity.split_ascii_whitespace().next().unwrap_or_default();
    let end = rest.rfind(&format!("</{name}")).ok_or(NO_ENTITY)?;
    let content = &rest[..end];
    if !name.ends_with("entity") || content.contains("RowVersion>") {
        return Err(NO_ENTITY);
    }
    let attributes = |tag: &str| match tag.split_once(|letter: char| letter.is_ascii_whitespace()) {
        Some((_, attributes)) => format!(" {attributes}"),
        None => String::new(),
    };
    let (outer, inner) = (attributes(operation), attributes(entity));
    if inner.contains(":type=") || operation.ends_with('/') || entity.ends_with('/') {
        return Err(NO_ENTITY);
    }
    let target = format!("{content}<d365a:RowVersion>{version}</d365a:RowVersion>");
    // What the operation declares holds around its entity; what the entity declares, in it.
    let whole = execute("Update", "Entity", &inner, &target);
    Ok(whole.replacen("<d365s:Execute", &format!("<d365s:Execute{outer}"), 1))
}

/// The first start tag, without its brackets, and what follows it.
fn tag(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start().strip_prefix('<')?;
    if text.starts_with(['!', '?', '/']) {
        return None;
    }
    text.split_once('>')
}

fn execute(name: &str, target_type: &str, declarations: &str, target: &str) -> String {
    format!(
        "<d365s:Execute xmlns:d365s=\"{SERVICES}\" xmlns:d365a=\"{CONTRACTS}\" xmlns:d365g=\"{GENERIC}\" \
         xmlns:d365i=\"{INSTANCE}\"><d365s:request d365i:type=\"d365a:{name}Request\"><d365a:Parameters>\
         <d365a:KeyValuePairOfstringanyType><d365g:key>Target</d365g:key>\
         <d365g:value d365i:type=\"d365a:{target_type}\"{declarations}>{target}</d365g:value>\
         </d365a:KeyValuePairOfstringanyType><d365a:KeyValuePairOfstringanyType>\
         <d365g:key>ConcurrencyBehavior</d365g:key>\
         <d365g:value d365i:type=\"d365a:ConcurrencyBehavior\">IfRowVersionMatches</d365g:value>\
         </d365a:KeyValuePairOfstringanyType></d365a:Parameters><d365a:RequestId d365i:nil=\"true\"/>\
         <d365a:RequestName>{name}</d365a:RequestName></d365s:request></d365s:Execute>"
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::operation::samples::{ID, SOAP_URL, headers, message, operation};
    use crate::operation::{Guard, Row, classify};
    use crate::values::soap::entity;

    fn kept(body: &str) -> Kept {
        Kept {
            method: "POST".to_owned(),
            url: SOAP_URL.to_owned(),
            headers: Vec::new(),
            body: Bytes::from(body.to_owned()),
            is_upsert: false,
        }
    }

    fn matched(body: &str) -> Result<Rewritten, &'static str> {
        let headers = headers(&[("soapaction", "\"x/Update\""), ("content-type", "text/xml")]);
        matching(&kept(body), &headers, "account", ID.parse().unwrap(), "77")
    }

    fn entity_of(more: &str) -> String {
        format!(
            "<entity><a:Attributes><a:KeyValuePairOfstringanyType><b:key>name</b:key><b:value>x</b:value>\
             </a:KeyValuePairOfstringanyType></a:Attributes><a:Id>{ID}</a:Id>\
             <a:LogicalName>account</a:LogicalName>{more}</entity>"
        )
    }

    #[test]
    fn an_update_and_a_delete_ask_for_the_version() {
        let update = message(&operation("Update", &entity_of("")));
        let delete = format!("<entityName>account</entityName><id>{ID}</id>");
        let delete = message(&operation("Delete", &delete));
        let row = Row::Soap {
            logical_name: "account".to_owned(),
            id: ID.parse().unwrap(),
        };
        for (body, name) in [(update, "Update"), (delete, "Delete")] {
            let made = matched(&body).ok().unwrap();
            let action = made.headers["soapaction"].to_str().unwrap();
            assert_eq!(action, format!("\"{ACTIONS}Execute\""));
            let text = std::str::from_utf8(&made.body).unwrap();
            let class = classify(&made.method, &made.url, &made.headers, Some(&made.body));
            assert_eq!(
                class.guard,
                Some(Guard::Version(row.clone())),
                "{name} {text}"
            );
            if name == "Update" {
                let entity = entity(text).unwrap();
                assert_eq!(entity.row_version.as_deref(), Some("77"), "{text}");
                assert_eq!(entity.sent().columns(), ["name"]);
            } else {
                assert!(text.contains("<d365a:RowVersion>77<"), "{text}");
            }
        }
    }

    #[test]
    fn what_cannot_be_made_anew_is_refused() {
        let has_version = entity_of("<a:RowVersion>1</a:RowVersion>");
        for body in [
            message(&operation("Update", &has_version)),
            message(&operation("Update", "")),
            message(&operation("Execute", "<request/>")),
            "<a/>".to_owned(),
        ] {
            assert!(matched(&body).is_err(), "{body}");
        }
    }
}
