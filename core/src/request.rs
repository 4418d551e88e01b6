//! One call of the application, before it is sent anywhere.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method};

use crate::body::{Body, BodyReader};
use crate::errand::Errand;
use crate::header::{TO_LIBRARY, append_header, parse_header, to_library};
use crate::operation::{Class, classify};
use crate::settings::LONGEST_WAIT;
use crate::shown::shown_url;
use crate::walk::Walk;
use crate::{BodySource, Error, ErrorKind, Operation, Role, Settings, SettlePolicy};

/// A tag goes into every record of its call.
const LONGEST_TAG: usize = 256;

/// The operation classes, as a header names them.
const OPERATIONS: [(&str, Operation); 4] = [
    ("read", Operation::Read),
    ("idempotent", Operation::Idempotent),
    ("guarded", Operation::Guarded),
    ("unsafe", Operation::Unsafe),
];

/// Methods that are sent in upper case however they are given. Others are what they are: a method is
/// compared by its case (RFC 9110, 9.1).
const METHODS: [&str; 10] = [
    "CONNECT", "DELETE", "GET", "HEAD", "MERGE", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

/// A request. It may be sent many times; one whose body is a reader serves one call at a time.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// What the application itself says of the body's length.
    pub(crate) content_length: Option<u64>,
    pub(crate) is_streaming: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) operation: Option<Operation>,
    pub(crate) is_guarded_create: bool,
    pub(crate) is_upsert: bool,
    pub(crate) tag: Option<Arc<str>>,
    /// It is not sent as it is: method, URL and body are the library's.
    pub(crate) errand: Option<Errand>,
}

