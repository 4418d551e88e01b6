//! Brotli, with windows of 16 MiB at most (RFC 7932, 9.1). Decoders on top of readers take the larger
//! ones as well, which no browser sends or takes: a few bytes of an answer would cost a gigabyte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

type Machine = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

pub(super) struct BrotliReader<R> {
    coded: R,
    state: Box<Machine>,
    is_over: bool,
}

impl<R> BrotliReader<R> {
    pub(super) fn new(coded: R) -> BrotliReader<R> {
        let state = Machine::new_strict(
            StandardAlloc::default(),
            StandardAlloc::default(),
            StandardAlloc::default(),
        );
        BrotliReader {
            coded,
            state: Box::new(state),
            is_over: false,
        }
    }

    pub(super) fn into_inner(self) -> R {
        self.coded
    }
}

impl<R: AsyncBufRead + Unpin> AsyncRead for BrotliReader<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.is_over {
            let input = ready!(Pin::new(&mut this.coded).poll_fill_buf(context))?;
            let is_last = input.is_empty();
            let room = buffer.initialize_unfilled();
            let (mut coming, mut taken) = (input.len(), 0);
            let (mut free, mut written) = (room.len(), 0);
            let result = BrotliDecompressStream(
                &mut coming,
                &mut taken,
                input,
                &mut free,
                &mut written,
                room,
                &mut 0,
                &mut this.state,
            );
            Pin::new(&mut this.coded).consume(taken);
            buffer.advance(written);
            match result {
                BrotliResult::ResultSuccess => this.is_over = true,
                BrotliResult::ResultFailure => {
                    let why = "it is not brotli, or its window is larger than 16 MiB";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
                }
                BrotliResult::NeedsMoreInput if is_last && written == 0 => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            }
            if written > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::AsyncReadExt;

    use super::*;

    fn decoded(coded: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime
            .block_on(BrotliReader::new(coded).read_to_end(&mut plain))
            .map(|_| plain)
    }

    fn coded(plain: &[u8]) -> Vec<u8> {
        let mut writer = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
        writer.write_all(plain).unwrap();
        writer.into_inner()
    }

    #[test]
    fn what_was_coded_comes_back_and_what_is_cut_is_an_error() {
        for plain in [Vec::new(), b"short".to_vec(), vec![7; 1 << 20]] {
            let coded = coded(&plain);
            assert_eq!(decoded(&coded).unwrap(), plain);
            let cut = decoded(&coded[..coded.len() - 1]).unwrap_err();
            assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        }
        assert!(decoded(b"no brotli").is_err());
    }

    #[test]
    fn a_gigabyte_of_window_is_refused() {
        // Large window brotli's own mark, and 30 bits of window (the library's reader takes it).
        let mut writer = brotli::CompressorWriter::with_params(
            Vec::new(),
            4096,
            &brotli::enc::BrotliEncoderParams {
                large_window: true,
                lgwin: 30,
                ..Default::default()
            },
        );
        writer.write_all(b"small").unwrap();
        let coded = writer.into_inner();
        let error = decoded(&coded).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
