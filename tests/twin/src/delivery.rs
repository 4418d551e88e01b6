//! Answers whose sending is disturbed: what is written, in which steps, and what ends it.

use std::io;
use std::iter;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::content::{Answer, Content};
use crate::plan::{GoAway, Hold};
use crate::socket::Wire;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a FIN; with or without TLS's goodbye before it.
    Close { close_notify: bool },
    /// With an RST.
    Reset,
}

/// What disturbs the sending of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// All of it, then the end.
    Whole { end: End },
    /// All of it, after an interim answer.
    Informational { status: u16, headers: HeaderMap },
    /// All of it, in chunks, and headers after it.
    Trailers { headers: HeaderMap },
    /// That many bytes of the head, half of it by default, then the end.
    CutHead { bytes: Option<u64>, end: End },
    /// Head and half of the body, then the end.
    CutBody { end: End },
    /// Head and half of the body, then nothing for a while.
    StallBody { hold: Hold },
    /// The whole body under a length that is not its own, then the end.
    WrongLength { by: i64, end: End },
    /// On HTTP/2: head and half of the body, then a reset of the stream.
    CutStream { code: u32 },
    /// On HTTP/2: all of it, after a GOAWAY.
    AfterGoAway(GoAway),
    /// Pieces with pauses between them.
    Drip { bytes: usize, every: Duration },
}

impl Manner {
    /// The `Content-Length` that is claimed for the body.
    pub(crate) fn length(&self, content: &Content) -> u64 {
        match self {
            Manner::WrongLength { by, .. } if !content.is_empty() => {
                content.length().saturating_add_signed(*by)
            }
            _ => content.length(),
        }
    }

    /// Whether HTTP/1.1 sends the body in chunks.
    fn is_chunked(&self, content: &Content) -> bool {
        let is_trailed = matches!(self, Manner::Trailers { .. }) && !content.is_empty();
        is_trailed || content.is_chunked()
    }
}

/// An answer, what disturbs its sending, and what releases it.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) answer: Answer,
    pub(crate) manner: Manner,
    /// Closed when the fault is cleared.
    pub(crate) released: watch::Receiver<()>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Write(Bytes),
    /// Of the body.
    Send(Range<u64>),
    Hold(Hold),
}

/// An answer as the bytes that HTTP/1.1 makes of it, in steps.
pub(crate) struct Script {
    content: Content,
    chunked: bool,
    steps: Box<dyn Iterator<Item = Step> + Send>,
    /// How many bytes have left when the status line has.
    status_line: usize,
    /// None: the connection lives on.
    pub(crate) end: Option<End>,
}

impl Script {
    pub(crate) fn of(answer: &Answer, manner: &Manner) -> Script {
        let content = answer.body().clone();
        let chunked = manner.is_chunked(&content);
        let length = (!chunked).then(|| manner.length(&content));
        let head = head(answer, length);
        let (steps, end) = steps(&head, &content, chunked, manner);
        let interim = match manner {
            Manner::Informational { status, headers } => interim(*status, headers),
            _ => Bytes::new(),
        };
        let status_line = interim.len() + line_length(&head);
        let before = (!interim.is_empty()).then_some(Step::Write(interim));
        Script {
            content,
            chunked,
            steps: Box::new(before.into_iter().chain(steps)),
            status_line,
            end,
        }
    }