impl Request {
    /// A request without headers and body.
    ///
    /// `url` goes on from the organization's base URL (`/api/data/v9.2/accounts`), or, without a slash
    /// at its beginning, from the URL that the client was opened with; or it is an absolute URL on
    /// either endpoint. It is sent as it is given: what no URL holds (space, backslash, letters beyond
    /// ASCII) is percent-encoded, and what is encoded stays. A `#` is refused, and so is `/../` in a
    /// key. A standard method is sent in upper case.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a method that is no HTTP token, or `CONNECT`. Whether
    /// the URL belongs to the organization is only known when the request is sent.
    pub fn new(method: &str, url: &str) -> Result<Request, Error> {
        let standard = METHODS
            .iter()
            .find(|standard| standard.eq_ignore_ascii_case(method));
        let method = Method::from_bytes(standard.map_or(method, |standard| standard).as_bytes())
            .ok()
            .filter(|method| *method != Method::CONNECT)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidArgument,
                    format!("{method:?} is not a method that can be sent to a service"),
                )
            })?;
        Ok(Request::plain(method, url))
    }

    fn plain(method: Method, url: &str) -> Request {
        Request {
            method,
            url: url.to_owned(),
            headers: HeaderMap::new(),
            body: Body::Bytes(Bytes::new()),
            content_length: None,
            is_streaming: false,
            timeout: None,
            connect_timeout: None,
            attempt_timeout: None,
            read_timeout: None,
            operation: None,
            is_guarded_create: false,
            is_upsert: false,
            tag: None,
            errand: None,
        }
    }

    fn to(errand: Errand) -> Request {
        Request {
            errand: Some(errand),
            ..Request::plain(Method::GET, "")
        }
    }

    /// The request that asks the active endpoint what became of a write on record
    /// ([`Client::verify`](crate::Client::verify)). Headers and timeout can be set as with any.
    #[must_use]
    pub fn verify(id: u64) -> Request {
        Request::to(Errand::Verify(id, None))
    }

    /// As [`verify`](Request::verify), by a read of the URL that the application names: the row that the
    /// write must have created or changed, or a list of the rows that it may be (`$filter` by a key that
    /// only the application knows). An empty list, or no such row: `missing`; one row that has the values
    /// that were sent: `present`, with others: `conflicting`; several rows, and one whose values cannot
    /// be compared (`ledger_bodies` is not `full`): `unverifiable`.
    #[must_use]
    pub fn verify_with(id: u64, url: &str) -> Request {
        Request::to(Errand::Verify(id, Some(url.to_owned())))
    }

    /// The request that sends a write on record again ([`Client::replay`](crate::Client::replay)).
    /// `is_wanted`: whatever was found of it, and whatever a repeat of it does. Timeouts can be set, and
    /// headers, which go in the place of those that are kept.
    #[must_use]
    pub fn replay(id: u64, is_wanted: bool) -> Request {
        Request::to(Errand::Replay(id, is_wanted))
    }

    /// The request for a walk over the writes that are to be verified, which are those when it is first
    /// sent: **each time that it is sent** it brings the next one of them that is done with, in whatever
    /// order they end ([`Response::settle_step`](crate::Response::settle_step)), and in the end, again and
    /// again, that it is over. Up to four writes are looked at at a time, also between the calls; with a
    /// `prepare` hook one, within them. An error that is no answer of the service's stops it; sent again,
    /// it goes on. Headers and times are those of each look and each write that is sent again.
    #[must_use]
    pub fn settle(policy: SettlePolicy) -> Request {
        Request::to(Errand::Settle(Arc::new(Walk::new(policy))))
    }

    /// Another request for the same walk, without headers and times of its own. `None`: it is none.
    #[must_use]
    pub fn settle_on(&self) -> Option<Request> {
        match &self.errand {
            Some(errand @ Errand::Settle(_)) => Some(Request::to(errand.clone())),
            _ => None,
        }
    }

    /// The request that reads the organization's failover policy
    /// ([`Client::discover`](crate::Client::discover)); its response has the status 0 and no attempts. A
    /// timeout can be set. It joins a reading under way, which goes on when the call is cancelled.
    #[must_use]
    pub fn discover() -> Request {
        Request::to(Errand::Discover)
    }

    /// The request that looks at one endpoint ([`Client::check`](crate::Client::check)); its response has
    /// the status 0 and no attempts, and the report as its body. A timeout can be set, and the probe's own
    /// as that of an attempt.
    #[must_use]
    pub fn check(role: Role) -> Request {
        Request::to(Errand::Check(role))
    }

    /// Adds a header; one of the same name stays beside it. `Content-Length` is the library's: one
    /// that agrees with the body is no error, and it tells the length of a body whose source does
    /// not know it.
    ///
    /// Headers whose names begin with `D365-Failover-` speak to the library, for code that has no
    /// other way to say it, and are not sent: `Operation` (`read`, `idempotent`, `guarded`, `unsafe`),
    /// `Tag`, `Guarded-Create` and `Upsert` (`on`, `off`), each as its setter.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for what is no header name or value, for headers that
    /// the library sets itself (`Host`, `Transfer-Encoding`, …), for others that begin so, and for the 16 385th. Whether
    /// a `Content-Length` agrees with the body is looked at when the request is sent.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        if let Some(what) = to_library(name) {
            return self.tell(what, value);
        }
        if name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str()) {
            return self.tell_length(value);
        }
        let (name, value) = parse_header(name, value)?;
        append_header(&mut self.headers, name, value)
    }

    /// What a header to the library says.
    fn tell(&mut self, what: &str, value: &str) -> Result<(), Error> {
        let value = value.trim();
        let word = value.to_ascii_lowercase();
        let is_on = |takes: &str| match word.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(untold(what, takes)),
        };
        match what.to_ascii_lowercase().as_str() {
            "operation" => {
                let takes = "read, idempotent, guarded or unsafe";
                let operation = OPERATIONS.iter().find(|(name, _)| *name == word);
                let (_, operation) = operation.ok_or_else(|| untold(what, takes))?;
                self.operation = Some(*operation);
            }
            "tag" => self.set_tag(value)?,
            "guarded-create" => self.is_guarded_create = is_on("on or off")?,
            "upsert" => self.is_upsert = is_on("on or off")?,
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "there is no header {TO_LIBRARY}{what}; there are {TO_LIBRARY}Operation, \
                         -Tag, -Guarded-Create and -Upsert"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn tell_length(&mut self, value: &str) -> Result<(), Error> {
        let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
        let told = value.parse().ok().filter(|_| is_number).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("Content-Length is a number of bytes, not {value:?}"),
            )
        })?;
        match self.content_length.replace(told) {
            Some(other) if other != told => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("Content-Length is told twice, {other} and {told}"),
            )),
            _ => Ok(()),
        }
    }

    /// How many bytes the body has, if anybody knows.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where the application's `Content-Length` says something else.
    pub(crate) fn length(&self) -> Result<Option<u64>, Error> {
        let length = match &self.body {
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Reader(reader) => reader.length,
        };
        match (self.content_length, length) {
            (Some(told), Some(length)) if told != length => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "Content-Length says {told}, and the body has {length} bytes; leave it out, \
                     the library sets it"
                ),
            )),
            (told, length) => Ok(length.or(told)),
        }
    }

    /// Sets the body. Bytes can be sent again.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = Body::Bytes(body.into());
    }

    /// Sets a body that is read while it is sent. `length` in bytes, if it is known; without it
    /// HTTP/1.1 sends the body in chunks. A source that cannot be rewound is read once: a call that
    /// has begun to read it is not sent again.
    pub fn set_body_source(
        &mut self,
        source: Box<dyn BodySource>,
        length: Option<u64>,
        can_rewind: bool,
    ) {
        self.body = Body::Reader(Arc::new(BodyReader::new(source, length, can_rewind)));
    }

    /// Whether the answer's body is read from the response, rather than collected before the call
    /// ends. Off at first.
    pub fn set_streaming(&mut self, is_streaming: bool) {
        self.is_streaming = is_streaming;
    }

    /// Sets the deadline of the call with all its attempts and pauses, from when it is sent or
    /// submitted. Default: the client's setting `deadline`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for zero, and for more than a day.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.timeout = Some(time("timeout", timeout)?);
        Ok(())
    }

    /// Sets how long the call waits for a connection in one attempt: for the name, all addresses, the
    /// proxy, TLS, and for a connection that other calls wait for as well, which goes on without it.
    /// Default: each address has the client's setting `connect_timeout`. What it ends has the cause
    /// [`Cause::ConnectTimeout`](crate::Cause::ConnectTimeout), and is weak evidence under `safe`: the
    /// application may be in a hurry, and the endpoint well.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for zero, and for more than a day.
    pub fn set_connect_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.connect_timeout = Some(time("connect_timeout", timeout)?);
        Ok(())
    }

    /// Sets how long one attempt may take, whole; with streaming, until the call ends, and then for
    /// each read of the body. Default: the client's setting `attempt_timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for zero, and for more than a day.
    pub fn set_attempt_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.attempt_timeout = Some(time("attempt_timeout", timeout)?);
        Ok(())
    }

    /// Sets how long one attempt may stand still once it has its connection: no byte of the request
    /// leaves and none of the answer comes; with streaming also how long each read of the body waits.
    /// What most other clients call so. A connection of HTTP/2 moves with whatever comes on it. What
    /// it ends has the cause [`Cause::AttemptTimeout`](crate::Cause::AttemptTimeout). Default: only the
    /// attempt's time holds, which does so besides.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for zero, and for more than a day.
    pub fn set_read_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.read_timeout = Some(time("read_timeout", timeout)?);
        Ok(())
    }

    /// Overrides the operation class. `None`: as it can be read from the method, the conditional
    /// headers, the parts of a `$batch`, and the operation that a SOAP message names; what cannot be
    /// read is `unsafe`.
    pub fn set_operation(&mut self, operation: Option<Operation>) {
        self.operation = operation;
    }

    /// Whether a create is sent with an id that the library chooses, so that a repeat of it is
    /// detected: a `POST` of one row to an entity set of the Web API becomes a `PATCH` of the row
    /// with `If-None-Match: *`; SOAP's `Create` of an entity without an id gets one. A call whose
    /// request is neither fails with [`ErrorKind::InvalidArgument`]. Off at first.
    pub fn set_guarded_create(&mut self, is_guarded: bool) {
        self.is_guarded_create = is_guarded;
    }

    /// Declares that a `PATCH` without condition may create its row: after a switch the setting
    /// `update_guard` leaves it alone. Off at first.
    pub fn set_upsert(&mut self, is_upsert: bool) {
        self.is_upsert = is_upsert;
    }

    /// Names the request by a text of the application's, which stands in the ledger, in events and in
    /// errors. An empty one is none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for more than 256 characters, and for control characters.
    pub fn set_tag(&mut self, tag: &str) -> Result<(), Error> {
        if tag.chars().count() > LONGEST_TAG || tag.chars().any(char::is_control) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("a tag has at most {LONGEST_TAG} characters, and no control characters"),
            ));
        }
        self.tag = (!tag.is_empty()).then(|| tag.into());
        Ok(())
    }

    /// How long an attempt may take.
    pub(crate) fn attempt_time(&self, settings: &Settings) -> Duration {
        self.attempt_timeout.unwrap_or(settings.attempt_timeout)
    }

    /// What a repeat of it does: as the application says, or as it can be read from it.
    pub(crate) fn class(&self) -> Class {
        let body = self.body.bytes().map(|body| &body[..]);
        let mut class = classify(&self.method, &self.url, &self.headers, body);
        class.operation = self.operation.unwrap_or(class.operation);
        class
    }

    /// Whether it changes nothing, which may take a look into its body.
    pub(crate) fn is_read(&self) -> bool {
        match &self.errand {
            Some(errand) => !matches!(errand, Errand::Replay(..)),
            None => self.class().operation == Operation::Read,
        }
    }

    /// Whether it may be a write: without a look into its body, which its class may take.
    pub(crate) fn may_write(&self) -> bool {
        match self.operation {
            Some(operation) => operation != Operation::Read,
            None => !matches!(self.method, Method::GET | Method::HEAD),
        }
    }
}

