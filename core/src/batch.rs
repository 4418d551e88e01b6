//! Reads `$batch` bodies (OData 4.0 part 1, 11.7; RFC 2046, 5.1): where the requests inside stand.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::content_type::{media_type, parameter};

/// A batch holds change sets, and those hold requests. One more, for who nests them all the same.
const DEEPEST: usize = 3;

/// The body of a `$batch`, read. All ranges are of the body.
pub(crate) struct Batch<'a> {
    body: &'a [u8],
    /// In the order of the body; a change set stands before its parts.
    pub(crate) parts: Vec<Part>,
    /// It ends with its closing delimiter, and so does each change set.
    pub(crate) is_closed: bool,
    /// No more parts are read.
    most: usize,
}

/// A part of a batch, or of a change set.
pub(crate) struct Part {
    /// The index of the change set that it stands in.
    pub(crate) within: Option<usize>,
    /// The values of MIME's Content-Length, which HTTP's own examples of batches carry.
    pub(crate) lengths: Vec<Range<usize>>,
    pub(crate) content: Content,
}

/// What a part holds.
pub(crate) enum Content {
    /// A request.
    Request(PartRequest),
    /// More parts.
    ChangeSet,
    /// What is not read: encoded, of another type, nested too deep, or cut before its content.
    Other,
}

/// A request inside of a batch.
pub(crate) struct PartRequest {
    pub(crate) method: Range<usize>,
    pub(crate) target: Range<usize>,
    /// Its header fields, for [`Batch::fields`], and what comes after them.
    pub(crate) fields: Range<usize>,
}

/// The headers of a part, as far as they matter.
#[derive(Default)]
struct PartHeaders {
    content_type: Option<Range<usize>>,
    lengths: Vec<Range<usize>>,
    is_encoded: bool,
}

impl<'a> Batch<'a> {
    /// Reads a body. Without parts: it is no batch.
    pub(crate) fn read(content_type: &str, body: &'a [u8]) -> Batch<'a> {
        Batch::read_some(content_type, body, usize::MAX)
    }

    /// Reads so many parts of a body. One that has more is not closed.
    pub(crate) fn read_some(content_type: &str, body: &'a [u8], most: usize) -> Batch<'a> {
        let mut batch = Batch {
            body,
            parts: Vec::new(),
            is_closed: true,
            most,
        };
        if media_type(content_type).eq_ignore_ascii_case("multipart/mixed")
            && let Some(boundary) = parameter(content_type, "boundary")
        {
            batch.multipart(0..body.len(), &boundary, None, 1);
        } else {
            batch.is_closed = false;
        }
        batch
    }

    pub(crate) fn bytes(&self, range: &Range<usize>) -> &'a [u8] {
        &self.body[range.clone()]
    }

    pub(crate) fn text(&self, range: &Range<usize>) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(range)).ok()
    }

    fn multipart(
        &mut self,
        range: Range<usize>,
        boundary: &str,
        within: Option<usize>,
        depth: usize,
    ) {
        let delimiter = format!("--{boundary}");
        let finder = memmem::Finder::new(delimiter.as_bytes());
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
                let end = self.without_line_break(part, start);
                self.part(part..end, within, depth);
            }
            if is_last {
                return;
            }
            if self.parts.len() >= self.most {
                self.is_closed = false;
                return;
            }
            part = Some(next);
            from = next;
        }
        self.is_closed = false;
        // A batch that is not closed: its reader may take the last part all the same.
        if let Some(part) = part {
            self.part(part..range.end, within, depth);
        }
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

    fn part(&mut self, range: Range<usize>, within: Option<usize>, depth: usize) {
        let mut headers = PartHeaders::default();
        let body = self.body;
        let content = self.fields(range.clone(), |name, value| {
            if name.eq_ignore_ascii_case(b"content-type") {
                headers.content_type = Some(value);
            } else if name.eq_ignore_ascii_case(b"content-length") {
                headers.lengths.push(value);
            } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
                let identity: [&[u8]; 3] = [b"binary", b"8bit", b"7bit"];
                let encoding = &body[value];
                headers.is_encoded = !identity
                    .iter()
                    .any(|identity| encoding.eq_ignore_ascii_case(identity));
            }
        });
        let content_type = headers
            .content_type
            .filter(|_| !headers.is_encoded)
            .and_then(|value| self.text(&value));
        let index = self.parts.len();
        self.parts.push(Part {
            within,
            lengths: headers.lengths,
            content: Content::Other,
        });
        let (Some(content), Some(content_type)) = (content, content_type) else {
            return;
        };
        let content = content..range.end;
        let media_type = media_type(content_type);
        if media_type.eq_ignore_ascii_case("application/http") {
            if let Some(request) = self.request(content) {
                self.parts[index].content = Content::Request(request);
            }
        } else if media_type.eq_ignore_ascii_case("multipart/mixed")
            && depth < DEEPEST
            && let Some(boundary) = parameter(content_type, "boundary")
        {
            self.parts[index].content = Content::ChangeSet;
            self.multipart(content, &boundary, Some(index), depth + 1);
        }
    }

    /// An HTTP request: its line and its headers. `None`: the line is no request's.
    fn request(&self, range: Range<usize>) -> Option<PartRequest> {
        let mut line = self.line(range.start, range.end);
        // RFC 9112, 2.2: empty lines before the request line do not count.
        while line.is_empty() && line.end < range.end {
            let next = self.after_line(&line, range.end);
            line = self.line(next, range.end);
        }
        let bytes = &self.body[line.clone()];
        let method = memchr(b' ', bytes)?;
        // Sloppy writers leave spaces in the target.
        let version = memmem::rfind(bytes, b" HTTP/").filter(|version| *version > method);
        let end = line.start + version.unwrap_or(bytes.len());
        Some(PartRequest {
            method: line.start..line.start + method,
            target: self.trimmed(line.start + method..end),
            fields: self.after_line(&line, range.end)..range.end,
        })
    }

    /// The status of an answer inside of a batch, whose line is read as a request's. `None`: it is
    /// no answer.
    pub(crate) fn status(&self, answer: &PartRequest) -> Option<u16> {
        if !self.bytes(&answer.method).starts_with(b"HTTP/") {
            return None;
        }
        let (status, rest) = self.bytes(&answer.target).split_first_chunk::<3>()?;
        let is_number = status.iter().all(u8::is_ascii_digit);
        let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
        let status = std::str::from_utf8(status).ok()?.parse().ok()?;
        (is_number && ends && status >= 100).then_some(status)
    }

    /// Tells of each header until the empty line, and returns where that ends. `None`: there is
    /// no empty line.
    pub(crate) fn fields(
        &self,
        range: Range<usize>,
        mut tell: impl FnMut(&[u8], Range<usize>),
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
                tell(&self.body[name], self.trimmed(colon + 1..line.end));
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
}
