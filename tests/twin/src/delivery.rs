//! Answers whose sending is disturbed: what is written, in which steps, and what ends it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::plan::{GoAway, Hold};
use crate::reply::Reply;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
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
    pub(crate) fn length(self, body: &Bytes) -> u64 {
        match self {
            Manner::WrongLength { by, .. } if !body.is_empty() => {
                (body.len() as u64).saturating_add_signed(by)
            }
            _ => body.len() as u64,
        }
    }
}

/// An answer, what disturbs its sending, and what releases it.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) reply: Reply,
    pub(crate) manner: Manner,
    /// Closed when the fault is cleared.
    pub(crate) released: watch::Receiver<()>,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Write(Bytes),
    Hold(Hold),
}

/// An answer as the bytes that HTTP/1.1 makes of it, in steps.
#[derive(Debug)]
pub(crate) struct Script {
    steps: Vec<Step>,
    status_line: usize,
    /// None: the connection lives on.
    pub(crate) end: Option<End>,
}

impl Script {
    pub(crate) fn of(reply: &Reply, manner: Manner) -> Script {
        let body = reply.body();
        let head = head(reply, manner.length(body));
        let status_line = line_length(&head);
        let half = || body.slice(..body.len() / 2);
        let (steps, end) = match manner {
            Manner::CutHead { bytes, end } => {
                let half = head.len() as u64 / 2;
                let sent = bytes.unwrap_or(half).min(head.len() as u64) as usize;
                (vec![Step::Write(head.slice(..sent))], Some(end))
            }
            Manner::Drip { bytes, every } => {
                let whole = Bytes::from([&head[..], &body[..]].concat());
                let starts = (0..whole.len()).step_by(bytes);
                let pieces = starts.map(|start| whole.slice(start..whole.len().min(start + bytes)));
                let steps =
                    pieces.flat_map(|piece| [Step::Write(piece), Step::Hold(Hold::For(every))]);
                (steps.collect(), None)
            }
            _ if body.is_empty() => (vec![Step::Write(head)], None),
            // Faults of HTTP/2 meet no request of HTTP/1.1.
            Manner::CutStream { .. } | Manner::AfterGoAway(_) => {
                (vec![Step::Write(head), Step::Write(body.clone())], None)
            }
            Manner::CutBody { end } => (vec![Step::Write(head), Step::Write(half())], Some(end)),
            Manner::WrongLength { end, .. } => {
                let steps = vec![Step::Write(head), Step::Write(body.clone())];
                (steps, Some(end))
            }
            Manner::StallBody { hold } => {
                let steps = vec![
                    Step::Write(head),
                    Step::Write(half()),
                    Step::Hold(hold),
                    Step::Write(body.slice(body.len() / 2..)),
                ];
                (steps, None)
            }
        };
        Script {
            steps,
            status_line,
            end,
        }
    }

    /// Writes the answer; tells when its status line has left. An error means that the client
    /// has left, or sent more before it was answered, which no client of the twin does.
    pub(crate) async fn play(
        self,
        wire: Wire,
        released: &watch::Receiver<()>,
        answered: impl FnOnce(),
    ) -> io::Result<Wire> {
        let (mut reading, mut writing) = tokio::io::split(wire);
        let mut answered = Some(answered);
        let write = async {
            let mut written = 0;
            for step in self.steps {
                match step {
                    Step::Hold(hold) => hold.wait(released.clone()).await,
                    Step::Write(bytes) => {
                        writing.write_all(&bytes).await?;
                        writing.flush().await?;
                        written += bytes.len();
                        if written >= self.status_line
                            && let Some(answered) = answered.take()
                        {
                            answered();
                        }
                    }
                }
            }
            io::Result::Ok(())
        };
        let mut scrap = [0];
        tokio::select! {
            biased;
            written = write => written?,
            _ = reading.read(&mut scrap) => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
        Ok(reading.unsplit(writing))
    }
}

fn line_length(head: &[u8]) -> usize {
    let end = head.windows(2).position(|pair| pair == b"\r\n");
    end.map_or(head.len(), |end| end + 2)
}

/// The head as hyper writes it, with a length of our own.
fn head(reply: &Reply, length: u64) -> Bytes {
    let status = reply.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in reply.headers() {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let has_no_body = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    if !has_no_body && !reply.headers().contains_key(CONTENT_LENGTH) {
        head.extend(format!("content-length: {length}\r\n").into_bytes());
    }
    head.extend(b"\r\n");
    head.into()
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
        Script::of(
            &reply.body(Bytes::from_static(body.as_bytes())).unwrap(),
            manner,
        )
    }

    fn written(script: &Script) -> String {
        let bytes = script.steps.iter().flat_map(|step| match step {
            Step::Write(bytes) => bytes.to_vec(),
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
                format!("{head}abcd|"),
                None,
            ),
        ] {
            let script = script(200, "abcd", manner);
            assert_eq!(
                (written(&script), script.end),
                (expected, end),
                "{manner:?}"
            );
        }
        let drip = written(&script(200, "abcd", Manner::Drip { bytes: 3, every }));
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
            assert_eq!((written(&script).as_str(), script.end), (head, None));
        }
    }
}
