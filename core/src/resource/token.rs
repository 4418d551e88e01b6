//! Bearer tokens: one for each endpoint, asked of the application's provider and kept until they
//! expire.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use http::HeaderValue;
use tokio::sync::oneshot;

use super::engine::Engine;
use super::race::{First, race};
use super::settled::{Awaited, pair, settled};
use crate::{Cause, Error, ErrorKind, Fault, Role};

/// A token is asked anew this long before it expires, so that none expires on its way.
const MARGIN: Duration = Duration::from_secs(30);

/// Gives bearer tokens. The audience of a token is the endpoint's host, so each endpoint has its
/// own.
pub trait TokenProvider: Send + Sync {
    /// Answers the request, now or later, from any thread. Called on a library thread that may
    /// block; never for the same endpoint twice at once.
    fn provide(&self, request: TokenRequest);
}

/// A request for a token. Dropping it unanswered fails the calls that wait for it.
pub struct TokenRequest {
    url: String,
    role: Role,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<(String, Option<Duration>), String>;

impl TokenRequest {
    /// The endpoint's base URL: `https://contoso--s.crm.dynamics.com`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The endpoint's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Gives the token, without `Bearer`. Without `expires_in` it is used for the calls that wait
    /// now, and asked anew for the next.
    pub fn reply(self, token: String, expires_in: Option<Duration>) {
        // Nobody waits any more when the client was closed.
        let _ = self.answer.send(Ok((token, expires_in)));
    }

    /// Gives none. The message reaches the application in the call's error.
    pub fn fail(self, message: &str) {
        let _ = self.answer.send(Err(message.to_owned()));
    }
}

/// The tokens of a client.
pub(crate) struct Tokens {
    provider: Arc<dyn TokenProvider>,
    primary: Mutex<Slot>,
    alternate: Mutex<Slot>,
    /// The threads that are inside of the provider.
    asking: Mutex<Vec<ThreadId>>,
}

type Outcome = Result<HeaderValue, Fault>;

/// The token held, or where the answer will come.
enum HeldOrAsked {
    Held(HeaderValue),
    Asked(Awaited<Outcome>),
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    /// Asked for; the outcome comes to all who wait.
    Asked(Awaited<Outcome>),
    Held {
        header: HeaderValue,
        until: Instant,
    },
}

impl Tokens {
    pub(crate) fn new(provider: Arc<dyn TokenProvider>) -> Arc<Tokens> {
        Arc::new(Tokens {
            provider,
            primary: Mutex::default(),
            alternate: Mutex::default(),
            asking: Mutex::default(),
        })
    }

    fn slot(&self, role: Role) -> MutexGuard<'_, Slot> {
        match role {
            Role::Primary => &self.primary,
            Role::Alternate => &self.alternate,
        }
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
    }

    /// The `Authorization` header for an endpoint.
    pub(crate) async fn header(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        role: Role,
        url: &str,
    ) -> Outcome {
        match self.held_or_asked(engine, role, url)? {
            HeldOrAsked::Held(header) => Ok(header),
            HeldOrAsked::Asked(outcome) => settled(outcome)
                .await
                .unwrap_or_else(|| Err(no_token(url, "the client was closed"))),
        }
    }

    /// The token held, or where the answer will come. Asks if nobody has.
    fn held_or_asked(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        role: Role,
        url: &str,
    ) -> Result<HeldOrAsked, Fault> {
        let mut slot = self.slot(role);
        match &*slot {
            Slot::Held { header, until } if Instant::now() < *until => {
                return Ok(HeldOrAsked::Held(header.clone()));
            }
            Slot::Asked(outcome) => return Ok(HeldOrAsked::Asked(outcome.clone())),
            Slot::Empty | Slot::Held { .. } => {}
        }
        let (maker, awaited) = pair();
        let (answer, answered) = oneshot::channel();
        let request = TokenRequest {
            url: url.to_owned(),
            role,
            answer,
        };
        let no_thread = |error| {
            Fault::new(
                Cause::LocalFailure,
                format!("no thread for the token provider: {error}"),
            )
        };
        let task = engine.reserve().map_err(no_thread)?;
        let asked = Arc::clone(self);
        Engine::spawn_blocking(move || asked.ask(request)).map_err(no_thread)?;
        let (tokens, closing) = (Arc::clone(self), engine.closing());
        // A task of its own: the caller that asked first may leave, and others wait. It ends with
        // the client, whether the provider ever answers or not.
        engine.run(task, async move {
            if let First::Left(answer) = race(wait_for(answered, role), closing.cancelled()).await {
                maker.send_replace(Some(tokens.keep(role, answer)));
            }
        });
        *slot = Slot::Asked(awaited.clone());
        Ok(HeldOrAsked::Asked(awaited))
    }

    fn ask(&self, request: TokenRequest) {
        let thread = std::thread::current().id();
        self.asking().push(thread);
        self.provider.provide(request);
        self.asking().retain(|other| *other != thread);
    }

    fn asking(&self) -> MutexGuard<'_, Vec<ThreadId>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a blocking call from the provider's own thread.
    pub(crate) fn check_may_wait(&self) -> Result<(), Error> {
        let thread = std::thread::current().id();
        if self.asking().contains(&thread) {
            return Err(Error::new(
                ErrorKind::WouldDeadlock,
                "a blocking call from the token provider would wait for the token that it has \
                 not given yet; get tokens with a client of their own",
            ));
        }
        Ok(())
    }

    /// Stores an answer, and makes the header of it.
    fn keep(&self, role: Role, answer: Answer) -> Outcome {
        let mut slot = self.slot(role);
        *slot = Slot::Empty;
        let (token, expires_in) = answer.map_err(|why| no_token(role.name(), &why))?;
        let mut header = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| no_token(role.name(), "it holds characters that no header can carry"))?;
        header.set_sensitive(true);
        let until = expires_in
            .and_then(|expires_in| Instant::now().checked_add(expires_in.saturating_sub(MARGIN)));
        if let Some(until) = until {
            *slot = Slot::Held {
                header: header.clone(),
                until,
            };
        }
        Ok(header)
    }

    /// Forgets a token that an endpoint refused, unless a newer one is held by now.
    pub(crate) fn forget(&self, role: Role, refused: &HeaderValue) {
        let mut slot = self.slot(role);
        if matches!(&*slot, Slot::Held { header, .. } if header == refused) {
            *slot = Slot::Empty;
        }
    }
}

async fn wait_for(answered: oneshot::Receiver<Answer>, role: Role) -> Answer {
    answered.await.unwrap_or_else(|_| {
        Err(format!(
            "the request for the {} was dropped without an answer",
            role.name()
        ))
    })
}

fn no_token(endpoint: &str, why: &str) -> Fault {
    Fault::new(
        Cause::NoToken,
        format!("the token provider gave no token for {endpoint}: {why}"),
    )
}
