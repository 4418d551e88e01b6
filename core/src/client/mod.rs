//! The client: one way in, one way out.

mod call;
mod chance;
mod check;
mod draft;
mod exchange;
mod failback;
mod flights;
#[cfg(test)]
mod gate_tests;
mod guarded;
mod message;
mod outage;
mod parts;
mod pending;
mod policy;
mod probing;
mod reading;
mod recall;
mod record;
mod replay;
mod settle;
mod statistics;
mod switch;
mod tell;
mod time;
mod verify;
mod watch;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use http::header::HeaderValue;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use self::call::{Call, Record};
use self::chance::Chance;
use self::flights::{Flight, Flights};
pub use self::pending::Pending;
use self::switch::Board;
use self::verify::Asking;
use crate::decide::alternate::Alternate;
use crate::decide::budget::Budget;
use crate::decide::place::Place;
use crate::decide::preset::Rules;
use crate::decide::switch::{Limits, Switch};
use crate::decide::watch::Patience;
use crate::lock::lock;
use crate::operator::VARIABLE;
use crate::resource::cancel::Cancel;
use crate::resource::desk::Desk;
use crate::resource::engine::Engine;
use crate::resource::gate::Gate;
use crate::resource::ledger::{At, Ledger, Memory, Sqlite};
use crate::resource::listener::Waiting;
use crate::resource::oauth::OAuth;
use crate::resource::outlet::Outlet;
use crate::resource::race::{First, race};
use crate::resource::state::{Hears, State, Told};
use crate::resource::statistics::Statistics;
use crate::resource::store::Store;
use crate::resource::threads::{Job, Threads};
use crate::resource::token::Tokens;
use crate::resource::transport::{Address, Transport};
use crate::{
    AutoSwitch, Error, ErrorKind, ItemKind, LedgerEntry, LedgerSelection, Level, Operation, Order,
    Organization, Override, Queue, Request, Resolution, Response, Role, Settings, SettlePolicy,
    Settled, SuspectedSince, Target, TokenProvider, Verification, fork,
};

/// How often a blocking call asks whether it is to be cancelled. What is cancelled so reaches the wire
/// within 50 ms.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// What is cancelled ends at once, unless a check function holds its thread.
const LANDING: Duration = Duration::from_secs(1);

/// So many submitted calls have the application's code run at once.
const MOST_THREADS: usize = 64;

/// How many turns a shared connection needs to tell its peer of a stream's end, and some more.
const TURNS: usize = 4;

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

