//! What would be done about an answer, or about a fault: by the machines of a call, without a call.

use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::budget::Budget;
use super::call::{Course, Failure, Moment, Next, Resending};
use super::evidence::Evidence;
use super::look::Stay;
use super::preset::Rules;
use super::resend::Failed;
use crate::classify::{Asked, classify};
use crate::operation::{Class, web_api};
use crate::parts::{self, Tally};
use crate::rewrite::read_back::created;
use crate::rule::RulesOff;
use crate::target::protocol_at;
use crate::{Attempt, Cause, Effect, Error, Fault, Operation, Phase, Preset, Request};

/// What is told of an attempt, and of what comes of it: operation, fault, evidence, effect, what is
/// done next; a JSON object, to which more may be added. As the answer to the first attempt of
/// `request`, sent to an organization's endpoint by a client with the preset's settings. No I/O; `now` is
/// the time.
///
/// # Errors
/// The request cannot be made the guarded create that it asks for; or what is sent for it is the library's to choose.
pub fn explain_response(
    request: &Request,
    preset: Preset,
    now: Instant,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<String, Error> {
    let (request, class) = request.as_sent()?;
    let rules = Rules::of(preset, RulesOff::default());
    let is_write = class.operation != Operation::Read;
    let asked = Asked {
        protocol: protocol_at(web_api::path(&request.url), is_write),
        is_write,
        needs_mark: true,
    };
    let body_sent = request.body.bytes().map(|body| &body[..]);
    let inside = class
        .is_compound
        .then(|| parts::Asked::of(&request.url, &request.headers, body_sent));
    let tally = inside
        .as_ref()
        .and_then(|inside| inside.tally(status, headers, body, None));
    let sent = request.headers.get(AUTHORIZATION);
    let fault = classify(status, headers, body, asked, sent);
    let is_refusal = fault.as_ref().is_some_and(|fault| {
        matches!(
            fault.cause,
            Cause::DatacenterNotAvailable | Cause::Throttled
        )
    });
    let is_acknowledged = fault.is_none() && (200..300).contains(&status);
    let fault = if rules.reads_parts {
        match &tally {
            Some(tally) => tally.judged(fault),
            None => fault,
        }
    } else {
        fault
    };
    let parts_effect = match &tally {
        Some(tally) => Some(tally.effect),
        None => inside
            .filter(|inside| is_refusal && inside.is_atomic)
            .map(|_| Effect::NotExecuted),
    };
    let attempt = Attempt {
        phase: Phase::Responded,
        http_status: Some(status),
        is_acknowledged,
        fault,
        parts_effect,
        ..nowhere()
    };
    Ok(told(&request, &class, rules, now, &attempt, tally.as_ref()).to_string())
}

/// As [`explain_response`], of an attempt that ended with `cause` before a status had come. `phase`
/// says whether a byte of it had left.
///
/// # Errors
/// As [`explain_response`].
pub fn explain_fault(
    request: &Request,
    preset: Preset,
    now: Instant,
    cause: Cause,
    phase: Phase,
) -> Result<String, Error> {
    let (request, class) = request.as_sent()?;
    let rules = Rules::of(preset, RulesOff::default());
    let attempt = Attempt {
        phase,
        fault: Some(Fault::new(cause, "")),
        ..nowhere()
    };
    Ok(told(&request, &class, rules, now, &attempt, None).to_string())
}

fn nowhere() -> Attempt {
    Attempt {
        role: None,
        epoch: 0,
        url: String::new(),
        phase: Phase::NotSent,
        http_version: None,
        http_status: None,
        is_acknowledged: false,
        fault: None,
        started: SystemTime::UNIX_EPOCH,
        took: Duration::ZERO,
        parts_effect: None,
        reads_row: false,
    }
}

fn told(
    request: &Request,
    class: &Class,
    rules: Rules,
    now: Instant,
    attempt: &Attempt,
    tally: Option<&Tally>,
) -> Value {
    let fault = attempt.fault.as_ref();
    let evidence = fault.map_or(Evidence::Never, |fault| rules.evidence(fault.cause));
    let effect = Effect::of_call(class.operation, class.is_compound, [attempt]);
    let is_response = attempt.http_status.is_some() && fault.is_none_or(Fault::ends_as_response);
    json!({
        "operation": class.operation.name(),
        "is_compound": class.is_compound,
        "phase": attempt.phase.name(),
        "http_status": attempt.http_status,
        "fault": fault.map(|fault| json!({
            "kind": fault.kind.name(),
            "cause": fault.cause.name(),
            "code": fault.code,
            "retry_after_ms": fault.retry_after.map(|time| time.as_millis() as u64),
            "message": fault.message,
        })),
        "evidence": match evidence {
            Evidence::Never => "never",
            Evidence::Silence | Evidence::Weak => "weak",
            Evidence::Strong => "strong",
        },
        "switch": match evidence {
            Evidence::Never => "no",
            Evidence::Silence | Evidence::Weak if rules.confirms_doubts => "if_only_the_other_answers",
            _ if rules.asks_other => "if_the_other_answers",
            _ => "at_once",
        },
        "effect": effect.name(),
        "parts": tally.map(|tally| tally.parts.iter().map(|part| json!({
            "index": part.index,
            "status": part.status,
            "code": part.code,
        })).collect::<Vec<_>>()),
        "next": fault.map(|fault| next(request, class, rules, now, attempt, fault)),
        "ends_as": if is_response { "response" } else { "error" },
    })
}

/// What a call does after its first attempt.
fn next(
    request: &Request,
    class: &Class,
    rules: Rules,
    now: Instant,
    attempt: &Attempt,
    fault: &Fault,
) -> Value {
    let failure = Failure {
        failed: Failed {
            operation: class.operation,
            is_compound: class.is_compound,
            phase: attempt.phase,
            http_status: attempt.http_status,
            is_acknowledged: attempt.is_acknowledged,
            cause: fault.cause,
            parts_effect: attempt.parts_effect,
        },
        fault,
        is_at_sibling: false,
        was_in_a_hurry: false,
        is_foreign: false,
        makes_row: created(class, request).is_some(),
        attempts: 1,
    };
    // With time and means enough.
    let decided = |course: Option<Course>| {
        let mut budget = Budget::new(1.0);
        let mut resending = Resending::new(rules, usize::MAX);
        match (resending.after(&failure, moment(now, &mut budget)), course) {
            (Next::Report(_), Some(course)) => {
                resending.hear(course, &failure, moment(now, &mut budget))
            }
            (next, _) => next,
        }
    };
    let switched = named(decided(Some(Course::Elsewhere)));
    match decided(None) {
        Next::Report(_) => json!({
            "switched": switched,
            "stayed": named(decided(Some(Course::Here(Stay::Alive)))),
        }),
        next => json!({ "switched": null, "stayed": named(next) }),
    }
}

fn moment(now: Instant, budget: &mut Budget) -> Moment<'_> {
    Moment {
        now,
        left: Duration::MAX,
        chance: 0.0,
        budget,
    }
}

