//! The head of an answer over HTTP/1.1, read as generously as its meaning allows: real servers and
//! what stands in front of them fold lines, put spaces before colons, and let control characters
//! into cookies. Where its body ends must be beyond doubt (RFC 9112, 6.3).

use std::fmt;

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, Version};
use memchr::memchr_iter;

use crate::byte_set::ByteSet;

/// How many lines hyper reads at most.
const MOST_PLAIN_LINES: usize = 100;
const CHUNKED: &[u8] = b"chunked";
/// What a name may hold (RFC 9110, 5.6.2).
static TOKEN: ByteSet = ByteSet::alphanumeric_and(b"!#$%&'*+-.^_`|~");

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    StatusLine,
    NoColon,
    Framing(&'static str),
    TooLarge(usize),
    /// Something has come before a request was sent.
    Unasked,
    /// A success before the request's own head had left.
    Early,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeadError::StatusLine => f.write_str("the answer begins with no HTTP/1 status line"),
            HeadError::NoColon => f.write_str("the answer's head has a line without a colon"),
            HeadError::Framing(why) => f.write_str(why),
            HeadError::TooLarge(most) => write!(
                f,
                "the answer's head is larger than {most} bytes (max_response_headers)"
            ),
            HeadError::Unasked => f.write_str("the peer has spoken before it was asked anything"),
            HeadError::Early => {
                f.write_str("the answer says that it is done, and the request has not left yet")
            }
        }
    }
}

impl std::error::Error for HeadError {}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// There is none.
    Empty,
    Length(u64),
    Chunked,
    /// At the connection's end.
    Close,
}

/// A head that was read here.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) parts: Parts,
    framing: Result<Framing, HeadError>,
    /// Whether another answer may follow on the connection.
    keeps: bool,
}

/// Where a head ends, if it does: after its first empty line. Empty lines before it do not count.
/// Looked for from `from` on.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    memchr_iter(b'\n', bytes.get(from..)?).find_map(|at| {
        let after = from + at + 1;
        match bytes.get(after..)? {
            [b'\n', ..] => Some(after + 1),
            [b'\r', b'\n', ..] => Some(after + 2),
            _ => None,
        }
    })
}

/// Whether what has come may be the beginning of a head: who speaks another protocol is not waited
/// for.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    let begin = &b"HTTP/1."[..bytes.len().min(7)];
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    bytes.starts_with(begin)
        && match (lines.next(), lines.next()) {
            (Some(line), Some(_)) => status_line(line.trim_ascii_end()).is_some(),
            _ => true,
        }
}

/// The status of a head that needs no reading here, and hyper takes as it is. `None`: it is to be
/// read here.
pub(super) fn plain(head: &[u8]) -> Option<u16> {
    let status = match head {
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'1',
            b'.',
            b'0' | b'1',
            b' ',
            a @ b'1'..=b'9',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
            b' ' | b'\r',
            ..,
        ] => [a, b, c]
            .iter()
            .fold(0, |sum, digit| sum * 10 + u16::from(**digit - b'0')),
        _ => return None,
    };
    let (mut lines, mut framings, mut start) = (0, 0, 0);
    for at in memchr_iter(b'\n', head) {
        let line = head[start..at].strip_suffix(b"\r")?;
        if has_controls(line) {
            return None;
        }
        start = at + 1;
        lines += 1;
        if lines == 1 || line.is_empty() {
            continue;
        }
        let colon = line.iter().position(|byte| !TOKEN.has(*byte))?;
        if line[colon] != b':' || colon == 0 {
            return None;
        }
        let value = &line[colon + 1..];
        match colon {
            14 if is(&line[..colon], CONTENT_LENGTH.as_str()) => {
                number(value.trim_ascii())?;
                framings += 1;
            }
            17 if is(&line[..colon], TRANSFER_ENCODING.as_str()) => {
                let is_chunked = value.trim_ascii().eq_ignore_ascii_case(CHUNKED);
                if !is_chunked || head[7] == b'0' {
                    return None;
                }
                framings += 1;
            }
            _ => {}
        }
    }
    // What a 204 says of a body was said in error, and one may follow all the same.
    let most_framings = usize::from(status != 204);
    let has_ended = start == head.len();
    (framings <= most_framings && lines <= MOST_PLAIN_LINES && has_ended).then_some(status)
}

