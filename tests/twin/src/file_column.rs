//! File columns of the Web API: uploads in one piece or in chunks, downloads whole or in ranges.
//!
//! An upload in chunks is begun by a PATCH with `x-ms-transfer-mode: chunked`. Its answer names in
//! `Location` where the chunks go: an absolute URL on the host that answered, since the session
//! that it stands for is that side's alone. The row has the file when the last chunk has come, and
//! crosses to the other side with it.

use std::collections::BTreeMap;
use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, Method, Request, Response, response};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use crate::reply::{
    INVALID_ARGUMENT, OBJECT_DOES_NOT_EXIST, Reply, ServiceError, empty, json_reply, with_body,
};
use crate::session::{Row, Session};
use crate::store::Key;

type Answer = Result<Reply, ServiceError>;

/// Dataverse's own, in bytes.
const CHUNK: usize = 4 * 1024 * 1024;
const FILE_NAME: &str = "x-ms-file-name";
/// What a header cannot hold.
const NOT_IN_HEADERS: &AsciiSet = &CONTROLS.add(b'%');

/// An upload that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    key: Key,
    column: String,
    name: String,
    bytes: Vec<u8>,
}

/// The uploads of a side, by their tokens.
pub(crate) type Uploads = BTreeMap<Uuid, Upload>;
/// The files of an organization, by the ids that stand in rows.
pub(crate) type Files = BTreeMap<Uuid, Bytes>;

/// A file column of a row.
pub(crate) struct FileColumn<'a> {
    /// The URL of the column.
    pub(crate) url: String,
    pub(crate) key: Key,
    pub(crate) column: &'a str,
    /// Whether the path ends with `/$value`.
    pub(crate) value: bool,
}

