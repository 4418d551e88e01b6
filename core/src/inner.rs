//! The requests inside of one that holds several, each as one of its own.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use serde_json::value::RawValue;

use crate::batch::{Batch, Content};
use crate::classify::xml::{Visit, walk};
use crate::classify::{CONTRACTS, SOAP_1_1};
use crate::content_type;
use crate::json_batch::{self, JsonBatch};
use crate::kept::Kept;
use crate::operation::web_api;
use crate::soap_request::{INSTANCE, SERVICES, text};

/// No service takes more.
const MOST: usize = 1000;

/// The requests inside, in their order. `None`: they cannot be read, or are too many.
pub(crate) fn inside(kept: &Kept) -> Option<Vec<Kept>> {
    let headers = kept.header_map();
    let found = match web_api::is_batch(web_api::path(&kept.url)) {
        true => batch(kept, &headers)?,
        false => several(kept, &headers)?,
    };
    (found.len() <= MOST).then_some(found)
}

fn batch(kept: &Kept, headers: &HeaderMap) -> Option<Vec<Kept>> {
    let content_type = content_type::of(headers)?;
    if json_batch::is_json(content_type) {
        let batch = JsonBatch::read(content_type, &kept.body)?;
        let requests = batch.requests.into_iter().map(|request| {
            let members = &kept.body[request.at.clone()];
            let members: BTreeMap<String, &RawValue> = serde_json::from_slice(members).ok()?;
            let body = members.get("body").map_or("", |raw| raw.get());
            Some(Kept {
                method: request.method,
                url: resolved(&kept.url, &request.url)?,
                headers: request
                    .headers
                    .into_iter()
                    .map(|(name, value, _)| (name.trim().to_ascii_lowercase(), value))
                    .collect(),
                body: Bytes::copy_from_slice(body.as_bytes()),
                is_upsert: kept.is_upsert,
            })
        });
        return requests.collect();
    }
    let batch = Batch::read(content_type, &kept.body);
    let mut found = Vec::new();
    for part in &batch.parts {
        let request = match &part.content {
            Content::Request(request) => request,
            Content::ChangeSet => continue,
            Content::Other => return None,
        };
        let mut headers = Vec::new();
        let body = batch.fields(request.fields.clone(), |name, value| {
            headers.push((
                String::from_utf8_lossy(name).to_ascii_lowercase(),
                String::from_utf8_lossy(batch.bytes(&value)).into_owned(),
            ));
        });
        let end = request.fields.end;
        found.push(Kept {
            method: String::from_utf8_lossy(batch.bytes(&request.method)).into_owned(),
            url: resolved(&kept.url, batch.text(&request.target)?)?,
            headers,
            body: Bytes::copy_from_slice(batch.bytes(&(body.unwrap_or(end)..end))),
            is_upsert: kept.is_upsert,
        });
    }
    (!found.is_empty()).then_some(found)
}

/// Where a part of a batch goes. `None`: to what another part of it makes.
fn resolved(batch: &str, url: &str) -> Option<String> {
    if url.starts_with('$') {
        return None;
    }
    if url.starts_with('/') || url.contains("://") {
        return Some(url.to_owned());
    }
    let root = web_api::without_query(batch).trim_end_matches('/');
    let (root, _) = root.rsplit_once('/')?;
    Some(format!("{root}/{url}"))
}

/// The requests of an ExecuteMultiple or ExecuteTransaction, each as an Execute of its own.
fn several(kept: &Kept, headers: &HeaderMap) -> Option<Vec<Kept>> {
    let (_, text) = text(headers, &kept.body, usize::MAX)?;
    let mut found = Vec::new();
    // Prefixes that are bound around a request, by how deep they are.
    let mut bound = Vec::<(usize, String)>::new();
    let (mut key, mut type_name) = (String::new(), None::<String>);
    walk(text, |path, visit| {
        let locals: Vec<&str> = path
            .iter()
            .skip(3)
            .map(|name| name.local.as_str())
            .collect();
        let is_request = matches!(locals[..], ["request", "Parameters", _, "value", _])
            && key == "Requests"
            && path[path.len() - 1].is(CONTRACTS, "OrganizationRequest");
        match visit {
            Visit::Start(start, scope) => {
                bound.retain(|(depth, _)| *depth < path.len());
                for attribute in start.attributes().flatten() {
                    let name = attribute.key.into_inner();
                    if name == "xmlns" || name.starts_with("xmlns:") {
                        bound.push((path.len(), format!(" {name}=\"{}\"", attribute.value)));
                    }
                }
                if matches!(locals[..], ["request", "Parameters", _]) {
                    key.clear();
                }
                if is_request {
                    type_name = scope
                        .attribute(start, INSTANCE, "type")
                        .map(|name| name.rsplit(':').next().unwrap_or_default().to_owned());
                }
            }
            Visit::End(ended) if matches!(locals[..], ["request", "Parameters", _, "key"]) => {
                ended.text.clone_into(&mut key);
            }
            Visit::End(ended) if is_request => {
                let scope: Vec<(usize, String)> = bound
                    .iter()
                    .filter(|(depth, _)| *depth <= path.len())
                    .cloned()
                    .collect();
                found.push(message(&text[ended.content], &scope, type_name.take()));
            }
            Visit::End(_) => {}
        }
        ControlFlow::Continue(())
    });
    let requests = found.into_iter().map(|body| Kept {
        method: Method::POST.to_string(),
        url: kept.url.clone(),
        headers: vec![(
            CONTENT_TYPE.to_string(),
            "text/xml; charset=utf-8".to_owned(),
        )],
        body: Bytes::from(body),
        is_upsert: false,
    });
    let requests: Vec<Kept> = requests.collect();
    (!requests.is_empty()).then_some(requests)
}