/// Ends the client when the last [`Client`] is dropped; tasks hold only [`Inner`].
struct Life(Arc<Inner>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.flights.close();
        self.0.flights.cancel_all();
        if self.0.check_is_own_process().is_ok() {
            self.0.tell_what_is_left();
        }
        self.0.close_threads();
    }
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
    /// What the operator said in the environment when the client was opened.
    environment: Option<Order>,
    /// What the processes of this machine tell each other.
    state: Option<State>,
    /// The active endpoint has answered since that was told last.
    has_answered: AtomicBool,
    /// Where calls begin because of others, for the log.
    begins: Option<String>,
    /// Told when calls go elsewhere.
    moved: Notify,
    /// Told when a call was answered in an outage.
    answered: Notify,
    flights: Arc<Flights>,
    ledger: Box<dyn Ledger>,
    statistics: Statistics,
    /// Whether the log says how many suspects there were when the client was closed.
    told_suspects: AtomicBool,
    /// Whether the log says what of the settings could not be used.
    told_settings: AtomicBool,
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
    /// Opens a client. Reads the certificate store, and does no other I/O.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUrl`] when no alternate can be told from the URL; the message says
    /// what to set. [`ErrorKind::NoCaStore`], [`ErrorKind::InvalidSetting`] for what cannot be
    /// used, [`ErrorKind::Call`] with `local` when the process has no descriptor left.
    pub fn open(settings: &Settings) -> Result<Client, Error> {
        Client::open_with(settings, None)
    }

    /// As [`open`](Client::open), with a queue that takes the client's events and completions.
    /// `client_data` comes back with each of them.
    ///
    /// # Errors
    /// As [`open`](Client::open).
    pub fn open_with_queue(
        settings: &Settings,
        queue: Arc<Queue>,
        client_data: usize,
    ) -> Result<Client, Error> {
        Client::open_with(settings, Some((queue, client_data)))
    }

    fn open_with(settings: &Settings, queue: Option<(Arc<Queue>, usize)>) -> Result<Client, Error> {
        let organization = Organization::new(
            &settings.url,
            settings.alternate_url.as_deref(),
            settings.url_form,
        )?
        .with_allowed_hosts(settings.allowed_hosts.clone());
        let user_agent = HeaderValue::from_str(&settings.user_agent).map_err(|_| {
            Error::new(
                ErrorKind::InvalidSetting,
                "user_agent holds what no header can carry",
            )
        })?;
        let address = |role| {
            let url = organization.origins(role).swap_remove(0);
            Address::of(&url).ok_or_else(|| {
                let message = format!("{url}: the library cannot connect to this host");
                Error::new(ErrorKind::InvalidUrl, message)
            })
        };
        let addresses = [address(Role::Primary)?, address(Role::Alternate)?];
        let engine = Engine::new().map_err(|error| lacking("no reactor for the client", &error))?;
        let statistics = Statistics::default();
        let transport = Transport::new(settings, &organization, &engine, &statistics)?;
        let transport = Arc::new(transport);
        let tokens = provider(settings, &transport, &engine, &user_agent)?.map(Tokens::new);
        let rules = Rules::of(settings.preset, settings.rules_off);
        let store = settings.store.as_ref();
        let store = store.map(|path| Store::open(path, settings.store_durability));
        let store = store.transpose()?;
        let ledger = ledger(settings, &organization, store.as_ref())?;
        let environment = Order::of_environment(std::env::var_os(VARIABLE).as_deref())?;
        let (state, told) = match &store {
            Some(store) => {
                let (state, told) = State::open(store, &organization.pair())?;
                (Some(state), told)
            }
            None => (None, Told::default()),
        };
        let order = Order::in_force(environment, told.order, SystemTime::now());
        let mut switch = switch(settings, rules, &organization, order);
        let begins = recall(&mut switch, &told, settings.state_max_age);
        let inner = Arc::new(Inner {
            fork_era: fork::era(),
            board: Mutex::new(Board::new(switch)),
            environment,
            state,
            has_answered: AtomicBool::new(false),
            begins,
            rules,
            moved: Notify::new(),
            answered: Notify::new(),
            organization,
            addresses,
            user_agent,
            engine,
            transport,
            tokens,
            threads: Threads::new("d365-app", MOST_THREADS),
            outlet: Outlet::new(queue, settings.handler_timeout),
            flights: Arc::default(),
            ledger,
            statistics,
            told_suspects: AtomicBool::new(false),
            told_settings: AtomicBool::new(false),
            gate: Gate::new(),
            patience: Mutex::default(),
            budget: Mutex::new(Budget::new(settings.retry_budget)),
            chance: Chance::default(),
            looks_back: tokio::sync::Mutex::default(),
            authorizations: Default::default(),
            settings: settings.clone(),
        });
        if let Some(state) = &inner.state {
            let member: Weak<Inner> = Arc::downgrade(&inner);
            state.join(member as Weak<dyn Hears>);
        }
        inner.watch_home();
        Ok(Client {
            _life: Arc::new(Life(Arc::clone(&inner))),
            inner,
        })
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// [`ErrorKind::Call`] when the call ended without a response that can be used; the error
    /// has its attempts, its effect, and the response that was no service's, if there was one.
    /// [`ErrorKind::InvalidUrl`], [`ErrorKind::Closed`], [`ErrorKind::Forked`],
    /// [`ErrorKind::WouldDeadlock`] when it was not begun; [`ErrorKind::Busy`] when `max_waiting`
    /// calls wait for an outage to end: nothing of it was sent.
    pub fn send(&self, request: &Request) -> Result<Response, Error> {
        self.send_until(request, &Cancel::default(), None)
    }

    /// As [`send`](Client::send), and asks `check` on this thread about every 20 ms whether the
    /// call is to be cancelled. `check` may call the client.
    ///
    /// # Errors
    /// As [`send`](Client::send).
    pub fn send_with_check(
        &self,
        request: &Request,
        check: &mut dyn FnMut() -> bool,
    ) -> Result<Response, Error> {
        self.send_until(request, &Cancel::default(), Some(check))
    }

    /// As [`send`](Client::send), or, with `check`, as [`send_with_check`](Client::send_with_check);
    /// and any thread cancels the call at once by `pending`, which is for this one call.
    ///
    /// # Errors
    /// As [`send`](Client::send); [`ErrorKind::InvalidArgument`] where `pending` is another call's.
    pub fn send_cancellable(
        &self,
        request: &Request,
        pending: &Pending,
        check: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<Response, Error> {
        self.send_until(request, pending.take()?, check)
    }

    fn send_until(
        &self,
        request: &Request,
        cancel: &Cancel,
        check: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<Response, Error> {
        let waiting = self.inner.begin_waiting()?;
        // What goes on disk is written by this thread.
        let writes = self.inner.ledger.is_on_disk() && request.class().operation != Operation::Read;
        if check.is_some() || writes || self.inner.needs_its_thread(request) {
            return self.inner.run_here(request, cancel, waiting, check);
        }
        // Pinned here: handed over by value it would be copied on its way into the runtime.
        let call = pin!(self.inner.call(request, None, cancel));
        self.inner.engine.block_on(call)
    }

    /// Begins a call. After `Ok`, exactly one completion with `user_data` comes in the client's
    /// queue, and not before the application's code for it has returned. That code, a body's source
    /// and the `prepare` hook, runs on threads of the client's, at most 64, for which calls wait
    /// within their deadlines.
    ///
    /// # Errors
    /// [`ErrorKind::NoQueue`], [`ErrorKind::Closed`], [`ErrorKind::Forked`],
    /// [`ErrorKind::InvalidUrl`], [`ErrorKind::NoResources`] without a thread to send with, and
    /// [`ErrorKind::WouldDeadlock`] from the token provider: then no completion comes.
    pub fn submit(&self, request: &Request, user_data: usize) -> Result<Pending, Error> {
        self.inner.check_is_usable()?;
        self.inner.check_may_call()?;
        self.inner.outlet.check_can_complete()?;
        self.inner.check_request(request)?;
        // Before there is a completion, because one that was made is given.
        let task = self.inner.engine.reserve();
        let task = task.map_err(|error| lacking("no thread to submit to", &error))?;
        let cancel = Arc::new(Cancel::default());
        let mut completion = Completion {
            flight: self.inner.flights.enter()?,
            inner: Arc::clone(&self.inner),
            user_data,
            is_due: true,
        };
        let (request, cancelled) = (request.clone(), Arc::clone(&cancel));
        // The application's code may block: it has threads that it can block.
        let desk = self.inner.needs_its_thread(&request).then(|| {
            let (flights, cancel) = (Arc::clone(&self.inner.flights), Arc::clone(&cancel));
            let is_given_up = move || cancel.is_cancelled() || flights.are_cancelled();
            Desk::away(&self.inner.threads, is_given_up)
        });
        let call = async move {
            let (inner, flight) = (&completion.inner, &completion.flight);
            let result = inner.run(&request, desk.as_ref(), flight, &cancelled).await;
            if let Some(desk) = &desk {
                desk.close().await;
            }
            completion.give(result);
        };
        self.inner.engine.run(task, Box::pin(call));
        Ok(Pending::of(cancel))
    }

    /// Sets which events come in the queue: bits of [`ItemKind::bit`](crate::ItemKind::bit).
    /// Only they are waited for. Replaces what was set; none at first.
    ///
    /// # Errors
    /// [`ErrorKind::NoQueue`].
    pub fn subscribe(&self, mask: u64) -> Result<(), Error> {
        let inner = &self.inner;
        inner.outlet.subscribe(mask)?;
        // What there was to say when the client was opened is said to the first who listens.
        if inner.outlet.wants(ItemKind::Log) && !inner.told_settings.swap(true, Ordering::Relaxed) {
            for told in inner.transport.told() {
                inner.log(Level::Warn, || told.clone());
            }
            let taken_over = inner.ledger.taken_over();
            if taken_over > 0 {
                inner.log(Level::Warn, || {
                    format!(
                        "the store holds {taken_over} writes of processes that have died before \
                         these had ended: they are in doubt"
                    )
                });
            }
            if let Some(begins) = &inner.begins {
                inner.log(Level::Info, || begins.clone());
            }
            let order = inner.board().switch.order();
            if let Some(order) = order {
                inner.log(Level::Warn, || order.why().to_owned());
            }
        }
        Ok(())
    }

    /// The primary's base URL.
    #[must_use]
    pub fn primary_url(&self) -> &str {
        self.inner.organization.url(Role::Primary)
    }

    /// The alternate's base URL, known from the start. `None` when the FailoverPolicy has said that
    /// there is none.
    #[must_use]
    pub fn alternate_url(&self) -> Option<&str> {
        let has_none = self.inner.board().switch.alternate().is_none();
        (!has_none).then(|| self.inner.organization.url(Role::Alternate))
    }

    /// The base URL of the endpoint that calls go to now.
    #[must_use]
    pub fn active_url(&self) -> &str {
        self.inner.organization.url(self.inner.place().role)
    }

    /// Whether calls go to the primary now.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.inner.place().role == Role::Primary
    }

    /// How many switches there were.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.inner.place().epoch
    }

    /// Whether a fault moves the client to the other endpoint. With `auto_switch` = `auto`, off
    /// until the WSDL's policy has said that there is one. Off under the operator's override.
    #[must_use]
    pub fn endpoint_auto_switch_enabled(&self) -> bool {
        self.inner.board().switch.auto_switch()
    }

    /// Sets auto-switch. Counts for a switch whose `EndpointSwitchRequired` is being handled; under the
    /// operator's override, once that is over.
    ///
    /// # Errors
    /// [`ErrorKind::Forked`].
    pub fn set_endpoint_auto_switch_enabled(&self, enabled: bool) -> Result<(), Error> {
        self.inner.check_is_own_process()?;
        let mut board = self.inner.board();
        board.switch.alternate_mut().set_auto_switch(enabled);
        Ok(())
    }

    /// What the operator says, where calls go because of it or are not moved. The environment's
    /// `D365_FAILOVER`, read when the client was opened, goes before the store's.
    #[must_use]
    pub fn current_override(&self) -> Option<Order> {
        self.inner.board().switch.order()
    }

    /// Puts the operator's override for this organization into the store, for all processes that name
    /// it; `None` takes it away. This client heeds it before this returns, the others within about a
    /// second.
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`] without a store; [`ErrorKind::InvalidArgument`] for an end that is past;
    /// [`ErrorKind::Call`] with `local` when the store could not be written; [`ErrorKind::Closed`],
    /// [`ErrorKind::Forked`].
    pub fn set_override(
        &self,
        value: Option<Override>,
        until: Option<SystemTime>,
    ) -> Result<(), Error> {
        self.inner.check_is_usable()?;
        self.inner.set_override(value, until)
    }

    /// Switches to the other endpoint by hand. Raises `EndpointSwitched`, and waits for no
    /// handler.
    ///
    /// # Errors
    /// [`ErrorKind::Overridden`] where the operator keeps calls at an endpoint;
    /// [`ErrorKind::NoAlternate`], also as long as the FailoverPolicy, where one decides, was not read;
    /// [`ErrorKind::Closed`], [`ErrorKind::Forked`].
    pub fn switch_endpoint(&self) -> Result<(), Error> {
        self.inner.check_is_usable()?;
        self.inner.switch_by_hand()
    }

    /// An interruption is planned from `start` to `end`, the end excluded. In that time an outage is
    /// waited out up to `end`, whatever `outage_wait` says, within the calls' deadlines; events say
    /// `planned`; and the log does not warn of it. Calls are sent as ever, and a switch comes when the
    /// other endpoint serves. Several windows may be announced, up to 100; those that meet or overlap
    /// are one. They are kept as times from now: a machine that sleeps, or whose clock is set, shifts
    /// them. Sends nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where `end` is not after `start`, or is past, or is more than a
    /// year ahead; [`ErrorKind::Closed`], [`ErrorKind::Forked`].
    pub fn maintenance(&self, start: SystemTime, end: SystemTime) -> Result<(), Error> {
        self.inner.check_is_usable()?;
        self.inner.maintenance(start, end)
    }

    /// Reads the WSDL's FailoverPolicy now, if it decides anything and was not read yet, or said that
    /// there is no alternate. Where it disables the active endpoint and calls were sent there, a
    /// switch is tried, and this waits for it.
    ///
    /// # Errors
    /// [`ErrorKind::Call`] when it cannot be read at the primary, and, where .NET tries it, at the
    /// alternate. Others as [`send`](Client::send). To cancel it, or not to wait for it, send a
    /// [`Request::discover`].
    pub fn discover(&self) -> Result<(), Error> {
        self.send(&Request::discover()).map(drop)
    }

    /// Looks at one endpoint, whichever is active: a token, a probe on a connection of its own, and the
    /// WSDL's failover policy. Changes nothing. Tells as a JSON object what it has found, step by step,
    /// also where the endpoint fails. To cancel it, not to wait for it, or to set times, send a
    /// [`Request::check`].
    ///
    /// # Errors
    /// As [`send`](Client::send), where it could not be looked.
    pub fn check(&self, role: Role) -> Result<String, Error> {
        let response = self.send(&Request::check(role))?;
        Ok(String::from_utf8_lossy(response.body()).into_owned())
    }

    /// The writes on record, the oldest first: those in flight, those in doubt until they are
    /// resolved, and those acknowledged within the setting `replication_window` (at most as many as
    /// `ledger_entries` says).
    /// Does no I/O. Works after [`shutdown`](Client::shutdown).
    ///
    /// # Errors
    /// [`ErrorKind::Forked`].
    pub fn ledger(&self, selection: LedgerSelection) -> Result<Vec<LedgerEntry>, Error> {
        self.inner.check_is_own_process()?;
        self.inner.ledger.list(selection, At::now()).wait()
    }

    /// Asks the active endpoint what became of the write `id`, by a read of its row. What is found
    /// is kept in the entry; to [`resolve`](Client::resolve) it stays the application's.
    ///
    /// A create is proved by its row, a delete by the row's absence, an update by the version that
    /// its answer named. All else is [`Verified::Unverifiable`](crate::Verified), and nothing is
    /// sent: a `$batch`, an action (also by SOAP's `Execute`), an upload, an update in doubt. Resolve a
    /// write when what was found [is final](Verification::is_final).
    ///
    /// The read has the provider's token, else the `Authorization` that the application sent last to
    /// that endpoint. To set other headers, or a timeout, send a [`Request::verify`].
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`] for a number that is not on record, or in flight. As
    /// [`send`](Client::send), and [`ErrorKind::Call`] for an answer that says neither that the row
    /// is there nor that it is not: 401, 403, 404 of a front end, 5xx. Then the entry stays as it is.
    pub fn verify(&self, id: u64) -> Result<Verification, Error> {
        let response = self.send(&Request::verify(id))?;
        response.verification().cloned().ok_or_else(|| {
            let message = "a write was verified without a verdict: a defect of this library";
            Error::new(ErrorKind::Internal, message)
        })
    }

    /// As [`verify`](Client::verify), by a read of the URL that the application names; see
    /// [`Request::verify_with`].
    ///
    /// # Errors
    /// As [`verify`](Client::verify); [`ErrorKind::InvalidUrl`].
    pub fn verify_with(&self, id: u64, url: &str) -> Result<Verification, Error> {
        let response = self.send(&Request::verify_with(id, url))?;
        response.verification().cloned().ok_or_else(|| {
            let message = "a write was verified without a verdict: a defect of this library";
            Error::new(ErrorKind::Internal, message)
        })
    }

    /// Sends the write `id` again, which was found to be missing for good: a create under its id and
    /// with the condition that there is none, a change or a delete with the version that its row was
    /// seen to have (`If-Match`). At most one at a time, over all clients and processes of a store. When
    /// it was executed, its entry is resolved as replayed. In doubt again, it is on record so, and
    /// `WriteInDoubt` is raised; refused, it stays to be verified.
    ///
    /// `is_wanted`: the application wants it for just this write, whatever was found of it and whatever
    /// a repeat of it does; a condition is set all the same where there is one to set.
    ///
    /// The response is that of the write. Its request must be kept (the setting `ledger_bodies`), which
    /// has no credential: that is the provider's, or one that a [`Request::replay`] is given.
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`], with why it is not sent again. As [`send`](Client::send).
    pub fn replay(&self, id: u64, is_wanted: bool) -> Result<Response, Error> {
        self.send(&Request::replay(id, is_wanted))
    }

    /// Goes over all writes that are to be verified, as `policy` says: looks at each, confirms what is
    /// there for good, sends again what is missing for good and may be, leaves the rest, and returns the
    /// numbers. Raises `Settled`. To hear of each write as it goes, send a [`Request::settle`].
    ///
    /// # Errors
    /// As [`send`](Client::send), at the first look that has no answer; what was done until then is on
    /// record.
    pub fn settle(&self, policy: SettlePolicy) -> Result<Settled, Error> {
        let walk = Request::settle(policy);
        loop {
            let response = self.send(&walk)?;
            if let (Some(step), None) = (response.settle_step(), response.ledger_id()) {
                return Ok(step.settled);
            }
        }
    }

    /// Writes acknowledged at `time` or later may be lost, whatever endpoint is active: a failover
    /// behind one URL, whose operator names the time up to which data was kept. They are suspects
    /// from now on, as after a switch, with those in flight once they are acknowledged;
    /// `DataLossSuspected` is raised with the reason `suspect_since`, and `update_guard` holds for
    /// `replication_window`. Sends nothing. Works after [`shutdown`](Client::shutdown).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a time in the future; [`ErrorKind::Forked`].
    pub fn suspect_since(&self, time: SystemTime) -> Result<SuspectedSince, Error> {
        self.inner.check_is_own_process()?;
        self.inner.suspect_since(time)
    }

    /// How many acknowledged writes went from the record before `replication_window` was over and
    /// before they were verified or resolved, because there were more than `ledger_entries`.
    ///
    /// # Errors
    /// [`ErrorKind::Forked`].
    pub fn ledger_evicted(&self) -> Result<u64, Error> {
        self.inner.check_is_own_process()?;
        Ok(self.inner.ledger.evicted())
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
        Ok(self.inner.snapshot()?.to_string())
    }

    /// Records what the application has found out about a suspect, which is none then any more.
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`] for a number that is not on record or not in question;
    /// [`ErrorKind::Forked`].
    pub fn resolve(&self, id: u64, resolution: Resolution) -> Result<(), Error> {
        self.inner.check_is_own_process()?;
        self.inner.ledger.resolve(id, resolution, At::now()).wait()
    }

    /// Takes no new calls, waits up to `timeout` for those in flight, then cancels the rest.
    /// Decisions that are open are given up. Further times change nothing.
    ///
    /// # Errors
    /// [`ErrorKind::WouldDeadlock`] from a decision's handler, unless `timeout` is zero;
    /// [`ErrorKind::Forked`].
    pub fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        self.inner.check_is_own_process()?;
        let _waiting = if timeout.is_zero() {
            None
        } else {
            self.inner.outlet.begin_waiting()?
        };
        self.inner.flights.close();
        let landed = self.inner.flights.wait(timeout);
        self.inner.flights.cancel_all();
        if !landed {
            self.inner.flights.wait(timeout.min(LANDING));
        }
        if let Some(state) = &self.inner.state {
            state.flush(timeout.min(LANDING));
        }
        self.inner.tell_what_is_left();
        if self.inner.transport.close_idle() {
            self.inner.nudge();
        }
        self.inner.close_threads();
        Ok(())
    }
}

