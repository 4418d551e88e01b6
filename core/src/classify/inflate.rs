//! A compressed body, decoded on a copy as far as it goes.

use std::borrow::Cow;
use std::io::{BufReader, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Decoders keep to themselves what they decoded of a piece of input that breaks further on, so
/// the pieces are small.
const PIECE: usize = 64;
/// Nobody encodes a body more often; who does wants to keep decoders busy.
const MOST_CODINGS: usize = 4;

/// Body and limit in, decoded out.
type Decode = fn(&[u8], usize) -> Vec<u8>;

/// The first `limit` bytes of a body without its Content-Encoding (gzip, x-gzip, deflate, br, or
/// several of them). Of a body that is cut or broken: what could be decoded. A body without an
/// encoding, or with one that is not known, as it is.
pub(crate) fn prefix<'a>(headers: &HeaderMap, body: &'a [u8], limit: usize) -> Cow<'a, [u8]> {
    let mut decoders: Vec<Decode> = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for coding in value.as_bytes().split(|byte| *byte == b',') {
            match &coding.trim_ascii().to_ascii_lowercase()[..] {
                b"" | b"identity" => {}
                b"gzip" | b"x-gzip" => decoders.push(gzip),
                b"deflate" => decoders.push(deflate),
                b"br" => decoders.push(brotli),
                _ => return Cow::Borrowed(body),
            }
            if decoders.len() > MOST_CODINGS {
                return Cow::Borrowed(body);
            }
        }
    }
    // The last one listed was applied last (RFC 9110, 8.4).
    decoders
        .into_iter()
        .rev()
        .fold(Cow::Borrowed(body), |body, decode| {
            Cow::Owned(decode(&body, limit))
        })
}

fn gzip(body: &[u8], limit: usize) -> Vec<u8> {
    read(MultiGzDecoder::new(pieces(body)), limit)
}

/// `deflate` means zlib's format; some servers send it without zlib's header all the same.
fn deflate(body: &[u8], limit: usize) -> Vec<u8> {
    let is_zlib = matches!(*body, [method, flags, ..]
        if method & 0x8F == 8 && u16::from_be_bytes([method, flags]) % 31 == 0);
    if is_zlib {
        read(ZlibDecoder::new(pieces(body)), limit)
    } else {
        read(DeflateDecoder::new(pieces(body)), limit)
    }
}

fn pieces(body: &[u8]) -> BufReader<&[u8]> {
    BufReader::with_capacity(PIECE, body)
}

fn read(decoder: impl Read, limit: usize) -> Vec<u8> {
    let mut decoded = Vec::new();
    // What was read before the error stays.
    let _ = decoder.take(limit as u64).read_to_end(&mut decoded);
    decoded
}

