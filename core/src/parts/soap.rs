//! The items of an answer to an ExecuteMultiple.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::asked::Asked;
use super::{Answered, MOST_PARTS, Part};
use crate::classify::xml::{Visit, walk};
use crate::classify::{BodyFault, SOAP_1_1, SOAP_1_2, parse_code, retry_after};
use crate::soap_request::INSTANCE;

/// What is being read of an item.
#[derive(Default)]
struct Item {
    index: Option<usize>,
    fault: Option<BodyFault>,
    key: String,
}

/// `None`: it is no answer of SOAP's, or a fault of the whole.
pub(super) fn read(asked: &Asked, body: &[u8]) -> Option<Answered> {
    let text = String::from_utf8_lossy(body);
    let mut found = Answered {
        is_in_order: true,
        ..Answered::default()
    };
    let mut item = Item::default();
    let (mut is_answer, mut is_clear, mut has_ended) = (false, true, false);
    let (mut is_faulted, mut has_result) = (false, false);
    let mut key = String::new();
    walk(&text, |path, visit| {
        let soap = path[0].namespace.as_str();
        if !matches!(soap, SOAP_1_1 | SOAP_1_2) || path[0].local != "Envelope" {
            return ControlFlow::Break(());
        }
        match path {
            [_] => has_ended = matches!(visit, Visit::End(_)),
            [_, body, first] if body.is(soap, "Body") => {
                if first.is(soap, "Fault") {
                    is_answer = false;
                    return ControlFlow::Break(());
                }
                is_answer = true;
            }
            [_, body, rest @ ..] if body.is(soap, "Body") => {
                let locals: Vec<&str> = rest.iter().map(|name| name.local.as_str()).collect();
                has_result |= locals == ["ExecuteResponse", "ExecuteResult"];
                let [
                    "ExecuteResponse",
                    "ExecuteResult",
                    "Results",
                    _,
                    locals @ ..,
                ] = &locals[..]
                else {
                    return ControlFlow::Continue(());
                };
                match (locals, &visit) {
                    ([], Visit::Start(..)) => key.clear(),
                    (["key"], Visit::End(ended)) => ended.text.clone_into(&mut key),
                    (["value"], Visit::End(ended)) if key == "IsFaulted" => {
                        is_faulted = matches!(ended.text, "true" | "1");
                    }
                    (["value", "ExecuteMultipleResponseItem", rest @ ..], visit)
                        if key == "Responses" =>
                    {
                        item.read(rest, visit);
                        if rest.is_empty() && matches!(visit, Visit::End(_)) {
                            match std::mem::take(&mut item).part() {
                                Some(part) if found.parts.len() < MOST_PARTS => {
                                    found.parts.push(part);
                                }
                                _ => is_clear = false,
                            }
                        }
                    }
                    // ExecuteTransaction has no items: it was done, or is a fault of the whole.
                    (["value", "OrganizationResponse"], Visit::End(_)) if key == "Responses" => {
                        let index = found.parts.len();
                        if index < MOST_PARTS {
                            found.parts.push(done(index));
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    if !is_answer {
        return None;
    }
    let has_fault = found.parts.iter().any(|part| part.fault.is_some());
    let count = asked.requests.as_ref().map_or(usize::MAX, Vec::len);
    let told = found.parts.len();
    let mut seen = HashSet::new();
    found
        .parts
        .retain(|part| part.at.start < count && seen.insert(part.at.start));
    found.is_whole = has_ended
        && is_clear
        && found.parts.len() == told
        && (has_fault || !is_faulted)
        && (has_result || asked.requests.is_none());
    Some(found)
}

fn done(index: usize) -> Part {
    Part {
        at: index..index + 1,
        is_read: false,
        status: None,
        fault: None,
        retry_after: None,
    }
}

impl Item {
    fn read(&mut self, path: &[&str], visit: &Visit<'_>) {
        match (path, visit) {
            (["RequestIndex"], Visit::End(ended)) => {
                self.index = ended.text.parse().ok().filter(|index| *index < MOST_PARTS);
            }
            (["Fault"], Visit::Start(start, scope)) => {
                let nil = scope.attribute(start, INSTANCE, "nil");
                let is_nil = nil.is_some_and(|nil| matches!(nil.trim(), "true" | "1"));
                self.fault = (!is_nil).then(BodyFault::default);
            }
            (["Fault", rest @ ..], Visit::End(ended)) => {
                let Some(fault) = &mut self.fault else { return };
                match rest {
                    // Only at this depth: inner faults have codes of their own.
                    ["ErrorCode"] => fault.code = parse_code(ended.text),
                    ["Message"] => fault.message = Some(ended.text.to_owned()),
                    ["ErrorDetails", _, "key"] => ended.text.clone_into(&mut self.key),
                    ["ErrorDetails", _, "value"]
                        if self.key.eq_ignore_ascii_case("Retry-After") =>
                    {
                        fault.retry_after = Some(ended.text.to_owned());
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn part(self) -> Option<Part> {
        let index = self.index?;
        let none = http::HeaderMap::new();
        let asked = self
            .fault
            .as_ref()
            .and_then(|fault| fault.retry_after.as_deref());
        Some(Part {
            retry_after: asked.and_then(|text| retry_after(text, &none)),
            fault: self.fault,
            ..done(index)
        })
    }
}
