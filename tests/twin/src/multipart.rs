//! `multipart/mixed` (RFC 2046, 5.1) as OData's batches use it: parts that are whole in memory.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

/// One part.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Part {
    /// The boundary of the parts within, where it is a `multipart/mixed` of its own.
    pub(crate) fn boundary(&self) -> Option<String> {
        boundary(&self.headers)
    }
}

/// The boundary that a `multipart/mixed` names.
pub(crate) fn boundary(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = value.split(';').next().unwrap_or_default();
    let is_mixed = kind.trim().eq_ignore_ascii_case("multipart/mixed");
    is_mixed.then(|| parameter(value, "boundary"))?
}

/// A parameter of a `Content-Type`, with or without quotes.
pub(crate) fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let fits = key.trim().eq_ignore_ascii_case(name);
        fits.then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The parts of a body; the error says what is wrong.
pub(crate) fn parts(body: &Bytes, boundary: &str) -> Result<Vec<Part>, String> {
    let delimiter = format!("--{boundary}");
    let mut found = Vec::new();
    let mut start = None;
    let mut position = 0;
    while position <= body.len() {
        let line_end = find(&body[position..], b"\r\n").map(|end| position + end);
        let line = &body[position..line_end.unwrap_or(body.len())];
        let next = line_end.map_or(body.len() + 1, |end| end + 2);
        if let Some(rest) = line.strip_prefix(delimiter.as_bytes()) {
            let rest = rest.trim_ascii_end();
            if rest.is_empty() || rest == b"--" {
                if let Some(start) = start {
                    // The line end before a delimiter belongs to the delimiter.
                    let end = position.saturating_sub(2).max(start);
                    found.push(part(body.slice(start..end))?);
                }
                if rest == b"--" {
                    return Ok(found);
                }
                start = Some(next.min(body.len()));
            }
        }
        position = next;
    }
    Err(format!("the body does not end with `--{boundary}--`"))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

fn part(bytes: Bytes) -> Result<Part, String> {
    let (headers, length) = headers(&bytes)?;
    Ok(Part {
        headers,
        body: bytes.slice(length..),
    })
}

/// The headers that `bytes` begin with, and their length with the empty line.
fn headers(bytes: &[u8]) -> Result<(HeaderMap, usize), String> {
    let mut space = [httparse::EMPTY_HEADER; 32];
    match httparse::parse_headers(bytes, &mut space) {
        Ok(httparse::Status::Complete((length, read))) => Ok((header_map(read)?, length)),
        Ok(httparse::Status::Partial) => Err("a part has no empty line after its headers".into()),
        Err(error) => Err(format!("the headers of a part: {error}")),
    }
}

/// httparse's headers as the `http` crate's.
pub(crate) fn header_map(read: &[httparse::Header<'_>]) -> Result<HeaderMap, String> {
    let pairs = read.iter().map(|header| {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(header.value).ok()?))
    });
    pairs
        .collect::<Option<HeaderMap>>()
        .ok_or_else(|| "a header that is none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(text: &str) -> Result<Vec<String>, String> {
        let found = parts(&Bytes::copy_from_slice(text.as_bytes()), "b")?;
        let body = |part: &Part| String::from_utf8(part.body.to_vec()).unwrap();
        Ok(found.iter().map(body).collect())
    }

    #[test]
    fn parts_lie_between_delimiters() {
        let text =
            "preamble\r\n--b\r\nA: 1\r\n\r\none\r\nand\r\n--b \r\n\r\n--bb\r\n--b--\r\nepilogue";
        assert_eq!(bodies(text).unwrap(), ["one\r\nand", "--bb"]);
        assert_eq!(bodies("--b\r\n\r\n\r\n--b--").unwrap(), [""]);
        assert_eq!(bodies("--b--").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_multipart_is_an_error() {
        for (text, word) in [
            ("", "does not end"),
            ("--b\r\n\r\nx", "does not end"),
            ("--b\r\nA: 1\r\n--b--", "empty line"),
            ("--b\r\nA 1\r\n\r\n\r\n--b--", "headers"),
        ] {
            let error = bodies(text).unwrap_err();
            assert!(error.contains(word), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_boundary_may_be_quoted() {
        let named = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            boundary(&headers)
        };
        assert_eq!(
            named("multipart/mixed; boundary=\"b 1\"").as_deref(),
            Some("b 1")
        );
        assert_eq!(named("Multipart/Mixed;Boundary=b").as_deref(), Some("b"));
        assert_eq!(named("multipart/form-data; boundary=b"), None);
        assert_eq!(named("multipart/mixed"), None);
    }
}
