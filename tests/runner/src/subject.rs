//! What a scenario is played with.

mod agent;
mod rust;

use std::collections::BTreeMap;

use d365_failover_core::Rule;
use thiserror::Error;

use crate::protocol::{Answer, Request};

pub use agent::Agent;
pub use rust::Rust;

/// One way to the product: the Rust client, or a binding.
pub trait Subject: Send {
    /// Does what is asked, and answers; waits as long as that takes.
    fn ask(&mut self, request: &Request) -> Result<Answer, Broken>;

    /// Kills it where it is, and starts another in its place, which has no clients, and this in its
    /// environment.
    fn restart(&mut self, environment: &BTreeMap<String, String>) -> Result<(), Broken>;

    /// Closes everything.
    fn finish(&mut self) -> Result<(), Broken>;
}

/// A subject that does not keep the protocol: died, hangs, or says what cannot be read.
#[derive(Clone, Debug, Error)]
#[error("the subject is broken: {0}")]
pub struct Broken(pub String);

/// Which subject, and how it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// The Rust client in this process.
    Rust,
    /// The same with a rule of the preset `safe` switched off.
    RustWithout(Rule),
    /// An agent process.
    Agent {
        /// Its language.
        name: String,
        /// Its command line, as a shell reads it.
        command: String,
    },
}

impl SubjectKind {
    /// Its name in reports.
    pub fn name(&self) -> &str {
        match self {
            SubjectKind::Rust | SubjectKind::RustWithout(_) => "rust",
            SubjectKind::Agent { name, .. } => name,
        }
    }

    /// Starts it.
    pub fn start(&self) -> Result<Box<dyn Subject>, Broken> {
        Ok(match self {
            SubjectKind::Rust => Box::new(Rust::default()),
            SubjectKind::RustWithout(rule) => Box::new(Rust::without(*rule)),
            SubjectKind::Agent { command, .. } => Box::new(Agent::start(command)?),
        })
    }
}