impl Inner {
    /// The whole of a call, counted as in flight.
    async fn call(
        self: &Arc<Self>,
        request: &Request,
        desk: Option<&Desk>,
        cancel: &Cancel,
    ) -> Result<Response, Error> {
        let flight = self.flights.enter()?;
        self.run(request, desk, &flight, cancel).await
    }

    async fn run(
        self: &Arc<Self>,
        request: &Request,
        desk: Option<&Desk>,
        flight: &Flight,
        cancel: &Cancel,
    ) -> Result<Response, Error> {
        if request.is_about_the_ledger() {
            let asking = Asking {
                request,
                desk,
                flight,
                cancel,
            };
            // Apart, so that it does not make other calls larger.
            return Box::pin(self.ask(&asking)).await;
        }
        if let Some(role) = request.checks {
            return Box::pin(self.check(role, request, cancel)).await;
        }
        if request.discovers {
            return Box::pin(self.discover(request, cancel)).await;
        }
        let target = self.organization.locate(&request.url)?;
        Call::new(self, request, target, desk, flight, Record::Begin)?
            .run(cancel)
            .await
    }

    /// What a request asks that is about the ledger.
    async fn ask(self: &Arc<Self>, asking: &Asking<'_>) -> Result<Response, Error> {
        let request = asking.request;
        match (request.verifies, request.replays, &request.settles) {
            (Some(id), _, _) => self.verify(id, asking).await,
            (_, Some((id, is_wanted)), _) => self.replay(id, is_wanted, asking).await,
            (_, _, Some(walk)) => self.settle(walk, asking).await,
            (None, None, None) => Err(Error::new(
                ErrorKind::Internal,
                "a request about nothing: a defect of this library",
            )),
        }
    }

