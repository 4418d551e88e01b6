//! A write on record.

use std::fmt;
use std::time::SystemTime;

use crate::shown::shown_url;
use crate::{Effect, Operation, Role, Verification};

/// A write, from before it was sent to what became of it.
#[derive(Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its number at this client, from 1 on.
    pub id: u64,
    /// What the application has named it by.
    pub tag: Option<String>,
    /// The method that it was sent with.
    pub method: String,
    /// Its URL: before the first attempt what the application gave, then the last attempt's.
    pub url: String,
    /// What a repeat of it would do.
    pub operation: Operation,
    /// The body's length in bytes. `None`: it is read while it is sent, and its length was not told.
    pub body_length: Option<u64>,
    /// The SHA-256 of the body that the application gave. `None`: none, or read while it is sent, or
    /// `ledger_bodies` is off.
    pub body_digest: Option<[u8; 32]>,
    /// When the call began.
    pub started: SystemTime,
    /// When the call ended. `None`: it is in flight.
    pub ended: Option<SystemTime>,
    /// The endpoint of the last attempt. `None`: there was none, or it went to an allowed host.
    pub role: Option<Role>,
    /// The epoch of the last attempt.
    pub epoch: u64,
    /// How many attempts there were.
    pub attempts: u32,
    /// What is known of it. `None`: it is in flight.
    pub effect: Option<Effect>,
    /// To be verified: in doubt; or acknowledged by an endpoint shortly before that was left; or
    /// executed after an attempt in doubt, which may still come late, as long as the setting
    /// `replication_window` says; and not resolved.
    pub is_suspect: bool,
    /// Whether its request is kept (the setting `ledger_bodies`), so that its values can be compared with
    /// the row's, and it can be sent again.
    pub is_kept: bool,
    /// The row that the answer named (`OData-EntityId`, `Location`), at either endpoint.
    pub row_url: Option<String>,
    /// What [`Client::verify`](crate::Client::verify) has found last.
    pub verification: Option<Verification>,
    /// What the application has found out about it.
    pub resolution: Option<Resolution>,
}

impl LedgerEntry {
    /// A write before it is sent, of which no more is known.
    #[doc(hidden)]
    #[must_use]
    pub fn begun(
        method: &str,
        url: &str,
        operation: Operation,
        started: SystemTime,
    ) -> LedgerEntry {
        LedgerEntry {
            id: 0,
            tag: None,
            method: method.to_owned(),
            url: url.to_owned(),
            operation,
            body_length: None,
            body_digest: None,
            started,
            ended: None,
            role: None,
            epoch: 0,
            attempts: 0,
            effect: None,
            is_suspect: false,
            is_kept: false,
            row_url: None,
            verification: None,
            resolution: None,
        }
    }
}

impl fmt::Debug for LedgerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerEntry")
            .field("id", &self.id)
            .field("tag", &self.tag)
            .field("method", &self.method)
            .field("url", &shown_url(&self.url))
            .field("operation", &self.operation)
            .field("ended", &self.ended)
            .field("role", &self.role)
            .field("epoch", &self.epoch)
            .field("attempts", &self.attempts)
            .field("effect", &self.effect)
            .field("is_suspect", &self.is_suspect)
            .field("is_kept", &self.is_kept)
            .field("row_url", &self.row_url.as_deref().map(shown_url))
            .field("verification", &self.verification)
            .field("resolution", &self.resolution)
            .finish_non_exhaustive()
    }
}

/// What the application has found out about a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// It was executed, and is there.
    Confirmed = 1,
    /// It was not there, and was sent again.
    Replayed = 2,
    /// It is not there, and will not be.
    Lost = 3,
}

impl Resolution {
    /// `confirmed`, `replayed` or `lost`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Resolution::Confirmed => "confirmed",
            Resolution::Replayed => "replayed",
            Resolution::Lost => "lost",
        }
    }
}

/// Which entries of the ledger are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LedgerSelection {
    /// All that are on record.
    All,
    /// Those to verify; see [`LedgerEntry::is_suspect`].
    Suspects,
    /// All that were sent by this process. Without a store the same as [`All`](LedgerSelection::All).
    Mine,
}

/// What [`Client::suspect_since`](crate::Client::suspect_since) has put in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuspectedSince {
    /// How many writes that were acknowledged after that time.
    pub acknowledged: u64,
    /// How many writes on record are in doubt.
    pub in_doubt: u64,
    /// From when on all acknowledged writes are on record. Later than the time that was asked for:
    /// there may have been others before, which are on record no more.
    pub on_record_since: SystemTime,
}
