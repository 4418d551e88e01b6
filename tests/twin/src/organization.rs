//! An organization while it runs: its state, those who wait for it, and the story of a request
//! as the state sees it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, COOKIE};
use http::{Request, Version};
use uuid::Uuid;

use crate::armed::{Hit, Listening};
use crate::config::OrganizationConfig;
use crate::counts::Condition;
use crate::error::TwinError;
use crate::expectation::expects_continue;
use crate::fault::FaultId;
use crate::fault_kind::FaultKind;
use crate::journal::{Journal, JournalEntry};
use crate::role::Role;
use crate::service::Service;
use crate::state::State;

/// A connection, as a request sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Counts the side's connections from 1.
    pub(crate) number: u64,
    /// Whether it has shown a certificate of the client's.
    pub(crate) client_certificate: bool,
}

/// What all organizations of a twin share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) journal: Journal,
    started: Instant,
    faults: AtomicU64,
}

impl Common {
    pub(crate) fn new() -> Common {
        Common {
            journal: Journal::default(),
            started: Instant::now(),
            faults: AtomicU64::new(1),
        }
    }

    pub(crate) fn next_fault(&self) -> FaultId {
        FaultId(self.faults.fetch_add(1, Ordering::SeqCst))
    }

    /// The id that the next fault will get: every fault that is set now lies below.
    pub(crate) fn faults_so_far(&self) -> FaultId {
        FaultId(self.faults.load(Ordering::SeqCst))
    }
}

/// An organization while it runs.
pub(crate) struct Organization {
    pub(crate) config: OrganizationConfig,
    pub(crate) common: Arc<Common>,
    /// The answer of WhoAmI: business unit, user, organization.
    pub(crate) identity: [Uuid; 3],
    state: Mutex<State>,
    changed: Condvar,
}

impl Organization {
    pub(crate) fn new(config: OrganizationConfig, common: Arc<Common>) -> Organization {
        Organization {
            state: Mutex::new(State::new(&config)),
            config,
            common,
            identity: std::array::from_fn(|_| Uuid::new_v4()),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(Instant::now());
        state
    }

    /// Reads the state.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        read(&self.lock())
    }

    /// Changes the state, and wakes those who wait for a condition.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        state.settle(Instant::now());
        drop(state);
        self.changed.notify_all();
        result
    }

    /// Waits until the state is as wanted; false when it is not in time.
    pub(crate) fn wait_until(
        &self,
        timeout: Duration,
        mut wanted: impl FnMut(&State) -> bool,
    ) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        while !wanted(&state) {
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            let until = state
                .replication
                .next_due()
                .map_or(deadline, |due| due.min(deadline));
            let pause = until
                .saturating_duration_since(now)
                .max(Duration::from_millis(1));
            let woken = self.changed.wait_timeout(state, pause);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
            state.settle(Instant::now());
        }
        true
    }

    /// Waits for a condition on a side.
    pub(crate) fn wait_for(
        &self,
        role: Role,
        condition: &Condition,
        timeout: Duration,
    ) -> Result<(), TwinError> {
        let holds =
            |state: &State| condition.holds(&state.side(role).counts, state.replication.waiting());
        if self.wait_until(timeout, holds) {
            return Ok(());
        }
        let seen = self.read(|state| {
            let counts = serde_json::to_string(&state.side(role).counts).unwrap_or_default();
            format!(
                "{counts}, replication waiting {}",
                state.replication.waiting()
            )
        });
        Err(TwinError::TimedOut {
            wanted: format!("{role} {condition:?}"),
            seen,
        })
    }

    pub(crate) fn listening(&self, role: Role) -> Listening {
        self.read(|state| state.side(role).faults.listening())
    }

    /// Notes a request that was read whole, or that met a fault at its head; returns its journal
    /// number and the fault that acts, where none has yet.
    pub(crate) fn receive(
        &self,
        role: Role,
        connection: Peer,
        request: &Request<Bytes>,
        met: Option<&FaultKind>,
    ) -> (u64, Option<Hit>) {
        let service = Service::of(request.uri());
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let token_for = self.token_audience(request.headers());
        let at_ms = self.common.started.elapsed().as_millis() as u64;
        let (name, id) = service.subject(request);
        let method = request.method().as_str();
        let headers = request.headers();
        let http2 = request.version() == Version::HTTP_2;
        self.update(|state| {
            let side = state.side_mut(role);
            let hit = match met {
                None => {
                    let reused = side.is_reused(connection.number);
                    side.faults.strike(method, path, reused, http2)
                }
                Some(_) => None,
            };
            side.counts.received += 1;
            side.counts.in_flight += 1;
            *side
                .counts
                .received_by
                .entry(format!("{method} {}", service.name()))
                .or_default() += 1;
            if let Some(hit) = &hit {
                side.count_fault(hit.kind.name());
            }
            side.begin_request(connection.number);
            let seq = self.common.journal.add(JournalEntry {
                seq: 0,
                org: self.config.name.clone(),
                side: role,
                connection: connection.number,
                http2,
                method: method.to_owned(),
                path: path.to_owned(),
                token_for,
                authorization: headers.contains_key(AUTHORIZATION),
                cookie: headers.contains_key(COOKIE),
                accept_encoding: headers
                    .get(ACCEPT_ENCODING)
                    .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
                expects_continue: expects_continue(headers),
                client_certificate: connection.client_certificate,
                name,
                id,
                committed: false,
                fault: hit
                    .as_ref()
                    .map(|hit| &hit.kind)
                    .or(met)
                    .map(|kind| kind.name().to_owned()),
                answered: false,
                status: None,
                at_ms,
            });
            (seq, hit)
        })
    }

    /// Notes that the answer to a request has begun.
    pub(crate) fn answer(&self, role: Role, seq: u64, status: u16) {
        self.update(|state| self.note_answer(state, role, seq, status));
    }

    /// Notes that a request was answered, or with `None` that it is answered already, or dropped
    /// with its connection.
    pub(crate) fn finish(&self, role: Role, connection: u64, seq: u64, status: Option<u16>) {
        self.update(|state| {
            let side = state.side_mut(role);
            side.end_request(connection);
            side.counts.in_flight -= 1;
            if let Some(status) = status {
                self.note_answer(state, role, seq, status);
            }
        });
    }

    fn note_answer(&self, state: &mut State, role: Role, seq: u64, status: u16) {
        state.side_mut(role).counts.answered += 1;
        self.common.journal.amend(seq, |entry| {
            entry.answered = true;
            entry.status = Some(status);
        });
    }
}
