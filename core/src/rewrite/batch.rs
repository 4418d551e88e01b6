//! `$batch` bodies (OData 4.0 part 1, 11.7; RFC 2046, 5.1): the requests inside name the endpoint
//! in their request lines and Host headers.

use std::ops::Range;

use memchr::{memchr, memmem};

use super::Splice;
use crate::{Organization, Role};

/// A batch holds change sets, and those hold requests. One more, for who nests them all the same.
const DEEPEST: usize = 3;

/// What is to be replaced so that a batch names the endpoint `role`.
pub(super) fn splices(
    organization: &Organization,
    role: Role,
    content_type: &str,
    body: &[u8],
) -> Vec<Splice> {
    let mut batch = Batch {
        organization,
        role,
        body,
        splices: Vec::new(),
    };
    if let Some(boundary) = boundary(content_type) {
        batch.multipart(0..body.len(), &boundary, 1);
    }
    batch.splices
}

struct Batch<'a> {
    organization: &'a Organization,
    role: Role,
    body: &'a [u8],
    splices: Vec<Splice>,
}

/// The headers of a part, as far as they matter. The ranges are of the body.
#[derive(Default)]
struct PartHeaders {
    content_type: Option<Range<usize>>,
    /// Header Content-Length of MIME, which HTTP's own examples of batches carry.
    lengths: Vec<Range<usize>>,
    is_encoded: bool,
}

impl Batch<'_> {
    /// Returns by how much the range grows.
    fn multipart(&mut self, range: Range<usize>, boundary: &str, depth: usize) -> isize {
        let delimiter = format!("--{boundary}");
        let finder = memmem::Finder::new(delimiter.as_bytes());
        let mut growth = 0;
        let mut part = None::<usize>;
        let mut from = range.start;
        while let Some(found) = finder.find(&self.body[from..range.end]) {
            let start = from + found;
            from = start + delimiter.len();
            let Some((next, is_last)) = self.delimiter_end(start, from, &range) else {
                continue;
            };
            if let Some(part) = part {
                // The line break before a delimiter is the delimiter's.
                growth += self.part(part..self.without_line_break(part, start), depth);
            }
            if is_last {
                return growth;
            }
            part = Some(next);
            from = next;
        }
        // A batch that is not closed: its reader may take the last part all the same.
        if let Some(part) = part {
            growth += self.part(part..range.end, depth);
        }
        growth
    }

    /// Where the line of a delimiter ends, and whether it is the closing one. `None`: it is none.
    fn delimiter_end(
        &self,
        start: usize,
        after: usize,
        range: &Range<usize>,
    ) -> Option<(usize, bool)> {
        if start > range.start && self.body[start - 1] != b'\n' {
            return None;
        }
        let line = self.line(after, range.end);
        let rest = &self.body[line.clone()];
        let is_last = rest.starts_with(b"--");
        let padding = if is_last { &rest[2..] } else { rest };
        padding
            .iter()
            .all(|byte| matches!(byte, b' ' | b'\t'))
            .then(|| (self.after_line(&line, range.end), is_last))
    }

    fn part(&mut self, range: Range<usize>, depth: usize) -> isize {
        let mut headers = PartHeaders::default();
        let Some(content) = self.fields(range.clone(), |batch, name, value| {
            if name.eq_ignore_ascii_case(b"content-type") {
                headers.content_type = Some(value);
            } else if name.eq_ignore_ascii_case(b"content-length") {
                headers.lengths.push(value);
            } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
                let identity: [&[u8]; 3] = [b"binary", b"8bit", b"7bit"];
                let encoding = &batch.body[value];
                headers.is_encoded = !identity
                    .iter()
                    .any(|identity| encoding.eq_ignore_ascii_case(identity));
            }
        }) else {
            return 0;
        };
        let content_type = headers
            .content_type
            .and_then(|value| std::str::from_utf8(&self.body[value]).ok());
        let (Some(content_type), false) = (content_type, headers.is_encoded) else {
            return 0;
        };
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let content = content..range.end;
        let growth = if media_type.eq_ignore_ascii_case("application/http") {
            self.request(content)
        } else if media_type.eq_ignore_ascii_case("multipart/mixed") && depth < DEEPEST {
            boundary(content_type)
                .map_or(0, |boundary| self.multipart(content, &boundary, depth + 1))
        } else {
            0
        };
        if growth != 0 {
            for at in headers.lengths {
                let length: Option<usize> = std::str::from_utf8(&self.body[at.clone()])
                    .ok()
                    .and_then(|text| text.parse().ok());
                if let Some(length) = length.and_then(|length| length.checked_add_signed(growth)) {
                    self.replace(at, length.to_string());
                }
            }
        }
        growth
    }

    /// An HTTP request: its line and its headers.
    fn request(&mut self, range: Range<usize>) -> isize {
        let mut growth = 0;
        let mut line = self.line(range.start, range.end);
        // RFC 9112, 2.2: empty lines before the request line do not count.
        while line.is_empty() && line.end < range.end {
            let next = self.after_line(&line, range.end);
            line = self.line(next, range.end);
        }
        if let Some(target) = self.target(line.clone())
            && let Ok(text) = std::str::from_utf8(&self.body[target.clone()])
            && let Some(rebase) = self.organization.rebase(text, self.role)
        {
            let at = target.start..target.start + rebase.replaced;
            growth += self.replace(at, rebase.by);
        }
        let mut hosts = Vec::new();
        let headers = self.after_line(&line, range.end)..range.end;
        self.fields(headers, |_, name, value| {
            if name.eq_ignore_ascii_case(b"host") {
                hosts.push(value);
            }
        });
        for at in hosts {
            if let Ok(host) = std::str::from_utf8(&self.body[at.clone()])
                && let Some(host) = self.organization.rebase_host(host, self.role)
            {
                growth += self.replace(at, host);
            }
        }
        growth
    }

    /// The request target between method and version. Sloppy writers leave spaces in it.
    fn target(&self, line: Range<usize>) -> Option<Range<usize>> {
        let bytes = &self.body[line.clone()];
        let method = memchr(b' ', bytes)?;
        let version = memmem::rfind(bytes, b" HTTP/").filter(|version| *version > method);
        let end = line.start + version.unwrap_or(bytes.len());
        Some(self.trimmed(line.start + method..end))
    }

    /// Tells of each header until the empty line, and returns where that ends. `None`: there is
    /// no empty line.
    fn fields(
        &self,
        range: Range<usize>,
        mut tell: impl FnMut(&Self, &[u8], Range<usize>),
    ) -> Option<usize> {
        let mut from = range.start;
        while from < range.end {
            let mut line = self.line(from, range.end);
            from = self.after_line(&line, range.end);
            if line.is_empty() {
                return Some(from);
            }
            // RFC 5322, 2.2.3: a line that begins with space goes on with the one before.
            while from < range.end && matches!(self.body[from], b' ' | b'\t') {
                line.end = self.line(from, range.end).end;
                from = self.after_line(&line, range.end);
            }
            if let Some(colon) = memchr(b':', &self.body[line.clone()]) {
                let colon = line.start + colon;
                let name = self.trimmed(line.start..colon);
                tell(self, &self.body[name], self.trimmed(colon + 1..line.end));
            }
        }
        None
    }

    /// The line from there, without its line break.
    fn line(&self, from: usize, end: usize) -> Range<usize> {
        let line_end = memchr(b'\n', &self.body[from..end]).map_or(end, |at| from + at);
        from..if line_end < end && line_end > from && self.body[line_end - 1] == b'\r' {
            line_end - 1
        } else {
            line_end
        }
    }

    fn after_line(&self, line: &Range<usize>, end: usize) -> usize {
        match self.body[line.end..end] {
            [b'\r', b'\n', ..] => line.end + 2,
            [b'\n', ..] => line.end + 1,
            _ => end,
        }
    }

    fn without_line_break(&self, start: usize, end: usize) -> usize {
        match self.body[start..end] {
            [.., b'\r', b'\n'] => end - 2,
            [.., b'\n'] => end - 1,
            _ => end,
        }
    }

    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let bytes = &self.body[range.clone()];
        let start = range.start + (bytes.len() - bytes.trim_ascii_start().len());
        start..start + bytes.trim_ascii().len()
    }

    fn replace(&mut self, at: Range<usize>, by: String) -> isize {
        let splice = Splice { at, by };
        let growth = splice.growth();
        self.splices.push(splice);
        growth
    }
}

