//! What a client tells: events, and log records.

use std::time::Duration;

use super::Inner;
use crate::decide::outage::Over;
use crate::decide::place::{Move, Place};
use crate::{Attempt, Event, Fault, FaultKind, ItemKind, Level, Probed, Request, Role};

impl Inner {
    pub(super) fn switched(
        &self,
        done: Move,
        fault: Option<&Fault>,
        probed: Option<Probed>,
    ) -> Event {
        Event {
            probed,
            ..self.event(
                ItemKind::EndpointSwitched,
                done,
                fault,
                format!("calls go to the {} now", done.to.role.name()),
            )
        }
    }

    pub(super) fn event(
        &self,
        kind: ItemKind,
        switch: Move,
        fault: Option<&Fault>,
        message: String,
    ) -> Event {
        Event {
            previous_url: Some(self.organization.url(switch.from.role).to_owned()),
            new_url: Some(self.organization.url(switch.to.role).to_owned()),
            previous_role: Some(switch.from.role),
            new_role: Some(switch.to.role),
            automatic: fault.is_some(),
            fault_kind: fault.map(|fault| fault.kind),
            reason: fault.map_or("manual", |fault| fault.kind.name()),
            ..Event::new(kind, switch.to.epoch, message)
        }
    }

    pub(super) fn outage_started(
        &self,
        place: Place,
        fault: &Fault,
        found: &[Option<String>; 2],
    ) -> Event {
        let message = format!("no endpoint answers; {}", found_by_probes(found));
        Event {
            fault_kind: Some(fault.kind),
            reason: fault.kind.name(),
            ..Event::new(ItemKind::OutageStarted, place.epoch, message)
        }
    }

    pub(super) fn outage_ended(&self, place: Place, over: Over) -> Event {
        let millis = over.lasted.as_millis();
        let answered = over.answered.map(|(role, _)| role);
        let message = match answered {
            Some(role) => format!("the {} answers again, after {millis} ms", role.name()),
            None => format!("the application has switched by hand, after {millis} ms"),
        };
        Event {
            new_url: answered.map(|role| self.organization.url(role).to_owned()),
            new_role: answered,
            automatic: answered.is_some(),
            reason: if answered.is_some() {
                "answered"
            } else {
                "manual"
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
        self.outlet.tell(ItemKind::CallRetried, || Event {
            tag: request.tag.as_deref().map(str::to_owned),
            method: Some(request.method.to_string()),
            url: Some(last.shown_url()),
            ..self.event(
                ItemKind::CallRetried,
                Move { from, to },
                Some(fault),
                format!("a call is sent again after: {}", fault.kind.name()),
            )
        });
    }

    pub(super) fn throttled(&self, last: &Attempt, request: &Request, pause: Duration) {
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
                ..Event::new(ItemKind::Throttled, self.place().epoch, message)
            }
        });
    }

    pub(super) fn log(&self, level: Level, message: impl FnOnce() -> String) {
        self.outlet.tell(ItemKind::Log, || Event {
            reason: "log",
            level,
            ..Event::new(ItemKind::Log, self.place().epoch, message())
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
