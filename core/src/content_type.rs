//! The value of a Content-Type: media type and parameters.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The Content-Type of a message, if it has one that is text.
pub(crate) fn of(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// What stands before the parameters.
pub(crate) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The value of a parameter (RFC 2046, 5.1.1), unless it is empty.
pub(crate) fn parameter(content_type: &str, wanted: &str) -> Option<String> {
    let mut rest = content_type.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        // Parameters without a value stand between the semicolons before.
        let name = name.rsplit(';').next().unwrap_or_default().trim();
        let (value, next) = parameter_value(after.trim_start());
        if name.eq_ignore_ascii_case(wanted) {
            return (!value.is_empty()).then_some(value);
        }
        rest = next;
    }
}

fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary() {
        let table = [
            ("multipart/mixed;boundary=b_1", Some("b_1")),
            ("multipart/mixed; Boundary=b_1 ; charset=utf-8", Some("b_1")),
            (
                "multipart/mixed; charset=utf-8; boundary=\"b 1;=\"",
                Some("b 1;="),
            ),
            (
                r#"multipart/mixed; x="a;boundary=no"; boundary="a\"b""#,
                Some("a\"b"),
            ),
            ("multipart/mixed; flag; boundary=b", Some("b")),
            ("multipart/mixed;\r\n boundary=b", Some("b")),
            ("multipart/mixed; boundary=", None),
            ("multipart/mixed; boundary=\"\"", None),
            ("multipart/mixed; boundary", None),
            ("multipart/mixed", None),
        ];
        for (content_type, expected) in table {
            assert_eq!(
                parameter(content_type, "boundary").as_deref(),
                expected,
                "{content_type}"
            );
        }
    }
}
