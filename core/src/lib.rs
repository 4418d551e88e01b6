//! The failover core for Dynamics 365 / Dataverse web services.
//!
//! When the datacenter of an organization fails, calls go on at the alternate organization
//! (`contoso` → `contoso--s`). The crate has four floors; each imports only from those under it:
//!
//! 1. **words**: [`Organization`], [`Request`], [`Fault`], [`Effect`], [`Event`], [`Settings`],
//!    [`Error`] and the classifier. Plain data and pure functions.
//! 2. **decisions** (`decide`): which endpoint, which epoch, switch or not, send again or not.
//!    No I/O, no clock, no random source.
//! 3. **resources** (`resource`): transport, queue, tokens, discovery, the engine that runs them.
//! 4. **client**: [`Client`] drives a call through the floors.
//!
//! Applications use it through the C ABI, the JNI library or the Python module.
#![forbid(unsafe_code)]

mod allowed_host;
mod alternate;
mod attempt;
mod classify;
mod client;
mod decide;
mod effect;
mod error;
mod event;
mod fault;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod operation;
mod organization;
mod request;
mod resource;
mod response;
#[cfg_attr(
    not(any(test, fuzzing)),
    expect(dead_code, reason = "the client does not call it yet")
)]
mod rewrite;
mod role;
mod settings;
mod url_text;

pub use allowed_host::AllowedHost;
pub use alternate::{UrlForm, alternate_url, is_alternate_url, primary_url};
pub use attempt::{Attempt, Phase};
pub use classify::{FailoverPolicy, classify_response, read_failover_policy};
pub use client::{Client, Pending};
pub use effect::Effect;
pub use error::{Error, ErrorKind};
pub use event::{Decision, Event, ItemKind, Level};
pub use fault::{Cause, Fault, FaultKind};
pub use operation::Operation;
pub use organization::{Organization, Target};
pub use request::Request;
pub use resource::queue::{Item, Queue};
pub use resource::token::{TokenProvider, TokenRequest};
pub use response::Response;
pub use role::Role;
pub use settings::{AutoSwitch, Preset, Settings};

/// The version of this library, as in `d365-failover/VERSION` of the user agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
