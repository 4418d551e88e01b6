//! What an application says, a line each.

use std::str::FromStr;

use serde::Serialize;
use uuid::Uuid;

/// The calls of a round.
pub(crate) const CALLS: [&str; 4] = ["create-web", "read-web", "create-soap", "whoami-soap"];

pub(crate) const REQUIRED: &str = "EndpointSwitchRequired";
pub(crate) const SWITCHED: &str = "EndpointSwitched";

const IN_DOUBT: &str = "WriteInDoubt";
const LOSS_SUSPECTED: &str = "DataLossSuspected";

/// What an application was told of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Executed,
    NotExecuted,
    Unknown,
}

/// What the library has found out about a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    Present,
    Missing,
    Unverifiable,
}

/// What became of a write that the library has looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Confirmed,
    Replayed,
    /// It is in question still.
    Left,
}

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
    /// A row that it was told of, and the write on record.
    Created {
        id: Uuid,
        name: String,
        ledger: u64,
    },
    /// In addition to `Error`, of a create: the name of its row, and the write on record.
    Failed {
        name: String,
        effect: Effect,
        ledger: u64,
    },
    Error {
        kind: String,
        what: &'static str,
        message: String,
    },
    Event(SwitchEvent),
    /// The event of this write on record.
    InDoubt(u64),
    LossSuspected {
        in_doubt: u64,
        acknowledged: u64,
    },
    /// A write that the ledger wants to be verified, in the end.
    Suspect {
        ledger: u64,
        effect: Effect,
        verified: Verified,
    },
    /// What became of it, and the name of its row.
    Settled {
        ledger: u64,
        name: String,
        settled: Settled,
    },
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
            ["created", id, name, ledger] => Ok(Line::Created {
                id: parsed(id, "row id")?,
                name: name.to_owned(),
                ledger: parsed(ledger, "number")?,
            }),
            ["failed", name, effect, ledger] => Ok(Line::Failed {
                name: name.to_owned(),
                effect: effect.parse()?,
                ledger: parsed(ledger, "number")?,
            }),
            ["error", kind, what, ref message @ ..] => Ok(Line::Error {
                kind: kind.to_owned(),
                what: one_of(&CALLS, what)?,
                message: message.join(" "),
            }),
            ["event", IN_DOUBT, ledger, _method, _url, _reason] => {
                Ok(Line::InDoubt(parsed(ledger, "number")?))
            }
            ["event", LOSS_SUSPECTED, in_doubt, acknowledged] => Ok(Line::LossSuspected {
                in_doubt: parsed(in_doubt, "number")?,
                acknowledged: parsed(acknowledged, "number")?,
            }),
            ["suspect", ledger, effect, _method, _url, verified] => Ok(Line::Suspect {
                ledger: parsed(ledger, "number")?,
                effect: effect.parse()?,
                verified: verified.parse()?,
            }),
            ["settled", ledger, name, settled] => Ok(Line::Settled {
                ledger: parsed(ledger, "number")?,
                name: name.to_owned(),
                settled: settled.parse()?,
            }),
            ["event", event, previous_url, new_url, reason] => Ok(Line::Event(SwitchEvent {
                event: one_of(&[REQUIRED, SWITCHED], event)?,
                previous_url: previous_url.to_owned(),
                new_url: new_url.to_owned(),
                reason: reason.to_owned(),
            })),
            ["done", calls] => Ok(Line::Done(parsed(calls, "number")?)),
            _ => Err("no line of the protocol".into()),
        }
    }
}

impl FromStr for Effect {
    type Err = String;

    fn from_str(word: &str) -> Result<Effect, String> {
        match word {
            "executed" => Ok(Effect::Executed),
            "not_executed" => Ok(Effect::NotExecuted),
            "unknown" => Ok(Effect::Unknown),
            _ => Err(format!("`{word}` is no effect of a write")),
        }
    }
}

impl FromStr for Verified {
    type Err = String;

    fn from_str(word: &str) -> Result<Verified, String> {
        match word {
            "present" => Ok(Verified::Present),
            "missing" => Ok(Verified::Missing),
            "unverifiable" => Ok(Verified::Unverifiable),
            _ => Err(format!("`{word}` is no verdict on a write")),
        }
    }
}

impl FromStr for Settled {
    type Err = String;

    fn from_str(word: &str) -> Result<Settled, String> {
        match word {
            "confirmed" => Ok(Settled::Confirmed),
            "replayed" => Ok(Settled::Replayed),
            "left" => Ok(Settled::Left),
            _ => Err(format!("`{word}` is no end of a write in question")),
        }
    }
}

fn parsed<T: FromStr>(word: &str, what: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is no {what}"))
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
                &format!("created {id} c-1 7"),
                Line::Created {
                    id: id.parse().unwrap(),
                    name: "c-1".into(),
                    ledger: 7,
                },
            ),
            (
                "failed c-2 unknown 8",
                Line::Failed {
                    name: "c-2".into(),
                    effect: Effect::Unknown,
                    ledger: 8,
                },
            ),
            (
                "event WriteInDoubt 8 POST https://a/accounts connection_lost",
                Line::InDoubt(8),
            ),
            (
                "event DataLossSuspected 1 12",
                Line::LossSuspected {
                    in_doubt: 1,
                    acknowledged: 12,
                },
            ),
            (
                "suspect 7 executed POST https://a/accounts present",
                Line::Suspect {
                    ledger: 7,
                    effect: Effect::Executed,
                    verified: Verified::Present,
                },
            ),
            (
                "settled 7 c-1 replayed",
                Line::Settled {
                    ledger: 7,
                    name: "c-1".into(),
                    settled: Settled::Replayed,
                },
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
            "created 12 c-web-1 7",
            "created 01234567-89ab-cdef-0123-456789abcdef c-web-1",
            "failed c-web-1 perhaps 7",
            "failed c-web-1 unknown none",
            "event WriteInDoubt 8",
            "suspect 7 in_flight POST https://a present",
            "suspect 7 executed POST https://a",
            "suspect 7 executed POST https://a lost",
            "settled 7 replayed",
            "settled 7 c-1 lost",
            "error timeout",
            "event EndpointSwitched https://a https://b",
            "event Throttled https://a https://b throttled",
            "done soon",
        ] {
            assert!(text.parse::<Line>().is_err(), "{text}");
        }
    }
}
