//! Asks the active endpoint what became of a write on record.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, HeaderValue};
use http::{HeaderMap, HeaderName, Method};
use tokio::time::Instant;

use super::Inner;
use super::call::{Call, Record};
use super::flights::Flight;
use crate::body::Body;
use crate::classify::{decoded, has_service_header, is_marked_by_service};
use crate::decide::finding::{Finding, Sending, find, several, together};
use crate::decide::subject::{Subject, Wanted, subjects};
use crate::ending::{Ending, ResponseData};
use crate::errand::Errand;
use crate::operation::Row;
use crate::resource::cancel::Cancel;
use crate::resource::desk::Desk;
use crate::resource::ledger::{Question, VERIFIED};
use crate::rewrite::read_back::{Columns, retrieve_message};
use crate::row_answer::{Seen, lacks_a_column, rows, seen};
use crate::{Cause, Error, Fault, Operation, Request, Response, Verification};

const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");
/// Where SOAP is spoken with a bearer token, and so without a signature.
const ORGANIZATION_SERVICE: &str = "/XRMServices/2011/Organization.svc/web";
/// A compressed row that is longer is no proof.
const LONGEST_ROW: usize = 1 << 24;

/// Who asks, and by what.
pub(super) struct Asking<'a> {
    pub(super) request: &'a Request,
    pub(super) desk: Option<&'a Desk>,
    pub(super) flight: &'a Flight,
    pub(super) cancel: &'a Cancel,
}

/// What a look has found.
pub(super) struct Looked {
    finding: Finding,
    is_there: bool,
    version: Option<String>,
    /// The answer to the last read.
    answer: Response,
}

impl Looked {
    /// Nothing was asked.
    fn nothing(finding: Finding) -> Looked {
        Looked {
            finding,
            is_there: false,
            version: None,
            answer: Response::new(ResponseData::default()),
        }
    }
}

impl Inner {
    /// Asks about the write `id`. The response is that of the read; where nothing was to be asked, it
    /// is empty.
    pub(super) async fn verify(
        self: &Arc<Self>,
        id: u64,
        asking: &Asking<'_>,
    ) -> Result<Response, Error> {
        let question = self.ledger.question(id, VERIFIED).get(asking.desk).await?;
        let kept = question.kept.as_deref();
        let subject = match &asking.request.errand {
            Some(Errand::Verify(_, Some(url))) => Ok(Subject::at(url, kept)),
            _ if question.is_compound() => {
                let looked = self.look_inside(id, &question, asking).await?;
                return self.verified(id, &question, looked, asking).await;
            }
            _ => Subject::of(&question.proof, kept, &self.settings.verify_keys),
        };
        let looked = match subject {
            Ok(subject) => self.look_at(id, &subject, &question, asking).await?,
            Err(why) => Looked::nothing(Finding::unverifiable(why)),
        };
        self.verified(id, &question, looked, asking).await
    }

    async fn verified(
        &self,
        id: u64,
        question: &Question,
        looked: Looked,
        asking: &Asking<'_>,
    ) -> Result<Response, Error> {
        let answer = looked.answer.clone();
        let found = self.found(id, question, looked, asking.desk).await?;
        Ok(answer.with_verification(found))
    }

    /// Looks at the row of each write inside of one that holds several.
    async fn look_inside(
        self: &Arc<Self>,
        id: u64,
        question: &Question,
        asking: &Asking<'_>,
    ) -> Result<Looked, Error> {
        let parts = match subjects(question.kept.as_deref(), &self.settings.verify_keys) {
            Ok(parts) => parts,
            Err(why) => return Ok(Looked::nothing(Finding::unverifiable(why))),
        };
        // Where one of them cannot be told, nothing is asked.
        if let Some(why) = parts.iter().find_map(|part| part.subject.as_ref().err()) {
            return Ok(Looked::nothing(Finding::unverifiable(why)));
        }
        let mut looked = Looked::nothing(Finding::unverifiable(""));
        let mut found = Vec::new();
        for part in &parts {
            if let Ok(subject) = &part.subject {
                looked = self.look_at(id, subject, question, asking).await?;
                found.push((part.index, looked.finding.clone()));
            }
        }
        // No version is that of all.
        looked.version = None;
        looked.finding = together(found);
        Ok(looked)
    }

    async fn look_at(
        self: &Arc<Self>,
        id: u64,
        subject: &Subject,
        question: &Question,
        asking: &Asking<'_>,
    ) -> Result<Looked, Error> {
        let mut wanted = subject.wanted();
        loop {
            let asked = self.asking(subject, &wanted, asking.request);
            let answer = self.read(&asked, asking).await?;
            let told = self.told(&answer, subject);
            let begun_ago = question.begun_ago.map(|ago| ago + question.asked.elapsed());
            let sending = Sending::of(begun_ago, date(&answer));
            let looked = match told {
                Some(Learnt::Seen(seen)) => Looked {
                    finding: find(subject, &seen, sending),
                    is_there: matches!(seen, Seen::Row(_)),
                    version: match seen {
                        Seen::Row(row) => row.version,
                        Seen::NoRow => None,
                    },
                    answer,
                },
                Some(Learnt::Several) => Looked {
                    finding: several(),
                    is_there: true,
                    version: None,
                    answer,
                },
                // Tables differ in what they have.
                Some(Learnt::LacksAColumn) if matches!(wanted, Wanted::These(_)) => {
                    wanted = Wanted::All;
                    continue;
                }
                _ => return Err(undecided(id, answer)),
            };
            return Ok(looked);
        }
    }

