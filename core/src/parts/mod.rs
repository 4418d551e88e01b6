//! What became of the requests inside of a `$batch` or an ExecuteMultiple: by the statuses and
//! faults of their parts, because the answer's head says nothing of them.

mod asked;
mod batch;
mod soap;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

pub(crate) use asked::Asked;
use asked::Inside;

use crate::classify::{
    BodyFault, DATACENTER_NOT_AVAILABLE, cause_of, decoded, error_in_success, leaves_doubt,
    read_body, retry_after,
};
use crate::shown::sentence;
use crate::{Cause, Effect, Fault};

/// An answer that is longer is not looked through.
pub(crate) const MOST_BYTES: usize = 16 << 20;
/// No service takes so many; what is told of more of them is not read.
const MOST_PARTS: usize = 100_000;

/// What the answer to a `$batch` or an ExecuteMultiple says of one request in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchPart {
    /// Which request of the batch it answers, counted from 0, those in change sets one by one. The
    /// one answer to a change set that has failed: its first request.
    pub index: usize,
    /// The HTTP status. `None` in an ExecuteMultiple, whose parts have none.
    pub status: Option<u16>,
    /// The service's error code, as the signed number that the SDK shows.
    pub code: Option<i32>,
}

/// What is known of a request that holds several, from its answer.
#[derive(Debug)]
pub(crate) struct Tally {
    /// As they were answered.
    pub(crate) parts: Vec<BatchPart>,
    /// What became of its writes; of one that only reads, what became of the reads.
    pub(crate) effect: Effect,
    /// What the parts say of the endpoint, and of the whole.
    pub(crate) fault: Option<Fault>,
    /// A part was done: its answer is the application's, whatever the others say.
    pub(crate) is_answered: bool,
}

impl Tally {
    /// What the whole answer means, by what its head says and by its parts.
    pub(crate) fn judged(&self, judged: Option<Fault>) -> Option<Fault> {
        let judged = judged.filter(|fault| fault.cause != Cause::NoServiceMark);
        let refused = judged.map(|fault| match fault.ends_as_response() {
            true => fault,
            false => Fault {
                http_status: fault.http_status,
                ..Fault::new(Cause::ServiceFault, fault.message)
            },
        });
        self.fault.clone().or(refused)
    }
}

/// What became of a request inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Done,
    /// Nothing was executed.
    Refused,
    Unclear,
}

/// An answer to one request, or to a change set that has failed.
struct Part {
    /// The requests that it speaks for.
    at: Range<usize>,
    /// What it speaks for is known to change nothing.
    is_read: bool,
    status: Option<u16>,
    fault: Option<BodyFault>,
    retry_after: Option<Duration>,
}

/// The answer to the whole, as its parts.
#[derive(Default)]
struct Answered {
    parts: Vec<Part>,
    /// It has come to its end, and everything in it fits to what was asked.
    is_whole: bool,
    /// It comes part by part, in the order of the requests.
    is_in_order: bool,
    /// Nothing is said of these, and another one of their group has failed.
    undone: Vec<usize>,
}

impl Part {
    fn did(&self) -> Did {
        let code = self.fault.as_ref().and_then(|fault| fault.code);
        match (self.status, code) {
            (_, Some(code)) if is_refusal(code) => Did::Refused,
            (Some(200..=299), _) if self.fault.is_none() => Did::Done,
            // 304 answers no write.
            (Some(304), _) if self.is_read => Did::Done,
            (Some(408 | 444 | 460 | 499), _) => Did::Unclear,
            (Some(400..=499), _) => Did::Refused,
            (Some(_), _) => Did::Unclear,
            (None, _) if self.fault.is_none() => Did::Done,
            // The service has rolled the request back, and gone on to tell of it; unless it does
            // not know what its database did.
            (None, Some(code)) if !leaves_doubt(code) => Did::Refused,
            (None, _) => Did::Unclear,
        }
    }

    fn is_throttled(&self) -> bool {
        let code = self.fault.as_ref().and_then(|fault| fault.code);
        self.status == Some(429) || code.and_then(cause_of) == Some(Cause::Throttled)
    }

    fn shown(&self) -> BatchPart {
        BatchPart {
            index: self.at.start,
            status: self.status,
            code: self.fault.as_ref().and_then(|fault| fault.code),
        }
    }
}

/// What the service is documented to answer before it executes anything.
fn is_refusal(code: i32) -> bool {
    code == DATACENTER_NOT_AVAILABLE || cause_of(code) == Some(Cause::Throttled)
}

