//! What was seen: events, attempts before they were sent, rows, requests.

use serde::Serialize;

use super::Player;
use crate::compare::differences;
use crate::expect::{ExpectEvent, ExpectPrepared, ExpectState, json};
use crate::failure::{Wrong, differ};
use crate::protocol::{EventRecord, PreparedRecord, Request};
use crate::seen::{ProxyRequests, Requests};
use crate::step::ExpectRows;
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

    pub(super) fn state(&mut self, client: String, expected: &ExpectState) -> Result<(), Wrong> {
        let answer = self.subject.ask(&Request::State { client })?;
        let got = json(&answer.state);
        differ(differences(&json(expected), &got), got)
    }

    pub(super) fn rows(&self, expected: &ExpectRows) -> Result<(), Wrong> {
        let (org, name) = (expected.org.as_deref(), expected.name.as_deref());
        let mut rows = self.stage.rows(org)?;
        rows.retain(|row| name.is_none_or(|name| row.name.as_deref() == Some(name)));
        let on_the_primary = rows.iter().filter(|row| row.primary).count();
        let on_the_alternate = rows.iter().filter(|row| row.alternate).count();
        let duplicates = self.stage.duplicates(org)?;
        let found = [
            ("on the primary", expected.primary, on_the_primary),
            ("on the alternate", expected.alternate, on_the_alternate),
            ("duplicates", expected.duplicates, duplicates),
        ]
        .into_iter()
        .filter_map(|(what, expected, got)| {
            let expected = expected.filter(|expected| *expected != got)?;
            Some(format!("{what}: expected {expected}, got {got}"))
        })
        .collect();
        differ(found, json(&rows))
    }

    pub(super) fn requests(&self, wanted: &Requests) -> Result<(), Wrong> {
        let mut entries = self.stage.journal(wanted.org.as_deref(), wanted.side);
        entries.retain(|entry| wanted.hold(entry));
        let (got, least, most) = (entries.len(), wanted.at_least, wanted.at_most);
        match (wanted.count, least, most) {
            (Some(count), None, None) => counted(count, &entries),
            (None, Some(least), None) => counted(least.max(got), &entries),
            (None, None, Some(most)) => counted(most.min(got), &entries),
            _ => Err(
                "`expect_requests` takes one of `count`, `at_least` and `at_most`"
                    .to_owned()
                    .into(),
            ),
        }
    }

    pub(super) fn proxy_requests(&self, wanted: &ProxyRequests) -> Result<(), Wrong> {
        let mut entries = self.stage.proxy_journal(wanted.proxy.as_deref())?;
        entries.retain(|entry| wanted.hold(entry));
        counted(wanted.count, &entries)
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
fn counted(expected: usize, got: &[impl Serialize]) -> Result<(), Wrong> {
    let found = (got.len() != expected)
        .then(|| format!("expected {expected} such requests, got {}", got.len()));
    differ(found.into_iter().collect(), json(&got))
}
