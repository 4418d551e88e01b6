//! `$batch`: several requests of the Web API in one, and change sets that happen whole or not.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, Uri};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::json_batch;
use crate::multipart::{self, Part};
use crate::prefer::preference;
use crate::reply::{Reply, ServiceError, with_body};
use crate::session::{Row, Session};
use crate::web_api;

/// The rows that requests of a change set have made, by their `Content-ID`.
pub(crate) type References = BTreeMap<String, String>;

/// Serves a batch. Without `Prefer: odata.continue-on-error` the first failure is the last answer,
/// and its status that of the batch.
pub(crate) fn answer(
    session: &mut Session<'_>,
    request: &Request<Bytes>,
) -> Result<Reply, ServiceError> {
    if json_batch::is_json(request.headers()) {
        return json_batch::answer(session, request);
    }
    let boundary = multipart::boundary(request.headers()).ok_or_else(|| {
        ServiceError::invalid(
            "a batch is application/json, or multipart/mixed and names its boundary in Content-Type",
        )
    })?;
    let parts = multipart::parts(request.body(), &boundary).map_err(ServiceError::invalid)?;
    let goes_on = continues(request.headers());
    let mut status = 200;
    let mut answers = Writer::new("batchresponse");
    for part in &parts {
        let failure = match part.boundary() {
            Some(boundary) => match change_set(session, part, &boundary)? {
                Ok(changes) => {
                    answers.nest(changes);
                    None
                }
                Err(failure) => Some(failure),
            },
            None => {
                let answer = single(session, part, None)?;
                if !failed(&answer) {
                    answers.push(&answer, None);
                    continue;
                }
                Some(answer)
            }
        };
        if let Some(failure) = failure {
            answers.push(&failure, None);
            if !goes_on {
                status = failure.status().as_u16();
                break;
            }
        }
    }
    let builder = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, answers.content_type())
        .header("OData-Version", "4.0");
    Ok(with_body(builder, answers.finish()))
}

/// Whether a batch goes on after a failure.
pub(crate) fn continues(headers: &HeaderMap) -> bool {
    preference(headers, "odata.continue-on-error").is_some_and(|value| value != "false")
}

pub(crate) fn failed(answer: &Reply) -> bool {
    let status = answer.status();
    status.is_client_error() || status.is_server_error()
}

/// The answers of a change set, or the one that failed and undid the others.
fn change_set(
    session: &mut Session<'_>,
    part: &Part,
    boundary: &str,
) -> Result<Result<Writer, Reply>, ServiceError> {
    let parts = multipart::parts(&part.body, boundary).map_err(ServiceError::invalid)?;
    let before = session.savepoint();
    let mut references = References::new();
    let mut answers = Writer::new("changesetresponse");
    for part in &parts {
        let content_id = part.headers.get("Content-ID");
        let content_id = content_id.and_then(|id| id.to_str().ok());
        let answer = match single(session, part, Some(&references)) {
            Ok(answer) if failed(&answer) => Err(answer),
            Ok(answer) => Ok(answer),
            Err(malformed) => {
                session.rollback(before);
                return Err(malformed);
            }
        };
        match answer {
            Ok(answer) => {
                let row = answer.headers().get("OData-EntityId");
                if let (Some(id), Some(row)) = (content_id, row.and_then(|row| row.to_str().ok())) {
                    references.insert(id.to_owned(), row.to_owned());
                }
                answers.push(&answer, content_id);
            }
            Err(failure) => {
                session.rollback(before);
                return Ok(Err(failure));
            }
        }
    }
    Ok(Ok(answers))
}

/// The answer to one request, of a change set where there are references; an error where the part
/// holds none.
fn single(
    session: &mut Session<'_>,
    part: &Part,
    references: Option<&References>,
) -> Result<Reply, ServiceError> {
    let embedded = embedded(part)?;
    if references.is_some() && embedded.method == Method::GET {
        return Ok(ServiceError::invalid("a change set holds no GET").odata());
    }
    let none = References::new();
    Ok(embedded.answer(session, references.unwrap_or(&none)))
}

/// A request as it stands in a batch.
pub(crate) struct Embedded {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

fn embedded(part: &Part) -> Result<Embedded, ServiceError> {
    // A request without body ends where the part does, perhaps before its empty line.
    let closed = [&part.body[..], b"\r\n\r\n"].concat();
    let mut space = [httparse::EMPTY_HEADER; 64];
    let mut read = httparse::Request::new(&mut space);
    let wrong = |text: &str| ServiceError::invalid(format!("a part holds no request: {text}"));
    let length = match read.parse(&closed) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err(wrong("it ends early")),
        Err(error) => return Err(wrong(&error.to_string())),
    };
    let method = read.method.unwrap_or_default();
    Ok(Embedded {
        method: method.parse().map_err(|_| wrong("its method"))?,
        target: read.path.unwrap_or_default().to_owned(),
        headers: multipart::header_map(read.headers).map_err(|text| wrong(&text))?,
        body: part.body.slice(length.min(part.body.len())..),
    })
}

