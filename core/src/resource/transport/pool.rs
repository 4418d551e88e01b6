//! The connections that wait for their next request.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;
use super::connector::Origin;

pub(super) struct Pool {
    max_connections: usize,
    idle_timeout: Duration,
    max_age: Duration,
    origins: Mutex<HashMap<Origin, Shelf>>,
    /// Spreads the ages, so that the connections of one moment do not all end in one moment.
    random: RandomState,
}

struct Shelf {
    permits: Arc<Semaphore>,
    /// The last one used is at the end, and is the next one used.
    idle: Vec<(Connection, Instant)>,
}

/// The right to have one connection to an origin.
pub(crate) struct Permit(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Pool {
    pub(super) fn new(max_connections: usize, idle_timeout: Duration, max_age: Duration) -> Pool {
        Pool {
            max_connections,
            idle_timeout,
            max_age,
            origins: Mutex::default(),
            random: RandomState::new(),
        }
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<Origin, Shelf>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the origin has less connections in use than it may have.
    pub(super) async fn permit(&self, origin: &Origin) -> Permit {
        let permits = {
            let mut origins = self.origins();
            match origins.get(origin) {
                Some(shelf) => Arc::clone(&shelf.permits),
                None => {
                    let permits = Arc::new(Semaphore::new(self.max_connections));
                    let shelf = Shelf {
                        permits: Arc::clone(&permits),
                        idle: Vec::new(),
                    };
                    origins.insert(origin.clone(), shelf);
                    permits
                }
            }
        };
        let permit = permits
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        Permit(permit)
    }

    /// An idle connection that is open, silent, and neither too old nor too long idle.
    pub(super) fn take(&self, origin: &Origin, now: Instant) -> Option<Connection> {
        loop {
            let (connection, expires) = self.origins().get_mut(origin)?.idle.pop()?;
            let idle = now.saturating_duration_since(connection.last_used);
            if now < expires && idle < self.idle_timeout && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request, if it can serve one.
    pub(super) fn put(&self, origin: &Origin, connection: Connection, expires: Instant) {
        if !connection.is_reusable() {
            return;
        }
        let now = connection.last_used;
        if let Some(shelf) = self.origins().get_mut(origin) {
            // Those at the beginning were not needed for longest.
            let fresh = shelf.idle.iter().position(|(connection, expires)| {
                now < *expires
                    && now.saturating_duration_since(connection.last_used) < self.idle_timeout
            });
            shelf.idle.drain(..fresh.unwrap_or(shelf.idle.len()));
            shelf.idle.push((connection, expires));
        }
    }

    /// When a connection opened at `opened` is too old: at the age limit, ± 20 %.
    pub(super) fn expiry(&self, opened: Instant) -> Instant {
        let random = self.random.hash_one(opened) % 401;
        opened + self.max_age * (800 + random as u32) / 1000
    }

    /// Closes the idle connections of an origin.
    pub(super) fn clear(&self, origin: &Origin) {
        let idle = self
            .origins()
            .get_mut(origin)
            .map(|shelf| std::mem::take(&mut shelf.idle));
        drop(idle);
    }
}