/// A message that executes one request, with the prefixes that were bound around it; the last binding of
/// each counts. The elements of its own have prefixes of their own.
fn message(content: &str, bound: &[(usize, String)], type_name: Option<String>) -> String {
    let mut latest = BTreeMap::new();
    for (_, declaration) in bound {
        let name = declaration.split('=').next().unwrap_or_default();
        latest.insert(name, declaration.as_str());
    }
    let declarations: String = latest.into_values().collect();
    let type_name = type_name.map_or(String::new(), |name| {
        format!(" d365i:type=\"d365a:{name}\"")
    });
    format!(
        "<s:Envelope xmlns:s=\"{SOAP_1_1}\"><s:Body><d365s:Execute xmlns:d365s=\"{SERVICES}\" \
         xmlns:d365i=\"{INSTANCE}\" xmlns:d365a=\"{CONTRACTS}\"><d365s:request{type_name}{declarations}>\
         {content}</d365s:request></d365s:Execute></s:Body></s:Envelope>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::samples::{BATCH_URL, GENERIC, SOAP_URL};
    use crate::values::soap::entity;

    fn kept(url: &str, content_type: &str, body: &str) -> Kept {
        Kept {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: Bytes::from(body.to_owned()),
            is_upsert: false,
        }
    }

    fn shown(kept: &Kept) -> Option<Vec<String>> {
        let lines = inside(kept)?.into_iter().map(|one| {
            let body = String::from_utf8_lossy(&one.body).into_owned();
            let conditions = one
                .headers
                .iter()
                .filter(|(name, _)| name == "if-none-match");
            let conditions: String = conditions.map(|(_, value)| format!(" [{value}]")).collect();
            format!("{} {}{conditions} {}", one.method, one.url, body.trim_end())
        });
        Some(lines.collect())
    }

    #[test]
    fn the_parts_of_a_batch() {
        let multipart = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: \
             application/http\r\n\r\nPATCH accounts(1) HTTP/1.1\r\nIf-None-Match: *\r\n\r\n{\"a\":1}\r\n--c\r\n\
             Content-Type: application/http\r\n\r\nDELETE /api/data/v9.2/accounts(2) HTTP/1.1\r\n\r\n\r\n\
             --c--\r\n--b--\r\n";
        let json = r#"{"requests":[{"id":"1","method":"patch","url":"accounts(1)","headers":{"If-None-Match":"*"},
            "body":{"a":1}},{"id":"2","method":"DELETE","url":"/api/data/v9.2/accounts(2)"}]}"#;
        let expected = [
            r#"PATCH /api/data/v9.2/accounts(1) [*] {"a":1}"#,
            "DELETE /api/data/v9.2/accounts(2) ",
        ];
        let mixed = kept(BATCH_URL, "multipart/mixed; boundary=b", multipart);
        assert_eq!(shown(&mixed).unwrap(), expected);
        assert_eq!(
            shown(&kept(BATCH_URL, "application/json", json)).unwrap(),
            expected
        );
        let refers = r#"{"requests":[{"id":"1","method":"POST","url":"$2/x"}]}"#;
        for body in [refers, "{", "{}"] {
            assert_eq!(
                shown(&kept(BATCH_URL, "application/json", body)),
                None,
                "{body}"
            );
        }
    }

    #[test]
    fn the_requests_of_an_execute_multiple() {
        let pair = |name: &str| {
            format!(
                "<x:KeyValuePairOfstringanyType><b:key>Target</b:key><b:value i:type='x:Entity' \
                 xmlns:b='{GENERIC}'><x:Attributes><x:KeyValuePairOfstringanyType><b:key>name</b:key>\
                 <b:value>{name}</b:value></x:KeyValuePairOfstringanyType></x:Attributes>\
                 <x:LogicalName>account</x:LogicalName></b:value></x:KeyValuePairOfstringanyType>"
            )
        };
        let request = |name: &str| {
            format!(
                "<x:OrganizationRequest i:type='x:CreateRequest'><x:Parameters xmlns:b='{GENERIC}'>{}\
                 </x:Parameters><x:RequestName>Create</x:RequestName></x:OrganizationRequest>",
                pair(name)
            )
        };
        let body = format!(
            "<s:Envelope xmlns:s='{SOAP_1_1}'><s:Body><Execute xmlns='{SERVICES}'><request \
             i:type='x:ExecuteMultipleRequest' xmlns:i='{INSTANCE}' xmlns:x='{CONTRACTS}'><x:Parameters \
             xmlns:b='{GENERIC}'><x:KeyValuePairOfstringanyType><b:key>Requests</b:key><b:value>{}{}</b:value>\
             </x:KeyValuePairOfstringanyType></x:Parameters><x:RequestName>ExecuteMultiple</x:RequestName>\
             </request></Execute></s:Body></s:Envelope>",
            request("one"),
            request("two")
        );
        let found = inside(&kept(SOAP_URL, "text/xml", &body)).unwrap();
        let names = found.iter().map(|one| {
            let text = std::str::from_utf8(&one.body).unwrap();
            let request = crate::soap_request::SoapRequest::read(text, |it| it.has_ended).unwrap();
            assert!(request.is_create(), "{text}");
            assert_eq!(request.entity.logical_name.as_deref(), Some("account"));
            let sent = entity(text).unwrap().sent();
            match &sent.values[0].value {
                crate::values::Value::Text(name) => name.clone(),
                _ => panic!("no text"),
            }
        });
        assert_eq!(names.collect::<Vec<_>>(), ["one", "two"]);
        assert!(inside(&kept(SOAP_URL, "text/xml", "<a/>")).is_none());
    }
}
