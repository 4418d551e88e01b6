//! What to do next. State and facts in, decision out: no I/O, no clock, no random source.
//!
//! Two machines: the [switch](switch), one for a client, and the [call](call), one for a call. What
//! the presets differ in is a [table](preset).

// Public as far as `crate::machines` shows them, which nobody's documentation does.
#![allow(missing_docs, unreachable_pub)]

pub(crate) mod alternate;
pub(crate) mod backoff;
pub(crate) mod budget;
pub(crate) mod call;
pub(crate) mod compare;
pub(crate) mod dial;
mod effect;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod failback;
pub(crate) mod finding;
pub(crate) mod look;
pub(crate) mod offered;
pub(crate) mod outage;
pub(crate) mod place;
pub(crate) mod preset;
pub(crate) mod ramp;
pub(crate) mod redirect;
pub(crate) mod replay;
pub(crate) mod resend;
pub(crate) mod settle;
pub(crate) mod subject;
pub(crate) mod suspects;
pub(crate) mod switch;
pub(crate) mod verify;
pub(crate) mod watch;
pub(crate) mod window;
