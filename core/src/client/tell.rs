//! What a client tells: events, and log records.

use std::time::Duration;

use super::Inner;
use crate::decide::place::{Move, Place};
use crate::{Attempt, Event, Fault, FaultKind, ItemKind, Level, Probed, Request};

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
