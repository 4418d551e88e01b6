//! The names that a scenario knows, instead of the system's resolver.

use std::collections::BTreeMap;
use std::net::IpAddr;

use d365_failover_core::{Resolve, ResolveError};

use crate::protocol::{Resolution, ResolveFailure};

/// Hosts and what is found for them; any other is no name.
pub(super) struct Names(pub(super) BTreeMap<String, Resolution>);

impl Resolve for Names {
    fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        match self.0.get(host) {
            Some(Resolution::Addresses(addresses)) => Ok(addresses.clone()),
            Some(Resolution::Failure(ResolveFailure::TryAgain)) => Err(ResolveError::TryAgain),
            Some(Resolution::Failure(ResolveFailure::Failed)) => {
                Err(ResolveError::Failed("the scenario says so".into()))
            }
            Some(Resolution::Failure(ResolveFailure::NoSuchName)) | None => {
                Err(ResolveError::NoSuchName)
            }
        }
    }
}
