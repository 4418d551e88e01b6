//! OData: errors, version 4 in JSON, version 2 in JSON and XML; and what a body begins with.

use std::fmt;
use std::ops::ControlFlow;

use http::HeaderMap;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::success::{Opening, is_kind};
use super::xml::{Ended, Visit, is_path, walk};
use super::{BodyFault, codes};

const METADATA: &str = "http://schemas.microsoft.com/ado/2007/08/dataservices/metadata";
const ATOM: &str = "http://www.w3.org/2005/Atom";

/// What a body begins with. Of JSON the first key tells: an error has no other, and an answer
/// begins with its annotations (OData JSON 4.0, 4.5.1), or version 2's `d`.
pub(super) fn opening(headers: &HeaderMap, body: &str) -> Opening {
    let body = body.trim_start();
    match body.as_bytes() {
        [] => Opening::Unfinished,
        [b'{', ..] => match first_key(&body[1..]) {
            Key::Cut => Opening::Unfinished,
            Key::None => Opening::Other,
            Key::Is("error" | "odata.error") => Opening::Error(read_json(body)),
            Key::Is(key)
                if key == "d" || key.starts_with("@odata.") || key.starts_with("odata.") =>
            {
                Opening::Success
            }
            Key::Is(_) => Opening::Other,
        },
        [b'<', ..] => opening_of_xml(body),
        // The answers of a `$batch`.
        [b'-', ..] if is_kind(headers, "multipart/mixed") => {
            if body.contains("application/http") {
                Opening::Success
            } else {
                Opening::Unfinished
            }
        }
        _ => Opening::Other,
    }
}

enum Key<'a> {
    Is(&'a str),
    None,
    Cut,
}

/// The first key of an object, as it is written.
fn first_key(object: &str) -> Key<'_> {
    let object = object.trim_start();
    match object.strip_prefix('"') {
        None if object.is_empty() => Key::Cut,
        None => Key::None,
        Some(rest) => rest
            .split_once('"')
            .map_or(Key::Cut, |(key, _)| Key::Is(key)),
    }
}

/// Version 2 answers in Atom where JSON was not asked for.
fn opening_of_xml(body: &str) -> Opening {
    let mut opening = Opening::Unfinished;
    walk(body, |path, _| {
        opening = match (path[0].namespace.as_str(), path[0].local.as_str()) {
            (METADATA, "error") => Opening::Error(read_xml(body)),
            (ATOM, "entry" | "feed") => Opening::Success,
            _ => Opening::Other,
        };
        ControlFlow::Break(())
    });
    opening
}

/// Reads `{"error":{"code":…,"message":…}}`. What was whole before a cut is kept. `None`: the
/// document has no `error` object.
pub(super) fn read_json(document: &str) -> Option<BodyFault> {
    let mut found = None;
    // A cut document ends in an error, after the parts before the cut were stored.
    let _ = Whole(&mut found).deserialize(&mut serde_json::Deserializer::from_str(document));
    found
}

struct Whole<'a>(&'a mut Option<BodyFault>);
struct ErrorObject<'a>(&'a mut Option<BodyFault>);
struct Code<'a>(&'a mut Option<i32>);
struct Message<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an OData error")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "error" | "odata.error" => map.next_value_seed(ErrorObject(self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for ErrorObject<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ErrorObject<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let fault = self.0.get_or_insert_default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "code" => map.next_value_seed(Code(&mut fault.code))?,
                "message" => map.next_value_seed(Message(&mut fault.message))?,
                // `innererror` has codes of its own, which do not count.
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A value of which only texts and numbers matter. Whatever else stands there is no error: the
/// fields after it are still to be read.
enum Loose {
    Text(String),
    Number(i64),
    /// An object: its `value`, if that is a text.
    Object(Option<String>),
    Other,
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Loose, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose::Text(text.to_owned()))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Loose, E> {
        Ok(Loose::Number(number))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Loose, E> {
        Ok(i64::try_from(number).map_or(Loose::Other, Loose::Number))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Loose, E> {
        Ok(Loose::Other)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose::Other)
    }
    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose::Other)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        let mut text = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "value" {
                if let Loose::Text(value) = map.next_value()? {
                    text = Some(value);
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Loose::Object(text))
    }
}

