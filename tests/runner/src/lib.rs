//! Runs the scenarios against the twin datacenter, from Rust, C, Java and Python.
//!
//! A scenario is JSON: a set-up of the twin, and steps that drive a client and say what must come
//! of it. One interpreter reads it, and plays it with a [`Subject`]: the Rust client in this
//! process, or an agent process that wraps a binding and is spoken to in lines of JSON.

mod compare;
mod expect;
mod failure;
mod file;
mod layout;
mod names;
mod part;
mod play;
mod protocol;
mod request;
mod run;
mod schema;
mod seen;
mod stage;
mod step;
mod subject;
mod template;
mod variables;
mod words;

pub use failure::Failure;
pub use file::{LoadError, Runs, Scenario, load};
pub use layout::lay_out_all;

pub use protocol::{Answer, Request};
pub use run::{Report, Run};
pub use schema::{schema, write_schema};
pub use subject::{Agent, Broken, Rust, Subject, SubjectKind};
