//! What a request that holds several asks for.

use std::ops::Range;

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName};

use crate::batch::{Batch, Content, Part};
use crate::content_type;
use crate::execute_multiple;
use crate::json_batch::{self, JsonBatch};
use crate::operation::Operation;
use crate::operation::batch::{of_json, of_part};
use crate::operation::soap::is_read;
use crate::operation::web_api;
use crate::soap_request::text;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What a request asks for, as far as its answer needs it.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The requests inside, those of change sets one by one. `None`: they cannot be read.
    pub(super) requests: Option<Vec<Inside>>,
    /// Which of them stand together: change sets, and single ones. Of a multipart batch.
    pub(super) groups: Vec<Range<usize>>,
    /// After one that fails the others are executed.
    pub(super) goes_on: bool,
    /// What was done is not told.
    pub(super) is_silent: bool,
    /// All or nothing: one change set, or a transaction.
    pub(crate) is_atomic: bool,
}

#[derive(Debug, Default)]
pub(super) struct Inside {
    pub(super) is_read: bool,
    pub(super) id: Option<String>,
    /// JSON's atomicityGroup.
    pub(super) group: Option<String>,
}

impl Asked {
    /// Reads a request. `body` is `None` when it is read while it is sent.
    pub(crate) fn of(url: &str, headers: &HeaderMap, body: Option<&[u8]>) -> Asked {
        if !web_api::is_batch(web_api::path(url)) {
            return Asked::of_soap(headers, body);
        }
        let mut asked = Asked {
            goes_on: goes_on(headers),
            ..Asked::default()
        };
        let body = body.filter(|_| !headers.contains_key(CONTENT_ENCODING));
        let (Some(body), Some(content_type)) = (body, content_type::of(headers)) else {
            return asked;
        };
        if json_batch::is_json(content_type) {
            asked.requests = JsonBatch::read(content_type, body).map(|batch| {
                let mut groups = batch
                    .requests
                    .iter()
                    .map(|request| request.group.as_deref());
                let first = groups.next().flatten();
                asked.is_atomic = first.is_some() && groups.all(|group| group == first);
                let requests = batch.requests.into_iter();
                let inside = requests.map(|request| Inside {
                    is_read: of_json(&request) == Operation::Read,
                    id: request.id,
                    group: request.group,
                });
                inside.collect()
            });
        } else {
            asked.read_multipart(&Batch::read(content_type, body));
        }
        asked
    }

    fn of_soap(headers: &HeaderMap, body: Option<&[u8]>) -> Asked {
        let text = body.and_then(|body| text(headers, body, usize::MAX));
        let Some(multiple) = text.and_then(|(_, text)| execute_multiple::read(text)) else {
            return Asked {
                is_silent: true,
                ..Asked::default()
            };
        };
        let names = multiple.messages.iter();
        let inside = names.map(|name| Inside {
            is_read: is_read(name.as_deref()),
            ..Inside::default()
        });
        Asked {
            requests: Some(inside.collect()),
            groups: Vec::new(),
            goes_on: multiple.goes_on,
            // A transaction that is no fault was done.
            is_silent: !multiple.tells_all || multiple.is_transaction,
            is_atomic: multiple.is_transaction,
        }
    }

    /// Whether a request inside is known to change nothing.
    pub(super) fn is_read(&self, index: usize) -> bool {
        let requests = self.requests.as_deref().unwrap_or_default();
        requests.get(index).is_some_and(|request| request.is_read)
    }

    fn read_multipart(&mut self, batch: &Batch<'_>) {
        let inside = |part: &Part| match &part.content {
            Content::Request(request) => Some(Inside {
                is_read: of_part(batch, request) == Operation::Read,
                ..Inside::default()
            }),
            Content::ChangeSet | Content::Other => None,
        };
        let mut requests = Vec::new();
        for part in &batch.parts {
            let start = requests.len();
            match (&part.content, part.within) {
                (Content::ChangeSet, None) => self.groups.push(start..start),
                (_, within) => {
                    let Some(inside) = inside(part) else { return };
                    requests.push(inside);
                    match self.groups.last_mut() {
                        Some(group) if within.is_some() => group.end += 1,
                        _ => self.groups.push(start..start + 1),
                    }
                }
            }
        }
        if !batch.parts.is_empty() {
            let is_set = |part: &Part| matches!(part.content, Content::ChangeSet);
            self.is_atomic = self.groups.len() == 1 && batch.parts.iter().any(is_set);
            self.requests = Some(requests);
        }
    }
}

/// Whether the batch asks the service to go on after a part that fails.
fn goes_on(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PREFER).into_iter();
    let preferences = values.filter_map(|value| value.to_str().ok());
    let mut preferences = preferences.flat_map(|value| value.split([',', ';']));
    preferences.any(|preference| {
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        let name = name.trim().to_ascii_lowercase();
        let is_off = value.trim().trim_matches('"').eq_ignore_ascii_case("false");
        name.strip_prefix("odata.").unwrap_or(&name) == "continue-on-error" && !is_off
    })
}
