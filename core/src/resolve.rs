//! From a host's name to its addresses, by somebody else than the system.

use std::net::IpAddr;

/// Asked instead of the system's resolver, on a thread of its own; one question for each name at a
/// time.
pub trait Resolve: Send + Sync {
    /// The addresses of a host, in the order in which they are tried.
    ///
    /// # Errors
    /// Why there is none; the three mean different things for the endpoint.
    fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError>;
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolveError {
    /// There is no such name, or it has no address.
    NoSuchName,
    /// Nobody could say now.
    TryAgain,
    /// This machine could not ask.
    Failed(String),
}
