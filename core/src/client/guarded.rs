//! The row of a guarded create: read before the create is sent again, and where a repeat is told that it is there.

use bytes::Bytes;
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, Response, StatusCode};
use tokio::time::Instant;

use super::attempt::Outcome;
use super::call::Call;
use crate::body::Body;
use crate::classify::is_already_there;
use crate::decide::compare::compare;
use crate::decide::place::Place;
use crate::operation::{Guard, Row};
use crate::rewrite::Rewritten;
use crate::rewrite::read_back::{created, created_answer};
use crate::row_answer::Seen;
use crate::soap_request::text;
use crate::values::{RowValues, odata, soap};
use crate::{Attempt, Effect, Fault, FaultKind, Request};

/// What a look at the row of a guarded create has told.
pub(super) enum Looked {
    /// The create was executed: the answer that it would have had.
    Found(Response<Bytes>),
    /// There is no such row, as far as its endpoint knows by now.
    NoRow,
    /// Nothing: it is another's row, or could not be read.
    Nothing(Option<Fault>),
}

impl Call<'_> {
    /// The attempts that have sent the request itself.
    pub(super) fn sent(&self) -> impl DoubleEndedIterator<Item = &Attempt> + Clone {
        self.attempts.iter().filter(|attempt| !attempt.reads_row)
    }

    /// Whether the request makes one row, and by this endpoint's answer to a read it can be told whether it did.
    pub(super) fn makes_row(&self) -> bool {
        self.back().is_some()
    }

    /// The request that reads the row of a create.
    fn back(&self) -> Option<Rewritten> {
        created(&self.class, &self.request)
    }

    /// Whether a create was told that its row is there, and an earlier attempt may have put it
    /// there.
    pub(super) fn may_be_its_own(&self, outcome: &Outcome) -> bool {
        let (Some(Guard::Created(_)), Some(fault)) = (&self.class.guard, &outcome.fault) else {
            return false;
        };
        let is_refused = fault.http_status == Some(StatusCode::PRECONDITION_FAILED.as_u16())
            || fault.code.is_some_and(is_already_there);
        let Some((_, earlier)) = self.attempts.split_last() else {
            return false;
        };
        fault.kind == FaultKind::Service
            && is_refused
            && Effect::of_call(self.class.operation, self.class.is_compound, earlier)
                == Effect::Unknown
            && self.client.rules.reads_back
    }

    /// Reads the row of a guarded create.
    pub(super) async fn look(&mut self, place: Place) -> Looked {
        let (Some(guard), Some(mut back)) = (self.class.guard.clone(), self.back()) else {
            return Looked::Nothing(None);
        };
        // The library reads it, and not each encoding that the application may.
        back.headers.remove(ACCEPT_ENCODING);
        let request = Request {
            method: back.method,
            url: back.url,
            headers: back.headers,
            body: Body::Bytes(back.body),
            is_streaming: false,
            ..(*self.request).clone()
        };
        let Ok(target) = self.client.organization.locate(&request.url) else {
            return Looked::Nothing(None);
        };
        let back = (request, target);
        let looked = self.attempt(place, Some(&back), Instant::now()).await;
        let fault = looked.fault;
        let is_whole = fault.as_ref().is_none_or(Fault::ends_as_response);
        let Some((head, row)) = looked.answer.filter(|_| is_whole) else {
            return Looked::Nothing(fault);
        };
        let (status, code) = (
            head.status.as_u16(),
            fault.as_ref().and_then(|fault| fault.code),
        );
        let row = match self
            .client
            .seen(guard.row(), status, code, &head.headers, &row)
        {
            Some(Seen::Row(row)) => row,
            Some(Seen::NoRow) => return Looked::NoRow,
            None => return Looked::Nothing(fault),
        };
        let headers = &self.request.headers;
        let body = self.request.body.bytes().cloned().unwrap_or_default();
        // An id that the library has chosen is nobody else's.
        if !self.is_id_ours && !is_as_sent(&guard, headers, &body, &row) {
            return Looked::Nothing(None);
        }
        let row_url = self.client.organization.url_of(&back.1, place.role);
        let Some(answer) = created_answer(&guard, headers, &body, row_url.as_str()) else {
            return Looked::Nothing(None);
        };
        self.was_found = true;
        Looked::Found(answer)
    }
}

/// Whether a row has what was sent, as far as both say it. Under an id of the application's own somebody
/// else may have created another row; of one that shares no value with what was sent it is not known
/// whose it is.
fn is_as_sent(guard: &Guard, headers: &HeaderMap, sent: &[u8], row: &RowValues) -> bool {
    let sent = match guard.row() {
        Row::Url(_) => odata::sent(sent),
        Row::Soap { .. } => text(headers, sent, usize::MAX)
            .and_then(|(_, text)| soap::entity(text))
            .map(soap::Entity::sent),
    };
    sent.is_some_and(|sent| {
        let found = compare(&sent, row);
        found.same > 0 && found.differences.is_empty()
    })
}
