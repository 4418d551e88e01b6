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
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod allowed_host;
mod alternate;
mod attempt;
mod base;
mod batch;
mod body;
mod byte_set;
mod classify;
mod client;
mod client_credentials;
mod connect_to;
mod content_type;
mod decide;
mod effect;
mod ending;
mod errand;
mod event;
mod execute_multiple;
mod failback;
mod fault;
mod fork;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod guarded;
mod head_text;
mod header;
mod inner;
mod json_batch;
mod kept;
mod ledger_entry;
mod lock;
#[doc(hidden)]
pub mod machines;
mod odata_header;
mod operation;
mod operator;
mod organization;
mod outgoing;
mod parts;
mod preset;
mod proxy;
mod proxy_environment;
mod registrable;
mod request;
mod resolve;
mod resource;
mod rewrite;
mod role;
mod row_answer;
mod rule;
mod settings;
mod settling;
mod shown;
mod soap_answer;
mod soap_request;
mod target;
mod thread_id;
mod token;
mod unbegun;
mod unknown_setting;
mod url_text;
mod values;
mod verification;
mod verify_keys;
mod walk;
mod whereabouts;

pub use allowed_host::AllowedHost;
pub use alternate::{UrlForm, alternate_url, is_alternate_url, primary_url};
pub use attempt::{Attempt, HttpVersion, Phase};
pub use body::BodySource;
pub use classify::{FailoverPolicy, classify_response, read_failover_policy};
pub use client::{Client, Pending};
pub use decide::explain::{explain_fault, explain_response};
pub use effect::Effect;
pub use ending::{Error, ErrorKind, Response};
pub use event::{Decision, Event, ItemKind, Level, Probed};
pub use failback::Failback;
pub use fault::{Cause, Fault, FaultKind};
pub use fork::note_fork;
pub use head_text::readable;
pub use header::append_header;
pub use ledger_entry::{LedgerEntry, LedgerSelection, Resolution, SuspectedSince};
pub use operation::Operation;
pub use operator::{Order, Override, OverrideSource};
pub use organization::Organization;
pub use outgoing::{Outgoing, Prepare};
pub use parts::BatchPart;
pub use preset::Preset;
pub use request::Request;
pub use resolve::{Resolve, ResolveError};
pub use resource::item::Item;
pub use resource::queue::Queue;
#[doc(hidden)]
pub use resource::thread::spawn;
pub use role::Role;
#[doc(hidden)]
pub use rule::Rule;
pub use settings::{
    AutoSwitch, LedgerBodies, Settings, StoreDurability, StoreFailure, TokenPrecedence,
};
pub use settling::{SettlePolicy, SettleStep, Settled};
pub use shown::shown_url;
pub use target::Target;
pub use thread_id::ThreadId;
pub use token::{TokenProvider, TokenRequest};
pub use verification::{Difference, Verification, Verified};

/// The version of this library, as in `d365-failover/VERSION` of the user agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
