//! The sentence of a call's error: what happened, where, and what to do next.

use http::Method;

use crate::decide::look::Stay;
use crate::shown::shown_url;
use crate::{Attempt, Cause, Effect, Fault};

pub(super) fn message(
    method: &Method,
    url: &str,
    attempts: &[Attempt],
    fault: &Fault,
    effect: Effect,
    stayed: Option<&str>,
    kept: Option<Stay>,
) -> String {
    let last = attempts
        .iter()
        .enumerate()
        .rfind(|(_, attempt)| !attempt.reads_row);
    let mut message = match last {
        Some((index, last)) => format!(
            "{} {} at the {} (attempt {}): {}: {}",
            method,
            last.shown_url(),
            last.role.map_or("allowed host", |role| role.name()),
            index + 1,
            fault.kind.name(),
            fault.message
        ),
        None => format!(
            "{} {}: {}: {}",
            method,
            shown_url(url),
            fault.kind.name(),
            fault.message
        ),
    };
    if matches!(fault.cause, Cause::NotFound | Cause::Gone) {
        message.push_str(
            "; the answer is none of the service's: the URL's path may be wrong, or the client's base URL",
        );
    }
    if let Some(why) = stayed {
        message.push_str("; not sent again: ");
        message.push_str(why);
    }
    // What nothing leads away from is known with each of its errors.
    if let Some(why) = kept.map(Stay::why)
        && !message.contains(why)
    {
        message.push_str("; ");
        message.push_str(why);
    }
    message.push_str(match effect {
        Effect::Unknown => {
            "; the write is in doubt: look whether it was executed before sending it again"
        }
        Effect::Executed => "; the write was executed, do not send it again",
        Effect::NotExecuted => "; the write was not executed",
        Effect::None => "",
    });
    message
}