impl Asked {
    /// Reads the answer. `None`: it tells of no parts.
    /// `sent` is the `Authorization` that was sent: no fault tells it.
    pub(crate) fn tally(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        sent: Option<&HeaderValue>,
    ) -> Option<Tally> {
        if body.len() > MOST_BYTES {
            return None;
        }
        let body = decoded(headers, body, MOST_BYTES + 1);
        if body.len() > MOST_BYTES {
            return None;
        }
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&body);
        let answered = match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => soap::read(self, body),
            Some(b'{') => batch::json(self, body),
            _ => batch::multipart(self, headers, body),
        }?;
        let effect = self.effect(&answered);
        let dones = answered.parts.iter().filter(|part| part.did() == Did::Done);
        Some(Tally {
            effect,
            fault: self.fault(&answered, effect, status, sent),
            is_answered: dones.count() > 0,
            parts: answered.parts.iter().map(Part::shown).collect(),
        })
    }

    /// What became of each request.
    fn states(&self, answered: &Answered, count: usize) -> Vec<Did> {
        let failed = answered.parts.iter().filter(|part| part.did() != Did::Done);
        let stopped_at = failed.map(|part| part.at.start).min();
        let stopped_at = stopped_at.filter(|_| !self.goes_on);
        let unsaid = |index: usize| match stopped_at {
            // The service stops at the first that fails.
            Some(at) if !answered.is_in_order || index > at => Did::Refused,
            _ if self.is_silent => Did::Done,
            _ => Did::Unclear,
        };
        let mut states: Vec<Did> = (0..count).map(unsaid).collect();
        for part in &answered.parts {
            states[part.at.clone()].fill(part.did());
        }
        for index in &answered.undone {
            states[*index] = Did::Refused;
        }
        states
    }

    fn effect(&self, answered: &Answered) -> Effect {
        let Some(requests) = &self.requests else {
            return self.effect_unread(answered);
        };
        let states = self.states(answered, requests.len());
        let only_reads = requests.iter().all(|request| request.is_read);
        let counts = |request: &Inside| only_reads || !request.is_read;
        let has = |did| {
            let mut requests = states.iter().zip(requests);
            requests.any(|(state, request)| *state == did && counts(request))
        };
        if !answered.is_whole || has(Did::Unclear) {
            Effect::Unknown
        } else if has(Did::Done) {
            Effect::Executed
        } else {
            Effect::NotExecuted
        }
    }

    /// Of a request that could not be read: what was done may have been reads.
    fn effect_unread(&self, answered: &Answered) -> Effect {
        let has = |did| answered.parts.iter().any(|part| part.did() == did);
        let wrote = |part: &Part| part.did() == Did::Done && part.status != Some(200);
        if !answered.is_whole || has(Did::Unclear) {
            Effect::Unknown
        } else if !has(Did::Refused) {
            match self.is_silent || has(Did::Done) {
                true => Effect::Executed,
                false => Effect::Unknown,
            }
        } else if answered.parts.iter().any(wrote) {
            Effect::Executed
        } else if has(Did::Done) || self.is_silent {
            Effect::Unknown
        } else {
            Effect::NotExecuted
        }
    }

    fn fault(
        &self,
        answered: &Answered,
        effect: Effect,
        status: u16,
        sent: Option<&HeaderValue>,
    ) -> Option<Fault> {
        let parts = answered.parts.iter();
        let failed: Vec<&Part> = parts.filter(|part| part.did() != Did::Done).collect();
        let is_code = |part: &&&Part| part.shown().code == Some(DATACENTER_NOT_AVAILABLE);
        let has_done = answered.parts.len() > failed.len();
        let (cause, part) = if let Some(part) = failed.iter().find(is_code) {
            (Cause::DatacenterNotAvailable, Some(*part))
        } else if !failed.is_empty()
            && !has_done
            && effect != Effect::Unknown
            && failed.iter().all(|part| part.is_throttled())
        {
            let longest = failed.iter().max_by_key(|part| part.retry_after);
            (Cause::Throttled, longest.copied())
        } else if matches!(effect, Effect::Unknown | Effect::NotExecuted) {
            (Cause::ServiceFault, failed.first().copied())
        } else {
            return None;
        };
        let code = part.and_then(|part| part.shown().code);
        Some(Fault {
            http_status: Some(status),
            code,
            retry_after: part.and_then(|part| part.retry_after),
            ..Fault::new(cause, message(status, part, sent))
        })
    }
}

fn message(status: u16, part: Option<&Part>, sent: Option<&HeaderValue>) -> String {
    let mut message = format!("HTTP {status}");
    let Some(part) = part else {
        message.push_str(", and not all of its parts are told");
        return message;
    };
    message.push_str(&format!(", its part {}", part.at.start));
    if let Some(status) = part.status {
        message.push_str(&format!(": HTTP {status}"));
    }
    if let Some(code) = part.shown().code {
        message.push_str(&format!(" with code 0x{code:08X}"));
    }
    let text = part
        .fault
        .as_ref()
        .and_then(|fault| fault.message.as_deref());
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        message.push_str(": ");
        message.push_str(&sentence(text, sent));
    }
    message
}

/// The part that answers with a status, by its body.
fn part(
    at: Range<usize>,
    status: u16,
    body: &[u8],
    retry: Option<&str>,
    headers: &HeaderMap,
) -> Part {
    Part {
        at,
        is_read: false,
        status: Some(status),
        fault: match status {
            200..=299 => error_in_success(body),
            400.. => read_body(body),
            _ => None,
        },
        retry_after: retry.and_then(|text| retry_after(text, headers)),
    }
}
