//! What was seen: events, attempts before they were sent, rows, requests.

use serde::Serialize;

use super::Player;
use crate::compare::differences;
use crate::expect::{ExpectEvent, ExpectPrepared, json};
use crate::failure::{Wrong, differ};
use crate::protocol::{EventRecord, PreparedRecord, Request};
use crate::subject::Broken;

/// How long events are waited for that should have come.
const EVENTS_TIMEOUT_MS: u64 = 10_000;

impl Player<'_> {
    /// The events that were not yet expected, when there are at least so many.
    pub(super) fn new_events(
        &mut self,
        client: &str,
        expected: usize,
    ) -> Result<Vec<EventRecord>, Wrong> {
        let seen = self.clients.get(client).map_or(0, |watched| watched.events);
        let answer = self.subject.ask(&Request::Events {
            client: client.to_owned(),
            at_least: seen + expected,
            timeout_ms: EVENTS_TIMEOUT_MS,
        })?;
        let events = answer
            .events
            .ok_or_else(|| Broken("events: answered without events".into()))?;
        if let Some(watched) = self.clients.get_mut(client) {
            watched.events = events.len();
        }
        Ok(events.into_iter().skip(seen).collect())
    }

    pub(super) fn events(&mut self, client: &str, expected: &[ExpectEvent]) -> Result<(), Wrong> {
        let got = json(&self.new_events(client, expected.len())?);
        differ(differences(&json(&expected), &got), got)
    }

    pub(super) fn rows(
        &self,
        org: Option<&str>,
        name: Option<&str>,
        expected: [Option<usize>; 3],
    ) -> Result<(), Wrong> {
        let mut rows = self.stage.rows(org)?;
        rows.retain(|row| name.is_none_or(|name| row.name.as_deref() == Some(name)));
        let got = [
            rows.iter().filter(|row| row.primary).count(),
            rows.iter().filter(|row| row.alternate).count(),
            self.stage.duplicates(org)?,
        ];
        let found = ["on the primary", "on the alternate", "duplicates"]
            .into_iter()
            .zip(expected.into_iter().zip(got))
            .filter_map(|(what, (expected, got))| {
                let expected = expected.filter(|expected| *expected != got)?;
                Some(format!("{what}: expected {expected}, got {got}"))
            })
            .collect();
        differ(found, json(&rows))
    }

    /// The attempts that the hook was handed and that were not yet expected.
    fn new_prepared(&mut self, client: &str) -> Result<Vec<PreparedRecord>, Wrong> {
        let answer = self.subject.ask(&Request::Prepared {
            client: client.to_owned(),
        })?;
        let prepared = answer
            .prepared
            .ok_or_else(|| Broken("prepared: answered without attempts".into()))?;
        let watched = self.clients.get_mut(client);
        let seen = watched.map_or(0, |watched| {
            std::mem::replace(&mut watched.prepared, prepared.len())
        });
        Ok(prepared.into_iter().skip(seen).collect())
    }

    pub(super) fn prepared(
        &mut self,
        client: &str,
        expected: &[ExpectPrepared],
    ) -> Result<(), Wrong> {
        let got = json(&self.new_prepared(client)?);
        differ(differences(&json(&expected), &got), got)
    }
}

/// Whether there are as many of them as expected.
pub(super) fn counted(expected: usize, got: &[impl Serialize]) -> Result<(), Wrong> {
    let found = (got.len() != expected)
        .then(|| format!("expected {expected} such requests, got {}", got.len()));
    differ(found.into_iter().collect(), json(&got))
}
