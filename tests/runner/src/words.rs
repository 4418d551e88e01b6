//! The short words of a scenario, and what they stand for.
//!
//! A step may be written with them or without: what is played is the same.

use serde_json::{Map, Value, json};

/// The step with its words written out.
pub(crate) fn write_out(step: Value) -> Result<Value, String> {
    let Value::Object(mut step) = step else {
        return Ok(step);
    };
    if step.get("do").is_some_and(|verb| verb == "expect_switches") {
        return expect_events(step);
    }
    for (key, value) in &mut step {
        let written = match (key.as_str(), value.take()) {
            ("steps", Value::Array(steps)) => all(steps, |step| Ok(vec![write_out(step)?]))?,
            ("events", Value::Array(events)) => all(events, |event| event_or_switch(event, ""))?,
            ("expect" | "entries", expected) => expectation(expected)?,
            (_, other) => other,
        };
        *value = written;
    }
    Ok(step.into())
}

fn all(
    items: Vec<Value>,
    each: impl Fn(Value) -> Result<Vec<Value>, String>,
) -> Result<Value, String> {
    let written: Vec<Vec<Value>> = items.into_iter().map(each).collect::<Result<_, _>>()?;
    Ok(written.into_iter().flatten().collect())
}

/// Automatic switches and nothing else are the events of these switches.
fn expect_events(mut step: Map<String, Value>) -> Result<Value, String> {
    let of = match step.remove("org") {
        Some(Value::String(org)) => format!("{org}."),
        Some(other) => return Err(format!("{other} is no organization's name")),
        None => String::new(),
    };
    step.insert("do".into(), "expect_events".into());
    let Some(Value::Array(switches)) = step.remove("switches") else {
        return Err("`expect_switches` has `switches`, a list".to_owned());
    };
    let events = all(switches, |switch| {
        event_or_switch(json!({"switch": switch}), &of)
    })?;
    match step.insert("events".into(), events) {
        Some(_) => Err("`expect_switches` has no `events`".to_owned()),
        None => Ok(step.into()),
    }
}

/// `{"switch": {"from", "reason", "epoch", …}}` is Required and Switched, in this order.
fn event_or_switch(event: Value, of: &str) -> Result<Vec<Value>, String> {
    let Some(switch) = event.get("switch") else {
        return Ok(vec![event]);
    };
    let (Some(1), Some(mut common)) =
        (event.as_object().map(Map::len), switch.as_object().cloned())
    else {
        return Err(format!(
            "what is said of a switch stands within it: {event}"
        ));
    };
    let (from, to) = match common.remove("from").as_ref().and_then(Value::as_str) {
        Some("primary") => ("primary", "alternate"),
        Some("alternate") => ("alternate", "primary"),
        _ => return Err(format!("a switch is `from` a side: {event}")),
    };
    if let Some(key) = ["event", "previous_url", "new_url"]
        .iter()
        .find(|key| common.contains_key(**key))
    {
        return Err(format!("a switch has no `{key}` of its own: {event}"));
    }
    common.insert("previous_url".into(), format!("${{{of}{from}}}").into());
    common.insert("new_url".into(), format!("${{{of}{to}}}").into());
    common.entry("automatic").or_insert(true.into());
    let pair = ["EndpointSwitchRequired", "EndpointSwitched"].map(|name| {
        let mut event = common.clone();
        event.insert("event".into(), name.into());
        Value::Object(event)
    });
    Ok(pair.into())
}

/// Attempts and codes, at any depth.
fn expectation(expected: Value) -> Result<Value, String> {
    Ok(match expected {
        Value::Object(map) => {
            let mut written = Map::new();
            for (key, value) in map {
                let value = match (key.as_str(), value) {
                    ("attempts", Value::Array(attempts)) => {
                        all(attempts, |attempt| Ok(vec![self::attempt(attempt)?]))?
                    }
                    ("code", Value::String(text)) => code(&text)?,
                    (_, value) => expectation(value)?,
                };
                written.insert(key, value);
            }
            written.into()
        }
        Value::Array(items) => all(items, |item| Ok(vec![expectation(item)?]))?,
        other => other,
    })
}

