//! What happens to a client that its application may want to hear of.

use std::time::SystemTime;

use crate::{FaultKind, Role};

/// The kind of an item of the queue: an event, or the completion of a submitted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ItemKind {
    /// A fault calls for a switch. Can be vetoed; auto-switch set before it is answered counts.
    EndpointSwitchRequired = 1,
    /// The active endpoint has changed. Does not say that the new one works.
    EndpointSwitched = 2,
    /// A call was sent again. May be dropped when nobody takes it.
    CallRetried = 5,
    /// A log record. May be dropped when nobody takes it.
    Log = 7,
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
            ItemKind::CallRetried => "CallRetried",
            ItemKind::Log => "Log",
            ItemKind::Completion => "Completion",
            ItemKind::Body => "Body",
        }
    }

    /// Whether items of this kind may be dropped when the queue is full.
    #[must_use]
    pub fn is_chatty(self) -> bool {
        matches!(self, ItemKind::CallRetried | ItemKind::Log)
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

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its kind; never `Completion` or `Body`.
    pub kind: ItemKind,
    /// When it happened.
    pub time: SystemTime,
    /// The endpoint before the switch. `None` for events that are about no switch.
    pub previous_url: Option<String>,
    /// The endpoint after the switch.
    pub new_url: Option<String>,
    /// The role of `previous_url`.
    pub previous_role: Option<Role>,
    /// The role of `new_url`.
    pub new_role: Option<Role>,
    /// The epoch after the switch; for events that are about no switch, the current one.
    pub epoch: u64,
    /// Whether a fault caused it, and not the application.
    pub automatic: bool,
    /// The kind of the fault that caused it.
    pub fault_kind: Option<FaultKind>,
    /// The name of the fault's kind, or `manual`.
    pub reason: &'static str,
    /// One sentence for a person.
    pub message: String,
    /// How grave it is.
    pub level: Level,
}