    /// What is wrong with a request can be said before it is sent.
    fn check_request(&self, request: &Request) -> Result<(), Error> {
        let id = request.verifies.or(request.replays.map(|(id, _)| id));
        match id {
            Some(id) => self.ledger.question(id).wait().map(drop),
            None if request.discovers || request.settles.is_some() || request.checks.is_some() => {
                Ok(())
            }
            None => self.organization.locate(&request.url).map(drop),
        }
    }

    /// Says, once, how many writes nobody has verified when the client is closed.
    fn tell_what_is_left(&self) {
        if self.told_suspects.swap(true, Ordering::AcqRel) {
            return;
        }
        let count = self.ledger.count_suspects(At::now()).wait().unwrap_or(0);
        if count > 0 {
            self.log(Level::Warn, || {
                format!(
                    "the client is closed with {count} writes that are to be verified and not \
                     resolved"
                )
            });
        }
    }

    /// Whether a call may have to run the application's code on the thread that sends it.
    fn needs_its_thread(&self, request: &Request) -> bool {
        self.settings.prepare.is_some() || request.body.reader().is_some()
    }

    /// The whole of a call on this thread, which leaves the runtime for the application's code:
    /// that may block, and may come back.
    fn run_here(
        self: &Arc<Self>,
        request: &Request,
        cancel: &Cancel,
        waiting: Option<Waiting<'_>>,
        mut check: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<Response, Error> {
        enum Stop {
            Job(Job),
            Tick,
        }
        let (desk, mut jobs) = Desk::new();
        let mut call = Box::pin(self.call(request, Some(&desk), cancel));
        let mut next_check = check.is_some().then(|| Instant::now() + CHECK_INTERVAL);
        loop {
            let tick = async {
                match next_check {
                    Some(next_check) => sleep_until(next_check).await,
                    None => std::future::pending().await,
                }
            };
            let stop = async {
                // The runtime looks at its timers only when nothing is ready: jobs that follow
                // each other at once would keep the call's deadline from it.
                yield_now().await;
                match race(jobs.recv(), tick).await {
                    First::Left(Some(job)) => Stop::Job(job),
                    First::Left(None) | First::Right(()) => Stop::Tick,
                }
            };
            let stop = match self.engine.block_on(race(call.as_mut(), stop)) {
                First::Left(result) => return result,
                First::Right(stop) => stop,
            };
            if let Stop::Job(job) = stop {
                // Who waits for the job hears of its end, however it ends.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
            let mut is_over = false;
            if next_check.is_some_and(|next_check| Instant::now() >= next_check) {
                is_over = check.as_mut().is_some_and(|check| check());
                next_check = Some(Instant::now() + CHECK_INTERVAL);
            }
            if let Err(forked) = self.check_is_own_process() {
                // The application's code has forked, and this is the child. The call is the
                // parent's: driving it here, or only dropping it, would take the answer away from
                // there.
                std::mem::forget((call, waiting, desk.clone()));
                return Err(forked);
            }
            if is_over {
                cancel.cancel();
            }
        }
    }

    /// Something was given up on a shared connection that perhaps nobody drives now: its peer is told
    /// soon all the same, and not at the next call.
    fn nudge(&self) {
        // Without a thread it is told at the next call.
        let _ = self.engine.spawn(async {
            for _ in 0..TURNS {
                yield_now().await;
            }
        });
    }

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

    fn begin_waiting(&self) -> Result<Option<Waiting<'_>>, Error> {
        self.check_is_usable()?;
        self.check_may_call()?;
        self.outlet.begin_waiting()
    }

    fn check_may_call(&self) -> Result<(), Error> {
        self.tokens
            .as_ref()
            .map_or(Ok(()), |tokens| tokens.check_may_call())
    }

    /// Lets the threads end that have nothing to do any more.
    fn close_threads(&self) {
        self.engine.close();
        self.threads.close();
        if let Some(tokens) = &self.tokens {
            tokens.close();
        }
    }
}

/// Gives a submitted call's completion exactly once, also when its task panics or is dropped.
struct Completion {
    /// From `submit` on, and until the completion is in the queue: `shutdown` waits for both.
    flight: Flight,
    inner: Arc<Inner>,
    user_data: usize,
    is_due: bool,
}

impl Completion {
    fn give(&mut self, result: Result<Response, Error>) {
        self.is_due = false;
        self.inner.outlet.complete(self.user_data, result);
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if self.is_due {
            self.give(Err(Error::new(
                ErrorKind::Internal,
                "the call's task ended without a result: a defect of this library",
            )));
        }
    }
}

fn switch(
    settings: &Settings,
    rules: Rules,
    organization: &Organization,
    order: Option<Order>,
) -> Switch {
    let starts_on = organization.starts_on();
    let is_known = organization.has_explicit_alternate() || starts_on == Role::Alternate;
    let alternate = match settings.auto_switch {
        AutoSwitch::On => Alternate::exists(true),
        AutoSwitch::Off => Alternate::exists(false),
        AutoSwitch::Auto if is_known => Alternate::exists(true),
        AutoSwitch::Auto => Alternate::undecided(),
    };
    let limits = Limits::of(settings, &rules);
    let mut switch = Switch::new(rules, limits, starts_on, alternate);
    if let Some(order) = order {
        switch.begins_under(order);
    }
    switch
}

/// # Errors
/// When there is a store and it cannot be used.
fn ledger(
    settings: &Settings,
    organization: &Organization,
    store: Option<&Arc<Store>>,
) -> Result<Box<dyn Ledger>, Error> {
    let window = settings.replication_window;
    let Some(store) = store else {
        return Ok(Box::new(Memory::new(window, settings.ledger_entries)));
    };
    let retention = settings.ledger_retention.max(window);
    let ledger = Sqlite::open(Arc::clone(store), organization, window, retention)?;
    Ok(Box::new(ledger))
}

/// Takes what is on record for the organization. Tells where calls begin because of it.
fn recall(switch: &mut Switch, told: &Told, max_age: Duration) -> Option<String> {
    let (wall, now) = (SystemTime::now(), std::time::Instant::now());
    let from = switch.place().role;
    if let Some((policy, read)) = told.policy {
        switch.recall_policy(policy, read, max_age, wall, now);
    }
    let record = told.whereabouts.as_ref()?;
    switch.recall(record, max_age, wall, now);
    let to = switch.place().role;
    let ago = wall.duration_since(record.switched).unwrap_or_default();
    (to != from).then(|| {
        format!(
            "calls begin at the {}: another process has gone there {} s ago, by the store",
            to.name(),
            ago.as_secs()
        )
    })
}

/// Who gives the tokens: the application's provider, or one of the library's own.
fn provider(
    settings: &Settings,
    transport: &Arc<Transport>,
    engine: &Arc<Engine>,
    user_agent: &HeaderValue,
) -> Result<Option<Arc<dyn TokenProvider>>, Error> {
    let given = settings.token_provider.clone();
    match settings.oauth.credentials(given.is_some())? {
        None => Ok(given),
        Some(credentials) => {
            let provider = OAuth::new(credentials, transport, engine, user_agent)?;
            Ok(Some(Arc::new(provider)))
        }
    }
}

fn lacking(what: &str, error: &io::Error) -> Error {
    Error::new(ErrorKind::NoResources, format!("{what}: {error}"))
}
