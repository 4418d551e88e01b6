//! The text of a body, whatever its bytes are.

use std::borrow::Cow;

/// Reads UTF-8 and UTF-16 of either byte order, with and without byte order mark: JSON and XML begin
/// with ASCII, so that the place of the zero among the first two bytes tells. What a header or an XML
/// declaration says of it is not needed, and often not so. What is neither is read as far as it
/// goes: a sentence in another encoding must not hide the code beside it.
pub(crate) fn text(body: &[u8]) -> Cow<'_, str> {
    match body {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest),
        [0xFF, 0xFE, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        [1..=0x7F, 0, ..] => utf_16(body, u16::from_le_bytes),
        [0, 1..=0x7F, ..] => utf_16(body, u16::from_be_bytes),
        // Far quicker than what looks for errors: there is seldom one.
        _ => str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed),
    }
}

fn utf_16(body: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'_, str> {
    // Half a unit at the end is where the body was cut.
    let units = body.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let characters = char::decode_utf16(units);
    Cow::Owned(
        characters
            .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding() {
        let units = |unit: fn(u16) -> [u8; 2]| "{é😀".encode_utf16().flat_map(unit).collect();
        let (little, big): (Vec<u8>, Vec<u8>) = (units(u16::to_le_bytes), units(u16::to_be_bytes));
        for body in [
            "{é😀".as_bytes().to_vec(),
            ["\u{feff}".as_bytes(), "{é😀".as_bytes()].concat(),
            little.clone(),
            big.clone(),
            [&[0xFF, 0xFE], &little[..]].concat(),
            [&[0xFE, 0xFF], &big[..]].concat(),
            [&little[..], b"\x20"].concat(),
        ] {
            assert_eq!(text(&body), "{é😀", "{body:x?}");
        }
        assert_eq!(text(&little[..little.len() - 1]), "{é\u{fffd}");
        for (body, expected) in [
            (&b""[..], ""),
            (b"{", "{"),
            (b"\0\0", "\0\0"),
            (b"\xff", "\u{fffd}"),
        ] {
            assert_eq!(text(body), expected, "{body:x?}");
        }
    }
}
