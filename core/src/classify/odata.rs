//! OData errors: version 4 in JSON, version 2 in JSON and XML.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::xml::{Visit, is_path, walk};
use super::{BodyFault, codes};

const METADATA: &str = "http://schemas.microsoft.com/ado/2007/08/dataservices/metadata";

/// Reads `{"error":{"code":…,"message":…}}`. What was whole before a cut is kept. `None`: the
/// document has no `error` object.
pub(super) fn read_json(body: &[u8]) -> Option<BodyFault> {
    let mut found = None;
    // A cut document ends in an error, after the parts before the cut were stored.
    let _ = Whole(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(body));
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

impl<'de> DeserializeSeed<'de> for Code<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => *self.0 = codes::parse(&text),
            serde_json::Value::Number(number) => {
                *self.0 = number.as_i64().and_then(codes::from_number);
            }
            _ => {}
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let mut value = serde_json::Value::deserialize(deserializer)?;
        // Version 2 wraps the text: {"lang":"en-US","value":"…"}.
        if value.is_object() {
            value = value["value"].take();
        }
        if let serde_json::Value::String(text) = value {
            *self.0 = Some(text);
        }
        Ok(())
    }
}

use serde::Deserialize as _;

/// Reads version 2's `<error><code/><message/></error>`.
pub(super) fn read_xml(document: &str) -> Option<BodyFault> {
    let mut found = None::<BodyFault>;
    walk(document, |path, visit| {
        if path[0].namespace != METADATA || path[0].local != "error" {
            return;
        }
        let fault = found.get_or_insert_default();
        if let Visit::End(text) = visit {
            if is_path(path, &["error", "code"]) {
                fault.code = codes::parse(text);
            } else if is_path(path, &["error", "message"]) {
                fault.message = Some(text.to_owned());
            }
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> Option<i32> {
        read_json(body.as_bytes())?.code
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
    fn inner_codes_do_not_count() {
        let body = r#"{"error":{"code":"","message":"m","innererror":{"code":"0x8004b065"}}}"#;
        let fault = read_json(body.as_bytes()).unwrap();
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
        assert_eq!(
            read_json(json.as_bytes()).unwrap().message.as_deref(),
            Some("v")
        );
        let xml = format!(
            r#"<?xml version="1.0"?><m:error xmlns:m="{METADATA}"><m:code>-2147176347</m:code>
               <m:message xml:lang="en-US">v</m:message></m:error>"#
        );
        let fault = read_xml(&xml).unwrap();
        assert_eq!(fault.code, Some(codes::DATACENTER_NOT_AVAILABLE));
        assert_eq!(fault.message.as_deref(), Some("v"));
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
            assert_eq!(read_json(body.as_bytes()), None, "{body}");
        }
    }
}
