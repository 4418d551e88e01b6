//! Looks at the endpoints before one is left.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::select;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Inner;
use crate::classify::Protocol;
use crate::decide::caution::{Inquiry, Stay};
use crate::decide::switchboard::Place;
use crate::resource::probe::probe;
use crate::resource::transport::Progress;
use crate::rule::Rule;
use crate::{Cause, Fault, FaultKind, Level, Probed, Role};

/// An endpoint that does not answer is dead after so many times its best connect time…
const CONNECTS: u32 = 100;
/// …but not before this.
const SHORTEST: Duration = Duration::from_millis(400);
/// The other endpoint is asked by the same machine over much the same network: this one has several
/// times as long as that one took.
const TIMES_THE_OTHER: u32 = 4;

/// A look waits for a token so many times as long as for a probe's answer. Calls that have met a
/// fault wait for the look; a provider may ask a server that is far away, or hang.
const TIMES_FOR_A_TOKEN: u32 = 5;

/// How long a look back holds.
const LOOK_HOLDS: Duration = Duration::from_secs(1);

/// What a look has found.
pub(super) enum Look {
    /// The endpoint stays.
    Stay(Stay),
    /// It may be left. What the other one answered; `None`: it was not asked.
    Go(Option<Probed>),
}

impl Look {
    /// This endpoint may be left, if the other one has answered.
    fn of_other(other: Result<Probed, Stay>) -> Look {
        match other {
            Ok(probed) => Look::Go(Some(probed)),
            Err(stay) => Look::Stay(stay),
        }
    }
}

/// How far two probes of one endpoint have got.
#[derive(Default)]
struct Answers {
    first: Progress,
    second: Progress,
}

impl Answers {
    fn has_connected(&self) -> bool {
        self.first.moves() != 0 || self.second.moves() != 0
    }

    /// How long silent addresses have held up living ones.
    fn head_starts(&self) -> Duration {
        self.first.head_starts().max(self.second.head_starts())
    }
}

impl Inner {
    /// Finds out what an inquiry wants to know.
    pub(super) async fn look(self: &Arc<Self>, from: Place, inquiry: Inquiry) -> Look {
        let off = self.settings.rules_off;
        let must_confirm = match inquiry {
            Inquiry::Refused(stay) => return Look::Stay(stay),
            Inquiry::Other => false,
            Inquiry::Both => !off.has(Rule::ConfirmDead),
        };
        if off.has(Rule::ProbeOther) {
            return if must_confirm && self.is_alive_now(from.role).await {
                Look::Stay(Stay::Alive)
            } else {
                Look::Go(None)
            };
        }
        if !must_confirm {
            return Look::of_other(self.other_answers(from, true).await);
        }
        // What is waited for before the endpoint is asked is no silence of its.
        let authorization = self.credentials(from.role).await.unwrap_or_default();
        let begin = Instant::now();
        let answers = Answers::default();
        let mut alive = pin!(self.answers_a_probe(from.role, authorization, &answers));
        let mut other = pin!(self.other_answers(from, false));
        // Known once: whether this side is dead, and what the other has answered, when.
        let mut is_dead = false;
        let mut answered: Option<(Result<Probed, Stay>, Instant)> = None;
        loop {
            let window = self.window(from.role, &answers);
            let end = answered.map(|(_, at)| begin + window.max((at - begin) * TIMES_THE_OTHER));
            select! {
                biased;
                is_alive = alive.as_mut(), if !is_dead => {
                    if is_alive {
                        return Look::Stay(Stay::Alive);
                    }
                    is_dead = true;
                }
                probed = other.as_mut(), if answered.is_none() => {
                    answered = Some((probed, Instant::now()));
                }
                () = sleep_until(end.unwrap_or(begin)), if end.is_some() && !is_dead => {
                    // Where a connection came about meanwhile, the answer gets its time.
                    is_dead = Instant::now() >= begin + self.window(from.role, &answers);
                }
            }
            if let (true, Some((probed, _))) = (is_dead, answered) {
                return Look::of_other(probed);
            }
        }
    }

    /// How long an endpoint has to answer one of two probes: little to be connected to, and all of
    /// `probe_timeout` once it is.
    fn window(&self, role: Role, answers: &Answers) -> Duration {
        let head_starts = answers.head_starts();
        let most = self.settings.probe_timeout + head_starts;
        if answers.has_connected() {
            return most;
        }
        let best = self.transport.best_connect(self.base(role));
        best.map_or(most, |best| {
            ((best * CONNECTS).max(SHORTEST) + head_starts).min(most)
        })
    }

