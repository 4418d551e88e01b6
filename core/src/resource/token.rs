//! Bearer tokens: one for each endpoint, asked of the application's provider and kept until they
//! expire.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use http::HeaderValue;

use super::settled::{Awaited, Maker, pair, settled};
use super::threads::Threads;
use crate::lock::lock;
use crate::thread_id::ThreadId;
use crate::token::Provided;
use crate::{Cause, Error, ErrorKind, Fault, Role, TokenProvider, TokenRequest};

/// A token is asked anew this long before it expires, so that none expires on its way; one that
/// lives less than twice as long, after half of its life.
const MARGIN: Duration = Duration::from_secs(30);
/// The next one is fetched so long before a token's end, while calls still have the old one, which also
/// outlives a provider that fails meanwhile. Not for tokens that live less than four times as long.
const AHEAD: Duration = Duration::from_secs(300);
/// How long after a question that failed the next one is asked ahead.
const AHEAD_PAUSE: Duration = Duration::from_secs(10);
/// How long a token is kept of which nobody said how long it lives. Short: it may be at its end.
const KEPT: Duration = Duration::from_secs(5);

/// So many questions for one endpoint may be open at once: each has been given up by who waited.
const FREELY: usize = 4;
/// With more than that, one is asked in this time.
const RARELY: Duration = Duration::from_secs(60);
/// A provider that hangs for good keeps a thread for each question. With so many of them, one more is
/// asked only…
const MANY: usize = 16;
/// …in this time, and with each more in so much more: it may give tokens again one day.
const SELDOM: Duration = Duration::from_secs(600);
/// How many threads there are at most, for both endpoints: not reached by one endpoint in a month.
const MOST_THREADS: usize = 128;

/// The tokens of a client.
pub(crate) struct Tokens {
    provider: Arc<dyn TokenProvider>,
    threads: Arc<Threads>,
    primary: Mutex<Slot>,
    alternate: Mutex<Slot>,
    /// The threads that are inside of the provider.
    asking: Mutex<Vec<ThreadId>>,
}

type Header = Result<HeaderValue, Fault>;

/// What is known of one endpoint's token.
#[derive(Default)]
struct Slot {
    held: Option<Held>,
    /// What is waited for. The first token that comes ends it, and the last question's failure.
    round: Option<Round>,
    /// The number of the last question, and when it was asked.
    last: u64,
    asked: Option<Instant>,
    /// How many questions were not answered yet, whether anybody waits for them or not.
    open: usize,
    /// How many questions the provider has not come back from, answered or not.
    inside: usize,
}

struct Held {
    header: HeaderValue,
    until: Instant,
    /// From when on the next one is fetched. `None`: when this one is at its end.
    ahead: Option<Instant>,
    number: u64,
}

struct Round {
    maker: Maker<Header>,
    outcome: Awaited<Header>,
    /// Who waited for the last question has left without an answer.
    is_given_up: bool,
}

impl Slot {
    fn held(&self) -> Option<HeaderValue> {
        let held = self.held.as_ref();
        let held = held.filter(|held| Instant::now() < held.until);
        held.map(|held| held.header.clone())
    }

    /// Whether the next token is to be fetched although there is one.
    fn is_due(&self, now: Instant) -> bool {
        let ahead = self.held.as_ref().and_then(|held| held.ahead);
        let is_fresh = |asked| now.saturating_duration_since(asked) < AHEAD_PAUSE;
        ahead.is_some_and(|ahead| ahead <= now)
            && self.open == 0
            && !self.asked.is_some_and(is_fresh)
    }

    /// Whether one more question may be asked though others are open.
    fn may_ask(&self, now: Instant) -> bool {
        let wait = match self.inside.checked_sub(MANY) {
            None if self.open < FREELY => return true,
            None => RARELY,
            Some(more) => SELDOM * u32::try_from(more + 1).unwrap_or(u32::MAX),
        };
        self.asked
            .is_none_or(|asked| now.saturating_duration_since(asked) >= wait)
    }

    /// What is waited for already, if that is enough.
    fn joined(&self, now: Instant) -> Option<&Round> {
        let round = self.round.as_ref()?;
        (!round.is_given_up || !self.may_ask(now)).then_some(round)
    }
}

/// A question on its way to the provider, and inside of it.
struct Inside {
    tokens: Arc<Tokens>,
    role: Role,
}

impl Inside {
    fn enter(tokens: Arc<Tokens>, role: Role) -> Inside {
        tokens.slot(role).inside += 1;
        Inside { tokens, role }
    }

    fn ask(self, request: TokenRequest) {
        self.tokens.asking().push(ThreadId::here());
        self.tokens.provider.provide(request);
    }
}

/// However it ends: a provider may panic.
impl Drop for Inside {
    fn drop(&mut self) {
        let thread = ThreadId::here();
        self.tokens.asking().retain(|other| *other != thread);
        self.tokens.slot(self.role).inside -= 1;
    }
}

