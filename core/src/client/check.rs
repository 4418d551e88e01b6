//! Looks at one endpoint, step by step: for a person who wants to know what is wrong there.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Inner;
use super::flights::Flight;
use crate::ending::{Ending, ResponseData};
use crate::resource::cancel::Cancel;
use crate::resource::late::in_time;
use crate::resource::probe::Reply;
use crate::resource::race::{First, race};
use crate::resource::transport::Progress;
use crate::{
    Cause, Error, ErrorKind, Fault, FaultKind, HttpVersion, Probed, Request, Response, Role,
};

impl Inner {
    /// As `request` says; the body of its response is the report.
    pub(super) async fn check(
        self: &Arc<Self>,
        role: Role,
        request: &Request,
        flight: &Flight,
        cancel: &Cancel,
    ) -> Result<Response, Error> {
        let end = flight.began + request.timeout.unwrap_or(self.settings.deadline);
        let stop = race(cancel.cancelled(), self.flights.cancelled());
        let own = request.attempt_timeout;
        let fault = match race(stop, in_time(end, pin!(self.examine(role, own)))).await {
            First::Right(Some(report)) => {
                return Ok(Response::new(ResponseData {
                    body: Bytes::from(report.to_string()),
                    ..ResponseData::default()
                }));
            }
            First::Right(None) => Fault::new(Cause::Deadline, "the call's deadline was over"),
            First::Left(First::Left(())) => {
                Fault::new(Cause::Cancelled, "the application cancelled the call")
            }
            First::Left(First::Right(())) => {
                return Err(Error::new(ErrorKind::Closed, "the client was closed"));
            }
        };
        Err(Error::of_call(
            format!("the {} was not checked: {}", role.name(), fault.message),
            fault,
            Ending {
                tag: request.tag.clone(),
                ..Ending::default()
            },
        ))
    }

    async fn examine(self: &Arc<Self>, role: Role, own: Option<Duration>) -> Value {
        let mut steps = Vec::new();
        let begin = Instant::now();
        let credentials = match own {
            Some(limit) => self.credentials_within(role, limit).await,
            None => self.credentials(role).await,
        };
        let took = begin.elapsed();
        let token = match &credentials {
            Ok(None) => step("token", "skipped", Duration::ZERO, "no token was given"),
            Ok(Some(_)) => step("token", "ok", took, ""),
            Err(fault) => step("token", "failed", took, &fault.message),
        };
        steps.push(token);
        let has_token = matches!(credentials, Ok(Some(_)));
        let progress = Progress::default();
        let begin = Instant::now();
        let limit = own.unwrap_or(self.settings.probe_timeout);
        let found = self
            .probe_as(role, credentials.ok().flatten(), &progress, limit)
            .await;
        let took = begin.elapsed();
        let marks = progress.marks();
        let mut before = Duration::ZERO;
        for mark in &marks {
            let at = mark.at.saturating_duration_since(begin.into_std());
            steps.push(step(
                mark.name,
                "ok",
                at.saturating_sub(before),
                &mark.detail,
            ));
            before = at;
        }
        let took = took.saturating_sub(before);
        match &found {
            Ok(reply) => steps.push(step("http", "ok", took, reply.probed().name())),
            Err(fault) => {
                let reached = marks.last().map(|mark| mark.name);
                let name = failed_at(reached, fault, self.base(role).is_https());
                steps.push(step(name, "failed", took, &fault.message));
            }
        }
        if has_token && found == Ok(Reply::Came(Probed::Reachable)) {
            let told = "the endpoint did not take it";
            steps.push(step("token", "failed", Duration::ZERO, told));
        }
        let begin = Instant::now();
        let policy = if progress.is_connected() {
            let policy = self.read_policy_at(role, limit * 2).await;
            let took = begin.elapsed();
            match &policy {
                Ok(_) => steps.push(step("policy", "ok", took, "")),
                Err(fault) => steps.push(step("policy", "failed", took, &fault.message)),
            }
            policy.ok()
        } else {
            let told = "the endpoint cannot be reached";
            steps.push(step("policy", "skipped", Duration::ZERO, told));
            None
        };
        json!({
            "role": role.name(),
            "url": self.organization.url(role),
            "verdict": match &found {
                Ok(reply) => reply.probed().name(),
                Err(_) => "failed",
            },
            "steps": steps,
            "http_status": progress.status(),
            "http_version": progress.version().map(HttpVersion::name),
            "fault": found.err().map(|fault| json!({
                "kind": fault.kind.name(),
                "cause": fault.cause.name(),
                "code": fault.code,
                "message": fault.message,
            })),
            "policy": policy.map(|policy| json!({
                "available": policy.available,
                "endpoint_enabled": policy.endpoint_enabled,
            })),
        })
    }
}

fn step(name: &str, outcome: &str, took: Duration, detail: &str) -> Value {
    json!({
        "step": name,
        "outcome": outcome,
        "took_ms": (took.as_secs_f64() * 10_000.0).round() / 10.0,
        "detail": detail,
    })
}

/// Which step has failed, by the last that was done.
fn failed_at(reached: Option<&str>, fault: &Fault, is_https: bool) -> &'static str {
    match (fault.kind, reached) {
        (_, None) if fault.cause == Cause::Proxy => "proxy",
        (_, None) if fault.cause == Cause::BadMessage => "http",
        (FaultKind::Tls, _) => "tls",
        (_, None) => "dns",
        (_, Some("dns")) => "tcp",
        (_, Some("tcp")) if is_https => "tls",
        _ => "http",
    }
}