impl Embedded {
    /// The answer to it, also where it fails.
    pub(crate) fn answer(self, session: &mut Session<'_>, references: &References) -> Reply {
        let request = self.resolve(session, references);
        let answer = request.and_then(|request| match web_api::is_batch(request.uri()) {
            true => Err(ServiceError::invalid("a batch holds no batch")),
            false => web_api::answer(session, &request),
        });
        answer.unwrap_or_else(|error| error.odata())
    }

    /// The request that it stands for, with its references to rows that others have made.
    fn resolve(
        self,
        session: &mut Session<'_>,
        references: &References,
    ) -> Result<Request<Bytes>, ServiceError> {
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        if host.is_some_and(|host| !session.is_own_authority(host)) {
            return Err(session.wrong_host(host.unwrap_or_default()));
        }
        let uri = target(session, &self.target, references)?;
        let body = bound(self.body, references)?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        Ok(request)
    }
}

/// Path and query of a target: `$1` of this change set, an absolute URL of this side, an absolute
/// path, or a path below the service.
fn target(
    session: &mut Session<'_>,
    text: &str,
    references: &References,
) -> Result<Uri, ServiceError> {
    let no_uri = |_| ServiceError::invalid(format!("'{text}' is no URL"));
    let referred = text.strip_prefix('/').unwrap_or(text);
    let text = match referred.strip_prefix('$') {
        Some(rest) if !rest.starts_with("batch") => {
            let (id, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            format!("{}{rest}", referenced(id, references)?)
        }
        _ => text.to_owned(),
    };
    if let Ok(url) = Url::parse(&text) {
        let authority = url.authority();
        if !session.is_own_authority(authority) {
            return Err(session.wrong_host(authority));
        }
        let query = url
            .query()
            .map_or(String::new(), |query| format!("?{query}"));
        return format!("{}{query}", url.path()).parse().map_err(no_uri);
    }
    match text.starts_with('/') {
        true => text.parse().map_err(no_uri),
        false => format!("/api/data/v9.2/{text}").parse().map_err(no_uri),
    }
}

fn referenced<'a>(id: &str, references: &'a References) -> Result<&'a str, ServiceError> {
    let row = references.get(id).map(String::as_str);
    row.ok_or_else(|| ServiceError::invalid(format!("Content-ID Reference: '${id}' not found.")))
}

/// The body with its bindings to `$1` and the like resolved.
fn bound(body: Bytes, references: &References) -> Result<Bytes, ServiceError> {
    let Ok(mut row) = serde_json::from_slice::<Row>(&body) else {
        return Ok(body);
    };
    let mut changed = false;
    for (name, value) in &mut row {
        if let (true, Some(id)) = (
            name.ends_with("@odata.bind"),
            value.as_str().and_then(|value| value.strip_prefix('$')),
        ) {
            *value = Value::from(referenced(id, references)?);
            changed = true;
        }
    }
    Ok(match changed {
        true => Value::Object(row).to_string().into(),
        false => body,
    })
}

/// Answers, as parts.
struct Writer {
    boundary: String,
    text: Vec<u8>,
}

impl Writer {
    fn new(name: &str) -> Writer {
        Writer {
            boundary: format!("{name}_{}", Uuid::new_v4()),
            text: Vec::new(),
        }
    }

    fn content_type(&self) -> String {
        format!("multipart/mixed; boundary={}", self.boundary)
    }

    fn begin(&mut self, headers: &str) {
        let begin = format!("--{}\r\n{headers}\r\n", self.boundary);
        self.text.extend(begin.into_bytes());
    }

    fn push(&mut self, answer: &Reply, content_id: Option<&str>) {
        let id = content_id.map_or(String::new(), |id| format!("Content-ID: {id}\r\n"));
        self.begin(&format!(
            "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{id}"
        ));
        let status = answer.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
        for (name, value) in answer.headers() {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        self.text
            .extend([&head[..], b"\r\n", answer.body(), b"\r\n"].concat());
    }

    fn nest(&mut self, changes: Writer) {
        self.begin(&format!("Content-Type: {}\r\n", changes.content_type()));
        self.text.extend(changes.finish());
    }

    fn finish(mut self) -> Vec<u8> {
        let end = format!("--{}--\r\n", self.boundary);
        self.text.extend(end.into_bytes());
        self.text
    }
}
