//! Very many spaces in a content coding, made at once: one block is coded, and what came out is
//! repeated.

use std::io::{self, Read, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::coding::Coding;

const BLOCK: u64 = 1 << 20;
/// A gzip header (RFC 1952, 2.3) that says nothing, of an unknown system.
const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

pub(crate) fn spaces(coding: Coding, count: u64) -> io::Result<Vec<u8>> {
    match coding {
        Coding::Gzip => gzip(count),
        Coding::Br => br(count),
    }
}

fn block(bytes: u64) -> Vec<u8> {
    vec![b' '; bytes as usize]
}

/// A full flush ends at a byte, and what follows it does not look back (RFC 1951, 3.2).
fn gzip(count: u64) -> io::Result<Vec<u8>> {
    let repeated = deflate(&block(BLOCK), FlushCompress::Full)?;
    let rest = block(count % BLOCK);
    let mut out = GZIP.to_vec();
    let mut crc = Crc::new();
    let mut one = Crc::new();
    one.update(&block(BLOCK));
    for _ in 0..count / BLOCK {
        out.extend(&repeated);
        crc.combine(&one);
    }
    out.extend(deflate(&rest, FlushCompress::Finish)?);
    let mut last = Crc::new();
    last.update(&rest);
    crc.combine(&last);
    out.extend(crc.sum().to_le_bytes());
    // Its length, modulo 2^32.
    out.extend((count as u32).to_le_bytes());
    Ok(out)
}

fn deflate(bytes: &[u8], flush: FlushCompress) -> io::Result<Vec<u8>> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(bytes.len() + 1024);
    let done = compress.compress_vec(bytes, &mut out, flush)?;
    let whole = compress.total_in() == bytes.len() as u64;
    let ended = done == Status::StreamEnd || flush != FlushCompress::Finish;
    match whole && ended {
        true => Ok(out),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// A flush ends at a byte; the second block looks back to its predecessor alone, and every later
/// one is as it.
fn br(count: u64) -> io::Result<Vec<u8>> {
    let params = BrotliEncoderParams {
        quality: 5,
        ..BrotliEncoderParams::default()
    };
    let mut to = CompressorWriter::with_params(Vec::new(), 1 << 16, &params);
    let blocks = count / BLOCK;
    if blocks < 2 {
        io::copy(&mut io::repeat(b' ').take(count), &mut to)?;
        return Ok(to.into_inner());
    }
    to.write_all(&block(BLOCK + count % BLOCK))?;
    to.flush()?;
    let first = to.get_ref().len();
    to.write_all(&block(BLOCK))?;
    to.flush()?;
    let second = to.get_ref().len();
    let coded = to.into_inner();
    let mut out = coded[..first].to_vec();
    for _ in 1..blocks {
        out.extend(&coded[first..second]);
    }
    out.extend(&coded[second..]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn as_many_spaces_come_out_as_were_asked_for() {
        for count in [0, 1, BLOCK, 2 * BLOCK - 1, 2 * BLOCK, 5 * BLOCK + 7] {
            for coding in [Coding::Gzip, Coding::Br] {
                let coded = spaces(coding, count).unwrap();
                let mut decoded = Vec::new();
                let read = match coding {
                    Coding::Gzip => GzDecoder::new(&coded[..]).read_to_end(&mut decoded),
                    Coding::Br => {
                        brotli::Decompressor::new(&coded[..], 1 << 16).read_to_end(&mut decoded)
                    }
                };
                assert_eq!(read.unwrap() as u64, count, "{coding:?}");
                assert!(decoded.iter().all(|byte| *byte == b' '), "{coding:?}");
            }
        }
    }
}
