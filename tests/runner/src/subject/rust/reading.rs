//! A streaming answer, read as a scenario says.

use d365_failover_core::{Error, Response};

use super::body;
use super::handler::Shared;
use super::records::error_record;
use crate::protocol::{ReadRecord, Reads, Stream};
use crate::subject::Broken;

/// How much of a stream is told as text.
const MOST_TEXT: usize = 64 << 10;

/// Reads to the end, to the first failure, or to where the scenario stops; also the beginning as
/// text.
pub(super) fn read(
    response: &Response,
    stream: Stream,
    shared: &Shared,
) -> Result<(ReadRecord, String), Broken> {
    let mut record = ReadRecord {
        bytes: 0,
        pattern: true,
        sum: 0,
        error: None,
    };
    let mut beginning = Vec::new();
    while stream.stop_after.is_none_or(|most| record.bytes < most) {
        let piece = match next(response, stream, shared)? {
            Ok(piece) if piece.is_empty() => break,
            Ok(piece) => piece,
            Err(error) => {
                record.error = Some(error_record(&error));
                break;
            }
        };
        for byte in &piece {
            record.pattern &= *byte == body::byte(record.bytes);
            record.sum += u64::from(*byte);
            record.bytes += 1;
        }
        let room = MOST_TEXT - beginning.len();
        beginning.extend_from_slice(&piece[..room.min(piece.len())]);
    }
    Ok((record, String::from_utf8_lossy(&beginning).into_owned()))
}

fn next(
    response: &Response,
    stream: Stream,
    shared: &Shared,
) -> Result<Result<Vec<u8>, Error>, Broken> {
    match stream.reads {
        Reads::Blocking => {
            let mut buffer = vec![0; stream.read];
            Ok(response.read(&mut buffer).map(|count| {
                buffer.truncate(count);
                buffer
            }))
        }
        Reads::Submitted => shared.submitted_read(response, stream.read),
    }
}
