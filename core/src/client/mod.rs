//! The client: one way in, one way out.

mod attempt;
#[cfg(test)]
mod board_tests;
mod call;
mod check;
mod closing;
mod draft;
mod end;
mod endpoints;
mod exchange;
mod failback;
mod flights;
#[cfg(test)]
mod gate_tests;
mod guarded;
mod here;
mod message;
mod opening;
mod outage;
mod parts;
mod pending;
mod policy;
mod probing;
mod reading;
mod recall;
mod record;
mod replay;
mod sending;
mod settle;
mod statistics;
mod switch;
mod tell;
mod time;
mod verify;
mod watch;
mod writes;

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::HeaderValue;
use tokio::sync::Notify;

use self::closing::Life;
use self::flights::Flights;
pub use self::pending::Pending;
use self::switch::Board;
use crate::decide::budget::Budget;
use crate::decide::place::Place;
use crate::decide::preset::Rules;
use crate::decide::watch::Patience;
use crate::lock::lock;
use crate::resource::chance::Chance;
use crate::resource::engine::Engine;
use crate::resource::gate::Gate;
use crate::resource::ledger::Ledger;
use crate::resource::outlet::Outlet;
use crate::resource::state::State;
use crate::resource::statistics::Statistics;
use crate::resource::threads::Threads;
use crate::resource::token::Tokens;
use crate::resource::transport::{Address, Transport};
use crate::{Error, ErrorKind, ItemKind, Level, Order, Organization, Role, Settings, Target, fork};

/// Calls an organization's services at whichever of its endpoints is active.
///
/// All methods may be called from all threads. Cheap to clone; when the last clone is dropped,
/// what is in flight is cancelled, and nobody waits for it. The blocking methods must not be
/// called from inside of an asynchronous runtime.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    _life: Arc<Life>,
}

struct Inner {
    fork_era: u32,
    organization: Organization,
    /// Of the base URLs of the primary and the alternate.
    addresses: [Address; 2],
    settings: Settings,
    /// What the preset says.
    rules: Rules,
    user_agent: HeaderValue,
    engine: Arc<Engine>,
    transport: Arc<Transport>,
    tokens: Option<Arc<Tokens>>,
    /// What runs the application's code for submitted calls.
    threads: Arc<Threads>,
    outlet: Outlet,
    board: Mutex<Board>,
    #[cfg(test)]
    boards_taken: std::sync::atomic::AtomicUsize,
    /// What the operator said in the environment when the client was opened.
    environment: Option<Order>,
    /// What the processes of this machine tell each other.
    state: Option<State>,
    /// The active endpoint has answered since that was told last.
    has_answered: AtomicBool,
    /// Told when calls go elsewhere.
    moved: Notify,
    /// Told when there is a reason in an outage not to wait for the next look.
    hastened: Notify,
    /// There is an outage.
    is_out: AtomicBool,
    flights: Arc<Flights>,
    ledger: Box<dyn Ledger>,
    statistics: Statistics,
    /// Whether the log says how many suspects there were when the client was closed.
    told_suspects: AtomicBool,
    /// What there was to say when the client was opened: to the first who listens.
    told_first: Mutex<Vec<(Level, String)>>,
    gate: Gate,
    patience: Mutex<Patience>,
    budget: Mutex<Budget>,
    chance: Chance,
    /// A turnstile for those who want to know whether an endpoint that was left still answers, held
    /// while one of them asks.
    looks_back: tokio::sync::Mutex<()>,
    /// What the application itself has sent as `Authorization` last, to the primary and to the
    /// alternate: a probe says the same.
    authorizations: [Mutex<Option<HeaderValue>>; 2],
}

impl Client {
    /// Sets which events come in the queue: bits of [`ItemKind::bit`](crate::ItemKind::bit).
    /// Only they are waited for. Replaces what was set; none at first.
    ///
    /// # Errors
    /// [`ErrorKind::NoQueue`].
    pub fn subscribe(&self, mask: u64) -> Result<(), Error> {
        let inner = &self.inner;
        inner.outlet.subscribe(mask)?;
        if inner.outlet.wants(ItemKind::Log) {
            for (level, message) in std::mem::take(&mut *lock(&inner.told_first)) {
                inner.log(level, || message);
            }
        }
        Ok(())
    }

    /// What the client has counted since it was opened, as a JSON object: calls, resends by cause, switches,
    /// outages, writes in doubt and suspects, the budget of retries, and for each endpoint its attempts,
    /// bytes, probes, and how long attempts took. More may be added. Works after
    /// [`shutdown`](Client::shutdown).
    ///
    /// # Errors
    /// [`ErrorKind::Forked`].
    pub fn statistics(&self) -> Result<String, Error> {
        self.inner.check_is_own_process()?;
        Ok(self.inner.snapshot().to_string())
    }
}

impl Inner {
    /// Where a target is at an endpoint.
    fn address(&self, target: &Target, role: Role) -> Address {
        let base = self.base(role);
        match self.organization.text_of(target, role) {
            Some(text) => base.with(text),
            // A sibling, or an allowed host. Their URLs were parsed, and have a host.
            None => {
                Address::of(&self.organization.url_of(target, role)).unwrap_or_else(|| base.clone())
            }
        }
    }

    /// Where the base URL of an endpoint is.
    fn base(&self, role: Role) -> &Address {
        match role {
            Role::Primary => &self.addresses[0],
            Role::Alternate => &self.addresses[1],
        }
    }

    /// Whose `Authorization` a probe may say again.
    fn authorization(&self, role: Role) -> MutexGuard<'_, Option<HeaderValue>> {
        lock(match role {
            Role::Primary => &self.authorizations[0],
            Role::Alternate => &self.authorizations[1],
        })
    }

    fn last_authorization(&self, role: Role) -> Option<HeaderValue> {
        self.authorization(role).clone()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        #[cfg(test)]
        self.boards_taken
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self) -> Place {
        self.board().switch.place()
    }

    fn check_is_own_process(&self) -> Result<(), Error> {
        if fork::era() != self.fork_era {
            return Err(Error::new(
                ErrorKind::Forked,
                "this client was opened by the parent of this process, and its threads and \
                 connections stayed there; open a client of this process's own",
            ));
        }
        Ok(())
    }

    fn check_is_usable(&self) -> Result<(), Error> {
        self.check_is_own_process()?;
        self.flights.check_is_open()
    }
}

fn lacking(what: &str, error: &io::Error) -> Error {
    Error::new(ErrorKind::NoResources, format!("{what}: {error}"))
}