/// The parameter `boundary` of a Content-Type (RFC 2046, 5.1.1).
fn boundary(content_type: &str) -> Option<String> {
    let mut rest = content_type.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        // Parameters without a value stand between the semicolons before.
        let name = name.rsplit(';').next().unwrap_or_default().trim();
        let (value, next) = parameter_value(after.trim_start());
        if name.eq_ignore_ascii_case("boundary") {
            return (!value.is_empty()).then_some(value);
        }
        rest = next;
    }
}

fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary() {
        let table = [
            ("multipart/mixed;boundary=b_1", Some("b_1")),
            ("multipart/mixed; Boundary=b_1 ; charset=utf-8", Some("b_1")),
            (
                "multipart/mixed; charset=utf-8; boundary=\"b 1;=\"",
                Some("b 1;="),
            ),
            (
                r#"multipart/mixed; x="a;boundary=no"; boundary="a\"b""#,
                Some("a\"b"),
            ),
            ("multipart/mixed; flag; boundary=b", Some("b")),
            ("multipart/mixed;\r\n boundary=b", Some("b")),
            ("multipart/mixed; boundary=", None),
            ("multipart/mixed; boundary=\"\"", None),
            ("multipart/mixed; boundary", None),
            ("multipart/mixed", None),
        ];
        for (content_type, expected) in table {
            assert_eq!(
                boundary(content_type).as_deref(),
                expected,
                "{content_type}"
            );
        }
    }
}