impl Head {
    /// Reads a head, whole or broken off. `is_head`: the request was `HEAD`.
    pub(super) fn read(head: &[u8], is_head: bool) -> Result<Head, HeadError> {
        let mut lines = head
            .split_inclusive(|byte| *byte == b'\n')
            .filter_map(|line| line.strip_suffix(b"\n"))
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let (version, status) = lines
            .next()
            .and_then(status_line)
            .ok_or(HeadError::StatusLine)?;
        let mut fields = Fields::default();
        for line in lines {
            match line {
                [] => break,
                [b' ' | b'\t', rest @ ..] => fields.fold(rest),
                line => fields.line(line),
            }
        }
        fields.close();
        let mut parts = Response::new(()).into_parts().0;
        parts.status = status;
        parts.version = version;
        parts.headers = fields.headers;
        let (framing, is_certain) = framing(&parts, is_head);
        let closes = version == Version::HTTP_10 || says_close(&parts.headers);
        Ok(Head {
            framing: match fields.wrong {
                Some(wrong) => Err(wrong),
                None => framing,
            },
            keeps: is_certain && !fields.has_dropped && !closes,
            parts,
        })
    }

    /// The head as hyper needs it: how the body ends, and whether the connection goes on.
    ///
    /// # Errors
    /// When it says nothing certain of its body.
    pub(super) fn for_hyper(&self) -> Result<Vec<u8>, HeadError> {
        let mut text = format!("HTTP/1.1 {} \r\n", self.parts.status.as_u16());
        match self.framing? {
            Framing::Empty | Framing::Close => {}
            Framing::Length(length) => text.push_str(&format!("Content-Length: {length}\r\n")),
            Framing::Chunked => text.push_str("Transfer-Encoding: chunked\r\n"),
        }
        text.push_str(if self.keeps {
            "\r\n"
        } else {
            "Connection: close\r\n\r\n"
        });
        Ok(text.into_bytes())
    }
}

/// The fields of a head, as they are read line by line.
#[derive(Default)]
struct Fields {
    headers: HeaderMap,
    open: Option<(HeaderName, Vec<u8>)>,
    /// A line was left out, which others may read otherwise.
    has_dropped: bool,
    wrong: Option<HeadError>,
}

impl Fields {
    fn line(&mut self, line: &[u8]) {
        self.close();
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            self.wrong = Some(HeadError::NoColon);
            return;
        };
        let name = line[..colon].trim_ascii_end();
        match HeaderName::from_bytes(name) {
            Ok(name) => self.open = Some((name, line[colon + 1..].trim_ascii().to_vec())),
            Err(_) => {
                let letters: Vec<u8> = name
                    .iter()
                    .copied()
                    .filter(|byte| TOKEN.has(*byte))
                    .collect();
                if is(&letters, CONTENT_LENGTH.as_str()) || is(&letters, TRANSFER_ENCODING.as_str())
                {
                    self.wrong = Some(HeadError::Framing(
                        "the answer's head spells the length of its body in no valid way",
                    ));
                }
                self.has_dropped = true;
            }
        }
    }

    /// A line that continues the one before it (RFC 9112, 5.2).
    fn fold(&mut self, line: &[u8]) {
        match &mut self.open {
            Some((_, value)) => {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
            None => self.has_dropped = true,
        }
    }

    fn close(&mut self) {
        let Some((name, mut value)) = self.open.take() else {
            return;
        };
        for byte in &mut value {
            // RFC 9110, 5.5: such a byte is replaced with a space.
            if (*byte < b' ' && *byte != b'\t') || *byte == 0x7F {
                if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
                    self.wrong = Some(HeadError::Framing(
                        "the length of the answer's body holds a control character",
                    ));
                }
                *byte = b' ';
            }
        }
        if let Ok(value) = HeaderValue::from_bytes(value.trim_ascii())
            && self.headers.try_append(name, value).is_err()
        {
            self.wrong = Some(HeadError::Framing(
                "the answer's head has more lines than can be kept",
            ));
        }
    }
}

fn status_line(line: &[u8]) -> Option<(Version, StatusCode)> {
    let (version, rest) = match line.strip_prefix(b"HTTP/1.")? {
        [b'0', rest @ ..] => (Version::HTTP_10, rest),
        [b'1'..=b'9', rest @ ..] => (Version::HTTP_11, rest),
        _ => return None,
    };
    let rest = rest.strip_prefix(b" ")?.trim_ascii_start();
    let (code, reason) = rest.split_at_checked(3)?;
    if !matches!(reason, [] | [b' ' | b'\t', ..]) {
        return None;
    }
    Some((version, StatusCode::from_bytes(code).ok()?))
}

