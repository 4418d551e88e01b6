//! What to do next. State and facts in, decision out: no I/O, no clock, no random source.

pub(crate) mod call;
pub(crate) mod redirect;

pub(crate) mod switchboard;