/// `primary, epoch 0: responded 503 over HTTP/2, server_unavailable 0x8004B065, at https://…`: who
/// was asked, in which epoch; how far it got; the fault, or `ok`; where it went. What is left out
/// is not looked at; but where no answer was seen there is no status. `-` is null.
fn attempt(attempt: Value) -> Result<Value, String> {
    let text = match attempt {
        Value::String(text) => text,
        Value::Object(_) => return expectation(attempt),
        other => return Err(format!("{other} is no attempt")),
    };
    let wrong = |what: &str| format!("attempt `{text}`: {what}");
    let (who, what) = text
        .split_once(": ")
        .ok_or_else(|| wrong("no `: ` after the side"))?;
    let mut written = Map::new();
    let (side, epoch) = match who.split_once(", epoch ") {
        Some((side, epoch)) => (side, Some(epoch)),
        None => (who, None),
    };
    let role = match side {
        "primary" | "alternate" => side.into(),
        "another host" => Value::Null,
        _ => return Err(wrong("`primary`, `alternate` or `another host` begins it")),
    };
    written.insert("role".into(), role);
    if let Some(epoch) = epoch {
        let epoch: u64 = epoch.parse().map_err(|_| wrong("the epoch is no number"))?;
        written.insert("epoch".into(), epoch.into());
    }
    let (what, url) = match what.split_once(", at ") {
        Some((what, url)) => (what, Some(url)),
        None => (what, None),
    };
    if let Some(url) = url {
        written.insert("url".into(), url.into());
    }
    for clause in what.split(", ") {
        let words: Vec<&str> = clause.split(' ').collect();
        let before = match words[..] {
            [phase @ ("not_sent" | "sent" | "responded"), ref rest @ ..] => {
                progress(phase, rest, &mut written).ok_or_else(|| wrong(clause))?;
                written.insert("phase".into(), phase.into())
            }
            [fault] => written.insert("fault".into(), self::fault(fault)),
            [fault, number] => {
                written.insert("code".into(), code(number).map_err(|text| wrong(&text))?);
                written.insert("fault".into(), self::fault(fault))
            }
            _ => return Err(wrong(clause)),
        };
        if before.is_some() {
            return Err(wrong("it says twice how far it got, or which fault it had"));
        }
    }
    Ok(written.into())
}

/// What stands behind the phase: the status, the version of HTTP.
fn progress(phase: &str, words: &[&str], written: &mut Map<String, Value>) -> Option<()> {
    let (status, version) = match *words {
        [] => (None, None),
        [status] => (Some(status), None),
        ["over", version] => (None, Some(version)),
        [status, "over", version] => (Some(status), Some(version)),
        _ => return None,
    };
    let status = match status {
        Some("-") => Some(Value::Null),
        Some(status) => Some(status.parse::<u16>().ok()?.into()),
        None => (phase != "responded").then_some(Value::Null),
    };
    if let Some(status) = status {
        written.insert("http_status".into(), status);
    }
    if let Some(version) = version {
        let version = match version.strip_prefix("HTTP/")? {
            "-" => Value::Null,
            version => version.into(),
        };
        written.insert("http_version".into(), version);
    }
    Some(())
}

fn fault(word: &str) -> Value {
    match word {
        "ok" | "-" => Value::Null,
        kind => kind.into(),
    }
}

