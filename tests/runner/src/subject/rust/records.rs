//! What the Rust client gives, as it is told.

use std::collections::BTreeMap;

use d365_failover_core::{
    Attempt, BatchPart, Client, Error, ErrorKind, Event, HttpVersion, Response,
};
use serde_json::Value;

use crate::protocol::{
    Answer, AttemptRecord, ErrorRecord, EventRecord, OverrideRecord, PartRecord, ResponseRecord,
    StateRecord,
};

pub(super) fn answer(result: Result<(), Error>) -> Answer {
    match result {
        Ok(()) => Answer::done(),
        Err(error) => Answer::refused(error_record(&error)),
    }
}

pub(super) fn state(client: &Client) -> Answer {
    let state = StateRecord {
        primary_url: client.primary_url().to_owned(),
        alternate_url: client.alternate_url().map(str::to_owned),
        active_url: client.active_url().to_owned(),
        is_primary: client.is_primary(),
        epoch: client.epoch(),
        endpoint_auto_switch_enabled: client.endpoint_auto_switch_enabled(),
        current_override: client.current_override().map(|order| OverrideRecord {
            value: order.value.name().to_owned(),
            source: order.source.name().to_owned(),
            has_end: order.until.is_some(),
        }),
    };
    Answer {
        state: Some(state),
        ..Answer::done()
    }
}

pub(super) fn response_record(response: &Response) -> ResponseRecord {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert_with(|| value.into_owned());
    }
    ResponseRecord {
        status: response.status(),
        url: response.url().to_owned(),
        headers,
        body: String::from_utf8_lossy(response.body()).into_owned(),
        read: None,
        body_reads: None,
        effect: response.effect().name().to_owned(),
        switched: response.switched(),
        ledger_id: response.ledger_id(),
        attempts: response.attempts().iter().map(attempt_record).collect(),
        parts: response.parts().iter().map(part_record).collect(),
    }
}

fn part_record(part: &BatchPart) -> PartRecord {
    PartRecord {
        index: part.index,
        status: part.status,
        code: part.code,
    }
}

pub(super) fn error_record(error: &Error) -> ErrorRecord {
    ErrorRecord {
        kind: kind_name(error.kind()).to_owned(),
        class: None,
        message: error.to_string(),
        effect: Some(error.effect().name().to_owned()),
        switched: Some(error.switched()),
        http_status: error.fault().and_then(|fault| fault.http_status),
        code: error.fault().and_then(|fault| fault.code),
        body_reads: None,
        tag: error.tag().map(str::to_owned),
        ledger_id: error.ledger_id(),
        attempts: error.attempts().iter().map(attempt_record).collect(),
    }
}

fn attempt_record(attempt: &Attempt) -> AttemptRecord {
    AttemptRecord {
        role: attempt.role.map(|role| role.name().to_owned()),
        epoch: attempt.epoch,
        phase: attempt.phase.name().to_owned(),
        http_version: attempt.http_version.map(|version| {
            let name = match version {
                HttpVersion::Http11 => "1.1",
                HttpVersion::Http2 => "2",
                _ => "a version that this subject does not know",
            };
            name.to_owned()
        }),
        http_status: attempt.http_status,
        fault: attempt
            .fault
            .as_ref()
            .map(|fault| fault.kind.name().to_owned()),
        code: attempt.fault.as_ref().and_then(|fault| fault.code),
        url: attempt.url.clone(),
    }
}

pub(super) fn event_record(event: &Event, inner: Option<Value>) -> EventRecord {
    EventRecord {
        event: event.kind.name().to_owned(),
        previous_url: event.previous_url.clone().unwrap_or_default(),
        new_url: event.new_url.clone().unwrap_or_default(),
        epoch: event.epoch,
        reason: event.reason.to_owned(),
        automatic: event.automatic,
        probed: event.probed.map(|probed| probed.name().to_owned()),
        ledger_id: event.ledger_id,
        in_doubt: event.in_doubt,
        acknowledged: event.acknowledged,
        retry_after_ms: event
            .retry_after
            .map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        planned: event.planned,
        lasted_ms: event
            .lasted
            .map(|lasted| u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX)),
        total: event.settled.map(|settled| settled.total),
        confirmed: event.settled.map(|settled| settled.confirmed),
        replayed: event.settled.map(|settled| settled.replayed),
        left: event.settled.map(|settled| settled.left),
        tag: event.tag.clone(),
        method: event.method.clone(),
        url: event.url.clone(),
        inner,
    }
}

/// The status name of the C ABI.
pub(super) fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument => "invalid_argument",
        ErrorKind::InvalidUrl => "invalid_url",
        ErrorKind::UnknownSetting => "unknown_setting",
        ErrorKind::InvalidSetting => "invalid_setting",
        ErrorKind::NotAvailable => "not_available",
        ErrorKind::Closed => "closed",
        ErrorKind::WouldDeadlock => "would_deadlock",
        ErrorKind::Forked => "forked",
        ErrorKind::NoAlternate => "no_alternate",
        ErrorKind::Overridden => "overridden",
        ErrorKind::Empty => "empty",
        ErrorKind::Busy => "busy",
        ErrorKind::Late => "late",
        ErrorKind::NoCaStore => "no_ca_store",
        ErrorKind::NoQueue => "no_queue",
        ErrorKind::NoResources => "no_resources",
        ErrorKind::Internal => "internal",
        ErrorKind::Call(fault) => fault.name(),
        _ => "a kind that this subject does not know",
    }
}