/// Where the body ends, and whether all would read it so.
fn framing(parts: &Parts, is_head: bool) -> (Result<Framing, HeadError>, bool) {
    let coded = parts.headers.contains_key(TRANSFER_ENCODING);
    let codings: Vec<&[u8]> = items(&parts.headers, &TRANSFER_ENCODING)
        // It says nothing; RFC 2616 had it.
        .filter(|coding| !coding.is_empty() && !is(coding, "identity"))
        .collect();
    let mut lengths = items(&parts.headers, &CONTENT_LENGTH).map(number);
    let has_length = parts.headers.contains_key(CONTENT_LENGTH);
    let first = lengths.next().flatten();
    let length = first.filter(|_| lengths.all(|length| length == first));
    let (framing, is_certain) = match (&codings[..], has_length, length) {
        ([], false, _) => (Ok(Framing::Close), true),
        ([], true, Some(length)) => (Ok(Framing::Length(length)), !coded),
        ([], true, None) => (
            Err(HeadError::Framing(
                "the answer names no length, or more than one, for its body",
            )),
            false,
        ),
        // It goes before a length; but whoever wrote both may mean a third thing.
        ([.., last], has_length, _) if is(last, "chunked") => {
            let is_alone = codings.len() == 1 && !has_length;
            (
                Ok(Framing::Chunked),
                is_alone && parts.version != Version::HTTP_10,
            )
        }
        (_, false, _) => (Ok(Framing::Close), false),
        (_, true, _) => (
            Err(HeadError::Framing(
                "the answer's body has a length and a transfer coding that is not known",
            )),
            false,
        ),
    };
    // What it says of a body was said in error, and one may follow all the same.
    if parts.status == StatusCode::NO_CONTENT && !is_head {
        let says_none = matches!(framing, Ok(Framing::Close | Framing::Length(0)));
        return (Ok(Framing::Empty), is_certain && says_none);
    }
    let is_empty =
        is_head || parts.status.is_informational() || parts.status == StatusCode::NOT_MODIFIED;
    if is_empty {
        return (
            Ok(Framing::Empty),
            is_certain || framing == Ok(Framing::Close),
        );
    }
    (framing, is_certain)
}

fn says_close(headers: &HeaderMap) -> bool {
    items(headers, &CONNECTION).any(|item| is(item, "close"))
}

/// The items of all lists of a name.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values.flat_map(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    text.parse().ok()
}

fn is(bytes: &[u8], name: &str) -> bool {
    bytes.eq_ignore_ascii_case(name.as_bytes())
}

/// Whether there is a control character. Eight bytes at a time, which the compiler does not do of itself where it builds
/// for size.
fn has_controls(line: &[u8]) -> bool {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = EACH << 7;
    // What is below a space, or is DEL, borrows from its high bit.
    let has_one = |eight: &[u8; 8]| {
        let text = u64::from_ne_bytes(*eight);
        let from_del = text ^ (EACH * 0x7F);
        let below = text.wrapping_sub(EACH * u64::from(b' ')) & !text;
        let is_del = from_del.wrapping_sub(EACH) & !from_del;
        (below | is_del) & HIGH != 0
    };
    let (eights, rest) = line.as_chunks();
    // The last eight again, some of which were looked at.
    match line.last_chunk() {
        Some(last) => eights.iter().any(has_one) || has_one(last),
        None => rest.iter().any(u8::is_ascii_control),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARTS: [&str; 24] = [
        "HTTP/1.1 200 OK",
        "HTTP/1.0 204 x",
        "HTTP/1.1 304",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        ":",
        ",",
        "\0",
        "\u{1}",
        "é",
        "Content-Length: 5",
        "Content-Length: 7",
        "content-length",
        "Transfer-Encoding: chunked",
        "transfer-encoding:identity",
        "Connection: close",
        "chunked",
        "5",
        "X-A: b",
    ];

    proptest! {
        #[test]
        fn arbitrary_heads_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::read(&bytes, false).map(|head| head.for_hyper());
            let _ = (plain(&bytes), end(&bytes, 0), may_begin(&bytes));
        }

        /// Wherever it stands, and whatever stands before it.
        #[test]
        fn a_control_character_is_seen(bytes in proptest::collection::vec(0..=0x80u8, 0..40)) {
            prop_assert_eq!(has_controls(&bytes), bytes.iter().any(u8::is_ascii_control));
        }

        /// What passes untouched says the same as what is read here, and nothing that is ambiguous.
        #[test]
        fn what_is_plain_is_certain(which in proptest::collection::vec(0..PARTS.len(), 0..12)) {
            let lines: String = which.iter().map(|which| PARTS[*which]).collect();
            let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
            let whole = &text.as_bytes()[..end(text.as_bytes(), 0).unwrap()];
            if let Some(status) = plain(whole) {
                let head = Head::read(whole, false).unwrap();
                prop_assert_eq!(head.parts.status.as_u16(), status);
                prop_assert!(head.for_hyper().is_ok(), "{text:?}");
                let closes = says_close(&head.parts.headers);
                prop_assert_eq!(head.keeps, !closes, "{}", text);
            }
        }

        /// What hyper is told has one meaning.
        #[test]
        fn what_hyper_is_told_is_plain(which in proptest::collection::vec(0..PARTS.len(), 0..12)) {
            let lines: String = which.iter().map(|which| PARTS[*which]).collect();
            let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
            if let Ok(told) = Head::read(text.as_bytes(), false).and_then(|head| head.for_hyper()) {
                prop_assert_eq!(plain(&told), Some(200));
                prop_assert_eq!(end(&told, 0), Some(told.len()));
            }
        }
    }
}
