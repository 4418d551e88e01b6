//! `$batch` in JSON (OData JSON Format 4.01, 19): requests with ids, and groups that happen whole or
//! not.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::batch::{Embedded, References, continues, failed};
use crate::reply::{Reply, ServiceError, json_reply};
use crate::session::Session;

/// Whether a batch is written in JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE);
    let kind = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

#[derive(Deserialize)]
struct Document {
    requests: Vec<Item>,
}

/// A request as it stands in the document.
#[derive(Clone, Deserialize)]
struct Item {
    id: String,
    method: String,
    url: String,
    #[serde(default, rename = "atomicityGroup")]
    group: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Option<Value>,
}

/// Serves a batch: what was done is answered, and the first that failed, which ends it unless the
/// batch asks to go on. What fails in a group undoes the group, and is its only answer.
pub(crate) fn answer(
    session: &mut Session<'_>,
    request: &Request<Bytes>,
) -> Result<Reply, ServiceError> {
    let document: Document = serde_json::from_slice(request.body())
        .map_err(|error| ServiceError::invalid(format!("a batch in JSON: {error}")))?;
    let goes_on = continues(request.headers());
    let mut references = References::new();
    let mut answers = Vec::new();
    let mut items = &document.requests[..];
    while let Some(first) = items.first() {
        let length = match &first.group {
            Some(group) => {
                let others = items
                    .iter()
                    .take_while(|item| item.group.as_ref() == Some(group));
                others.count()
            }
            None => 1,
        };
        let (group, rest) = items.split_at(length);
        items = rest;
        let before = session.savepoint();
        let known = references.clone();
        match together(session, group, &mut references) {
            Ok(Ok(mut done)) => answers.append(&mut done),
            Ok(Err(failure)) => {
                session.rollback(before);
                references = known;
                answers.push(failure);
                if !goes_on {
                    break;
                }
            }
            Err(malformed) => {
                session.rollback(before);
                return Err(malformed);
            }
        }
    }
    Ok(json_reply(200, &json!({"responses": answers})))
}

/// The answers of a group, or the one that failed; an error where one holds no request.
fn together(
    session: &mut Session<'_>,
    group: &[Item],
    references: &mut References,
) -> Result<Result<Vec<Value>, Value>, ServiceError> {
    let mut done = Vec::new();
    for item in group {
        let answer = item.answer(session, references)?;
        if failed(&answer) {
            return Ok(Err(item.written(&answer)));
        }
        let row = answer.headers().get("OData-EntityId");
        if let Some(row) = row.and_then(|row| row.to_str().ok()) {
            references.insert(item.id.clone(), row.to_owned());
        }
        done.push(item.written(&answer));
    }
    Ok(Ok(done))
}

impl Item {
    fn answer(
        &self,
        session: &mut Session<'_>,
        references: &References,
    ) -> Result<Reply, ServiceError> {
        let wrong = |what: &str| ServiceError::invalid(format!("request '{}': {what}", self.id));
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(|_| wrong("a header's name"))?;
            let value = value.as_str().ok_or_else(|| wrong("a header is no text"))?;
            let value = HeaderValue::try_from(value).map_err(|_| wrong("a header"))?;
            headers.insert(name, value);
        }
        let method = self.method.to_ascii_uppercase();
        let embedded = Embedded {
            method: method.parse().map_err(|_| wrong("its method"))?,
            target: self.url.clone(),
            headers,
            body: self
                .body
                .as_ref()
                .map_or_else(Bytes::new, |body| body.to_string().into()),
        };
        Ok(embedded.answer(session, references))
    }

    fn written(&self, answer: &Reply) -> Value {
        let headers: Map<String, Value> = answer
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.into()))
            })
            .collect();
        let mut written =
            json!({"id": self.id, "status": answer.status().as_u16(), "headers": headers});
        if let Some(group) = &self.group {
            written["atomicityGroup"] = group.as_str().into();
        }
        if !answer.body().is_empty() {
            let text = || Value::from(String::from_utf8_lossy(answer.body()));
            written["body"] = serde_json::from_slice(answer.body()).unwrap_or_else(|_| text());
        }
        written
    }
}
