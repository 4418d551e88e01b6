//! How data crosses between Java and Rust: one `byte[]` a direction, instead of a call for each field.
//!
//! Numbers are big-endian, as `java.nio.ByteBuffer` has them; text is UTF-8 with its length before it, never Java's
//! modified UTF-8. Both sides come from one build, so there is no version in it.

use crate::jvm::Stop;

/// Packs what goes to Java.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// A packet that says that all went well; its contents follow.
    pub(crate) fn ok() -> Writer {
        let mut packet = Writer::default();
        packet.int(d365_failover::D365_OK);
        packet
    }

    pub(crate) fn int(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn long(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        // What is longer than an `int` can say does not fit in a `byte[]` either: making that fails, and says so.
        self.int(value.len() as i32);
        self.0.extend_from_slice(value);
    }

    /// A presence byte, and the value if there is one.
    pub(crate) fn optional<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Writer, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put(self, value);
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// Unpacks what came from Java.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(packet: &'a [u8]) -> Reader<'a> {
        Reader(packet)
    }

    pub(crate) fn int(&mut self) -> Result<i32, Stop> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub(crate) fn long(&mut self) -> Result<i64, Stop> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Stop> {
        let len = usize::try_from(self.int()?).map_err(|_| Stop::Malformed)?;
        let (value, rest) = self.0.split_at_checked(len).ok_or(Stop::Malformed)?;
        self.0 = rest;
        Ok(value)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let (value, rest) = self.0.split_first_chunk::<N>().ok_or(Stop::Malformed)?;
        self.0 = rest;
        Ok(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut packet = Writer::default();
        packet.int(-7);
        packet.long(i64::MIN);
        packet.bytes("a\0\u{1F600}".as_bytes());
        packet.bytes(b"");
        let mut reader = Reader::new(packet.as_slice());
        assert_eq!(reader.int().ok(), Some(-7));
        assert_eq!(reader.long().ok(), Some(i64::MIN));
        assert_eq!(reader.bytes().ok(), Some("a\0\u{1F600}".as_bytes()));
        assert_eq!(reader.bytes().ok(), Some(&b""[..]));
        assert!(reader.int().is_err());
    }

    #[test]
    fn a_length_beyond_the_packet_is_refused() {
        for len in [1, i32::MAX, -1] {
            let mut packet = Writer::default();
            packet.int(len);
            assert!(Reader::new(packet.as_slice()).bytes().is_err(), "{len}");
        }
    }

    #[test]
    fn an_absent_value_is_one_byte() {
        let mut packet = Writer::default();
        packet.optional(None, Writer::int);
        packet.optional(Some(1), Writer::int);
        assert_eq!(packet.as_slice(), [0, 1, 0, 0, 0, 1]);
    }
}