/// Who waits for an outcome. Dropped before it came, it gives the question up.
struct Asker {
    tokens: Arc<Tokens>,
    role: Role,
    /// The last question when it began.
    number: u64,
    outcome: Awaited<Header>,
}

impl Drop for Asker {
    fn drop(&mut self) {
        if self.outcome.borrow().is_some() {
            return;
        }
        let mut slot = self.tokens.slot(self.role);
        // A newer question has its own time.
        if slot.last == self.number
            && let Some(round) = &mut slot.round
        {
            round.is_given_up = true;
        }
    }
}

impl Tokens {
    pub(crate) fn new(provider: Arc<dyn TokenProvider>) -> Arc<Tokens> {
        Arc::new(Tokens {
            provider,
            threads: Threads::new("d365-token", MOST_THREADS),
            primary: Mutex::default(),
            alternate: Mutex::default(),
            asking: Mutex::default(),
        })
    }

    fn slot(&self, role: Role) -> MutexGuard<'_, Slot> {
        lock(match role {
            Role::Primary => &self.primary,
            Role::Alternate => &self.alternate,
        })
    }

    /// Whether the endpoint's token is there already.
    pub(crate) fn holds(&self, role: Role) -> bool {
        self.slot(role).held().is_some()
    }

    /// The `Authorization` header for an endpoint. Who stops waiting gives the question up: the next
    /// one asks anew.
    pub(crate) async fn header(self: &Arc<Self>, role: Role, url: &str) -> Header {
        let waiting = {
            let mut slot = self.slot(role);
            let now = Instant::now();
            if let Some(header) = slot.held() {
                if slot.is_due(now) {
                    slot.begin(now);
                    let number = slot.last;
                    drop(slot);
                    // Nobody waits for it, and what there is will do.
                    let _ = self.begin(role, url, number);
                }
                return Ok(header);
            }
            let (outcome, is_asked) = match slot.joined(now) {
                Some(round) => (round.outcome.clone(), true),
                None => (slot.begin(now), false),
            };
            let number = slot.last;
            drop(slot);
            if !is_asked {
                self.begin(role, url, number)?;
            }
            Asker {
                tokens: Arc::clone(self),
                role,
                number,
                outcome,
            }
        };
        let outcome = settled(waiting.outcome.clone()).await;
        outcome.unwrap_or_else(|| Err(no_token(url, "the client was closed", None)))
    }

    /// Asks the provider. Outside of the slot's lock: a request that is dropped answers itself.
    fn begin(self: &Arc<Self>, role: Role, url: &str, number: u64) -> Result<(), Fault> {
        let request = self.request(role, url, number);
        let inside = Inside::enter(Arc::clone(self), role);
        self.threads
            .run(move || inside.ask(request))
            .map_err(|error| {
                let message = format!("no thread for the token provider: {error}");
                Fault::new(Cause::NoResources, message)
            })
    }

    fn request(self: &Arc<Self>, role: Role, url: &str, number: u64) -> TokenRequest {
        let tokens = Arc::downgrade(self);
        TokenRequest::new(url, role, move |provided| {
            // Nobody waits any more when the client is gone.
            if let Some(tokens) = tokens.upgrade() {
                tokens.take(role, number, provided);
            }
        })
    }

    fn asking(&self) -> MutexGuard<'_, Vec<ThreadId>> {
        lock(&self.asking)
    }

    /// Refuses a call from the provider's own thread.
    pub(crate) fn check_may_call(&self) -> Result<(), Error> {
        let thread = ThreadId::here();
        if self.asking().contains(&thread) {
            return Err(Error::new(
                ErrorKind::WouldDeadlock,
                "a call from the token provider would wait for the token that it has not given \
                 yet; get tokens with a client of their own",
            ));
        }
        Ok(())
    }

    /// Takes the answer to a question: it ends what is waited for, unless a newer question is open
    /// and this one has failed.
    fn take(&self, role: Role, number: u64, provided: Provided) {
        let outcome = provided
            .map_err(|refusal| no_token(role.name(), &refusal.why, refusal.data))
            .and_then(|(token, expires_in)| Ok((bearer(role, &token)?, expires_in)));
        let mut slot = self.slot(role);
        slot.open -= 1;
        if outcome.is_err() && slot.last != number {
            return;
        }
        if let Ok((header, expires_in)) = &outcome
            && slot.held.as_ref().is_none_or(|held| held.number < number)
        {
            let (now, life) = (Instant::now(), kept_for(*expires_in));
            slot.held = now.checked_add(life).map(|until| Held {
                header: header.clone(),
                until,
                ahead: (life >= AHEAD * 4).then(|| until - AHEAD),
                number,
            });
        }
        if let Some(round) = slot.round.take() {
            round
                .maker
                .send_replace(Some(outcome.map(|(header, _)| header)));
        }
    }

    /// Forgets a token that an endpoint refused, unless a newer one is held by now.
    pub(crate) fn forget(&self, role: Role, refused: &HeaderValue) {
        let mut slot = self.slot(role);
        if slot
            .held
            .as_ref()
            .is_some_and(|held| held.header == refused)
        {
            slot.held = None;
        }
    }

    /// Lets the threads go that have nothing to ask.
    pub(crate) fn close(&self) {
        self.threads.close();
    }
}

