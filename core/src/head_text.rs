//! The head of an answer as it came over HTTP/1.1: what a map of headers does not keep of it.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The status line and the lines after it. Empty over HTTP/2, which has neither.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadText(pub(crate) Bytes);

/// A header's value as text: UTF-8, or else Latin-1, which HTTP once meant.
#[must_use]
pub fn readable(value: &[u8]) -> String {
    match str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().map(|&byte| char::from(byte)).collect(),
    }
}

impl HeadText {
    /// What stands after the status, unless that is nothing.
    pub(crate) fn reason(&self) -> Option<&[u8]> {
        let line = self.0.split(|byte| *byte == b'\n').next()?;
        let after_version = &line[line.iter().position(|byte| *byte == b' ')?..];
        let reason = after_version.trim_ascii().get(3..)?.trim_ascii();
        (!reason.is_empty()).then_some(reason)
    }

    /// The names of the fields, as they are spelled.
    fn names(&self) -> impl Iterator<Item = &str> {
        let lines = self.0.split(|byte| *byte == b'\n').skip(1);
        lines.filter_map(|line| {
            let is_folded = line.first().is_some_and(u8::is_ascii_whitespace);
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = str::from_utf8(line[..colon].trim_ascii_end()).ok()?;
            (!is_folded).then_some(name)
        })
    }

    /// Each of the headers once, in the order in which they came, under its name as it came. What
    /// was taken off the message is left out, and what is not in the text comes last.
    pub(crate) fn spell<'a>(&'a self, headers: &'a HeaderMap) -> Vec<(&'a str, &'a HeaderValue)> {
        let mut spelled = Vec::with_capacity(headers.len());
        let mut values = HashMap::with_capacity(headers.keys_len());
        for name in self.names() {
            let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else {
                continue;
            };
            let values = values
                .entry(known)
                .or_insert_with_key(|known| headers.get_all(known).iter());
            spelled.extend(values.next().map(|value| (name, value)));
        }
        for name in headers.keys() {
            let values = values.remove(name);
            let values = values.unwrap_or_else(|| headers.get_all(name).iter());
            spelled.extend(values.map(|value| (name.as_str(), value)));
        }
        spelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> HeadText {
        HeadText(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_value_is_utf8_or_latin1() {
        assert_eq!(readable("grün".as_bytes()), "grün");
        assert_eq!(readable(b"gr\xfcn"), "grün");
    }

    #[test]
    fn the_reason() {
        for (head, expected) in [
            ("HTTP/1.1 404 Not Found\r\n\r\n", Some("Not Found")),
            ("HTTP/1.1 404 Not Found\n\n", Some("Not Found")),
            ("HTTP/1.1  404\t Not  Found \r\n\r\n", Some("Not  Found")),
            ("HTTP/1.1 404 \r\n\r\n", None),
            ("HTTP/1.1 404\r\n\r\n", None),
            ("HTTP/1.1 4", None),
            ("HTTP/1.1", None),
            ("", None),
        ] {
            let text = text(head);
            assert_eq!(text.reason(), expected.map(str::as_bytes), "{head:?}");
        }
    }

    #[test]
    fn names_are_spelled_and_ordered_as_they_came() {
        let headers: HeaderMap = [("a", "1"), ("b", "3"), ("c", "4"), ("d", "5")]
            .into_iter()
            .chain([("a", "2")])
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, HeaderValue::from_static(value));
                headers
            });
        for (head, expected) in [
            (
                "HTTP/1.1 200 OK\r\nB: 3\r\nA: 1\r\nd : 5\r\nC: 4\r\n folded: x\r\na: 2\r\n\r\n",
                "B=3 A=1 d=5 C=4 a=2",
            ),
            // Of what was taken off nothing is said.
            (
                "HTTP/1.1 200 OK\r\nX: 9\r\nA: 1\r\nA: 2\r\nA: 7\r\nno colon\r\nB\u{e9}: 1\r\n: 2\r\n",
                "A=1 A=2 b=3 c=4 d=5",
            ),
            ("", "a=1 a=2 b=3 c=4 d=5"),
        ] {
            let text = text(head);
            let spelled: Vec<String> = text
                .spell(&headers)
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect();
            assert_eq!(spelled.join(" "), expected, "{head:?}");
        }
    }
}