/// What a header to the library takes. Its value is not shown: it may be another header's.
fn untold(what: &str, takes: &str) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("the header {TO_LIBRARY}{what} takes {takes}"),
    )
}

/// A time of one call.
fn time(what: &str, time: Duration) -> Result<Duration, Error> {
    if time.is_zero() || time > LONGEST_WAIT {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("the {what} of a call is more than zero, and at most a day"),
        ));
    }
    Ok(time)
}

impl fmt::Debug for Request {
    // Headers and bodies may hold credentials and rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &shown_url(&self.url))
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_request() {
        for method in ["", "GE T", "CONNECT", "connect", "GET\n"] {
            let error = Request::new(method, "/").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{method:?}");
        }
        let mut request = Request::new("GET", "/").unwrap();
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("Host", "evil.example"),
            ("content-LENGTH", "-3"),
            ("Content-Length", ""),
            ("Content-Length", "18446744073709551616"),
            ("Transfer-Encoding", "chunked"),
            ("x", "a\r\nb: c"),
            ("x", "\0"),
        ] {
            let error = request.add_header(name, value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name:?}");
        }
        for timeout in [Duration::ZERO, Duration::MAX] {
            for set in [
                Request::set_timeout,
                Request::set_connect_timeout,
                Request::set_attempt_timeout,
                Request::set_read_timeout,
            ] {
                let error = set(&mut request, timeout).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            }
        }
    }

    #[test]
    fn a_standard_method_is_in_upper_case() {
        for (given, sent) in [
            ("get", "GET"),
            ("Post", "POST"),
            ("merge", "MERGE"),
            ("patch", "PATCH"),
            ("lock", "lock"),
            ("PURGE", "PURGE"),
        ] {
            assert_eq!(Request::new(given, "/").unwrap().method.as_str(), sent);
        }
    }

    #[test]
    fn a_length_agrees_with_the_body_or_is_refused() {
        // what is told, the body's bytes, what becomes of it
        let table: [(&[&str], &str, Option<u64>); 6] = [
            (&[], "abc", Some(3)),
            (&["3"], "abc", Some(3)),
            (&["3", "3"], "abc", Some(3)),
            (&["0"], "", Some(0)),
            (&["4"], "abc", None),
            (&["3"], "", None),
        ];
        for (told, body, expected) in table {
            let mut request = Request::new("POST", "/").unwrap();
            for value in told {
                request.add_header("content-length", value).unwrap();
            }
            request.set_body(body);
            let length = request.length().ok().flatten();
            assert_eq!(length, expected, "{told:?} {body:?}");
            assert!(request.headers.is_empty());
        }
        let mut request = Request::new("POST", "/").unwrap();
        request.add_header("Content-Length", "3").unwrap();
        let error = request.add_header("Content-Length", "4").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn a_tag_is_a_short_text_of_one_line() {
        let mut request = Request::new("GET", "/").unwrap();
        for tag in ["a\nb", "\0", "\u{85}", &"ä".repeat(257)] {
            let error = request.set_tag(tag).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{tag:?}");
        }
        for tag in ["Bestellung 17 für Jürgen ✓", &"ä".repeat(256)] {
            request.set_tag(tag).unwrap();
            assert_eq!(request.tag.as_deref(), Some(tag));
        }
        request.set_tag("").unwrap();
        assert_eq!(request.tag, None);
    }

    #[test]
    fn headers_to_the_library_are_not_sent() {
        let mut request = Request::new("POST", "/").unwrap();
        for (name, value) in [
            ("D365-Failover-Operation", "Idempotent"),
            ("d365-failover-tag", " order 17 "),
            ("D365-FAILOVER-GUARDED-CREATE", "on"),
            ("D365-Failover-Upsert", "on"),
        ] {
            request.add_header(name, value).unwrap();
        }
        assert_eq!(request.operation, Some(Operation::Idempotent));
        assert_eq!(request.tag.as_deref(), Some("order 17"));
        assert!(request.is_guarded_create && request.is_upsert && request.headers.is_empty());
        request.add_header("D365-Failover-Upsert", "off").unwrap();
        assert!(!request.is_upsert);
        let long = "x".repeat(257);
        for (name, value, says) in [
            ("D365-Failover-Operation", "write", "takes read, "),
            ("D365-Failover-Operation", "", "takes read, "),
            ("D365-Failover-Upsert", "1", "takes on or off"),
            ("D365-Failover-Guarded-Create", "true", "takes on or off"),
            ("D365-Failover-Tag", &long, "at most 256 characters"),
            ("D365-Failover-Role", "primary", "there is no header"),
            ("D365-Failover-", "", "there is no header"),
        ] {
            let error = request.add_header(name, value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name}");
            assert!(error.message().contains(says), "{name}: {error}");
        }
    }

    #[test]
    fn there_is_an_end_of_headers() {
        let mut request = Request::new("GET", "/").unwrap();
        for number in 0..16_384 {
            request.add_header(&format!("x-{number}"), "a").unwrap();
        }
        for name in ["x-1", "x-new"] {
            let error = request.add_header(name, "a").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains("more headers than"), "{error}");
        }
    }

    #[test]
    fn a_refused_header_does_not_show_its_value() {
        let mut request = Request::new("GET", "/").unwrap();
        let error = request
            .add_header("Authorization", "Bearer secret\n")
            .unwrap_err();
        assert!(!error.message().contains("secret"), "{error}");
    }

    #[test]
    fn debug_shows_no_header() {
        let mut request = Request::new("GET", "/").unwrap();
        request
            .add_header("Authorization", "Bearer secret")
            .unwrap();
        assert!(!format!("{request:?}").contains("secret"));
    }

    #[test]
    fn what_the_application_says_goes_before_what_can_be_read() {
        let mut request = Request::new("POST", "/").unwrap();
        assert_eq!(request.class().operation, Operation::Unsafe);
        request.set_operation(Some(Operation::Read));
        assert_eq!(request.class().operation, Operation::Read);
        let batch = Request::new("POST", "/api/data/v9.2/$batch").unwrap();
        assert!(batch.class().is_compound);
    }
}
