//! The codes of the services' errors.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::TwinError;

/// A service error code, written as hex text, decimal text, or a number; kept as 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Value", into = "String")]
#[schemars(extend("type" = ["integer", "string"]))]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// The code as a signed number, as SOAP faults carry it.
    pub fn signed(self) -> i32 {
        self.0.cast_signed()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "0x{:08x}", self.0)
    }
}

impl From<ErrorCode> for String {
    fn from(code: ErrorCode) -> String {
        code.to_string()
    }
}

impl TryFrom<Value> for ErrorCode {
    type Error = TwinError;

    fn try_from(value: Value) -> Result<ErrorCode, TwinError> {
        let number = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
                Some(hex) => i64::from_str_radix(hex, 16).ok(),
                None => text.parse().ok(),
            },
            _ => None,
        };
        number
            .and_then(|number| {
                let unsigned = u32::try_from(number).ok();
                unsigned.or_else(|| i32::try_from(number).ok().map(i32::cast_unsigned))
            })
            .map(ErrorCode)
            .ok_or_else(|| {
                TwinError::invalid(format!(
                    "{value} is no error code: write \"0x8004B065\" or -2147176347"
                ))
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_are_read_in_each_spelling() {
        for text in [
            json!("0x8004B065"),
            json!("-2147176347"),
            json!(-2147176347),
            json!(2147790949_u32),
        ] {
            let code: ErrorCode = serde_json::from_value(text).unwrap();
            assert_eq!(code.signed(), -2147176347);
        }
        assert!(serde_json::from_value::<ErrorCode>(json!("no")).is_err());
    }
}
