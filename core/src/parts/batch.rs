//! The parts of an answer to a `$batch`.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::asked::{Asked, Inside};
use super::{Answered, Did, MOST_PARTS, Part, part};
use crate::batch::{Batch, Content, PartRequest};
use crate::content_type;

/// An answer in the form of the multipart requests. `None`: it is in no such form.
pub(super) fn multipart(asked: &Asked, headers: &HeaderMap, body: &[u8]) -> Option<Answered> {
    let batch = Batch::read_some(content_type::of(headers)?, body, MOST_PARTS);
    if batch.parts.is_empty() {
        return None;
    }
    let mut answered = Answered {
        parts: Vec::new(),
        is_whole: batch.is_closed,
        is_in_order: true,
        undone: Vec::new(),
    };
    let mut tops = Vec::<(usize, Vec<usize>)>::new();
    for (index, part) in batch.parts.iter().enumerate() {
        match (part.within, tops.last_mut()) {
            (Some(_), Some((_, inner))) => inner.push(index),
            _ => tops.push((index, Vec::new())),
        }
    }
    let mut groups = asked.groups.iter();
    let mut next = 0;
    for (top, inner) in &tops {
        let is_set = matches!(batch.parts[*top].content, Content::ChangeSet);
        let told = if is_set {
            &inner[..]
        } else {
            std::slice::from_ref(top)
        };
        let at = match asked.requests.is_some() {
            true => groups.next().cloned(),
            false => Some(next..next + told.len()),
        };
        next += told.len();
        let Some(at) = at else {
            // It answers what was not asked.
            answered.is_whole = false;
            return Some(answered);
        };
        for (nth, index) in told.iter().enumerate() {
            let Content::Request(said) = &batch.parts[*index].content else {
                answered.is_whole = false;
                continue;
            };
            let one = if told.len() == at.len() {
                at.start + nth..at.start + nth + 1
            } else {
                at.clone()
            };
            let is_read = asked.is_read(one.start);
            let part = read(&batch, said, one, headers);
            match part.map(|part| Part { is_read, ..part }) {
                // Only of a failure one answer speaks for a whole change set.
                Some(part)
                    if told.len() == at.len()
                        || (told.len() == 1 && part.did() != Did::Done && !at.is_empty()) =>
                {
                    answered.parts.push(part);
                }
                _ => answered.is_whole = false,
            }
        }
    }
    Some(answered)
}

fn read(
    batch: &Batch<'_>,
    said: &PartRequest,
    at: Range<usize>,
    headers: &HeaderMap,
) -> Option<Part> {
    let status = batch.status(said)?;
    let mut retry = None;
    let body = batch.fields(said.fields.clone(), |name, value| {
        if name.eq_ignore_ascii_case(b"retry-after") {
            retry = batch.text(&value);
        }
    });
    let body = body.map_or(said.fields.end..said.fields.end, |body| {
        body..said.fields.end
    });
    Some(part(at, status, batch.bytes(&body), retry, headers))
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    responses: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    status: u16,
    #[serde(borrow, default)]
    headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// An answer in JSON. `None`: it is none of a batch, or not whole.
pub(super) fn json(asked: &Asked, body: &[u8]) -> Option<Answered> {
    let document: Document<'_> = serde_json::from_slice(body).ok()?;
    let mut answered = Answered {
        parts: Vec::new(),
        is_whole: document.responses.len() <= MOST_PARTS,
        is_in_order: false,
        undone: Vec::new(),
    };
    let mut seen = HashSet::new();
    for (nth, raw) in document.responses.into_iter().take(MOST_PARTS).enumerate() {
        let Some((id, part)) = response(raw, nth) else {
            answered.is_whole = false;
            continue;
        };
        let index = match &asked.requests {
            None => Some(nth),
            Some(requests) => position(requests, &id, nth),
        };
        match index.filter(|index| seen.insert(*index)) {
            Some(index) => answered.parts.push(Part {
                at: index..index + 1,
                is_read: asked.is_read(index),
                ..part
            }),
            None => answered.is_whole = false,
        }
    }
    if let Some(requests) = &asked.requests {
        undo(requests, &mut answered);
    }
    Some(answered)
}

fn response(raw: &RawValue, nth: usize) -> Option<(String, Part)> {
    let said: Response<'_> = serde_json::from_str(raw.get()).ok()?;
    let id = serde_json::from_str(said.id.get()).unwrap_or_else(|_| said.id.get().to_owned());
    let headers = said.headers.map_or("{}", RawValue::get);
    let headers = serde_json::from_str::<serde_json::Map<_, _>>(headers).unwrap_or_default();
    let retry = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
    let retry = retry.map(|(_, value): (_, &serde_json::Value)| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    });
    let body = said.body.map_or("", RawValue::get).as_bytes();
    let none = HeaderMap::new();
    (100..=999).contains(&said.status).then(|| {
        (
            id,
            part(nth..nth + 1, said.status, body, retry.as_deref(), &none),
        )
    })
}

/// The request with this id. They mostly come in the order in which they were asked.
fn position(requests: &[Inside], id: &str, guess: usize) -> Option<usize> {
    let is_it = |request: &Inside| request.id.as_deref() == Some(id);
    if requests.get(guess).is_some_and(is_it) {
        return Some(guess);
    }
    requests.iter().position(is_it)
}

/// What has failed in a group has undone the group.
fn undo(requests: &[Inside], answered: &mut Answered) {
    let group = |index: usize| requests[index].group.as_deref();
    let mut groups = HashMap::<&str, (Option<usize>, bool)>::new();
    for (nth, part) in answered.parts.iter().enumerate() {
        if let Some(name) = group(part.at.start) {
            let (refused, is_mixed) = groups.entry(name).or_default();
            match part.did() {
                Did::Refused => *refused = Some(nth),
                Did::Done | Did::Unclear => *is_mixed = true,
            }
        }
    }
    let mut said = vec![false; requests.len()];
    for part in &answered.parts {
        said[part.at.start] = true;
    }
    for (name, (refused, is_mixed)) in groups {
        if refused.is_none() {
            continue;
        }
        if is_mixed {
            answered.is_whole = false;
            continue;
        }
        answered.undone.extend(
            (0..requests.len()).filter(|index| !said[*index] && group(*index) == Some(name)),
        );
    }
}