impl Slot {
    /// One more question, in the round that is there or a new one.
    fn begin(&mut self, now: Instant) -> Awaited<Header> {
        self.last += 1;
        self.open += 1;
        self.asked = Some(now);
        let round = self.round.get_or_insert_with(|| {
            let (maker, outcome) = pair();
            Round {
                maker,
                outcome,
                is_given_up: false,
            }
        });
        round.is_given_up = false;
        round.outcome.clone()
    }
}

fn kept_for(expires_in: Option<Duration>) -> Duration {
    match expires_in {
        None => KEPT,
        Some(life) => life.saturating_sub(MARGIN).max((life / 2).min(MARGIN)),
    }
}

fn bearer(role: Role, token: &str) -> Result<HeaderValue, Fault> {
    if let Some(why) = TokenRequest::defect(token) {
        return Err(no_token(role.name(), why, None));
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        let why = "it holds characters that no header can carry";
        no_token(role.name(), why, None)
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn no_token(endpoint: &str, why: &str, data: Option<i64>) -> Fault {
    Fault {
        provider_data: data,
        ..Fault::new(
            Cause::NoToken,
            format!("the token provider gave no token for {endpoint}: {why}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_token_is_kept() {
        let seconds = Duration::from_secs;
        for (life, kept) in [
            (None, KEPT),
            (Some(0), seconds(0)),
            (Some(20), seconds(10)),
            (Some(60), seconds(30)),
            (Some(90), seconds(60)),
            (Some(3600), seconds(3570)),
        ] {
            assert_eq!(kept_for(life.map(seconds)), kept, "{life:?}");
        }
    }

    #[test]
    fn questions_that_hang_become_rare_and_then_rarer() {
        let now = Instant::now();
        let moment = Duration::from_secs(1);
        for (open, inside, wait) in [
            (FREELY - 1, FREELY - 1, Duration::ZERO),
            (FREELY, FREELY, RARELY),
            (MANY - 1, MANY - 1, RARELY),
            (MANY, MANY, SELDOM),
            (MANY + 1, MANY + 1, SELDOM * 2),
            (MANY + 9, MANY + 9, SELDOM * 10),
            // Of requests that the provider has lost: they hold no thread.
            (MANY, 0, RARELY),
            (1000, 1, RARELY),
            // Of a provider that has answered, and does not come back.
            (0, MANY, SELDOM),
        ] {
            let slot = Slot {
                open,
                inside,
                asked: Some(now),
                ..Slot::default()
            };
            assert!(slot.may_ask(now + wait), "{open} {inside}");
            if wait > Duration::ZERO {
                let early = now + (wait - moment);
                assert!(!slot.may_ask(early), "{open} {inside}");
            }
        }
    }

    #[test]
    fn the_next_token_is_fetched_while_there_is_one() {
        let now = Instant::now();
        let old = HeaderValue::from_static("Bearer old");
        let later = now + AHEAD * 4;
        let past = now.checked_sub(AHEAD_PAUSE);
        for (ahead, open, asked, is_due) in [
            (None, 0, None, false),
            (Some(later), 0, None, false),
            (Some(now), 0, None, true),
            (Some(now), 0, past, true),
            (Some(now), 0, Some(now), false),
            (Some(now), 1, past, false),
        ] {
            let slot = Slot {
                held: Some(Held {
                    header: old.clone(),
                    until: later,
                    ahead,
                    number: 0,
                }),
                open,
                asked,
                ..Slot::default()
            };
            assert_eq!(slot.is_due(now), is_due, "{ahead:?} {open} {asked:?}");
        }
    }

    /// Answers, fails or panics, and comes back.
    #[test]
    fn a_provider_that_has_come_back_is_not_inside() {
        struct Returns(bool);
        impl TokenProvider for Returns {
            fn provide(&self, request: TokenRequest) {
                assert!(!self.0, "on purpose");
                request.fail("on purpose");
            }
        }
        for panics in [false, true] {
            let tokens = Tokens::new(Arc::new(Returns(panics)));
            let inside = Inside::enter(Arc::clone(&tokens), Role::Primary);
            assert_eq!(tokens.slot(Role::Primary).inside, 1);
            tokens.slot(Role::Primary).begin(Instant::now());
            let request = tokens.request(Role::Primary, "", 1);
            let asked = std::thread::spawn(move || inside.ask(request)).join();
            assert_eq!(asked.is_err(), panics);
            let slot = tokens.slot(Role::Primary);
            assert_eq!((slot.inside, slot.open), (0, 0), "{panics}");
            assert!(tokens.asking().is_empty(), "{panics}");
        }
    }
}
