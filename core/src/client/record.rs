//! What the client keeps of its writes: the ledger, and the events that tell of it.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderName, Method};
use ring::digest::{SHA256, digest};

use super::Inner;
use crate::body::Body;
use crate::decide::switchboard::Place;
use crate::resource::ledger::{Outcome, Suspects};
use crate::{Attempt, Effect, Event, ItemKind, LedgerEntry, Operation, Request};

const ROW_URL: HeaderName = HeaderName::from_static("odata-entityid");

impl Inner {
    /// Puts a write on record before it is sent. `None` for a read.
    pub(super) fn begin_write(
        &self,
        request: &Request,
        operation: Operation,
        is_foreign: bool,
    ) -> Option<u64> {
        if operation == Operation::Read {
            return None;
        }
        let (body_length, body_digest) = match &request.body {
            Body::Bytes(bytes) => (Some(bytes.len() as u64), sha_256(bytes)),
            Body::Reader(reader) => (reader.length, None),
        };
        Some(self.ledger.begin(LedgerEntry {
            id: 0,
            method: request.method.to_string(),
            // What other hosts take in their queries may be a credential.
            url: if is_foreign {
                request.url.split('?').next().unwrap_or_default().to_owned()
            } else {
                request.url.clone()
            },
            operation,
            body_length,
            body_digest,
            started: SystemTime::now(),
            ended: None,
            role: None,
            epoch: self.place().epoch,
            attempts: 0,
            effect: None,
            is_suspect: false,
            row_url: None,
            resolution: None,
        }))
    }

    /// A write has ended. Tells of it when it is in doubt, and when it was acknowledged by an
    /// endpoint that was left meanwhile.
    pub(super) fn end_write(
        &self,
        id: u64,
        method: &Method,
        effect: Effect,
        attempts: usize,
        last: Option<&Attempt>,
        answer: Option<&(Parts, Bytes)>,
    ) {
        let row_url = answer.and_then(|(head, _)| {
            let value = head.headers.get(ROW_URL)?.to_str().ok()?;
            Some(value.to_owned())
        });
        let now = self.place();
        let outcome = Outcome {
            effect,
            url: last.map(|last| last.url_on_record().to_owned()),
            role: last.and_then(|last| last.role),
            epoch: last.map_or(now.epoch, |last| last.epoch),
            attempts,
            row_url,
        };
        let is_late = self
            .ledger
            .end(id, outcome, Instant::now(), SystemTime::now());
        if is_late {
            self.tell_suspects(Suspects {
                in_doubt: 0,
                acknowledged: 1,
            });
        }
        if effect == Effect::Unknown {
            self.outlet.tell(ItemKind::WriteInDoubt, || {
                let fault = last.and_then(|last| last.fault.as_ref());
                let reason = fault.map_or("", |fault| fault.kind.name());
                let url = last.map_or(String::new(), Attempt::shown_url);
                let message = format!(
                    "the write {id} to {url} is in doubt after: {reason}; look whether it was \
                     executed, then resolve it"
                );
                Event {
                    ledger_id: Some(id),
                    method: Some(method.to_string()),
                    fault_kind: fault.map(|fault| fault.kind),
                    reason,
                    url: last.map(Attempt::shown_url),
                    ..Event::new(ItemKind::WriteInDoubt, now.epoch, message)
                }
            });
        }
    }

    /// The endpoint `from` was left: what it has acknowledged of late may be missing at the other.
    pub(super) fn suspect(&self, from: Place) {
        let suspects = self.ledger.suspect(from.role, from.epoch, Instant::now());
        if suspects != Suspects::default() {
            self.tell_suspects(suspects);
        }
    }

    fn tell_suspects(&self, suspects: Suspects) {
        self.outlet.tell(ItemKind::DataLossSuspected, || {
            let message = format!(
                "{} writes in doubt and {} that the endpoint left has acknowledged shortly before \
                 are to be verified",
                suspects.in_doubt, suspects.acknowledged
            );
            Event {
                in_doubt: Some(suspects.in_doubt),
                acknowledged: Some(suspects.acknowledged),
                reason: "switched",
                ..Event::new(ItemKind::DataLossSuspected, self.place().epoch, message)
            }
        });
    }
}

fn sha_256(body: &[u8]) -> Option<[u8; 32]> {
    if body.is_empty() {
        return None;
    }
    digest(&SHA256, body).as_ref().try_into().ok()
}
