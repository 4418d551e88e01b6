//! Guarded creates: read back when a repeat finds its row.

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::attempt::Outcome;
use super::call::Call;
use crate::body::Body;
use crate::classify::is_already_there;
use crate::decide::compare::compare;
use crate::decide::place::Place;
use crate::operation::{Guard, Row};
use crate::rewrite::read_back::{created_answer, read_back};
use crate::row_answer::row as row_of;
use crate::soap_request::text;
use crate::values::{odata, soap};
use crate::{Effect, FaultKind, Request};

impl Call<'_> {
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
        self.read_back_at.is_none()
            && fault.kind == FaultKind::Service
            && is_refused
            && Effect::of_call(self.class.operation, self.class.is_compound, earlier)
                == Effect::Unknown
            && self.client.rules.reads_back
    }

    /// Reads the row of a guarded create. `None`: it was not found, is another's, or could not be read, and
    /// whether the create was executed is not known.
    pub(super) async fn read_back(&mut self, place: Place) -> Option<Outcome> {
        let guard = self.class.guard.clone()?;
        let body = self.request.body.bytes().cloned().unwrap_or_default();
        let headers = self.request.headers.clone();
        let mut back = read_back(&guard, &self.request.url, &headers, &body)?;
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
        let target = self.client.organization.locate(&request.url).ok()?;
        let back = (request, target);
        self.read_back_at = Some(self.attempts.len());
        let looked = self.attempt(place, Some(&back), Instant::now()).await;
        let (head, row) = looked.answer.filter(|_| looked.fault.is_none())?;
        let row = self.client.row_in(guard.row(), &head.headers, &row)?;
        // An id that the library has chosen is nobody else's.
        if !self.is_id_ours && !is_as_sent(&guard, &headers, &body, &row) {
            return None;
        }
        let row_url = self.client.organization.url_of(&back.1, place.role);
        let answer = created_answer(&guard, &headers, &body, row_url.as_str())?;
        self.was_found = true;
        Some(Outcome {
            answer: Some(answer.into_parts()),
            ..Outcome::default()
        })
    }
}

/// Whether a row has what was sent, as far as both say it. Under an id of the application's own somebody
/// else may have created another row; of one that shares no value with what was sent it is not known
/// whose it is.
fn is_as_sent(guard: &Guard, headers: &HeaderMap, sent: &[u8], row: &[u8]) -> bool {
    let sent = match guard.row() {
        Row::Url(_) => odata::sent(sent),
        Row::Soap { .. } => text(headers, sent, usize::MAX)
            .and_then(|(_, text)| soap::entity(text))
            .map(soap::Entity::sent),
    };
    sent.is_some_and(|sent| {
        let found = compare(&sent, &row_of(guard.row(), row));
        found.same > 0 && found.differences.is_empty()
    })
}
