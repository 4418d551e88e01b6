//! What an application says, a line each.

use std::str::FromStr;

use serde::Serialize;
use uuid::Uuid;

/// The calls of a round.
pub(crate) const CALLS: [&str; 4] = ["create-web", "read-web", "create-soap", "whoami-soap"];

pub(crate) const REQUIRED: &str = "EndpointSwitchRequired";
pub(crate) const SWITCHED: &str = "EndpointSwitched";

/// An event as the application's handler saw it; `event` is one of the two names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SwitchEvent {
    pub(crate) event: &'static str,
    pub(crate) previous_url: String,
    pub(crate) new_url: String,
    pub(crate) reason: String,
}

/// A line of an application; `what` is one of the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Ready,
    Ok(&'static str),
    /// In addition to `Ok`, when it took more than one attempt.
    Retried(&'static str),
    /// A row that it was told of.
    Created(Uuid, String),
    Error {
        kind: String,
        what: &'static str,
        message: String,
    },
    Event(SwitchEvent),
    /// How many calls it made; nothing follows.
    Done(u64),
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Line, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["ready"] => Ok(Line::Ready),
            ["call", "ok", what] => Ok(Line::Ok(one_of(&CALLS, what)?)),
            ["call", "retried", what] => Ok(Line::Retried(one_of(&CALLS, what)?)),
            ["created", id, name] => match id.parse() {
                Ok(id) => Ok(Line::Created(id, name.to_owned())),
                Err(_) => Err(format!("`{id}` is no row id")),
            },
            ["error", kind, what, ref message @ ..] => Ok(Line::Error {
                kind: kind.to_owned(),
                what: one_of(&CALLS, what)?,
                message: message.join(" "),
            }),
            ["event", event, previous_url, new_url, reason] => Ok(Line::Event(SwitchEvent {
                event: one_of(&[REQUIRED, SWITCHED], event)?,
                previous_url: previous_url.to_owned(),
                new_url: new_url.to_owned(),
                reason: reason.to_owned(),
            })),
            ["done", calls] => match calls.parse() {
                Ok(calls) => Ok(Line::Done(calls)),
                Err(_) => Err(format!("`{calls}` is no number")),
            },
            _ => Err("no line of the protocol".into()),
        }
    }
}

fn one_of(known: &[&'static str], word: &str) -> Result<&'static str, String> {
    let found = known.iter().find(|known| **known == word);
    found
        .copied()
        .ok_or_else(|| format!("`{word}` is none of {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_understood() {
        let id = "01234567-89ab-cdef-0123-456789abcdef";
        let event = SwitchEvent {
            event: SWITCHED,
            previous_url: "https://a".into(),
            new_url: "https://b".into(),
            reason: "timeout".into(),
        };
        let error = |message: &str| Line::Error {
            kind: "timeout".into(),
            what: "read-web",
            message: message.into(),
        };
        for (text, line) in [
            ("ready", Line::Ready),
            ("call ok create-web", Line::Ok("create-web")),
            ("call retried whoami-soap", Line::Retried("whoami-soap")),
            (
                &format!("created {id} c-1"),
                Line::Created(id.parse().unwrap(), "c-1".into()),
            ),
            (
                "event EndpointSwitched https://a https://b timeout",
                Line::Event(event),
            ),
            ("error timeout read-web no answer", error("no answer")),
            ("error timeout read-web ", error("")),
            ("done 12", Line::Done(12)),
        ] {
            assert_eq!(text.parse(), Ok(line), "{text}");
        }
    }

    #[test]
    fn all_else_is_refused() {
        for text in [
            "",
            "Ready",
            "ready now",
            "call ok",
            "call ok delete-web",
            "call failed create-web",
            "created 12 c-web-1",
            "error timeout",
            "event EndpointSwitched https://a https://b",
            "event Throttled https://a https://b throttled",
            "done soon",
        ] {
            assert!(text.parse::<Line>().is_err(), "{text}");
        }
    }
}
