//! The decision floor on nothing but the words that it is written in: a build of seconds, because there
//! is one for each mutant. `make mutants` puts it in the place of the core's own `lib.rs`.
#![allow(dead_code, missing_docs, unreachable_pub, unused_imports)]

use std::time::Duration;

mod attempt;
mod decide;
mod effect;
mod event;
mod failback;
mod fault;
mod operator;
mod preset;
mod role;
mod rule;
mod shown;
mod whereabouts;

/// What those need that read texts: half of the words.
macro_rules! texts {
    ($($module:ident)*) => { $(#[cfg(feature = "texts")] mod $module;)* };
}
texts! {
    allowed_host alternate base batch body byte_set classify content_type execute_multiple header inner json_batch kept ledger_entry lock
    odata_header operation organization parts registrable row_answer settling soap_answer soap_request target texts url_text values
    verification verify_keys
}

/// What of the classifier the others name.
#[cfg(not(feature = "texts"))]
mod classify {
    pub(crate) const DATACENTER_NOT_AVAILABLE: i32 = -2_147_176_347;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FailoverPolicy {
        pub available: bool,
        pub endpoint_enabled: bool,
    }
}

/// What an event may tell of, which is no decision.
#[cfg(not(feature = "texts"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled;

/// What of the errors a word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    InvalidSetting,
    InvalidArgument,
    InvalidUrl,
}

#[derive(Clone, Debug)]
pub struct Error(ErrorKind, String);

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(kind, message.into())
    }

    pub fn kind(&self) -> ErrorKind {
        self.0
    }

    pub fn message(&self) -> &str {
        &self.1
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

/// The class of a request.
#[cfg(not(feature = "texts"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Read = 1,
    Idempotent = 2,
    Guarded = 3,
    Unsafe = 4,
}

/// What of the settings the switch goes by.
pub struct Settings {
    hold_down: Duration,
    probe_timeout: Duration,
    outage_wait: Option<Duration>,
    max_waiting: usize,
    failback: Failback,
    failback_interval: Duration,
    failback_after: Duration,
}

impl Settings {
    pub fn new(_: &str) -> Result<Settings, Error> {
        Ok(Settings {
            hold_down: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(1),
            outage_wait: None,
            max_waiting: 10_000,
            failback: Failback::OnFault,
            failback_interval: Duration::from_secs(60),
            failback_after: Duration::from_secs(300),
        })
    }
}

pub use attempt::{Attempt, HttpVersion, Phase};
pub use classify::FailoverPolicy;
pub use effect::Effect;
pub use event::{Decision, Event, ItemKind, Level, Probed};
pub use failback::Failback;
pub use fault::{Cause, Fault, FaultKind};
pub use operator::{Order, Override, OverrideSource};
pub use preset::Preset;
pub use role::Role;
pub use rule::Rule;

#[cfg(feature = "texts")]
pub use texts::*;
