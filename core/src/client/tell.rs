//! What a client tells: events, and log records.

use std::time::{Duration, Instant as Clock};

use super::Inner;
use super::switch::Board;
use crate::decide::outage::Over;
use crate::decide::place::{Move, Place};
use crate::{Attempt, Event, Fault, FaultKind, ItemKind, Level, Probed, Request, Role};

/// Why calls go elsewhere, or would.
#[derive(Clone, Copy)]
pub(super) enum Reason<'a> {
    Fault(&'a Fault),
    /// The primary answers again.
    Failback,
    /// The application says so.
    Hand,
    /// The operator says so.
    Override,
    /// Others were on record to be where it is, or elsewhere; a look has found otherwise.
    StoredState,
    /// Another process has switched, and a look has found it right.
    OtherProcess,
    /// The client is closed.
    Closed,
}

impl Reason<'_> {
    pub(super) fn name(self) -> &'static str {
        match self {
            Reason::Fault(fault) => fault.kind.name(),
            Reason::Failback => "failback",
            Reason::Hand => "manual",
            Reason::Override => "override",
            Reason::StoredState => "stored_state",
            Reason::OtherProcess => "other_process",
            Reason::Closed => "closed",
        }
    }

    fn fault_kind(self) -> Option<FaultKind> {
        match self {
            Reason::Fault(fault) => Some(fault.kind),
            _ => None,
        }
    }
}

impl Inner {
    pub(super) fn switched(&self, done: Move, reason: Reason<'_>, probed: Option<Probed>) -> Event {
        Event {
            probed,
            ..self.event(
                ItemKind::EndpointSwitched,
                done,
                reason,
                format!("calls go to the {} now", done.to.role.name()),
            )
        }
    }

    pub(super) fn event(
        &self,
        kind: ItemKind,
        switch: Move,
        reason: Reason<'_>,
        message: String,
    ) -> Event {
        Event {
            previous_url: Some(self.organization.url(switch.from.role).to_owned()),
            new_url: Some(self.organization.url(switch.to.role).to_owned()),
            previous_role: Some(switch.from.role),
            new_role: Some(switch.to.role),
            automatic: !matches!(reason, Reason::Hand | Reason::Override),
            fault_kind: reason.fault_kind(),
            reason: reason.name(),
            ..Event::new(kind, switch.to.epoch, message)
        }
    }

    pub(super) fn outage_started(&self, place: Place, reason: Reason<'_>, board: &Board) -> Event {
        self.statistics.outages.one();
        let message = format!("{}; {}", board.who_is_silent(), board.findings());
        Event {
            fault_kind: reason.fault_kind(),
            reason: reason.name(),
            ..Event::new(ItemKind::OutageStarted, place.epoch, message)
        }
    }

    pub(super) fn outage_ended(&self, place: Place, over: Over, reason: Reason<'_>) -> Event {
        let millis = over.lasted.as_millis();
        let answered = over.answered.map(|(role, _)| role);
        let message = match answered {
            Some(role) => format!("the {} answers, after {millis} ms", role.name()),
            None => {
                let who = match reason {
                    Reason::Override => "the operator has calls go elsewhere",
                    Reason::Closed => "the client is closed, and no endpoint has answered",
                    _ => "the application has switched by hand",
                };
                format!("{who}, after {millis} ms")
            }
        };
        Event {
            new_url: answered.map(|role| self.organization.url(role).to_owned()),
            new_role: answered,
            automatic: answered.is_some(),
            reason: match (answered, reason) {
                (Some(_), _) => "answered",
                (None, Reason::Override | Reason::Closed) => reason.name(),
                (None, _) => Reason::Hand.name(),
            },
            probed: over.answered.map(|(_, probed)| probed),
            lasted: Some(over.lasted),
            level: Level::Info,
            ..Event::new(ItemKind::OutageEnded, place.epoch, message)
        }
    }

    pub(super) fn retried(
        &self,
        last: &Attempt,
        request: &Request,
        from: Place,
        to: Place,
        fault: &Fault,
    ) {
        self.statistics.resent(fault.cause);
        self.outlet.tell(ItemKind::CallRetried, || Event {
            tag: request.tag.as_deref().map(str::to_owned),
            method: Some(request.method.to_string()),
            url: Some(last.shown_url()),
            planned: self.is_planned(),
            ..self.event(
                ItemKind::CallRetried,
                Move { from, to },
                Reason::Fault(fault),
                format!("a call is sent again after: {}", fault.kind.name()),
            )
        });
    }

    pub(super) fn throttled(&self, last: &Attempt, request: &Request, pause: Duration) {
        self.statistics.throttled.one();
        self.outlet.tell(ItemKind::Throttled, || {
            let message = format!(
                "the service asks for less: a call waits for {} ms",
                pause.as_millis()
            );
            Event {
                retry_after: Some(pause),
                tag: request.tag.as_deref().map(str::to_owned),
                method: Some(request.method.to_string()),
                url: Some(last.shown_url()),
                fault_kind: Some(FaultKind::Throttled),
                reason: FaultKind::Throttled.name(),
                ..self.here(ItemKind::Throttled, message)
            }
        });
    }

    /// Whether an interruption is planned for now.
    pub(super) fn is_planned(&self) -> bool {
        self.board().switch.is_planned(Clock::now())
    }

    /// An event of what goes on where calls go now.
    pub(super) fn here(&self, kind: ItemKind, message: String) -> Event {
        let board = self.board();
        Event {
            planned: board.switch.is_planned(Clock::now()),
            ..Event::new(kind, board.switch.place().epoch, message)
        }
    }

    /// A warning, unless an interruption is planned for now.
    pub(super) fn log_unless_planned(&self, message: impl FnOnce() -> String) {
        self.outlet.tell(ItemKind::Log, || {
            let record = self.here(ItemKind::Log, message());
            let level = if record.planned {
                Level::Info
            } else {
                Level::Warn
            };
            Event {
                reason: "log",
                level,
                ..record
            }
        });
    }

    pub(super) fn log(&self, level: Level, message: impl FnOnce() -> String) {
        self.outlet.tell(ItemKind::Log, || Event {
            reason: "log",
            level,
            ..self.here(ItemKind::Log, message())
        });
    }
}

/// Why probes have failed, of the primary and the alternate.
pub(super) fn found_by_probes(found: &[Option<String>; 2]) -> String {
    let roles = [Role::Primary, Role::Alternate];
    let told = roles.iter().zip(found).filter_map(|(role, found)| {
        let found = found.as_deref()?;
        Some(format!("the {}: {found}", role.name()))
    });
    told.collect::<Vec<_>>().join("; ")
}
