//! The C ABI of the failover core: `libd365_failover`, `d365_failover.h`.
//!
//! One module per noun. Every body is `guard { check the arguments; do one thing; map the error }`;
//! what a caller must keep to stands once, in the first chapter of the header (`cbindgen.toml`),
//! and per function in its comment here. The bindings call these same functions through the rlib,
//! so that whatever they can do, C can do.
//!
//! # Safety
//!
//! Functions are `unsafe` that read or write through a pointer of the caller's: such a pointer is
//! NULL (where the comment allows it, else the status is `D365_NULL_POINTER`) or valid for what its
//! type and length say, for the time of the call. Handles are never dereferenced: any value at all
//! gives a status.

#![allow(
    non_camel_case_types,
    reason = "the names of the C types are the names of the Rust types"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "one contract for all functions, in the crate's documentation"
)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod argument;
mod guard;
mod handle;
mod stack;
mod sys;

// One a paragraph, so that they stay in this order, which is that of the header.
mod status;

mod cause;

mod version;

mod fork;

mod text;

mod error;

mod settings;

mod token;

mod outgoing;

mod request;

mod body_reader;

mod response;

mod attempts;

mod parts;

mod fields;

mod client;

mod operator;

mod ledger;

mod pending;

mod verify;

mod settle;

mod check;

mod statistics;

mod queue;

mod item;

mod url;

mod fault;

mod explain;

pub use attempts::*;
pub use body_reader::*;
pub use cause::*;
pub use check::*;
pub use client::*;
pub use error::*;
pub use explain::*;
pub use fault::*;
pub use fields::d365_request_fields_t;
pub use fork::d365_fork_era;
pub use item::*;
pub use ledger::*;
pub use operator::*;
pub use outgoing::*;
pub use parts::*;
pub use pending::*;
pub use queue::*;
pub use request::*;
pub use response::*;
pub use settings::*;
pub use settle::*;
pub use statistics::*;
pub use status::*;
pub use text::*;
pub use token::*;
pub use url::*;
pub use verify::*;
pub use version::*;

/// The threads of the Python layer are the library's too. No part of the ABI.
#[doc(hidden)]
pub use d365_failover_core::spawn;

use std::ffi::c_void;

/// Called once when the library will never use `user_data` again, on any thread. May be NULL where
/// it is a parameter. It must not block.
pub type d365_destroy_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;
