//! Opening a client: what the settings ask for, and what the store has on record.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant, SystemTime};

use http::header::HeaderValue;
use tokio::sync::Notify;

use super::closing::Life;
use super::switch::Board;
use super::{Client, Inner, lacking};
use crate::decide::alternate::Alternate;
use crate::decide::budget::Budget;
use crate::decide::preset::Rules;
use crate::decide::switch::{Limits, Switch};
use crate::operator::VARIABLE;
use crate::resource::chance::Chance;
use crate::resource::engine::Engine;
use crate::resource::gate::Gate;
use crate::resource::ledger::{Ledger, Memory, Sqlite};
use crate::resource::oauth::OAuth;
use crate::resource::outlet::Outlet;
use crate::resource::state::{Hears, OnRecord, State};
use crate::resource::statistics::Statistics;
use crate::resource::store::{LONGEST_LOCK, Store};
use crate::resource::threads::Threads;
use crate::resource::token::Tokens;
use crate::resource::transport::{Address, Transport};
use crate::{
    AutoSwitch, Error, ErrorKind, Level, Order, Organization, Queue, Role, Settings, TokenProvider,
    fork,
};

/// So many submitted calls have the application's code run at once.
const MOST_THREADS: usize = 64;

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
        let until = Instant::now() + LONGEST_LOCK;
        let store = store.map(|path| Store::open(path, settings.store_durability, until));
        let store = store.transpose()?;
        let ledger = ledger(settings, &organization, store.as_ref(), until)?;
        let environment = Order::of_environment(std::env::var_os(VARIABLE).as_deref())?;
        let (state, told) = match &store {
            Some(store) => {
                let (state, told) = State::open(store, &organization.pair(), until)?;
                (Some(state), told)
            }
            None => (None, OnRecord::default()),
        };
        let order = Order::in_force(environment, told.order, SystemTime::now());
        let mut switch = switch(settings, rules, &organization, order);
        let begins = recall(&mut switch, &told, settings.state_max_age);
        let warnings = transport.told().iter().cloned();
        let warnings = warnings.chain(store.as_ref().and_then(|store| store.told()));
        let warnings = warnings.chain(taken_over(ledger.taken_over()));
        let warnings = warnings.chain(switch.order().map(|order| order.why().to_owned()));
        let told_first = warnings.map(|message| (Level::Warn, message));
        let told_first = told_first.chain(begins.map(|message| (Level::Info, message)));
        let told_first = told_first.collect();
        let inner = Arc::new(Inner {
            fork_era: fork::era(),
            board: Mutex::new(Board::new(switch)),
            #[cfg(test)]
            boards_taken: Default::default(),
            environment,
            state,
            has_answered: AtomicBool::new(false),
            rules,
            moved: Notify::new(),
            hastened: Notify::new(),
            is_out: AtomicBool::new(false),
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
            told_first: Mutex::new(told_first),
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
}

/// Of the dead.
fn taken_over(writes: u64) -> Option<String> {
    (writes > 0).then(|| {
        format!(
            "the store holds {writes} writes of processes that have died before these had ended: they are \
             in doubt"
        )
    })
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
    until: Instant,
) -> Result<Box<dyn Ledger>, Error> {
    let window = settings.replication_window;
    let Some(store) = store else {
        return Ok(Box::new(Memory::new(window, settings.ledger_entries)));
    };
    let retention = settings.ledger_retention.max(window);
    let ledger = Sqlite::open(Arc::clone(store), organization, window, retention, until)?;
    Ok(Box::new(ledger))
}

/// Takes what is on record for the organization. Tells where calls begin because of it.
fn recall(switch: &mut Switch, told: &OnRecord, max_age: Duration) -> Option<String> {
    let (wall, now) = (SystemTime::now(), Instant::now());
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
