//! What a token server has answered (RFC 6749, 5), and when it is asked again.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::classify::retry_after;

/// A token of which the server does not say how long it lives.
const UNSAID: Duration = Duration::from_secs(300);
/// How often it is asked for one token, and the first pause between two questions.
const MOST_ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longer than that nobody is kept waiting: the wait is over at once, and nothing is asked so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long after a refusal the same question is not asked: servers lock out who goes on asking.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);
/// How long after it did not answer.
const AFTER_SILENCE: Duration = Duration::from_secs(1);
const MOST_SILENCE: Duration = Duration::from_secs(300);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Token {
        token: String,
        life: Duration,
    },
    /// It gives none for this question, whenever it is asked.
    Refused(String),
    /// It knows who asks, and gives none for this endpoint.
    RefusedHere(String),
    /// It may give one later; it has said when, or not.
    NotNow(String, Option<Duration>),
}

/// What comes after an answer that has no token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    AskAgainIn(Duration),
    /// Give up, and ask nothing for so long.
    GiveUp(Duration),
}

impl Answer {
    /// Reads one. Of what the server says, only its codes are told: its sentences name who asks.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        if status.is_success() {
            let Some(token) = value["access_token"]
                .as_str()
                .filter(|token| !token.is_empty())
            else {
                let why = format!("HTTP {} without a token", status.as_u16());
                return Answer::NotNow(why, None);
            };
            return Answer::Token {
                token: token.to_owned(),
                life: seconds(&value["expires_in"]).unwrap_or(UNSAID),
            };
        }
        let code = value["error"].as_str().filter(|code| is_code(code));
        let number = value["error_codes"][0].as_u64();
        let why = match (code, number) {
            (Some(code), Some(number)) => format!("{code} (AADSTS{number})"),
            (Some(code), None) => code.to_owned(),
            (None, _) => format!("HTTP {}", status.as_u16()),
        };
        let is_busy = matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        ) || status.is_server_error()
            || code == Some("temporarily_unavailable");
        // Who is no token server has no code, and may be a front end that is in the way for now.
        if is_busy || code.is_none() {
            let wait = headers.get(RETRY_AFTER).and_then(|wait| wait.to_str().ok());
            return Answer::NotNow(why, wait.and_then(|wait| retry_after(wait, headers)));
        }
        match code {
            Some("invalid_resource" | "invalid_scope" | "invalid_target") => {
                Answer::RefusedHere(why)
            }
            _ => Answer::Refused(why),
        }
    }

    /// What comes after the attempt of this number, from 1 on; `chance` from 0 to 1.
    pub(super) fn next(&self, attempt: u32, chance: f64) -> Next {
        match self {
            Answer::NotNow(_, after) => {
                let exponential = FIRST_PAUSE * (1 << attempt.min(8));
                let own = exponential.mul_f64(0.5 + chance / 2.0);
                let pause = own.max(after.unwrap_or_default());
                if attempt < MOST_ATTEMPTS && pause <= LONGEST_PAUSE {
                    Next::AskAgainIn(pause)
                } else {
                    Next::GiveUp(
                        after
                            .unwrap_or(AFTER_SILENCE)
                            .clamp(AFTER_SILENCE, MOST_SILENCE),
                    )
                }
            }
            _ => Next::GiveUp(AFTER_REFUSAL),
        }
    }
}

/// Older servers write a number as text.
fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.map(Duration::from_secs)
}

fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, wait: Option<&str>, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(wait) = wait {
            headers.insert("retry-after", wait.parse().unwrap());
        }
        Answer::read(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            body.as_bytes(),
        )
    }

    fn token(seconds: u64) -> Answer {
        let life = Duration::from_secs(seconds);
        Answer::Token {
            token: "t".to_owned(),
            life,
        }
    }

    #[test]
    fn what_a_token_server_says() {
        let refused = |why: &str| Answer::Refused(why.to_owned());
        let not_now = |why: &str, after: Option<u64>| {
            Answer::NotNow(why.to_owned(), after.map(Duration::from_secs))
        };
        for (status, wait, body, answer) in [
            (
                200,
                None,
                r#"{"access_token":"t","expires_in":3599}"#,
                token(3599),
            ),
            (
                200,
                None,
                r#"{"access_token":"t","expires_in":"3599"}"#,
                token(3599),
            ),
            (200, None, r#"{"access_token":"t"}"#, token(300)),
            (
                200,
                None,
                r#"{"access_token":""}"#,
                not_now("HTTP 200 without a token", None),
            ),
            (
                200,
                None,
                "<html>",
                not_now("HTTP 200 without a token", None),
            ),
            (
                401,
                None,
                r#"{"error":"invalid_client","error_codes":[7000215],"error_description":"Ivy's secret"}"#,
                refused("invalid_client (AADSTS7000215)"),
            ),
            (
                400,
                None,
                r#"{"error":"invalid_scope"}"#,
                Answer::RefusedHere("invalid_scope".to_owned()),
            ),
            (400, None, r#"{"error":"a b"}"#, not_now("HTTP 400", None)),
            (403, None, "<html>", not_now("HTTP 403", None)),
            (
                429,
                Some("7"),
                r#"{"error":"throttled"}"#,
                not_now("throttled", Some(7)),
            ),
            (503, None, "", not_now("HTTP 503", None)),
            (
                400,
                None,
                r#"{"error":"temporarily_unavailable"}"#,
                not_now("temporarily_unavailable", None),
            ),
        ] {
            assert_eq!(read(status, wait, body), answer, "{status} {body}");
        }
    }

    #[test]
    fn when_it_is_asked_again() {
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        let again = Next::AskAgainIn;
        for (after, attempt, chance, next) in [
            (None, 1, 0.0, again(millis(500))),
            (None, 1, 1.0, again(millis(1000))),
            (None, 3, 1.0, again(seconds(4))),
            (None, 4, 0.0, Next::GiveUp(seconds(1))),
            (Some(7), 1, 0.5, again(seconds(7))),
            (Some(15), 2, 0.5, again(seconds(15))),
            (Some(16), 1, 0.5, Next::GiveUp(seconds(16))),
            (Some(86_400), 1, 0.5, Next::GiveUp(seconds(300))),
        ] {
            let answer = Answer::NotNow(String::new(), after.map(seconds));
            assert_eq!(
                answer.next(attempt, chance),
                next,
                "{after:?} {attempt} {chance}"
            );
        }
        let refused = Answer::Refused(String::new());
        assert_eq!(refused.next(1, 0.5), Next::GiveUp(seconds(30)));
    }
}
