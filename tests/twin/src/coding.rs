//! Content codings (RFC 9110, 8.4.1): what a client accepts, and what becomes of a body.

use std::io::{self, Read};

use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bomb;
use crate::content::{Answer, Content};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// `gzip` (RFC 1952).
    Gzip,
    /// `br` (RFC 7932).
    Br,
}

/// What is made of a body, whatever the client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coded {
    pub(crate) coding: Coding,
    /// So many spaces instead of the body.
    pub(crate) inflated: Option<u64>,
    /// Half of what came out.
    pub(crate) truncated: bool,
}

impl Coding {
    /// Its name in `Content-Encoding`.
    pub fn as_str(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Br => "br",
        }
    }

    /// What comes out of the coder, whose input is read as it goes.
    fn encode(self, mut from: impl Read) -> io::Result<Vec<u8>> {
        match self {
            Coding::Gzip => {
                let mut to = GzEncoder::new(Vec::new(), Compression::new(6));
                io::copy(&mut from, &mut to)?;
                to.finish()
            }
            Coding::Br => {
                let params = BrotliEncoderParams {
                    quality: 5,
                    ..BrotliEncoderParams::default()
                };
                let mut to = brotli::CompressorWriter::with_params(Vec::new(), 1 << 16, &params);
                io::copy(&mut from, &mut to)?;
                Ok(to.into_inner())
            }
        }
    }
}

/// The first of the offered codings that the client accepts best.
fn negotiated(headers: &HeaderMap, offered: &[Coding]) -> Option<Coding> {
    let values = headers.get_all(ACCEPT_ENCODING);
    let texts = values.iter().filter_map(|value| value.to_str().ok());
    let accepted: Vec<(String, f32)> = texts
        .flat_map(|text| text.split(','))
        .map(|item| {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let weight = parameters.trim().strip_prefix("q=");
            let weight = weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
            (name.trim().to_ascii_lowercase(), weight)
        })
        .collect();
    let weight = |coding: Coding| {
        let named = |name: &str| accepted.iter().find(|(other, _)| other == name);
        named(coding.as_str()).or(named("*")).map_or(0.0, |it| it.1)
    };
    let mut best = None;
    for coding in offered {
        let weight = weight(*coding);
        if weight > 0.0 && best.is_none_or(|(_, most)| weight > most) {
            best = Some((*coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

/// Codes an answer's body: as a fault wants it, or as the client accepts it and the side offers.
pub(crate) async fn code(
    answer: Answer,
    forced: Option<Coded>,
    accepts: &HeaderMap,
    offered: &[Coding],
) -> Answer {
    let coded = match forced {
        Some(coded) => coded,
        None => {
            let codes = may_be_coded(&answer);
            let Some(coding) = negotiated(accepts, offered).filter(|_| codes) else {
                return answer;
            };
            Coded {
                coding,
                inflated: None,
                truncated: false,
            }
        }
    };
    let (mut head, content) = answer.into_parts();
    let Content::Bytes(body) = &content else {
        return Answer::from_parts(head, content);
    };
    let body = body.clone();
    // Of a bomb it takes a while.
    let done = tokio::task::spawn_blocking(move || match coded.inflated {
        Some(count) => bomb::spaces(coded.coding, count),
        None => coded.coding.encode(&body[..]),
    });
    // Writing to memory cannot fail, and the task fails with the runtime.
    let Ok(Ok(mut bytes)) = done.await else {
        return Answer::from_parts(head, content);
    };
    if coded.truncated {
        bytes.truncate(bytes.len() / 2);
    }
    head.headers.remove(CONTENT_LENGTH);
    let name = HeaderValue::from_static(coded.coding.as_str());
    head.headers.insert(CONTENT_ENCODING, name);
    head.headers
        .append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Answer::from_parts(head, Content::from(Bytes::from(bytes)))
}

fn may_be_coded(answer: &Answer) -> bool {
    let is_part = answer.status() == StatusCode::PARTIAL_CONTENT;
    let has_bytes = matches!(answer.body(), Content::Bytes(bytes) if !bytes.is_empty());
    has_bytes && !is_part && !answer.headers().contains_key(CONTENT_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_among_what_is_offered() {
        let both = [Coding::Gzip, Coding::Br];
        for (accepts, offered, expected) in [
            ("gzip, br", &both[..], Some(Coding::Gzip)),
            ("gzip;q=0.5, br", &both, Some(Coding::Br)),
            ("BR", &both, Some(Coding::Br)),
            ("*", &both, Some(Coding::Gzip)),
            ("gzip;q=0, *", &both, Some(Coding::Br)),
            ("identity", &both, None),
            ("gzip, br", &[], None),
            ("gzip", &both[1..], None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, accepts.parse().unwrap());
            assert_eq!(negotiated(&headers, offered), expected, "{accepts}");
        }
        assert_eq!(negotiated(&HeaderMap::new(), &both), None);
    }

    #[test]
    fn what_was_coded_is_decoded_to_the_same() {
        let text = "a text, a text, and a text again".repeat(100);
        for coding in [Coding::Gzip, Coding::Br] {
            let coded = coding.encode(text.as_bytes()).unwrap();
            assert!(coded.len() < text.len() / 10, "{coding:?}");
            let mut decoded = String::new();
            match coding {
                Coding::Gzip => flate2::read::GzDecoder::new(&coded[..])
                    .read_to_string(&mut decoded)
                    .unwrap(),
                Coding::Br => brotli::Decompressor::new(&coded[..], 4096)
                    .read_to_string(&mut decoded)
                    .unwrap(),
            };
            assert!(decoded == text, "{coding:?}");
        }
    }
}