fn brotli(body: &[u8], limit: usize) -> Vec<u8> {
    // The reader of the library takes windows of up to a gigabyte; HTTP's ends at 16 MiB
    // (RFC 7932, 9.1).
    let mut state = BrotliState::new_strict(
        StandardAlloc::default(),
        StandardAlloc::default(),
        StandardAlloc::default(),
    );
    let mut decoded = Vec::new();
    let mut room = [0; 4096];
    for piece in body.chunks(PIECE) {
        let (mut input, mut consumed) = (piece.len(), 0);
        loop {
            let (mut free, mut written) = (room.len(), 0);
            let result = BrotliDecompressStream(
                &mut input,
                &mut consumed,
                piece,
                &mut free,
                &mut written,
                &mut room,
                &mut 0,
                &mut state,
            );
            let wanted = limit - decoded.len();
            decoded.extend_from_slice(&room[..written.min(wanted)]);
            if decoded.len() == limit {
                return decoded;
            }
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput => break,
                BrotliResult::ResultSuccess | BrotliResult::ResultFailure => return decoded,
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::{Duration, Instant};

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gz(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(plain: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn br(plain: &[u8]) -> Vec<u8> {
        let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
        encoder.write_all(plain).unwrap();
        encoder.into_inner()
    }

    type Encode = fn(&[u8]) -> Vec<u8>;
    const ENCODERS: [(&str, Encode); 4] = [
        ("gzip", gz),
        ("deflate", zlib),
        ("deflate", raw),
        ("br", br),
    ];

    fn headers(coding: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, coding.parse().unwrap())])
    }

    fn plain(length: usize) -> Vec<u8> {
        (0..length)
            .flat_map(|number| format!("{} ", number * number).into_bytes())
            .take(length)
            .collect()
    }

    #[test]
    fn every_coding_and_lists_of_them() {
        let plain = plain(100_000);
        for (coding, encode) in ENCODERS {
            let body = encode(&plain);
            assert_eq!(
                prefix(&headers(coding), &body, 1 << 20),
                &plain[..],
                "{coding}"
            );
            let upper = coding.to_ascii_uppercase();
            assert_eq!(
                prefix(&headers(&upper), &body, 1 << 20),
                &plain[..],
                "{upper}"
            );
            let list = format!("identity , {coding},, x-gzip");
            assert_eq!(
                prefix(&headers(&list), &gz(&body), 1 << 20),
                &plain[..],
                "{list}"
            );
            let mut lines = headers(coding);
            lines.append(CONTENT_ENCODING, "br".parse().unwrap());
            assert_eq!(prefix(&lines, &br(&body), 1 << 20), &plain[..], "{coding}");
        }
        let members = [gz(b"one "), gz(b"two")].concat();
        assert_eq!(prefix(&headers("gzip"), &members, 1 << 20), &b"one two"[..]);
    }

    #[test]
    fn what_is_not_decoded_stays() {
        for coding in [
            "zstd",
            "gzip, compress",
            "gzip, gzip, gzip, gzip, gzip",
            "",
            "identity",
        ] {
            let body = prefix(&headers(coding), b"body", 100);
            assert!(matches!(body, Cow::Borrowed(b"body")), "{coding}");
        }
        assert_eq!(prefix(&HeaderMap::new(), b"body", 2), &b"body"[..]);
        for (coding, _) in ENCODERS {
            assert_eq!(prefix(&headers(coding), b"", 100), &b""[..], "{coding}");
        }
        assert_eq!(prefix(&headers("gzip"), b"{\"error\":{}}", 100), &b""[..]);
    }

    #[test]
    fn of_a_bomb_comes_no_more_than_the_limit() {
        let bomb = vec![0; 8 << 20];
        for (coding, encode) in ENCODERS {
            let body = encode(&bomb);
            let started = Instant::now();
            assert_eq!(
                prefix(&headers(coding), &body, 1000).len(),
                1000,
                "{coding}"
            );
            assert!(started.elapsed() < Duration::from_secs(10), "{coding}");
        }
    }

    #[test]
    fn a_window_beyond_http_s_is_not_made() {
        // A large-window header (11 hexadecimal, then 30 bits of window), then garbage.
        let mut body = vec![0x11, 30];
        body.extend([0x5A; 100]);
        assert_eq!(prefix(&headers("br"), &body, 1000), &b""[..]);
    }

    proptest! {
        // Encoding is slow in a debug build.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_cut_body_gives_its_beginning(
            which in 0..ENCODERS.len(),
            cut in any::<prop::sample::Index>(),
            limit in 0usize..30_000,
        ) {
            let plain = plain(20_000);
            let (coding, encode) = ENCODERS[which];
            let body = encode(&plain);
            let body = &body[..cut.index(body.len())];
            let decoded = prefix(&headers(coding), body, limit);
            prop_assert!(decoded.len() <= limit);
            prop_assert!(plain.starts_with(&decoded));
            // At least what a quarter of the input stood for, where all of it was wanted.
            if body.len() > 4096 && limit > 20_000 {
                prop_assert!(decoded.len() > body.len() / 4, "{} of {}", decoded.len(), body.len());
            }
        }

        #[test]
        fn a_spoiled_body_gives_its_unspoiled_part(
            which in 0..ENCODERS.len(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let plain = plain(20_000);
            let (coding, encode) = ENCODERS[which];
            let mut body = encode(&plain);
            let place = place.index(body.len());
            body[place] = byte;
            let decoded = prefix(&headers(coding), &body, 1 << 20);
            prop_assert!(decoded.len() <= 1 << 20);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(
            coding in "(gzip|deflate|br)(, ?(gzip|deflate|br)){0,2}",
            body in proptest::collection::vec(any::<u8>(), 0..300),
            limit in 0usize..1000,
        ) {
            prop_assert!(prefix(&headers(&coding), &body, limit).len() <= limit);
        }
    }
}