fn named(next: Next) -> Value {
    let again = |pause: Duration, reads_row: bool| json!({ "again_after_ms": pause.as_millis() as u64, "reads_row": reads_row });
    match next {
        Next::Wait {
            pause, reads_row, ..
        } => again(pause, reads_row),
        Next::Again => again(Duration::ZERO, false),
        Next::End(_) | Next::WaitOut | Next::Report(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: &str = "/api/data/v9.2/accounts";

    fn explained(text: &str) -> [Value; 6] {
        let value: Value = serde_json::from_str(text).unwrap();
        let is_sent_again = |when: &str| {
            let next = value["next"][when].clone();
            Value::Bool(!next.is_null())
        };
        [
            value["evidence"].clone(),
            value["switch"].clone(),
            value["effect"].clone(),
            value["ends_as"].clone(),
            is_sent_again("switched"),
            is_sent_again("stayed"),
        ]
    }

    fn explained_response(
        request: &Request,
        preset: Preset,
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> String {
        let headers = headers.iter().map(|(name, value)| {
            let value = http::HeaderValue::from_static(value);
            (http::HeaderName::from_static(name), value)
        });
        let (headers, body) = (headers.collect(), body.as_bytes());
        explain_response(request, preset, Instant::now(), status, &headers, body).unwrap()
    }

    #[test]
    fn answers() {
        let (safe, dotnet) = (Preset::Safe, Preset::Dotnet);
        let marked = [("odata-version", "4.0")];
        let elsewhere = r#"{"error":{"code":"0x8004B065","message":"elsewhere"}}"#;
        #[rustfmt::skip]
        let table = [
            (safe, "GET", 200, &marked[..], "{}", json!(["never", "no", "none", "response", false, false])),
            (safe, "POST", 204, &marked, "", json!(["never", "no", "executed", "response", false, false])),
            (safe, "POST", 200, &[], "{}", json!(["weak", "if_only_the_other_answers", "unknown", "error", false, false])),
            (safe, "GET", 503, &[], "", json!(["weak", "if_only_the_other_answers", "none", "error", true, true])),
            (safe, "POST", 503, &[], "", json!(["weak", "if_only_the_other_answers", "unknown", "error", false, false])),
            (safe, "POST", 429, &marked, "", json!(["never", "no", "not_executed", "response", false, true])),
            (safe, "POST", 500, &marked, elsewhere, json!(["strong", "if_the_other_answers", "not_executed", "error", true, false])),
            (dotnet, "POST", 500, &marked, elsewhere, json!(["strong", "at_once", "not_executed", "error", true, false])),
            (dotnet, "GET", 503, &[], "", json!(["never", "no", "none", "error", false, false])),
            (safe, "GET", 404, &marked, "", json!(["never", "no", "none", "response", false, false])),
        ];
        for (preset, method, status, headers, body, expected) in table {
            let request = Request::new(method, ACCOUNTS).unwrap();
            let text = explained_response(&request, preset, status, headers, body);
            assert_eq!(
                json!(explained(&text)),
                expected,
                "{method} {status} {body}"
            );
        }
    }

    #[test]
    fn the_token_that_an_answer_says_is_not_told() {
        let mut request = Request::new("GET", ACCOUNTS).unwrap();
        request
            .add_header("Authorization", "Bearer opaque-7f3a")
            .unwrap();
        let said = r#"{"error":{"code":"0x80040220","message":"who is opaque-7f3a?"}}"#;
        let told = explained_response(&request, Preset::Safe, 401, &[], said);
        assert!(
            told.contains("who is ") && !told.contains("opaque-7f3a"),
            "{told}"
        );
    }

    #[test]
    fn answers_to_what_holds_several() {
        let marked = [("odata-version", "4.0")];
        let elsewhere = r#"{"error":{"code":"0x8004B065","message":"elsewhere"}}"#;
        let (one, all) = ("", r#","atomicityGroup":"g""#);
        for (group, status, marked, body, effect) in [
            (all, 503, &[][..], "", "unknown"),
            (all, 500, &marked, elsewhere, "not_executed"),
            (one, 500, &marked, elsewhere, "unknown"),
            (all, 429, &marked, "", "not_executed"),
        ] {
            let mut request = Request::new("POST", "/api/data/v9.2/$batch").unwrap();
            request
                .add_header("content-type", "application/json")
                .unwrap();
            request.set_body(format!(
                r#"{{"requests":[{{"id":"1","method":"POST","url":"accounts","body":{{}}{group}}}]}}"#
            ));
            let text = explained_response(&request, Preset::Safe, status, marked, body);
            assert_eq!(explained(&text)[2], effect, "{group} {status}");
        }
    }

    #[test]
    fn whether_the_row_is_read_first() {
        let row = "/api/data/v9.2/accounts(11111111-2222-4333-8444-555555555555)";
        let (on, off) = (true, false);
        for (method, url, if_none_match, is_guarded, cause, expected) in [
            ("POST", ACCOUNTS, off, on, Cause::Reset, json!(true)),
            ("POST", ACCOUNTS, off, on, Cause::Unavailable, json!(false)),
            ("PATCH", row, on, off, Cause::AttemptTimeout, json!(true)),
            ("PATCH", row, off, off, Cause::Reset, json!(false)),
            ("POST", ACCOUNTS, off, off, Cause::Reset, Value::Null),
        ] {
            let mut request = Request::new(method, url).unwrap();
            request.is_guarded_create = is_guarded;
            if if_none_match {
                request.add_header("If-None-Match", "*").unwrap();
            }
            let text =
                explain_fault(&request, Preset::Safe, Instant::now(), cause, Phase::Sent).unwrap();
            let told: Value = serde_json::from_str(&text).unwrap();
            let what = format!("{method} {url} {cause:?}: {told}");
            assert_eq!(told["next"]["stayed"]["reads_row"], expected, "{what}");
            // What comes over from the other side may take its time.
            assert_ne!(told["next"]["switched"]["reads_row"], json!(true), "{what}");
            assert_eq!(
                told["operation"] == "guarded",
                is_guarded || if_none_match,
                "{what}"
            );
        }
    }

    #[test]
    fn faults() {
        let (sent, not_sent) = (Phase::Sent, Phase::NotSent);
        #[rustfmt::skip]
        let table = [
            ("POST", Cause::Refused, not_sent, json!(["strong", "if_the_other_answers", "not_executed", "error", true, true])),
            ("POST", Cause::Reset, sent, json!(["weak", "if_only_the_other_answers", "unknown", "error", false, false])),
            ("GET", Cause::Reset, sent, json!(["weak", "if_only_the_other_answers", "none", "error", true, true])),
            ("POST", Cause::Tls, not_sent, json!(["never", "no", "not_executed", "error", false, false])),
        ];
        for (method, cause, phase, expected) in table {
            let request = Request::new(method, ACCOUNTS).unwrap();
            let text = explain_fault(&request, Preset::Safe, Instant::now(), cause, phase).unwrap();
            assert_eq!(json!(explained(&text)), expected, "{method} {cause:?}");
        }
    }
}
