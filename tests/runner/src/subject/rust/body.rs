//! A request's body that is read while it is sent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use d365_failover_core::{BodySource, Request};

use crate::protocol::{BodyReader, BodyReads, ReaderKind};

/// The byte at a place of every such body.
pub(super) fn byte(at: u64) -> u8 {
    at.wrapping_mul(31).wrapping_add(7).to_le_bytes()[0]
}

/// What a body was asked for, as it stands now.
#[derive(Default)]
pub(super) struct Asked {
    bytes: AtomicU64,
    rewinds: AtomicU64,
}

impl Asked {
    pub(super) fn record(&self) -> BodyReads {
        BodyReads {
            bytes: self.bytes.load(Ordering::SeqCst),
            rewinds: self.rewinds.load(Ordering::SeqCst),
        }
    }
}

struct Pattern {
    reader: BodyReader,
    at: u64,
    asked: Arc<Asked>,
}

impl BodySource for Pattern {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.reader.fail_at == Some(self.at) {
            return Err(io::Error::other("the scenario wants this body to fail"));
        }
        let end = self.reader.fail_at.unwrap_or(self.reader.size);
        let left = end.min(self.reader.size) - self.at;
        let most = buffer.len().min(self.reader.chunk);
        let count = usize::try_from(left).map_or(most, |left| most.min(left));
        for place in &mut buffer[..count] {
            *place = byte(self.at);
            self.at += 1;
        }
        self.asked.bytes.fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }

    fn rewind(&mut self) -> io::Result<()> {
        if self.reader.kind == ReaderKind::OneShot {
            return Err(io::Error::other("a one-shot body was rewound"));
        }
        self.at = 0;
        self.asked.rewinds.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Gives the request such a body, and tells later what it was asked for.
pub(super) fn set(request: &mut Request, reader: &BodyReader) -> Arc<Asked> {
    let asked = Arc::new(Asked::default());
    let length = reader.claims.or(reader.length.then_some(reader.size));
    let can_rewind = reader.kind == ReaderKind::Rewindable;
    let source = Pattern {
        reader: reader.clone(),
        at: 0,
        asked: Arc::clone(&asked),
    };
    request.set_body_source(Box::new(source), length, can_rewind);
    asked
}
