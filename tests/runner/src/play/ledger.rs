//! The ledger of a client: looked at, and told what was found out.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Player;
use crate::compare::differences;
use crate::expect::{ExpectLedgerEntry, json, refusal_differences};
use crate::failure::{Wrong, compared, differ};
use crate::protocol::{LedgerRecord, Request, Selection};
use crate::step::{Maintenance, Replay, Resolve, SetOverride, Settle, SuspectSince, Verify};
use crate::subject::Broken;

impl Player<'_> {
    pub(super) fn ledger(
        &mut self,
        client: &str,
        selection: Selection,
    ) -> Result<Vec<LedgerRecord>, Wrong> {
        let answer = self.subject.ask(&Request::Ledger {
            client: client.to_owned(),
            selection,
        })?;
        if let Some(error) = &answer.error {
            return Err(format!("the ledger: {}", error.message).into());
        }
        let entries = answer.ledger;
        Ok(entries.ok_or_else(|| Broken("ledger: answered without entries".into()))?)
    }

    /// The entry of a call's write; `expected` none: the call was no write.
    pub(super) fn entry(
        &mut self,
        client: &str,
        expected: Option<&ExpectLedgerEntry>,
        id: Option<u64>,
    ) -> Result<(), Wrong> {
        let (expected, id) = match (expected, id) {
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                return differ(vec!["ledger_id: expected none".into()], json(&id));
            }
            (Some(_), None) => {
                return differ(vec!["ledger_id: expected one, got none".into()], json(&id));
            }
            (Some(expected), Some(id)) => (expected, id),
        };
        let entries = self.ledger(client, Selection::All)?;
        match entries.iter().find(|entry| entry.id == id) {
            Some(entry) => {
                let got = json(entry);
                let found = differences(&json(expected), &got);
                differ(
                    found.iter().map(|text| format!("ledger.{text}")).collect(),
                    got,
                )
            }
            None => differ(vec![format!("{id} is not on record")], json(&entries)),
        }
    }

    /// The number of a write that a step names.
    fn write(
        &mut self,
        client: &str,
        suspect: Option<usize>,
        id: Option<&str>,
    ) -> Result<u64, Wrong> {
        match (suspect, id) {
            (None, Some(id)) => Ok(id.parse().map_err(|_| format!("`{id}` is no number"))?),
            (Some(place), None) => {
                let suspects = self.ledger(client, Selection::Suspects)?;
                let suspect = suspects.get(place);
                let suspect =
                    suspect.ok_or_else(|| format!("there are {} suspects", suspects.len()))?;
                Ok(suspect.id)
            }
            _ => Err("a write is named by either `suspect` or `id`"
                .to_owned()
                .into()),
        }
    }

    pub(super) fn resolve(&mut self, step: Resolve) -> Result<(), Wrong> {
        let request = Request::Resolve {
            id: self.write(&step.client, step.suspect, step.id.as_deref())?,
            client: step.client,
            resolution: step.resolution,
        };
        self.ask(request, step.expect)
    }

    pub(super) fn verify(&mut self, step: Verify) -> Result<(), Wrong> {
        let id = self.write(&step.client, step.suspect, step.id.as_deref())?;
        let answer = self.subject.ask(&Request::Verify {
            id,
            client: step.client,
            submit: step.submit,
            url: step.url,
        })?;
        let mut found = refusal_differences(step.expect.as_ref(), &answer);
        let (wanted, got) = (json(&step.verified), json(&answer.verified));
        if step.verified.is_some() && wanted != got {
            found.push(format!("verified: expected {wanted}, got {got}"));
        }
        compared(found, &answer)
    }

    pub(super) fn replay(&mut self, step: Replay) -> Result<(), Wrong> {
        let id = self.write(&step.client, step.suspect, step.id.as_deref())?;
        let answer = self.subject.ask(&Request::Replay {
            id,
            client: step.client,
            wanted: step.wanted,
            submit: step.submit,
        })?;
        let mut found = refusal_differences(step.expect.as_ref(), &answer);
        let got = answer.replayed.as_ref().map(|replayed| replayed.status);
        if step.status.is_some() && step.status != got {
            found.push(format!("status: expected {:?}, got {got:?}", step.status));
        }
        compared(found, &answer)
    }

    pub(super) fn settle_all(&mut self, step: Settle) -> Result<(), Wrong> {
        let answer = self.subject.ask(&Request::Settle {
            client: step.client,
            verify: step.verify,
            confirm: step.confirm,
            replay: step.replay,
            submit: step.submit,
        })?;
        let mut found = refusal_differences(step.expect.as_ref(), &answer);
        let (wanted, got) = (json(&step.settled), json(&answer.settled));
        if step.settled.is_some() && wanted != got {
            found.push(format!("settled: expected {wanted}, got {got}"));
        }
        compared(found, &answer)
    }

    pub(super) fn suspect_since(&mut self, step: SuspectSince) -> Result<(), Wrong> {
        let since = step.since.parse();
        let since_ms = since.map_err(|_| format!("`{}` is no number", step.since))?;
        let client = step.client;
        let answer = self
            .subject
            .ask(&Request::SuspectSince { client, since_ms })?;
        let mut found = refusal_differences(step.expect.as_ref(), &answer);
        let got = answer.suspected.as_ref();
        let (acknowledged, is_whole) = (step.acknowledged, step.is_whole);
        if acknowledged.is_some() && acknowledged != got.map(|got| got.acknowledged)
            || is_whole.is_some() && is_whole != got.map(|got| got.is_whole)
        {
            found.push(format!(
                "expected {acknowledged:?} and whole {is_whole:?}, got {got:?}"
            ));
        }
        compared(found, &answer)
    }

    pub(super) fn set_override(&mut self, step: SetOverride) -> Result<(), Wrong> {
        let request = Request::Override {
            client: step.client,
            value: step.value,
            until_ms: step.for_ms.map(|for_ms| now_ms() + for_ms),
        };
        self.ask(request, step.expect)
    }

    pub(super) fn maintenance(&mut self, step: Maintenance) -> Result<(), Wrong> {
        let now = now_ms();
        let answer = self.subject.ask(&Request::Maintenance {
            client: step.client,
            start_ms: now + step.from_ms,
            end_ms: now + step.to_ms,
        })?;
        compared(refusal_differences(step.expect.as_ref(), &answer), &answer)
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}
