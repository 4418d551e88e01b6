//! The connections that wait for their next request, or take one more.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connector::Origin;
use super::http1::Http1;
use super::http2::{Http2, Lease};
use crate::lock::lock;
use crate::resource::chance::Chance;
use crate::resource::engine::Engine;
use crate::resource::settled::{Awaited, Maker, pair};
use crate::{Fault, Settings};

pub(super) struct Pool {
    max_connections: usize,
    idle_timeout: Duration,
    max_age: Duration,
    connect_timeout: Duration,
    shelves: Mutex<Shelves>,
    /// Spreads the ages, so that the connections of one moment do not all end in one moment.
    chance: Chance,
    /// Whose thread clears out in time.
    engine: Weak<Engine>,
}

#[derive(Default)]
struct Shelves {
    /// A handful: comparing is cheaper than hashing.
    origins: Vec<(Origin, Shelf)>,
    /// It will be cleared out at a time that the engine knows.
    is_due: bool,
}

struct Shelf {
    permits: Arc<Semaphore>,
    /// The last one used is at the end, and is the next one used.
    #[expect(clippy::vec_box, reason = "each is moved with every exchange")]
    idle: Vec<Box<Http1>>,
    /// HTTP/2 connections, each carrying many requests.
    shared: Vec<(Arc<Http2>, Instant)>,
    /// The peer has chosen HTTP/2 the last time.
    speaks_http2: bool,
    /// The peer has said that it wants HTTP/1.1.
    wants_http1: bool,
    /// A connection was lost: the next one is a new one, so that its name is asked anew.
    is_doubted: bool,
    /// The opening under way of one more HTTP/2 connection.
    opening: Option<(Instant, Awaited<Result<(), Fault>>)>,
}