    /// Whether an endpoint answers one of two probes. The second one has a connection of its own,
    /// as the first, and leaves when that has failed, or is late.
    async fn answers_a_probe(
        &self,
        role: Role,
        authorization: Option<HeaderValue>,
        answers: &Answers,
    ) -> bool {
        let probe = |progress| self.probe_as(role, authorization.clone(), progress);
        let is_alive = |found: Result<Probed, Fault>| match found {
            Ok(_) => true,
            // Whoever cannot ask has learnt nothing.
            Err(fault) => fault.kind == FaultKind::Local,
        };
        let mut first = pin!(probe(&answers.first));
        let late = sleep(self.window(role, answers) / 3);
        select! {
            biased;
            found = first.as_mut() => is_alive(found) || is_alive(probe(&answers.second).await),
            () = late => {
                let mut second = pin!(probe(&answers.second));
                select! {
                    found = first.as_mut() => is_alive(found) || is_alive(second.await),
                    found = second.as_mut() => is_alive(found) || is_alive(first.await),
                }
            }
        }
    }

    /// Whether an endpoint that is not active any more still answers. One look serves all who ask
    /// within a second: thousands of calls may wait there.
    pub(super) async fn is_alive_now(self: &Arc<Self>, role: Role) -> bool {
        let mut looked = self.looked_back.lock().await;
        if let Some((at, when, is_alive)) = *looked
            && at == role
            && when.elapsed() < LOOK_HOLDS
        {
            return is_alive;
        }
        let authorization = self.credentials(role).await.unwrap_or_default();
        let answers = Answers::default();
        let is_alive = self.answers_a_probe(role, authorization, &answers).await;
        *looked = Some((role, Instant::now(), is_alive));
        is_alive
    }

    /// What the other endpoint answers, if it is enough to go there. `is_certain`: calls would fail
    /// at this one. They are held back once it is only the answer that is waited for, and not while
    /// a token is.
    async fn other_answers(
        self: &Arc<Self>,
        from: Place,
        is_certain: bool,
    ) -> Result<Probed, Stay> {
        let role = from.role.other();
        let unasked = |_| Stay::OtherUnasked;
        let silent = |_| Stay::OtherSilent;
        let progress = Progress::default();
        let authorization = self.credentials(role).await.map_err(unasked)?;
        if is_certain {
            self.park(from);
        }
        let found = self
            .probe_as(role, authorization.clone(), &progress)
            .await
            .map_err(silent)?;
        let (Some(tokens), Some(refused), Probed::Reachable) = (&self.tokens, authorization, found)
        else {
            return Ok(found);
        };
        // Whoever has credentials for it must be let in. These may have expired.
        tokens.forget(role, &refused);
        self.unpark(from);
        let authorization = self.credentials(role).await.map_err(unasked)?;
        if is_certain {
            self.park(from);
        }
        let progress = Progress::default();
        let found = self.probe_as(role, authorization, &progress).await;
        match found.map_err(silent)? {
            Probed::Serves => Ok(Probed::Serves),
            Probed::Reachable => Err(Stay::OtherSilent),
        }
    }

    /// Whether an endpoint can be probed at once.
    pub(super) fn has_credentials(&self, role: Role) -> bool {
        let tokens = self.tokens.as_ref();
        tokens.is_none_or(|tokens| tokens.holds(role))
    }

    /// The `Authorization` that a probe says.
    async fn credentials(self: &Arc<Self>, role: Role) -> Result<Option<HeaderValue>, Fault> {
        let Some(tokens) = &self.tokens else {
            return Ok(self.last_authorization(role));
        };
        let settings = &self.settings;
        let limit = settings
            .attempt_timeout
            .min(settings.probe_timeout.saturating_mul(TIMES_FOR_A_TOKEN));
        let header = timeout(limit, tokens.header(role, self.organization.url(role))).await;
        let header = header.unwrap_or_else(|_| {
            let message = "the token provider gave no token for a probe in time";
            Err(Fault::new(Cause::NoToken, message))
        });
        header
            .inspect_err(|fault| self.log(Level::Warn, || fault.message.clone()))
            .map(Some)
    }

    async fn probe_as(
        &self,
        role: Role,
        authorization: Option<HeaderValue>,
        progress: &Progress,
    ) -> Result<Probed, Fault> {
        let target = self
            .organization
            .locate(&self.settings.probe_path)
            .map_err(|error| Fault::new(Cause::BadMessage, error.message()))?;
        let found = probe(
            &self.transport,
            &self.address(&target, role),
            &self.user_agent,
            authorization,
            target.protocol().unwrap_or(Protocol::OData),
            self.settings.probe_timeout,
            progress,
        )
        .await;
        self.log(Level::Debug, || match &found {
            Ok(probed) => format!("a probe: the {} {}", role.name(), probed.name()),
            Err(fault) => format!("a probe of the {} failed: {}", role.name(), fault.message),
        });
        found
    }
}