impl<'de> DeserializeSeed<'de> for Code<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.0 = match Loose::deserialize(deserializer)? {
            Loose::Text(text) => codes::parse(&text),
            Loose::Number(number) => codes::from_number(number),
            Loose::Object(_) | Loose::Other => None,
        };
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.0 = match Loose::deserialize(deserializer)? {
            Loose::Text(text) => Some(text),
            // Version 2 wraps the text: {"lang":"en-US","value":"…"}.
            Loose::Object(text) => text,
            Loose::Number(_) | Loose::Other => None,
        };
        Ok(())
    }
}

/// Reads version 2's `<error><code/><message/></error>`.
pub(super) fn read_xml(document: &str) -> Option<BodyFault> {
    let mut found = None::<BodyFault>;
    walk(document, |path, visit| {
        if path[0].namespace != METADATA || path[0].local != "error" {
            return ControlFlow::Break(());
        }
        let fault = found.get_or_insert_default();
        if let Visit::End(Ended { text, .. }) = visit {
            if is_path(path, &["error", "code"]) {
                fault.code = codes::parse(text);
            } else if is_path(path, &["error", "message"]) {
                fault.message = Some(text.to_owned());
            }
        }
        ControlFlow::Continue(())
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> Option<i32> {
        read_json(body)?.code
    }

    #[test]
    fn codes_as_text_and_number() {
        let expected = Some(codes::DATACENTER_NOT_AVAILABLE);
        assert_eq!(
            code(r#"{"error":{"code":"0x8004b065","message":"m"}}"#),
            expected
        );
        assert_eq!(
            code(r#"{"error":{"message":"m","code":-2147176347}}"#),
            expected
        );
        assert_eq!(code(r#"{"error":{"code":2147790949}}"#), expected);
        assert_eq!(code(r#"{"odata.error":{"code":"-2147176347"}}"#), expected);
    }

    #[test]
    fn a_code_that_is_none_hides_nothing_after_it() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for value in [
            "null",
            "true",
            "1.5",
            "18446744073709551615",
            "[1,[2]]",
            "{\"a\":{}}",
            &deep,
        ] {
            let body = format!(r#"{{"error":{{"code":{value},"message":"m"}}}}"#);
            let fault = read_json(&body).unwrap();
            assert_eq!(
                (fault.code, fault.message.as_deref()),
                (None, Some("m")),
                "{value}"
            );
            let body = format!(r#"{{"error":{{"message":{value},"code":"0x8004B065"}}}}"#);
            assert_eq!(
                code(&body),
                Some(codes::DATACENTER_NOT_AVAILABLE),
                "{value}"
            );
            let body = format!(r#"{{"x":{value},"error":{{"code":"0X8004b065"}}}}"#);
            assert_eq!(
                code(&body),
                Some(codes::DATACENTER_NOT_AVAILABLE),
                "{value}"
            );
            let body =
                format!(r#"{{"error":{{"message":{{"value":{value}}},"code":"0X8004b065"}}}}"#);
            if value != deep {
                assert_eq!(
                    code(&body),
                    Some(codes::DATACENTER_NOT_AVAILABLE),
                    "{value}"
                );
            }
        }
    }

    #[test]
    fn inner_codes_do_not_count() {
        let body = r#"{"error":{"code":"","message":"m","innererror":{"code":"0x8004b065"}}}"#;
        let fault = read_json(body).unwrap();
        assert_eq!((fault.code, fault.message.as_deref()), (None, Some("m")));
        assert_eq!(code(r#"{"value":{"error":{"code":"0x8004b065"}}}"#), None);
    }

    #[test]
    fn a_cut_body_keeps_what_was_whole() {
        let body = r#"{"error":{"code":"0x8004b065","message":"this is cu"#;
        assert_eq!(code(body), Some(codes::DATACENTER_NOT_AVAILABLE));
        assert_eq!(code(r#"{"error":{"code":"0x8004b0"#), None);
    }

    #[test]
    fn version_2() {
        let json = r#"{"error":{"code":"","message":{"lang":"en-US","value":"v"}}}"#;
        assert_eq!(read_json(json).unwrap().message.as_deref(), Some("v"));
        let json = r#"{"error":{"code":"-2147176347","message":{"lang":"en-US","value":"v"}}}"#;
        assert_eq!(code(json), Some(codes::DATACENTER_NOT_AVAILABLE));
        let xml = format!(
            r#"<?xml version="1.0"?><m:error xmlns:m="{METADATA}"><m:code>-2147176347</m:code>
               <m:message xml:lang="en-US">v</m:message></m:error>"#
        );
        let fault = read_xml(&xml).unwrap();
        assert_eq!(fault.code, Some(codes::DATACENTER_NOT_AVAILABLE));
        assert_eq!(fault.message.as_deref(), Some("v"));
        let inner = format!(
            r#"<error xmlns="{METADATA}"><code>0x8004b065</code><innererror><code>1</code>
               <message>i</message></innererror></error>"#
        );
        let fault = read_xml(&inner).unwrap();
        assert_eq!(fault.code, Some(codes::DATACENTER_NOT_AVAILABLE));
        assert_eq!(fault.message, None);
        let cut = inner.find("<innererror").unwrap();
        assert_eq!(read_xml(&inner[..cut]).unwrap().code, fault.code);
        assert_eq!(read_xml("<error><code>0x8004b065</code></error>"), None);
    }

    #[test]
    fn what_a_body_begins_with() {
        let error = |code| {
            Opening::Error(Some(BodyFault {
                code,
                ..BodyFault::default()
            }))
        };
        let metadata = format!(r#"<m:error xmlns:m="{METADATA}"><m:code>1</m:code>"#);
        let entry = format!(r#"<?xml version="1.0"?><entry xmlns="{ATOM}"><id>"#);
        let table = [
            ("", Opening::Unfinished),
            (" {", Opening::Unfinished),
            (r#"{ "@odata.con"#, Opening::Unfinished),
            (r#"{ "@odata.context" "#, Opening::Success),
            (r#"{"odata.metadata":"#, Opening::Success),
            (r#"{"d":{"#, Opening::Success),
            (r#"{"data":1}"#, Opening::Other),
            (r#"{"value":[]}"#, Opening::Other),
            ("{}", Opening::Other),
            ("[]", Opening::Other),
            ("blocked", Opening::Other),
            (r#"{"error":{"code":"7"}}"#, error(Some(7))),
            (r#"{"odata.error":{"code":7,"#, error(Some(7))),
            (r#"{"error":{"co"#, error(None)),
            (r#"{"error":"blocked"}"#, Opening::Error(None)),
            (&metadata, error(Some(1))),
            (&entry, Opening::Success),
            ("<entry>", Opening::Other),
            ("<ent", Opening::Unfinished),
        ];
        for (body, expected) in table {
            assert_eq!(opening(&HeaderMap::new(), body), expected, "{body}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            "content-type",
            "multipart/mixed; boundary=b".parse().unwrap(),
        );
        let batch = "--b\r\nContent-Type: application/http\r\n";
        assert_eq!(opening(&headers, batch), Opening::Success);
        assert_eq!(opening(&HeaderMap::new(), batch), Opening::Other);
    }

    #[test]
    fn what_is_no_error() {
        for body in [
            "{}",
            "{",
            "[]",
            "null",
            r#"{"error":"text"}"#,
            r#"{"value":[]}"#,
        ] {
            assert_eq!(read_json(body), None, "{body}");
        }
    }
}