/// A service's code as it stands in lists of them, `0x8004B065`; a number as it is.
fn code(text: &str) -> Result<Value, String> {
    if text == "-" {
        return Ok(Value::Null);
    }
    let number = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok().map(u32::cast_signed),
        None => text.parse().ok(),
    };
    let number = number.ok_or_else(|| format!("`{text}` is no code"))?;
    Ok(number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(words: &[&str]) -> Result<Value, String> {
        let step = json!({"do": "call", "expect": {"response": {"attempts": words}}});
        Ok(write_out(step)?["expect"]["response"]["attempts"].take())
    }

    #[test]
    fn an_attempt_is_a_line() {
        for (word, written) in [
            (
                "primary, epoch 0: not_sent, endpoint_not_found",
                json!({"role": "primary", "epoch": 0, "phase": "not_sent", "http_status": null,
                    "fault": "endpoint_not_found"}),
            ),
            (
                "alternate, epoch 1: responded 204, ok",
                json!({"role": "alternate", "epoch": 1, "phase": "responded", "http_status": 204,
                    "fault": null}),
            ),
            (
                "primary, epoch 0: responded 503 over HTTP/2, datacenter_not_available 0x8004B065",
                json!({"role": "primary", "epoch": 0, "phase": "responded", "http_status": 503,
                    "http_version": "2", "fault": "datacenter_not_available", "code": -2_147_176_347}),
            ),
            (
                "primary, epoch 0: sent - over HTTP/-, - -",
                json!({"role": "primary", "epoch": 0, "phase": "sent", "http_status": null,
                    "http_version": null, "fault": null, "code": null}),
            ),
            (
                "another host: responded 404, at https://files.test/a, b",
                json!({"role": null, "phase": "responded", "http_status": 404,
                    "url": "https://files.test/a, b"}),
            ),
            (
                "alternate, epoch 1: responded",
                json!({"role": "alternate", "epoch": 1, "phase": "responded"}),
            ),
            ("alternate: ok", json!({"role": "alternate", "fault": null})),
        ] {
            assert_eq!(attempts(&[word]).unwrap(), json!([written]), "{word}");
        }
    }

    #[test]
    fn a_line_that_says_nothing_known_is_refused() {
        for word in [
            "",
            "primary",
            "somewhere: sent, timeout",
            "primary, epoch x: sent, timeout",
            "primary, epoch 0: responded well, ok",
            "primary, epoch 0: responded 200 by HTTP/2, ok",
            "primary, epoch 0: responded 200 over 2, ok",
            "primary, epoch 0: sent, timeout code",
            "primary, epoch 0: sent, timeout 0x1 0x2",
            "primary, epoch 0: sent, responded 200",
            "primary, epoch 0: sent, timeout, ok",
            "primary, epoch 0: sent, service 0x1, throttled",
        ] {
            assert!(attempts(&[word]).is_err(), "{word}");
        }
    }

    #[test]
    fn objects_and_numbers_stay_as_they_are() {
        let step = json!({"do": "call", "expect": {"error": {"code": 7, "attempts": [{"fault": null}],
            "ledger": {"attempts": 1}}}, "request": {"code": "0x10"}});
        assert_eq!(write_out(step.clone()).unwrap(), step);
        let code = json!({"do": "call", "expect": {"error": {"code": "0x8004B065"}}});
        let code = write_out(code).unwrap();
        assert_eq!(code["expect"]["error"]["code"], json!(-2_147_176_347));
    }

    #[test]
    fn a_switch_is_two_events() {
        let switch = json!({"from": "alternate", "reason": "timeout", "epoch": 2, "probed": null});
        let heard = |name: &str, of: &str| {
            json!({"event": name, "previous_url": format!("${{{of}alternate}}"),
                "new_url": format!("${{{of}primary}}"), "reason": "timeout", "epoch": 2,
                "probed": null, "automatic": true})
        };
        let pair = |of: &str| {
            [
                heard("EndpointSwitchRequired", of),
                heard("EndpointSwitched", of),
            ]
        };
        let step = json!({"do": "repeat", "times": 1, "steps": [
            {"do": "expect_events", "events": [{"switch": switch}, {"event": "Throttled"}]}]});
        let [required, switched] = pair("");
        assert_eq!(
            write_out(step).unwrap()["steps"][0]["events"],
            json!([required, switched, {"event": "Throttled"}])
        );
        let step = json!({"do": "expect_switches", "client": "d", "org": "fabrikam", "switches": [switch]});
        assert_eq!(
            write_out(step).unwrap(),
            json!({"do": "expect_events", "client": "d", "events": pair("fabrikam.")})
        );
    }

    #[test]
    fn what_a_switch_does_not_say_is_refused() {
        let switch = json!({"from": "primary", "epoch": 1});
        for events in [
            json!([{"switch": switch, "probed": "serves"}]),
            json!([{"switch": "primary"}]),
            json!([{"switch": {"epoch": 1}}]),
            json!([{"switch": {"from": "both"}}]),
            json!([{"switch": {"from": "primary", "event": "EndpointSwitched"}}]),
            json!([{"switch": {"from": "primary", "new_url": "${alternate}"}}]),
        ] {
            let step = json!({"do": "expect_events", "events": events});
            assert!(write_out(step).is_err(), "{events}");
        }
        for (key, value) in [
            ("switches", json!(switch)),
            ("switches", json!(["primary"])),
            ("org", json!(1)),
            ("events", json!([])),
        ] {
            let mut step = json!({"do": "expect_switches", "switches": [switch]});
            assert!(write_out(step.clone()).is_ok());
            step[key] = value;
            assert!(write_out(step.clone()).is_err(), "{step}");
        }
        assert!(write_out(json!({"do": "expect_switches"})).is_err());
    }
}
