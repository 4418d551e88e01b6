//! Bulk transfers: bodies of any size that no side keeps, made and digested as they flow.
//!
//! `GET /bulk/<bytes>` answers so many bytes, with a `Content-Length`, or with `?chunked=1` in
//! chunks; `GET /bulk/<bytes>/digest` says their SHA-256. `PUT /bulk` and `POST /bulk` read a body
//! and answer its length and SHA-256. What is sent is the same in every twin: blocks of 65 536
//! bytes, each begins with its number (64 bits, big-endian, from 0), and the rest is one sequence
//! of xorshift64*, so that a block which is missing, doubled or moved changes the digest.

use std::fmt::Write;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, Uri};
use ring::digest::{Context, SHA256};
use serde_json::json;

use crate::content::{Answer, Content};
use crate::reply::{html_reply, json_reply};

const PATH: &str = "/bulk";
const BLOCK: usize = 65_536;
/// What the sequence begins with.
const SEED: u64 = 0x0d36_5b01_2026_0001;

fn block() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let mut state = SEED;
        let words = std::iter::repeat_with(move || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d)
        });
        words.take(BLOCK / 8).flat_map(u64::to_be_bytes).collect()
    })
}

/// The body of a bulk answer.
#[derive(Clone, Debug)]
pub(crate) struct Bulk {
    bytes: u64,
    chunked: bool,
}

impl Bulk {
    pub(crate) fn length(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.chunked
    }

    /// The beginning of a range of it, to the end of the block at most.
    pub(crate) fn piece(&self, range: Range<u64>) -> Bytes {
        piece(range)
    }
}

fn piece(range: Range<u64>) -> Bytes {
    let (number, from) = (range.start / BLOCK as u64, range.start % BLOCK as u64);
    let to = (from + range.end - range.start).min(BLOCK as u64);
    let mut bytes = block().to_vec();
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Bytes::from(bytes).slice(from as usize..to as usize)
}

/// Length and SHA-256 of a body that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    bytes: u64,
    sha256: String,
}

/// Takes a digest of what comes in pieces.
pub(crate) struct Digesting {
    context: Context,
    bytes: u64,
}

impl Digesting {
    pub(crate) fn new() -> Digesting {
        Digesting {
            context: Context::new(&SHA256),
            bytes: 0,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(crate) fn finish(self) -> Digest {
        let mut sha256 = String::new();
        for byte in self.context.finish().as_ref() {
            // Writing to a string cannot fail.
            let _ = write!(sha256, "{byte:02x}");
        }
        Digest {
            bytes: self.bytes,
            sha256,
        }
    }
}

impl Digest {
    /// Of the first so many bytes of what is sent. Takes its time.
    fn of_sent(bytes: u64) -> Digest {
        let mut digesting = Digesting::new();
        while digesting.bytes < bytes {
            digesting.update(&piece(digesting.bytes..bytes));
        }
        digesting.finish()
    }
}

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Upload,
    Download(u64),
    Digest(u64),
}

impl Asked {
    fn of(path: &str) -> Option<Asked> {
        match path.strip_prefix(PATH)? {
            "" => Some(Asked::Upload),
            rest => {
                let rest = rest.strip_prefix('/')?;
                match rest.strip_suffix("/digest") {
                    Some(bytes) => bytes.parse().ok().map(Asked::Digest),
                    None => rest.parse().ok().map(Asked::Download),
                }
            }
        }
    }
}

/// Whether the path is one of bulk transfers.
pub(crate) fn is_bulk(uri: &Uri) -> bool {
    Asked::of(uri.path()).is_some()
}

/// Whether the body of a request to this path is digested instead of kept.
pub(crate) fn is_upload(uri: &Uri) -> bool {
    Asked::of(uri.path()) == Some(Asked::Upload)
}

/// Does what must not be done while the organization is locked: puts the digest that is asked for
/// beside the request.
pub(crate) async fn prepare(request: &mut Request<Bytes>) {
    if let Some(Asked::Digest(bytes)) = Asked::of(request.uri().path()) {
        let digest = tokio::task::spawn_blocking(move || Digest::of_sent(bytes)).await;
        // It fails with the runtime, when nobody waits any more.
        if let Ok(digest) = digest {
            request.extensions_mut().insert(digest);
        }
    }
}

/// Answers a bulk transfer.
pub(crate) fn answer(request: &Request<Bytes>) -> Answer {
    let chunked = request
        .uri()
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "chunked=1"));
    let digest = || request.extensions().get::<Digest>();
    match (Asked::of(request.uri().path()), request.method()) {
        (Some(Asked::Download(bytes)), &Method::GET) => {
            let content = Content::Bulk(Bulk { bytes, chunked });
            let mut answer = Response::new(content);
            let kind = http::HeaderValue::from_static("application/octet-stream");
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            answer
        }
        (Some(Asked::Digest(_)), &Method::GET)
        | (Some(Asked::Upload), &Method::PUT | &Method::POST) => {
            let Digest { bytes, sha256 } = match digest() {
                Some(digest) => digest,
                None => return html_reply(500, "the body was not digested").map(Content::from),
            };
            json_reply(200, &json!({"bytes": bytes, "sha256": sha256})).map(Content::from)
        }
        _ => html_reply(405, "405 - The method is not allowed here.").map(Content::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_what_is_asked() {
        for (path, asked) in [
            ("/bulk", Some(Asked::Upload)),
            ("/bulk/7", Some(Asked::Download(7))),
            ("/bulk/7/digest", Some(Asked::Digest(7))),
            ("/bulk/", None),
            ("/bulk/x", None),
            ("/bulky", None),
            ("/bulk/7/", None),
        ] {
            assert_eq!(Asked::of(path), asked, "{path}");
        }
    }

    #[test]
    fn pieces_are_the_same_however_they_are_cut() {
        let length = 3 * BLOCK as u64 + 5;
        let cut = |most: u64| {
            let mut bytes = Vec::new();
            while (bytes.len() as u64) < length {
                let from = bytes.len() as u64;
                bytes.extend(piece(from..length.min(from + most)));
            }
            bytes
        };
        let whole = cut(u64::from(u32::MAX));
        assert_eq!(whole.len() as u64, length);
        for most in [1000, 7, BLOCK as u64 - 1] {
            assert!(cut(most) == whole, "{most}");
        }
        assert_eq!(whole[BLOCK..BLOCK + 8], [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_ne!(whole[..BLOCK], whole[BLOCK..2 * BLOCK]);
        let mut digesting = Digesting::new();
        digesting.update(&whole);
        assert_eq!(digesting.finish(), Digest::of_sent(length));
    }

    #[test]
    fn what_is_sent_never_changes() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of_sent(0).sha256, empty);
        assert_eq!(piece(0..16)[..8], [0; 8]);
    }
}
