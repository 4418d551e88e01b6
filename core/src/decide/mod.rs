//! What to do next. State and facts in, decision out: no I/O, no clock, no random source.

pub(crate) mod backoff;
pub(crate) mod budget;
pub(crate) mod call;
pub(crate) mod caution;
pub(crate) mod dial;
pub(crate) mod ramp;
pub(crate) mod redirect;
pub(crate) mod resend;
pub(crate) mod suspects;
pub(crate) mod switchboard;
pub(crate) mod verify;
pub(crate) mod watch;