    async fn read(
        self: &Arc<Self>,
        asked: &Request,
        asking: &Asking<'_>,
    ) -> Result<Response, Error> {
        let target = self.organization.locate(&asked.url)?;
        let mut call = Call::new(
            self,
            asked,
            target,
            asking.desk,
            asking.flight,
            Instant::now(),
            Record::Begin,
        )?;
        call.run(asking.cancel).await
    }

    /// What an answer to a read tells. `None`: nothing.
    fn told(&self, answer: &Response, subject: &Subject) -> Option<Learnt> {
        let last = answer.attempts().last();
        let code = last.and_then(|last| last.fault.as_ref()?.code);
        let (status, headers, body) = (answer.status(), answer.headers(), answer.body());
        let is_marked = self.is_marked(status, headers, body);
        let row = match subject.row() {
            Some(row) => Cow::Borrowed(row),
            None => match rows(status, is_marked, &decoded(headers, body, LONGEST_ROW)) {
                Some(mut list) => {
                    return Some(match (list.pop(), list.len()) {
                        (None, _) => Learnt::Seen(Seen::NoRow),
                        (Some(row), 0) => Learnt::Seen(Seen::Row(row)),
                        (Some(_), _) => Learnt::Several,
                    });
                }
                None => Cow::Owned(Row::Url(String::new())),
            },
        };
        match self.seen(&row, status, code, headers, body) {
            Some(seen) => Some(Learnt::Seen(seen)),
            None => lacks_a_column(&row, status, code, is_marked).then_some(Learnt::LacksAColumn),
        }
    }

    async fn found(
        &self,
        id: u64,
        question: &Question,
        looked: Looked,
        desk: Option<&Desk>,
    ) -> Result<Verification, Error> {
        let finding = looked.finding;
        let found = Verification {
            verdict: finding.verdict,
            is_final: finding.is_final(
                question.may_come_late,
                question.ended_ago,
                self.settings.replication_window,
            ),
            time: SystemTime::now(),
            why: finding.why.to_owned(),
            differences: finding.differences,
            left_out: finding.left_out,
            is_there: looked.is_there,
            version: looked.version,
        };
        self.ledger.verified(id, found.clone()).get(desk).await?;
        Ok(found)
    }

    /// What an answer to a read of a row says of it. `None`: nothing.
    pub(super) fn seen(
        &self,
        asked: &Row,
        status: u16,
        code: Option<i32>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Seen> {
        let version = headers.get(ETAG).and_then(|etag| etag.to_str().ok());
        let is_marked = self.is_marked(status, headers, body);
        let row = decoded(headers, body, LONGEST_ROW);
        seen(asked, status, code, is_marked, &row, version)
    }

    /// Whether the service has made an answer, as far as it shows outside of a row. What a 200 says may need
    /// no mark besides its headers.
    fn is_marked(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> bool {
        match status {
            200 => !self.settings.service_mark || has_service_header(headers),
            _ => is_marked_by_service(headers, body),
        }
    }

    /// The request that reads a row, or finds none.
    fn asking(&self, subject: &Subject, wanted: &Wanted, request: &Request) -> Request {
        let mut headers = request.headers.clone();
        if self.tokens.is_none() && !headers.contains_key(AUTHORIZATION) {
            // As a probe: what the application has said there itself.
            headers.extend(
                self.last_authorization(self.place().role)
                    .map(|value| (AUTHORIZATION, value)),
            );
        }
        let json = HeaderValue::from_static("application/json");
        let none = || Body::Bytes(bytes::Bytes::new());
        let (method, url, body) = match (subject.row(), wanted) {
            (None, _) => {
                headers.entry(ACCEPT).or_insert(json);
                (Method::GET, subject.list().to_owned(), none())
            }
            (Some(Row::Url(url)), wanted) => {
                headers.entry(ACCEPT).or_insert(json);
                let url = match wanted {
                    Wanted::These(columns) => format!("{url}?$select={}", columns.join(",")),
                    Wanted::Nothing | Wanted::All => url.clone(),
                };
                (Method::GET, url, none())
            }
            (Some(Row::Soap { logical_name, id }), wanted) => {
                let columns = match wanted {
                    Wanted::Nothing => Columns::These(&[]),
                    Wanted::These(columns) => Columns::These(columns),
                    Wanted::All => Columns::All,
                };
                let (action, body) = retrieve_message(logical_name, *id, columns);
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
            errand: None,
            ..request.clone()
        }
    }
}

/// What an answer to a read tells.
enum Learnt {
    Seen(Seen),
    Several,
    LacksAColumn,
}

/// What the service's clock said when it answered.
fn date(answer: &Response) -> Option<SystemTime> {
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(date).ok()
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
        fault,
        Ending {
            switched: answer.switched(),
            attempts: answer.attempts().to_vec(),
            response: Some(answer),
            ..Ending::default()
        },
    )
}
