//! Asks the active endpoint what became of a write on record.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue};
use http::{HeaderMap, HeaderName, Method};

use super::Inner;
use super::call::Call;
use super::flights::Flight;
use crate::body::Body;
use crate::classify::{decoded, has_service_header, is_marked_by_service};
use crate::decide::verify::{is_row, seen, version_in};
use crate::ending::{Ending, ResponseData};
use crate::operation::Row;
use crate::resource::cancel::Cancel;
use crate::resource::desk::Desk;
use crate::resource::ledger::Question;
use crate::rewrite::read_back::retrieve_nothing;
use crate::{Cause, Effect, Error, Fault, Operation, Request, Response, Verification, Verified};

const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");
/// Where SOAP is spoken with a bearer token, and so without a signature.
const ORGANIZATION_SERVICE: &str = "/XRMServices/2011/Organization.svc/web";
/// A compressed row that is longer is no proof.
const LONGEST_ROW: usize = 1 << 24;

impl Inner {
    /// Asks about the write `id`, as `request` says. The response is that of the read; where nothing
    /// was to be asked, it is empty.
    pub(super) async fn verify(
        self: &std::sync::Arc<Self>,
        id: u64,
        request: &Request,
        desk: Option<&Desk>,
        flight: &Flight,
        cancel: &Cancel,
    ) -> Result<Response, Error> {
        let question = self.ledger.question(id).get(desk).await?;
        let Some(row) = question.proof.row() else {
            let found = self
                .found(id, &question, Verified::Unverifiable, desk)
                .await?;
            return Ok(Response::new(ResponseData::default()).with_verification(found));
        };
        let asked = self.asking(row.clone(), request);
        let target = self.organization.locate(&asked.url)?;
        let call = Call::new(self, &asked, target, desk, flight)?;
        let answer = call.run(cancel).await?;
        let last = answer.attempts().last();
        let code = last.and_then(|last| last.fault.as_ref()?.code);
        let version = answer
            .headers()
            .get(ETAG)
            .and_then(|etag| etag.to_str().ok());
        let body = decoded(answer.headers(), answer.body(), LONGEST_ROW);
        let version = version.map(str::to_owned).or_else(|| version_in(&body));
        let is_marked = match answer.status() {
            200 => self.counts_as_marked(answer.headers()),
            _ => is_marked_by_service(answer.headers(), answer.body()),
        };
        let seen = seen(
            &row,
            answer.status(),
            code,
            is_marked,
            &body,
            version.as_deref(),
        );
        let Some(seen) = seen else {
            return Err(undecided(id, answer));
        };
        let verdict = question.proof.verdict(seen);
        let found = self.found(id, &question, verdict, desk).await?;
        Ok(answer.with_verification(found))
    }

    async fn found(
        &self,
        id: u64,
        question: &Question,
        verdict: Verified,
        desk: Option<&Desk>,
    ) -> Result<Verification, Error> {
        let time = SystemTime::now();
        let ended_ago = time.duration_since(question.ended);
        let is_final = question.proof.is_final(
            verdict,
            question.may_come_late,
            ended_ago.unwrap_or(Duration::ZERO),
            self.settings.replication_window,
        );
        let found = Verification {
            verdict,
            is_final,
            time,
        };
        self.ledger.verified(id, found).get(desk).await?;
        Ok(found)
    }

    /// The row that an answer to a read of it holds, without its encoding. `None`: it is none, or not
    /// the service's.
    pub(super) fn row_in<'a>(
        &self,
        asked: &Row,
        headers: &HeaderMap,
        body: &'a [u8],
    ) -> Option<Cow<'a, [u8]>> {
        let row = decoded(headers, body, LONGEST_ROW);
        is_row(asked, &row, self.counts_as_marked(headers)).then_some(row)
    }

    /// Whether what a 200 says needs no mark of the service's besides its headers.
    fn counts_as_marked(&self, headers: &HeaderMap) -> bool {
        !self.settings.service_mark || has_service_header(headers)
    }

    /// The request that reads a row, or finds none.
    fn asking(&self, row: Row, request: &Request) -> Request {
        let mut headers = request.headers.clone();
        if self.tokens.is_none() && !headers.contains_key(AUTHORIZATION) {
            // As a probe: what the application has said there itself.
            headers.extend(
                self.last_authorization(self.place().role)
                    .map(|value| (AUTHORIZATION, value)),
            );
        }
        let (method, url, body) = match row {
            Row::Url(url) => {
                let json = HeaderValue::from_static("application/json");
                headers.entry(ACCEPT).or_insert(json);
                (Method::GET, url, Body::Bytes(bytes::Bytes::new()))
            }
            Row::Soap { logical_name, id } => {
                let (action, body) = retrieve_nothing(&logical_name, id);
                headers.insert(SOAP_ACTION, action);
                let xml = HeaderValue::from_static("text/xml; charset=utf-8");
                headers.insert(CONTENT_TYPE, xml);
                let url = ORGANIZATION_SERVICE.to_owned();
                (Method::POST, url, Body::Bytes(body))
            }
        };
        Request {
            method,
            url,
            headers,
            body,
            content_length: None,
            is_streaming: false,
            operation: Some(Operation::Read),
            verifies: None,
            ..request.clone()
        }
    }
}

/// An answer that says neither that the row is there nor that it is not.
fn undecided(id: u64, answer: Response) -> Error {
    let last = answer.attempts().last();
    let status = answer.status();
    let fault = last.and_then(|last| last.fault.clone());
    let fault = fault.unwrap_or_else(|| Fault {
        http_status: Some(status),
        ..Fault::new(Cause::ServiceFault, "the answer is no row")
    });
    let message = format!(
        "whether the write {id} was executed could not be found out: HTTP {status}: {}; it stays on \
         record as it was",
        fault.message
    );
    Error::of_call(
        message,
        Ending {
            fault,
            effect: Effect::None,
            switched: answer.switched(),
            ledger_id: None,
            tag: None,
            attempts: answer.attempts().to_vec(),
            response: Some(answer),
        },
    )
}
