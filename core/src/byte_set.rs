//! Which bytes a text may hold, in a table: looked up for each byte of what every call sends and gets.

pub(crate) struct ByteSet([bool; 256]);

impl ByteSet {
    /// The letters and digits of ASCII, and others.
    pub(crate) const fn alphanumeric_and(mut others: &[u8]) -> ByteSet {
        let mut set = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            set[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        while let [byte, rest @ ..] = others {
            set[*byte as usize] = true;
            others = rest;
        }
        ByteSet(set)
    }

    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    pub(crate) fn has_all(&self, text: &str) -> bool {
        text.bytes().all(|byte| self.has(byte))
    }
}

/// Whether it can be the name of a column, of a key or of an entity set.
pub(crate) fn is_identifier(name: &str) -> bool {
    const IDENTIFIER: ByteSet = ByteSet::alphanumeric_and(b"_");
    !name.is_empty() && IDENTIFIER.has_all(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_named() {
        const SET: ByteSet = ByteSet::alphanumeric_and(b"-.\x7f");
        for byte in 0..=u8::MAX {
            let is_named = byte.is_ascii_alphanumeric() || b"-.\x7f".contains(&byte);
            assert_eq!(SET.has(byte), is_named, "{byte}");
        }
        assert!(is_identifier("new_Key1"));
        assert!(
            ["", "a-b", "a b", "ä"]
                .iter()
                .all(|text| !is_identifier(text))
        );
        assert!(SET.has_all("a-9.Z") && !SET.has_all("a b") && SET.has_all(""));
    }
}
