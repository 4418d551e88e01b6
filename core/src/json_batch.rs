//! Reads `$batch` bodies in JSON (OData JSON Format 4.01, 19): the requests inside, and where they
//! stand.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::content_type::media_type;

/// The requests of a batch, in the order of the body. All ranges are of the body.
pub(crate) struct JsonBatch {
    pub(crate) requests: Vec<JsonRequest>,
}

/// A request inside of a batch.
pub(crate) struct JsonRequest {
    pub(crate) id: Option<String>,
    /// In upper case: JSON's are of any case.
    pub(crate) method: String,
    pub(crate) url: String,
    /// The url with its quotes.
    pub(crate) url_at: Range<usize>,
    /// Requests of one group are executed together or not at all.
    pub(crate) group: Option<String>,
    /// Header fields: a value that is no text is empty.
    pub(crate) headers: Vec<(String, String, Range<usize>)>,
    /// Where the headers stand: an object, or `null`.
    pub(crate) headers_at: Option<Range<usize>>,
    /// Where the request's object stands.
    pub(crate) at: Range<usize>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    requests: Vec<&'a RawValue>,
}

/// The members of an object, in their order; one that stands twice stands twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// Whether a body of this type is JSON.
pub(crate) fn is_json(content_type: &str) -> bool {
    media_type(content_type).eq_ignore_ascii_case("application/json")
}

impl JsonBatch {
    /// Reads a body. `None`: it is none, or says something that its reader may take otherwise.
    pub(crate) fn read(content_type: &str, body: &[u8]) -> Option<JsonBatch> {
        if !is_json(content_type) {
            return None;
        }
        let text = std::str::from_utf8(body).ok()?;
        let document: Document<'_> = serde_json::from_str(text).ok()?;
        let place = |raw: &RawValue| {
            let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            start..start + raw.get().len()
        };
        let requests = document.requests.into_iter();
        let requests = requests.map(|raw| JsonRequest::read(raw, &place));
        Some(JsonBatch {
            requests: requests.collect::<Option<_>>()?,
        })
    }
}

impl JsonRequest {
    fn read(raw: &RawValue, place: &impl Fn(&RawValue) -> Range<usize>) -> Option<JsonRequest> {
        let Members(members) = serde_json::from_str(raw.get()).ok()?;
        let mut named = [None; 5];
        for (name, value) in members {
            let names = ["id", "method", "url", "atomicityGroup", "headers"];
            let Some(index) = names.iter().position(|known| *known == name) else {
                continue;
            };
            // Which of two is taken is its reader's affair.
            if named[index].replace(value).is_some() {
                return None;
            }
        }
        let [id, method, url, group, headers] = named;
        let fields = match headers.filter(|raw| raw.get() != "null") {
            None => Members(Vec::new()),
            Some(raw) => serde_json::from_str(raw.get()).ok()?,
        };
        let field = |(name, value): (String, &RawValue)| {
            (name, text(value).unwrap_or_default(), place(value))
        };
        Some(JsonRequest {
            id: id.map(|raw| text(raw).unwrap_or_else(|| raw.get().to_owned())),
            method: text(method?)?.to_ascii_uppercase(),
            url: text(url?)?,
            url_at: place(url?),
            group: group.map(|raw| raw.get().to_owned()),
            headers: fields.0.into_iter().map(field).collect(),
            headers_at: headers.map(place),
            at: place(raw),
        })
    }

    /// The values of a header.
    pub(crate) fn values<'s>(&'s self, header: &str) -> impl Iterator<Item = &'s [u8]> {
        let named = |(name, _, _): &&(String, String, Range<usize>)| {
            name.trim().eq_ignore_ascii_case(header)
        };
        let fields = self.headers.iter().filter(named);
        fields.map(|(_, value, _)| value.as_bytes())
    }
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}
