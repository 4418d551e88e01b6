//! The ledger of a client: looked at, and told what was found out.

use super::Player;
use crate::compare::differences;
use crate::expect::{ExpectLedgerEntry, ExpectRefusal, json, refusal_differences};
use crate::failure::{Wrong, compared, differ};
use crate::protocol::{FoundOut, LedgerRecord, Request, Selection};
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
    pub(super) fn write(
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

    pub(super) fn resolve(
        &mut self,
        client: String,
        suspect: Option<usize>,
        id: Option<&str>,
        resolution: FoundOut,
        expect: Option<&ExpectRefusal>,
    ) -> Result<(), Wrong> {
        let id = self.write(&client, suspect, id)?;
        let answer = self.subject.ask(&Request::Resolve {
            client,
            id,
            resolution,
        })?;
        compared(refusal_differences(expect, &answer), &answer)
    }
}
