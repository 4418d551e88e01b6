//! One request to one endpoint, and what its answer means.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::response::Parts;

use super::Inner;
use super::attempt::Running;
use super::time::{Time, silence};
use crate::classify::{Asked, classify, is_told};
use crate::decide::preset::JUST_USED;
use crate::resource::desk::Desk;
use crate::resource::race::{First, race};
use crate::resource::transport::{Decoded, Exchange, Latch, Reads};
use crate::{Cause, Fault, Operation, Request, Target};

/// How much of a streaming body comes with its head, if it is here by then: a small one whole.
const ALONG: usize = 64 << 10;

impl Inner {
    /// Sends the request to one endpoint. What is not read of the answer is handed out.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        request: &Request,
        operation: Operation,
        desk: Option<&Desk>,
        running: &Running,
        time: Time,
    ) -> Result<Option<Decoded>, Fault> {
        // What is waited for before the endpoint has its own time: it is not the endpoint's fault.
        let draft = self.draft(request, desk, running, time).await?;
        if self.settings.prepare.is_some() && time.is_over() {
            let message = "the application's prepare hook took all of the call's time";
            return Err(Fault::new(Cause::LocalFailure, message));
        }
        let leave = if running.role().is_some() {
            let gate = pin!(self.gate.enter(running.begun));
            let turn = time.turn(gate, |_, _, limit| {
                let message = format!("the call could not leave after a switch {limit}");
                Fault::new(Cause::EndpointLeft, message)
            });
            let leave = turn.await?;
            if let Some(fault) = self.is_left_behind(running) {
                return Err(fault);
            }
            Some(leave)
        } else {
            None
        };
        let permit = pin!(self.transport.permit(&running.address));
        let permit = time.turn(permit, |_, _, limit| {
            let message = format!("no connection was free {limit}; raise max_connections");
            Fault::new(Cause::LocalFailure, message)
        });
        let permit = permit.await?;
        if let Some(leave) = leave {
            let _ = running.pass.set(leave.take());
        }
        let is_enough = |head: &Parts, body: &[u8]| {
            self.classify(running, head, body)
                .is_some_and(|fault| !fault.ends_as_response())
        };
        let is_told = |head: &Parts, body: &[u8]| {
            is_told(head.status.as_u16(), &head.headers, body, running.asked)
        };
        let reads = if request.is_streaming {
            // Whether it has ended tells nothing before its reader has seen it, where only the parts
            // inside tell what was done.
            let along = if running.is_compound { 0 } else { ALONG };
            Reads::Beginning(self.settings.error_prefix, &is_told, along)
        } else {
            Reads::All(self.settings.max_response_body, &is_enough)
        };
        let wants_fresh = self.rules.wants_fresh && operation == Operation::Unsafe;
        let exchange = Exchange {
            max_idle: if wants_fresh {
                JUST_USED
            } else {
                Duration::MAX
            },
            address: &running.address,
            method: &request.method,
            headers: &draft.headers,
            body: &|| draft.body(),
            is_read_while_sent: draft.is_read_while_sent(),
            connect_timeout: time.connect,
            is_whole: &|| draft.is_whole(),
            gate: draft.gate.as_ref(),
            decodes: draft.decodes,
            reads,
            progress: &running.progress,
        };
        let late = |cause, waited, limit: &str| {
            // Who waits for the application has learnt nothing of the endpoint.
            if draft.time_in_reader() * 2 > waited {
                let message = format!("the body's reader gave no whole body {limit}");
                return Fault::new(Cause::LocalFailure, message);
            }
            Fault::new(cause, format!("no whole answer {limit}"))
        };
        let exchanging = pin!(self.transport.exchange(&exchange, Some(permit)));
        let held_until = || draft.gate.as_ref().and_then(Latch::held_until);
        let silence = silence(request.read_timeout, || {
            let moved = running.moved()?;
            Some(held_until().map_or(moved, |held| held.max(moved)))
        });
        let exchanging = pin!(race(exchanging, silence));
        let look = self
            .watches(running)
            .then(|| running.since + self.settings.probe_after);
        let exchanged = match time.limit_looked_at(look, exchanging, late).await {
            Ok(First::Left(exchanged)) => exchanged,
            Ok(First::Right(())) => {
                let most = request.read_timeout.unwrap_or_default().as_millis();
                let message = format!("nothing moved within read_timeout ({most} ms)");
                Err(Fault::new(Cause::AttemptTimeout, message))
            }
            Err(fault) => Err(fault),
        };
        exchanged.map_err(|fault| draft.body_failure().unwrap_or(fault))
    }

    /// The fault of what has not left yet, if its endpoint was left meanwhile.
    pub(super) fn is_left_behind(&self, running: &Running) -> Option<Fault> {
        let is_left = self.rules.leaves_no_left_place && self.place().epoch != running.place.epoch;
        is_left.then(|| {
            let message = "the endpoint was left before the call could leave";
            Fault::new(Cause::EndpointLeft, message)
        })
    }

    /// What an answer means. A token that was refused is forgotten.
    pub(super) fn judge(&self, running: &Running, head: &Parts, body: &[u8]) -> Option<Fault> {
        let fault = self.classify(running, head, body)?;
        if fault.cause == Cause::Unauthorized
            && let (Some(tokens), Some(token)) = (&self.tokens, running.token.get())
        {
            tokens.forget(running.place.role, token);
        }
        Some(fault)
    }

    /// What a request to `target` asks.
    pub(super) fn asked(&self, target: &Target, operation: Operation) -> Asked {
        let is_write = operation != Operation::Read;
        let needs_mark = self.settings.service_mark;
        // Whatever the path looks like, who has executed a write is a service.
        let protocol = match is_write && needs_mark {
            true => target.protocol_of_write(),
            false => target.protocol(),
        };
        Asked {
            protocol,
            is_write,
            needs_mark,
        }
    }

    fn classify(&self, running: &Running, head: &Parts, body: &[u8]) -> Option<Fault> {
        // What another host answers is an answer, whatever it says.
        running.role()?;
        let prefix = &body[..body.len().min(self.settings.error_prefix)];
        classify(
            head.status.as_u16(),
            &head.headers,
            prefix,
            running.asked,
            running.authorization.get(),
        )
    }
}
