//! Every request that was read whole, or answered at its head, in the order of its arrival.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::role::Role;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Counts the twin's requests from 1.
    pub seq: u64,
    /// Name of the organization.
    pub org: String,
    /// The side that received it.
    pub side: Role,
    /// Counts the side's connections from 1: two requests with one number shared a connection.
    pub connection: u64,
    /// Whether it came over HTTP/2.
    #[serde(default)]
    pub http2: bool,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The host that the bearer token names, for tokens of the twin's form.
    pub token_for: Option<String>,
    /// Whether it carried `Authorization`.
    #[serde(default)]
    pub authorization: bool,
    /// Whether it carried `Cookie`.
    #[serde(default)]
    pub cookie: bool,
    /// Its `Accept-Encoding`.
    #[serde(default)]
    pub accept_encoding: Option<String>,
    /// Whether it expected `100-continue`.
    #[serde(default)]
    pub expects_continue: bool,
    /// Whether its connection has shown a certificate of the client's.
    #[serde(default)]
    pub client_certificate: bool,
    /// The row's `name`, if the request carries one.
    pub name: Option<String>,
    /// The row that was written, or the one that the path names.
    pub id: Option<Uuid>,
    /// Whether a row was created, updated or deleted.
    pub committed: bool,
    /// The fault that acted on it.
    pub fault: Option<String>,
    /// Whether an answer, at least its status line, was handed to the socket.
    pub answered: bool,
    /// The HTTP status that was answered.
    pub status: Option<u16>,
    /// Milliseconds from the twin's start to the arrival.
    pub at_ms: u64,
}

/// The twin's journal.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: Mutex<Vec<JournalEntry>>,
}

impl Journal {
    /// Adds an entry and gives it its number.
    pub(crate) fn add(&self, mut entry: JournalEntry) -> u64 {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entry.seq = entries.len() as u64 + 1;
        let seq = entry.seq;
        entries.push(entry);
        seq
    }

    pub(crate) fn amend(&self, seq: u64, change: impl FnOnce(&mut JournalEntry)) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut entries[seq as usize - 1]);
    }

    pub(crate) fn entries(&self) -> Vec<JournalEntry> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