/// Connections that were taken off their shelf, to be closed without the lock.
type Closing = (Vec<Box<Http1>>, Vec<(Arc<Http2>, Instant)>);

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
    pub(super) fn new(settings: &Settings, engine: &Arc<Engine>) -> Arc<Pool> {
        let pool = Arc::new(Pool {
            max_connections: settings.max_connections,
            idle_timeout: settings.idle_timeout,
            max_age: settings.max_connection_age,
            connect_timeout: settings.connect_timeout,
            shelves: Mutex::default(),
            chance: Chance::default(),
            engine: Arc::downgrade(engine),
        });
        let cleared = Arc::downgrade(&pool);
        engine.when_due(move |now| cleared.upgrade()?.clear_out(now));
        pool
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        lock(&self.shelves)
    }

    /// Does something with an origin's connections.
    fn at<T>(&self, origin: &Origin, act: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut shelves = self.shelves();
        let origins = &mut shelves.origins;
        let index = origins.iter().position(|(known, _)| known == origin);
        let index = index.unwrap_or_else(|| {
            origins.push((origin.clone(), Shelf::new(self.max_connections)));
            origins.len() - 1
        });
        act(&mut origins[index].1)
    }

    /// Waits until the origin has less exchanges under way than it may have.
    pub(super) async fn permit(&self, origin: &Origin) -> Permit {
        let permits = self.at(origin, |shelf| Arc::clone(&shelf.permits));
        let permit = permits
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        Permit(permit)
    }

    /// An idle connection that is open, silent, and neither too old nor too long idle.
    pub(super) fn take(
        &self,
        origin: &Origin,
        max_idle: Duration,
        now: Instant,
    ) -> Option<Box<Http1>> {
        loop {
            let connection = self.at(origin, |shelf| {
                let idle = &mut shelf.idle;
                // The last one used is the least idle.
                let fresh =
                    idle.pop_if(|last| now.saturating_duration_since(last.last_used) < max_idle);
                if fresh.is_none() && !idle.is_empty() {
                    // Another one is opened in the place of one of these.
                    drop(idle.remove(0));
                }
                fresh
            })?;
            if self.is_fresh(&connection, now) && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    fn is_fresh(&self, connection: &Http1, now: Instant) -> bool {
        connection.expires.is_none_or(|expires| now < expires)
            && now.saturating_duration_since(connection.last_used) < self.idle_timeout
    }

    fn is_shared_fresh(&self, (connection, expires): &(Arc<Http2>, Instant), now: Instant) -> bool {
        connection.is_open() && now < *expires && connection.idle(now) < self.idle_timeout
    }

    /// Keeps a connection for the next request, if it can serve one.
    pub(super) fn put(&self, origin: &Origin, mut connection: Box<Http1>) {
        if !connection.is_reusable() {
            return;
        }
        if connection.expires.is_none() {
            connection.expires = Some(self.expiry(connection.opened));
        }
        let now = connection.last_used;
        self.at(origin, |shelf| {
            // Those at the beginning were not needed for longest.
            let mut idle = shelf.idle.iter();
            let fresh = idle.position(|connection| self.is_fresh(connection, now));
            shelf.idle.drain(..fresh.unwrap_or(shelf.idle.len()));
            shelf.idle.push(connection);
        });
        self.is_kept(now);
    }

    /// Something is kept: it will be closed in time, also if nobody ever comes for it.
    fn is_kept(&self, now: Instant) {
        if !std::mem::replace(&mut self.shelves().is_due, true)
            && let Some(engine) = self.engine.upgrade()
        {
            engine.due_at(now + self.idle_timeout);
        }
    }

    /// Closes what is too old, or too long idle. Tells when to come again.
    fn clear_out(&self, now: Instant) -> Option<Instant> {
        let mut closing = Vec::new();
        let mut next: Option<Instant> = None;
        let mut shelves = self.shelves();
        for (_, shelf) in &mut shelves.origins {
            closing.push(shelf.remove(
                |idle| self.is_fresh(idle, now),
                |shared| self.is_shared_fresh(shared, now),
            ));
            let idle = shelf.idle.iter().map(|connection| connection.last_used);
            let shared = shelf.shared.iter();
            let shared =
                shared.map(|(connection, _)| now.checked_sub(connection.idle(now)).unwrap_or(now));
            for since in idle.chain(shared) {
                let due = since + self.idle_timeout;
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        shelves.is_due = next.is_some();
        drop(shelves);
        drop(closing);
        next
    }

    /// A stream of the first shared connection that has room for one.
    pub(super) fn lease(&self, origin: &Origin, max_idle: Duration, now: Instant) -> Option<Lease> {
        self.at(origin, |shelf| {
            shelf
                .shared
                .retain(|shared| self.is_shared_fresh(shared, now));
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
        })
    }

    /// Keeps a shared connection for this and further requests.
    pub(super) fn share(&self, origin: &Origin, connection: Arc<Http2>) {
        let (opened, expires) = (connection.opened, self.expiry(connection.opened));
        self.at(origin, |shelf| {
            shelf.speaks_http2 = true;
            shelf.shared.push((connection, expires));
        });
        self.is_kept(opened);
    }

    /// The same of one that was opened for something else, where there is none: one is enough for all.
    pub(super) fn share_first(&self, origin: &Origin, connection: Arc<Http2>) {
        let is_first = self.at(origin, |shelf| {
            let mut shared = shelf.shared.iter();
            !shared.any(|(connection, _)| connection.is_open())
        });
        if is_first && connection.is_open() {
            self.share(origin, connection);
        }
    }

    /// A shared connection that is young and may yet carry more than it does now.
    pub(super) fn held_back(&self, origin: &Origin) -> Option<Arc<Http2>> {
        self.at(origin, |shelf| {
            let mut shared = shelf.shared.iter().map(|(connection, _)| connection);
            shared.find(|connection| connection.is_held_back()).cloned()
        })
    }

    /// Whether the next connection is expected to be a shared one, so that one is enough for all
    /// who wait.
    pub(super) fn speaks_http2(&self, origin: &Origin) -> bool {
        self.at(origin, |shelf| shelf.speaks_http2)
    }

    /// The peer has chosen HTTP/1.1 after all.
    pub(super) fn speaks_http1(&self, origin: &Origin) {
        self.at(origin, |shelf| shelf.speaks_http2 = false);
    }

    /// The peer wants HTTP/1.1, from now on.
    pub(super) fn only_http1(&self, origin: &Origin) {
        let shared = self.at(origin, |shelf| {
            (shelf.speaks_http2, shelf.wants_http1) = (false, true);
            std::mem::take(&mut shelf.shared)
        });
        drop(shared);
    }

    pub(super) fn may_be_http2(&self, origin: &Origin) -> bool {
        self.at(origin, |shelf| !shelf.wants_http1)
    }

    /// A connection was lost. Its peer may be gone from under its name, and others be about to hang.
    pub(super) fn doubt(&self, origin: &Origin) {
        self.at(origin, |shelf| {
            shelf.is_doubted = !(shelf.idle.is_empty() && shelf.shared.is_empty());
        });
    }

    /// Whether a connection was lost and nobody has asked for the name since. Tells it once.
    pub(super) fn is_doubted(&self, origin: &Origin) -> bool {
        self.at(origin, |shelf| std::mem::take(&mut shelf.is_doubted))
    }

    /// Closes what has been idle since before then.
    pub(super) fn clear_idle(&self, origin: &Origin, since: Instant) {
        let closing = self.at(origin, |shelf| {
            shelf.remove(|idle| idle.last_used >= since, |_| true)
        });
        drop(closing);
    }

    /// The name leads to these addresses now: no request goes to another one any more.
    pub(super) fn stay_at(&self, origin: &Origin, found: &[IpAddr]) {
        let is_there = |peer: Option<IpAddr>| peer.is_some_and(|peer| found.contains(&peer));
        let moved = self.at(origin, |shelf| {
            shelf.remove(
                |idle| is_there(idle.peer),
                |(shared, _)| is_there(shared.peer),
            )
        });
        drop(moved);
    }

    /// One more shared connection: who opens it?
    pub(super) fn opening(&self, origin: &Origin, now: Instant) -> Opening {
        self.at(origin, |shelf| {
            // One that everybody has left stood still since: what it ends with says nothing of now.
            let under_way = shelf.opening.clone().filter(|(begun, opening)| {
                now.saturating_duration_since(*begun) < self.connect_timeout
                    && opening.borrow().is_none()
                    && opening.has_changed().is_ok()
            });
            match under_way {
                Some((_, awaited)) => Opening::Theirs(awaited),
                None => {
                    let (maker, awaited) = pair();
                    shelf.opening = Some((now, awaited.clone()));
                    Opening::Ours(maker, awaited)
                }
            }
        })
    }

    /// When a connection opened at `opened` is too old: at the age limit, ± 20 %.
    fn expiry(&self, opened: Instant) -> Instant {
        opened + self.max_age.mul_f64(0.8 + 0.4 * self.chance.draw())
    }

    /// Closes the idle connections of an origin; shared ones end with their last stream.
    pub(super) fn clear(&self, origin: &Origin) {
        let closing = self.at(origin, |shelf| shelf.remove(|_| false, |_| false));
        drop(closing);
    }

    /// The same of all origins. Tells whether there were shared ones, which their tasks close.
    pub(super) fn clear_all(&self) -> bool {
        let closing: Vec<Closing> = {
            let mut shelves = self.shelves();
            let shelves = shelves.origins.iter_mut();
            shelves
                .map(|(_, shelf)| shelf.remove(|_| false, |_| false))
                .collect()
        };
        closing.iter().any(|(_, shared)| !shared.is_empty())
    }
}

impl Shelf {
    fn new(max_connections: usize) -> Shelf {
        Shelf {
            permits: Arc::new(Semaphore::new(max_connections)),
            idle: Vec::new(),
            shared: Vec::new(),
            speaks_http2: false,
            wants_http1: false,
            is_doubted: false,
            opening: None,
        }
    }

    /// Takes off what is not to stay.
    fn remove(
        &mut self,
        mut stays: impl FnMut(&Http1) -> bool,
        mut shared_stays: impl FnMut(&(Arc<Http2>, Instant)) -> bool,
    ) -> Closing {
        (
            self.idle.extract_if(.., |idle| !stays(idle)).collect(),
            self.shared
                .extract_if(.., |shared| !shared_stays(shared))
                .collect(),
        )
    }
}
