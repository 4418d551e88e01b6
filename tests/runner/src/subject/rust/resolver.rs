//! The names that a scenario knows, instead of the system's resolver.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use d365_failover_core::{Resolve, ResolveError};

use crate::protocol::{Resolution, ResolveFailure};

/// Hosts and what is found for them; any other is no name.
pub(super) struct Names {
    names: BTreeMap<String, Resolution>,
    asked: Mutex<BTreeSet<String>>,
}

impl Names {
    pub(super) fn new(names: BTreeMap<String, Resolution>) -> Names {
        Names {
            names,
            asked: Mutex::default(),
        }
    }
}

impl Resolve for Names {
    fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = asked.insert(host.to_owned());
        match self.names.get(host) {
            Some(Resolution::Failure(ResolveFailure::TryAgainOnce)) if !is_first => {
                Ok(vec![Ipv4Addr::LOCALHOST.into()])
            }
            Some(Resolution::Addresses(addresses)) => Ok(addresses.clone()),
            Some(Resolution::Failure(ResolveFailure::TryAgain | ResolveFailure::TryAgainOnce)) => {
                Err(ResolveError::TryAgain)
            }
            Some(Resolution::Failure(ResolveFailure::Failed)) => {
                Err(ResolveError::Failed("the scenario says so".into()))
            }
            Some(Resolution::Failure(ResolveFailure::NoSuchName)) | None => {
                Err(ResolveError::NoSuchName)
            }
        }
    }
}