/// The column and whether its bytes are meant, from what follows a row's key.
pub(crate) fn parse(rest: &str) -> Option<(&str, bool)> {
    let (column, value) = match rest.strip_suffix("/$value") {
        Some(column) => (column, true),
        None => (rest, false),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!column.is_empty() && column.bytes().all(is_name)).then_some((column, value))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The real service's answers to uploads are documented without `OData-Version`; by this header it
/// names every request in its logs.
fn answered(status: u16) -> response::Builder {
    Response::builder()
        .status(status)
        .header("x-ms-service-request-id", Uuid::new_v4().to_string())
}

fn invalid(message: &str) -> ServiceError {
    ServiceError::invalid(message)
}

impl FileColumn<'_> {
    pub(crate) fn answer(&self, session: &mut Session<'_>, request: &Request<Bytes>) -> Answer {
        session.find(&self.key)?;
        match (request.method(), self.value) {
            (&Method::GET, _) => self.download(session, request.headers()),
            (&Method::PATCH, false) => self.upload(session, request),
            (&Method::DELETE, false) => {
                self.store(session, None)?;
                Ok(empty(answered(204)))
            }
            _ => Err(ServiceError::new(
                INVALID_ARGUMENT,
                405,
                "The method is not allowed here.",
            )),
        }
    }

    fn name_attribute(&self) -> String {
        format!("{}_name", self.column)
    }

    /// Puts a file in the row, or takes it out.
    fn store(
        &self,
        session: &mut Session<'_>,
        file: Option<(String, Bytes)>,
    ) -> Result<(), ServiceError> {
        let (id, name) = match file {
            Some((name, bytes)) => {
                let id = Uuid::new_v4();
                session.files().insert(id, bytes);
                (json!(id), json!(name))
            }
            None => (Value::Null, Value::Null),
        };
        let changes = [(self.column.to_owned(), id), (self.name_attribute(), name)];
        session.update(&self.key, changes.into_iter().collect::<Row>())
    }

    fn upload(&self, session: &mut Session<'_>, request: &Request<Bytes>) -> Answer {
        let query = request.uri().query().unwrap_or_default();
        let asked = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
        };
        let headers = request.headers();
        if let Some(token) = asked("sessiontoken") {
            return self.take_chunk(session, &token, request);
        }
        let name = match text(headers, FILE_NAME) {
            Some(name) => percent_decode_str(name).decode_utf8_lossy().into_owned(),
            None => asked(FILE_NAME).ok_or_else(|| invalid("x-ms-file-name is missing"))?,
        };
        if text(headers, "x-ms-transfer-mode") != Some("chunked") {
            self.store(session, Some((name, request.body().clone())))?;
            return Ok(empty(answered(204)));
        }
        let token = Uuid::new_v4();
        let upload = Upload {
            key: self.key.clone(),
            column: self.column.to_owned(),
            name,
            bytes: Vec::new(),
        };
        session.uploads().insert(token, upload);
        Ok(empty(
            answered(200)
                .header(LOCATION, format!("{}?sessiontoken={token}", self.url))
                .header("x-ms-chunk-size", CHUNK)
                .header(ACCEPT_RANGES, "bytes"),
        ))
    }

    fn take_chunk(
        &self,
        session: &mut Session<'_>,
        token: &str,
        request: &Request<Bytes>,
    ) -> Answer {
        let unknown = || invalid("the session token is none of this server's");
        let token = Uuid::try_parse(token).map_err(|_| unknown())?;
        let range = text(request.headers(), "Content-Range").and_then(content_range);
        let (range, total) =
            range.ok_or_else(|| invalid("Content-Range is written: bytes first-last/length"))?;
        let chunk = request.body();
        if chunk.len() > CHUNK || range.len() != chunk.len() || range.end > total {
            return Err(invalid("the chunk is not as long as its Content-Range"));
        }
        let upload = session.uploads().get_mut(&token).ok_or_else(unknown)?;
        if upload.key != self.key || upload.column != self.column {
            return Err(unknown());
        }
        if range.start > upload.bytes.len() {
            return Err(invalid("a chunk before this one has not come"));
        }
        // One that comes again takes its own place.
        upload.bytes.truncate(range.start);
        upload.bytes.extend(chunk);
        if range.end < total {
            return Ok(empty(answered(206)));
        }
        let upload = session.uploads().remove(&token).ok_or_else(unknown)?;
        self.store(session, Some((upload.name, upload.bytes.into())))?;
        Ok(empty(answered(204)))
    }

    fn download(&self, session: &mut Session<'_>, headers: &HeaderMap) -> Answer {
        let (_, row) = session.find(&self.key)?;
        let name = row.get(&self.name_attribute()).and_then(Value::as_str);
        let name = utf8_percent_encode(name.unwrap_or_default(), NOT_IN_HEADERS).to_string();
        let id = row.get(self.column).and_then(Value::as_str);
        let id = id.and_then(|id| Uuid::try_parse(id).ok());
        let file = id.and_then(|id| session.files().get(&id).cloned());
        let file = file.ok_or_else(|| {
            let message = format!("No file attachment found for attribute: {}", self.column);
            ServiceError::new(OBJECT_DOES_NOT_EXIST, 404, message)
        })?;
        if !self.value {
            return Ok(json_reply(
                200,
                &json!({"value": BASE64_STANDARD.encode(&file)}),
            ));
        }
        let builder = Response::builder()
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(ACCEPT_RANGES, "bytes")
            .header("x-ms-file-size", file.len())
            .header(FILE_NAME, name);
        match text(headers, RANGE.as_str()).and_then(|asked| byte_range(asked, file.len())) {
            None => Ok(with_body(builder, file)),
            Some(Some(part)) => {
                let shown = format!("bytes {}-{}/{}", part.start, part.end - 1, file.len());
                let builder = builder.status(206).header(CONTENT_RANGE, shown);
                Ok(with_body(builder, file.slice(part)))
            }
            Some(None) => {
                let shown = format!("bytes */{}", file.len());
                Ok(empty(builder.status(416).header(CONTENT_RANGE, shown)))
            }
        }
    }
}

/// `bytes first-last/length` (RFC 9110, 14.4).
fn content_range(text: &str) -> Option<(Range<usize>, usize)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < usize::MAX).then_some((first..last + 1, total.parse().ok()?))
}

/// One range of a `Range` (RFC 9110, 14.1.2); `Some(None)` where nothing lies in it, `None` for
/// what is to be ignored.
fn byte_range(text: &str, length: usize) -> Option<Option<Range<usize>>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..length.min(last.saturating_add(1)),
        (Ok(first), _) if last.is_empty() => first..length,
        (_, Ok(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
        _ => return None,
    };
    Some((range.start < range.end).then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 0-3/10"), Some((0..4, 10)));
        assert_eq!(content_range("bytes 4-3/10"), None);
        assert_eq!(content_range("bytes 0-3/*"), None);
        for (text, range) in [
            ("bytes=0-3", Some(Some(0..4))),
            ("bytes=8-30", Some(Some(8..10))),
            ("bytes=8-", Some(Some(8..10))),
            ("bytes=-3", Some(Some(7..10))),
            ("bytes=10-", Some(None)),
            ("bytes=3-1", None),
            ("bytes=0-1,4-5", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(byte_range(text, 10), range, "{text}");
        }
    }

    #[test]
    fn columns_are_read() {
        assert_eq!(parse("photo"), Some(("photo", false)));
        assert_eq!(parse("photo/$value"), Some(("photo", true)));
        assert_eq!(parse("photo/$ref"), None);
        assert_eq!(parse(""), None);
    }
}
