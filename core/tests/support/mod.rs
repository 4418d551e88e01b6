//! What the tests have in common.
#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod contoso;
pub(crate) mod script;