    /// Writes the answer; tells when its status line has left. An error means that the client
    /// has left, or sent more before it was answered, which no client of the twin does, but where
    /// its request was not read to the end.
    pub(crate) async fn play(
        self,
        wire: Wire,
        unread: bool,
        released: &watch::Receiver<()>,
        answered: impl FnOnce(),
    ) -> io::Result<Wire> {
        let (mut reading, mut writing) = tokio::io::split(wire);
        let mut answered = Some(answered);
        let write = async {
            let mut written = 0;
            for step in self.steps {
                let mut range = match step {
                    Step::Hold(hold) => {
                        hold.wait(released.clone()).await;
                        continue;
                    }
                    Step::Write(bytes) => {
                        writing.write_all(&bytes).await?;
                        written += bytes.len();
                        0..0
                    }
                    Step::Send(range) => range,
                };
                while !range.is_empty() {
                    let piece = self.content.piece(range.clone());
                    range.start += piece.len() as u64;
                    match self.chunked {
                        true => writing.write_all(&chunk(&piece)).await?,
                        false => writing.write_all(&piece).await?,
                    }
                }
                writing.flush().await?;
                if written >= self.status_line
                    && let Some(answered) = answered.take()
                {
                    answered();
                }
            }
            io::Result::Ok(())
        };
        let read = async {
            let mut scrap = [0; 4096];
            while unread && reading.read(&mut scrap).await.is_ok_and(|bytes| bytes > 0) {}
            match unread {
                true => std::future::pending().await,
                false => reading.read(&mut scrap[..1]).await,
            }
        };
        tokio::select! {
            biased;
            written = write => written?,
            _ = read => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
        Ok(reading.unsplit(writing))
    }
}

type Steps = Box<dyn Iterator<Item = Step> + Send>;

/// What is written in this manner, and what ends it.
fn steps(head: &Bytes, content: &Content, chunked: bool, manner: &Manner) -> (Steps, Option<End>) {
    let length = content.length();
    let half = length / 2;
    let write = |bytes: &Bytes| Step::Write(bytes.clone());
    let last_chunk = |trailers: &HeaderMap| {
        let last = Bytes::from([&b"0\r\n"[..], &lines(trailers), b"\r\n"].concat());
        chunked.then_some(Step::Write(last))
    };
    let whole = |trailers: &HeaderMap| -> Steps {
        let steps = [write(head), Step::Send(0..length)];
        Box::new(steps.into_iter().chain(last_chunk(trailers)))
    };
    let no_trailers = HeaderMap::new();
    match manner {
        Manner::CutHead { bytes, end } => {
            let half = head.len() as u64 / 2;
            let sent = bytes.unwrap_or(half).min(head.len() as u64) as usize;
            let cut = Step::Write(head.slice(..sent));
            (Box::new(iter::once(cut)), Some(*end))
        }
        Manner::Drip { bytes, every } => {
            let (bytes, hold) = (*bytes, Step::Hold(Hold::For(*every)));
            let pieces = |length: u64| {
                let starts = (0..length).step_by(bytes);
                starts.map(move |start| start..length.min(start + bytes as u64))
            };
            let whole = head.clone();
            let of_head = pieces(head.len() as u64)
                .map(move |range| whole.slice(range.start as usize..range.end as usize));
            let steps = of_head.map(Step::Write);
            let steps = steps.chain(pieces(length).map(Step::Send));
            let steps = steps.flat_map(move |step| [step, hold.clone()]);
            (Box::new(steps.chain(last_chunk(&no_trailers))), None)
        }
        Manner::Whole { end } => (whole(&no_trailers), Some(*end)),
        Manner::Trailers { headers } => (whole(headers), None),
        // Faults of HTTP/2 meet no request of HTTP/1.1.
        Manner::Informational { .. } | Manner::CutStream { .. } | Manner::AfterGoAway(_) => {
            (whole(&no_trailers), None)
        }
        _ if content.is_empty() => (whole(&no_trailers), None),
        Manner::CutBody { end } => {
            let steps = [write(head), Step::Send(0..half)];
            (Box::new(steps.into_iter()), Some(*end))
        }
        Manner::WrongLength { end, .. } => (whole(&no_trailers), Some(*end)),
        Manner::StallBody { hold } => {
            let steps = [
                write(head),
                Step::Send(0..half),
                Step::Hold(*hold),
                Step::Send(half..length),
            ];
            let steps = steps.into_iter().chain(last_chunk(&no_trailers));
            (Box::new(steps), None)
        }
    }
}

/// A chunk of the chunked coding (RFC 9112, 7.1).
fn chunk(bytes: &[u8]) -> Vec<u8> {
    let size = format!("{:x}\r\n", bytes.len());
    [size.as_bytes(), bytes, b"\r\n"].concat()
}

fn line_length(head: &[u8]) -> usize {
    let end = head.windows(2).position(|pair| pair == b"\r\n");
    end.map_or(head.len(), |end| end + 2)
}

/// The head as hyper writes it, with a length of our own; none where the body comes in chunks.
fn head(answer: &Answer, length: Option<u64>) -> Bytes {
    let status = answer.status();
    let mut headers = answer.headers().clone();
    let has_no_body = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    match length {
        _ if has_no_body => {}
        None => {
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Some(length) => {
            let given = headers.entry(CONTENT_LENGTH);
            given.or_insert_with(|| HeaderValue::from(length));
        }
    }
    let reason = status.canonical_reason().unwrap_or_default();
    whole_head(status.as_str(), reason, &headers)
}

fn interim(status: u16, headers: &HeaderMap) -> Bytes {
    let code = StatusCode::from_u16(status).ok();
    let reason = code.and_then(|code| code.canonical_reason());
    whole_head(&status.to_string(), reason.unwrap_or_default(), headers)
}

fn whole_head(status: &str, reason: &str, headers: &HeaderMap) -> Bytes {
    let line = format!("HTTP/1.1 {status} {reason}\r\n");
    [line.as_bytes(), &lines(headers), b"\r\n"].concat().into()
}

fn lines(headers: &HeaderMap) -> Vec<u8> {
    let lines = headers
        .iter()
        .map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    lines.flatten().collect()
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    const CLOSE: End = End::Close {
        close_notify: false,
    };

    fn script(status: u16, body: &'static str, manner: Manner) -> Script {
        let reply = Response::builder().status(status).header("A", "b");
        Script::of(&reply.body(Content::from(body)).unwrap(), &manner)
    }

    fn written(script: Script) -> String {
        let content = script.content;
        let bytes = script.steps.flat_map(|step| match step {
            Step::Write(bytes) => bytes.to_vec(),
            Step::Send(range) if script.chunked => chunk(&content.piece(range)),
            Step::Send(range) => content.piece(range).to_vec(),
            Step::Hold(_) => b"|".to_vec(),
        });
        String::from_utf8(bytes.collect()).unwrap()
    }

    #[test]
    fn what_is_written_stops_where_the_manner_says() {
        let head = "HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 4\r\n\r\n";
        let hold = Hold::UntilReleased;
        let every = Duration::from_millis(1);
        for (manner, expected, end) in [
            (
                Manner::CutHead {
                    bytes: Some(12),
                    end: CLOSE,
                },
                head[..12].to_owned(),
                Some(CLOSE),
            ),
            (
                Manner::CutHead {
                    bytes: None,
                    end: End::Reset,
                },
                head[..head.len() / 2].to_owned(),
                Some(End::Reset),
            ),
            (
                Manner::CutHead {
                    bytes: Some(999),
                    end: CLOSE,
                },
                head.to_owned(),
                Some(CLOSE),
            ),
            (
                Manner::CutBody { end: CLOSE },
                format!("{head}ab"),
                Some(CLOSE),
            ),
            (Manner::StallBody { hold }, format!("{head}ab|cd"), None),
            (
                Manner::WrongLength { by: 7, end: CLOSE },
                format!("{head}abcd").replace("length: 4", "length: 11"),
                Some(CLOSE),
            ),
            (
                Manner::WrongLength { by: -9, end: CLOSE },
                format!("{head}abcd").replace("length: 4", "length: 0"),
                Some(CLOSE),
            ),
            (
                Manner::Drip { bytes: 60, every },
                format!("{head}|abcd|"),
                None,
            ),
            (
                Manner::Informational {
                    status: 103,
                    headers: HeaderMap::new(),
                },
                format!("HTTP/1.1 103 Early Hints\r\n\r\n{head}abcd"),
                None,
            ),
            (
                Manner::Trailers {
                    headers: [(TRANSFER_ENCODING, HeaderValue::from_static("t"))]
                        .into_iter()
                        .collect(),
                },
                format!("{head}4\r\nabcd\r\n0\r\ntransfer-encoding: t\r\n\r\n")
                    .replace("content-length: 4", "transfer-encoding: chunked"),
                None,
            ),
            (
                Manner::Whole { end: End::Reset },
                format!("{head}abcd"),
                Some(End::Reset),
            ),
        ] {
            let script = script(200, "abcd", manner.clone());
            assert_eq!(script.end, end, "{manner:?}");
            assert_eq!(written(script), expected, "{manner:?}");
        }
        let drip = written(script(200, "abcd", Manner::Drip { bytes: 3, every }));
        assert!(drip.starts_with("HTT|P/1|.1 "), "{drip}");
        assert_eq!(drip.replace('|', ""), format!("{head}abcd"));
    }

    #[test]
    fn an_answer_without_a_body_is_whole() {
        for manner in [
            Manner::CutBody { end: CLOSE },
            Manner::StallBody {
                hold: Hold::UntilReleased,
            },
            Manner::WrongLength { by: 1, end: CLOSE },
        ] {
            let script = script(204, "", manner);
            let head = "HTTP/1.1 204 No Content\r\na: b\r\n\r\n";
            assert_eq!(script.end, None);
            assert_eq!(written(script), head);
        }
    }
}
