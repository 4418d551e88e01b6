//! The connections that wait for their next request, or take one more.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connector::Origin;
use super::http1::Http1;
use super::http2::{Http2, Lease};
use crate::Fault;
use crate::resource::settled::{Awaited, Maker, pair};

pub(super) struct Pool {
    max_connections: usize,
    idle_timeout: Duration,
    max_age: Duration,
    connect_timeout: Duration,
    /// A handful: comparing is cheaper than hashing.
    origins: Mutex<Vec<(Origin, Shelf)>>,
    /// Spreads the ages, so that the connections of one moment do not all end in one moment.
    random: RandomState,
}

struct Shelf {
    permits: Arc<Semaphore>,
    /// The last one used is at the end, and is the next one used.
    idle: Vec<Http1>,
    /// HTTP/2 connections, each carrying many requests.
    shared: Vec<(Arc<Http2>, Instant)>,
    /// The peer has chosen HTTP/2 the last time.
    speaks_http2: bool,
    /// The opening under way of one more HTTP/2 connection.
    opening: Option<(Instant, Awaited<Result<(), Fault>>)>,
}

/// Who opens one more HTTP/2 connection.
pub(super) enum Opening {
    /// The caller; all wait for what the maker is told.
    Ours(Maker<Result<(), Fault>>, Awaited<Result<(), Fault>>),
    /// Somebody else, already.
    Theirs(Awaited<Result<(), Fault>>),
}

/// The right to one exchange with an origin: to a connection, or to a stream of a shared one.
pub(crate) struct Permit(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Pool {
    pub(super) fn new(
        max_connections: usize,
        idle_timeout: Duration,
        max_age: Duration,
        connect_timeout: Duration,
    ) -> Pool {
        Pool {
            max_connections,
            idle_timeout,
            max_age,
            connect_timeout,
            origins: Mutex::default(),
            random: RandomState::new(),
        }
    }

    fn origins(&self) -> MutexGuard<'_, Vec<(Origin, Shelf)>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the origin has less exchanges under way than it may have.
    pub(super) async fn permit(&self, origin: &Origin) -> Permit {
        let permits = {
            let mut origins = self.origins();
            match shelf(&mut origins, origin) {
                Some(shelf) => Arc::clone(&shelf.permits),
                None => {
                    let permits = Arc::new(Semaphore::new(self.max_connections));
                    let shelf = Shelf {
                        permits: Arc::clone(&permits),
                        idle: Vec::new(),
                        shared: Vec::new(),
                        speaks_http2: false,
                        opening: None,
                    };
                    origins.push((origin.clone(), shelf));
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
    pub(super) fn take(&self, origin: &Origin, max_idle: Duration, now: Instant) -> Option<Http1> {
        loop {
            let connection = {
                let mut origins = self.origins();
                let idle = &mut shelf(&mut origins, origin)?.idle;
                // The last one used is the least idle.
                let fresh =
                    idle.pop_if(|last| now.saturating_duration_since(last.last_used) < max_idle);
                let Some(fresh) = fresh else {
                    // Another one is opened in the place of one of these.
                    if !idle.is_empty() {
                        drop(idle.remove(0));
                    }
                    return None;
                };
                fresh
            };
            if self.is_fresh(&connection, now) && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    fn is_fresh(&self, connection: &Http1, now: Instant) -> bool {
        connection.expires.is_none_or(|expires| now < expires)
            && now.saturating_duration_since(connection.last_used) < self.idle_timeout
    }

    /// Keeps a connection for the next request, if it can serve one.
    pub(super) fn put(&self, origin: &Origin, mut connection: Http1) {
        if !connection.is_reusable() {
            return;
        }
        if connection.expires.is_none() {
            connection.expires = Some(self.expiry(connection.opened));
        }
        let now = connection.last_used;
        if let Some(shelf) = shelf(&mut self.origins(), origin) {
            // Those at the beginning were not needed for longest.
            let mut idle = shelf.idle.iter();
            let fresh = idle.position(|connection| self.is_fresh(connection, now));
            shelf.idle.drain(..fresh.unwrap_or(shelf.idle.len()));
            shelf.idle.push(connection);
        }
    }

    /// A stream of the first shared connection that has room for one.
    pub(super) fn lease(&self, origin: &Origin, max_idle: Duration, now: Instant) -> Option<Lease> {
        let mut origins = self.origins();
        let shelf = shelf(&mut origins, origin)?;
        shelf.shared.retain(|(connection, expires)| {
            connection.is_open() && now < *expires && connection.idle(now) < self.idle_timeout
        });
        shelf
            .shared
            .iter()
            .filter(|(connection, _)| {
                let is_proved = connection.unproved(now) < max_idle;
                if !is_proved && connection.idle(now) > Duration::ZERO {
                    // Another one is opened in its place.
                    connection.retire();
                }
                is_proved
            })
            .find_map(|(connection, _)| connection.lease())
    }

    /// Keeps a shared connection for this and further requests.
    pub(super) fn share(&self, origin: &Origin, connection: Http2) -> Arc<Http2> {
        let expires = self.expiry(connection.opened);
        let connection = Arc::new(connection);
        if let Some(shelf) = shelf(&mut self.origins(), origin) {
            shelf.speaks_http2 = true;
            shelf.shared.push((Arc::clone(&connection), expires));
        }
        connection
    }

    /// Whether the next connection is expected to be a shared one, so that one is enough for all
    /// who wait.
    pub(super) fn speaks_http2(&self, origin: &Origin) -> bool {
        shelf(&mut self.origins(), origin).is_some_and(|shelf| shelf.speaks_http2)
    }

    /// The peer has chosen HTTP/1.1 after all.
    pub(super) fn speaks_http1(&self, origin: &Origin) {
        if let Some(shelf) = shelf(&mut self.origins(), origin) {
            shelf.speaks_http2 = false;
        }
    }

    /// One more shared connection: who opens it?
    pub(super) fn opening(&self, origin: &Origin, now: Instant) -> Option<Opening> {
        let mut origins = self.origins();
        let shelf = shelf(&mut origins, origin)?;
        // One that everybody has left stood still since: what it ends with says nothing of now.
        let under_way = shelf.opening.clone().filter(|(begun, opening)| {
            now.saturating_duration_since(*begun) < self.connect_timeout
                && opening.borrow().is_none()
                && opening.has_changed().is_ok()
        });
        Some(match under_way {
            Some((_, awaited)) => Opening::Theirs(awaited),
            None => {
                let (maker, awaited) = pair();
                shelf.opening = Some((now, awaited.clone()));
                Opening::Ours(maker, awaited)
            }
        })
    }

    /// When a connection opened at `opened` is too old: at the age limit, ± 20 %.
    fn expiry(&self, opened: Instant) -> Instant {
        let random = self.random.hash_one(opened) % 401;
        opened + self.max_age * (800 + random as u32) / 1000
    }

    /// Closes the idle connections of an origin; shared ones end with their last stream.
    pub(super) fn clear(&self, origin: &Origin) {
        let idle = shelf(&mut self.origins(), origin).map(|shelf| {
            (
                std::mem::take(&mut shelf.idle),
                std::mem::take(&mut shelf.shared),
            )
        });
        drop(idle);
    }
}

fn shelf<'a>(origins: &'a mut [(Origin, Shelf)], origin: &Origin) -> Option<&'a mut Shelf> {
    origins
        .iter_mut()
        .find(|(known, _)| known == origin)
        .map(|(_, shelf)| shelf)
}
