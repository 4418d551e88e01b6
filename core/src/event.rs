//! What happens to a client that its application may want to hear of.

use std::time::{Duration, SystemTime};

use crate::{FaultKind, Role, Settled};

/// The kind of an item of the queue: an event, or the completion of a submitted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ItemKind {
    /// A fault calls for a switch. Can be vetoed; auto-switch set before it is answered counts.
    EndpointSwitchRequired = 1,
    /// The active endpoint has changed. Does not say that the new one works.
    EndpointSwitched = 2,
    /// A call has ended, and whether its write was executed is not known.
    WriteInDoubt = 3,
    /// Writes that were acknowledged are on record that the active endpoint may not have: an endpoint
    /// was left, a repeat was executed whose first attempt may come late, or the application has
    /// named a time.
    DataLossSuspected = 4,
    /// A call was sent again. May be dropped when nobody takes it.
    CallRetried = 5,
    /// A call waits because the service asks for less. May be dropped when nobody takes it.
    Throttled = 6,
    /// A log record. May be dropped when nobody takes it.
    Log = 7,
    /// No endpoint answers. Calls that may be sent again, and those that begin, wait until one does,
    /// at most for the setting `outage_wait`.
    OutageStarted = 8,
    /// An endpoint answers again, or the application has switched by hand.
    OutageEnded = 9,
    /// A walk over the writes to verify is over: [`Request::settle`](crate::Request::settle).
    Settled = 10,
    /// A write was sent that the store could not take, as `store_failure` says; or its end could not be
    /// put on record, where it is in doubt from now on. May be dropped when nobody takes it.
    StoreFailed = 11,
    /// A submitted call has ended.
    Completion = 32,
    /// A piece of a streaming body has come.
    Body = 33,
}

impl ItemKind {
    /// The bit of this kind in the mask of [`Client::subscribe`](crate::Client::subscribe).
    #[must_use]
    pub fn bit(self) -> u64 {
        1 << (self as u64)
    }

    /// The name, in Microsoft's spelling where it is theirs: `EndpointSwitchRequired`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ItemKind::EndpointSwitchRequired => "EndpointSwitchRequired",
            ItemKind::EndpointSwitched => "EndpointSwitched",
            ItemKind::WriteInDoubt => "WriteInDoubt",
            ItemKind::DataLossSuspected => "DataLossSuspected",
            ItemKind::CallRetried => "CallRetried",
            ItemKind::Throttled => "Throttled",
            ItemKind::Log => "Log",
            ItemKind::OutageStarted => "OutageStarted",
            ItemKind::OutageEnded => "OutageEnded",
            ItemKind::Settled => "Settled",
            ItemKind::StoreFailed => "StoreFailed",
            ItemKind::Completion => "Completion",
            ItemKind::Body => "Body",
        }
    }

    /// Whether items of this kind may be dropped when the queue is full.
    #[must_use]
    pub fn is_chatty(self) -> bool {
        matches!(
            self,
            ItemKind::CallRetried | ItemKind::Throttled | ItemKind::Log | ItemKind::StoreFailed
        )
    }
}

/// How grave a log record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something is broken.
    Error = 1,
    /// Something is wrong, and the client went on.
    Warn = 2,
    /// Something that happens rarely.
    Info = 3,
    /// Something that happens often.
    Debug = 4,
}

/// The answer to an `EndpointSwitchRequired`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Switch, if auto-switch is on.
    Proceed = 1,
    /// Do not switch this time; the call gets its fault.
    Veto = 2,
}

/// What a probe has found at an endpoint before calls went there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probed {
    /// A living front end answers; without credentials more cannot be known.
    Reachable = 1,
    /// The organization answers an authenticated request.
    Serves = 2,
}

impl Probed {
    /// `reachable` or `serves`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Probed::Reachable => "reachable",
            Probed::Serves => "serves",
        }
    }
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its kind; never `Completion` or `Body`.
    pub kind: ItemKind,
    /// When it happened.
    pub time: SystemTime,
    /// The endpoint before the switch. `None` for events that are about no switch.
    pub previous_url: Option<String>,
    /// The endpoint after the switch; of `OutageEnded`, the one that answers.
    pub new_url: Option<String>,
    /// The role of `previous_url`.
    pub previous_role: Option<Role>,
    /// The role of `new_url`.
    pub new_role: Option<Role>,
    /// The epoch after the switch; for events that are about no switch, the current one.
    pub epoch: u64,
    /// Whether the library caused it, and not the application.
    pub automatic: bool,
    /// The kind of the fault that caused it.
    pub fault_kind: Option<FaultKind>,
    /// The name of the fault's kind, `failback`, `manual`, `override`, `other_process` or `stored_state`. Of
    /// `DataLossSuspected`: `switched`, `repeated` or `suspect_since`; of `OutageEnded`: `answered`, `manual`,
    /// `override` or `closed`.
    pub reason: &'static str,
    /// One sentence for a person.
    pub message: String,
    /// How grave it is.
    pub level: Level,
    /// What a probe has found at `new_url`. `None`: it was not probed.
    pub probed: Option<Probed>,
    /// The write in the ledger. `None` of a write in doubt: the store has failed, and it was sent all the
    /// same.
    pub ledger_id: Option<u64>,
    /// Of `DataLossSuspected`: how many writes are in doubt.
    pub in_doubt: Option<u64>,
    /// Of `DataLossSuspected`: how many writes that were acknowledged are in question: those of an
    /// endpoint shortly before it was left, and those that may still come late.
    pub acknowledged: Option<u64>,
    /// Of `Throttled`: how long the call waits.
    pub retry_after: Option<Duration>,
    /// Whether it came in a time for which [`maintenance`](crate::Client::maintenance) has announced an
    /// interruption.
    pub planned: bool,
    /// Of `OutageEnded`: how long no endpoint has answered.
    pub lasted: Option<Duration>,
    /// Of `Settled`: what was done.
    pub settled: Option<Settled>,
    /// The tag of the call that the event is about.
    pub tag: Option<String>,
    /// The method of the call that the event is about.
    pub method: Option<String>,
    /// The URL of the call that the event is about, without what a log should not show.
    pub url: Option<String>,
}

impl Event {
    /// An event of now that is about no switch and no call.
    pub(crate) fn new(kind: ItemKind, epoch: u64, message: String) -> Event {
        Event {
            kind,
            time: SystemTime::now(),
            previous_url: None,
            new_url: None,
            previous_role: None,
            new_role: None,
            epoch,
            automatic: true,
            fault_kind: None,
            reason: "",
            message,
            level: Level::Warn,
            probed: None,
            ledger_id: None,
            in_doubt: None,
            acknowledged: None,
            retry_after: None,
            planned: false,
            lasted: None,
            settled: None,
            tag: None,
            method: None,
            url: None,
        }
    }
}
