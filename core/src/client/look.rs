//! Looks at the endpoints before one is left.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::select;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Inner;
use crate::decide::caution::{Inquiry, Stay};
use crate::decide::switchboard::Place;
use crate::resource::probe::probe;
use crate::rule::Rule;
use crate::{Cause, Fault, Level, Probed, Role};

/// An endpoint that does not answer is dead after so many times its best connect time…
const CONNECTS: u32 = 100;
/// …but not before this.
const SHORTEST: Duration = Duration::from_millis(400);
/// The other endpoint is asked by the same machine over much the same network: this one has several
/// times as long as that one took.
const TIMES_THE_OTHER: u32 = 4;

/// What a look has found.
pub(super) enum Look {
    /// The endpoint stays.
    Stay(Stay),
    /// It may be left. What the other one answered; `None`: it was not asked.
    Go(Option<Probed>),
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
            return if must_confirm && self.is_alive(from.role).await {
                Look::Stay(Stay::Alive)
            } else {
                Look::Go(None)
            };
        }
        if !must_confirm {
            return match self.other_answers(from.role).await {
                Some(probed) => Look::Go(Some(probed)),
                None => Look::Stay(Stay::OtherSilent),
            };
        }
        let window = self.window(from.role);
        let begin = Instant::now();
        let mut alive = pin!(self.is_alive(from.role));
        let mut other = pin!(self.other_answers(from.role));
        // Known once: whether this side is dead, and what the other has answered, when.
        let mut is_dead = false;
        let mut answered: Option<(Option<Probed>, Instant)> = None;
        loop {
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
                    is_dead = true;
                }
            }
            if let (true, Some((probed, _))) = (is_dead, answered) {
                return match probed {
                    Some(probed) => Look::Go(Some(probed)),
                    None => Look::Stay(Stay::OtherSilent),
                };
            }
        }
    }

    /// How long an endpoint has to answer one of two probes.
    fn window(&self, role: Role) -> Duration {
        let most = self.settings.probe_timeout;
        let best = self.transport.best_connect(self.base(role));
        best.map_or(most, |best| (best * CONNECTS).max(SHORTEST).min(most))
    }

    /// Whether an endpoint answers one of two probes. The second one has a connection of its own,
    /// as the first, and leaves when that has failed, or is late.
    async fn is_alive(self: &Arc<Self>, role: Role) -> bool {
        let mut first = pin!(self.probe(role));
        let late = sleep(self.window(role) / 3);
        select! {
            biased;
            found = first.as_mut() => match found {
                Ok(_) => true,
                Err(_) => self.probe(role).await.is_ok(),
            },
            () = late => {
                let mut second = pin!(self.probe(role));
                select! {
                    found = first.as_mut() => found.is_ok() || second.await.is_ok(),
                    found = second.as_mut() => found.is_ok() || first.await.is_ok(),
                }
            }
        }
    }

    /// What the other endpoint answers, if it is enough to go there.
    async fn other_answers(self: &Arc<Self>, from: Role) -> Option<Probed> {
        match self.probe(from.other()).await {
            // Whoever has credentials for it must be let in.
            Ok(Probed::Reachable) if self.tokens.is_some() => None,
            Ok(probed) => Some(probed),
            Err(_) => None,
        }
    }

    async fn probe(self: &Arc<Self>, role: Role) -> Result<Probed, Fault> {
        let found = self.probe_with_credentials(role).await;
        self.log(Level::Debug, || match &found {
            Ok(probed) => format!("a probe: the {} {}", role.name(), probed.name()),
            Err(fault) => format!("a probe of the {} failed: {}", role.name(), fault.message),
        });
        found
    }

    async fn probe_with_credentials(self: &Arc<Self>, role: Role) -> Result<Probed, Fault> {
        let Some(tokens) = &self.tokens else {
            return self.probe_as(role, self.last_authorization(role)).await;
        };
        for is_last in [false, true] {
            let header = timeout(
                self.settings.attempt_timeout,
                tokens.header(&self.engine, role, self.organization.url(role)),
            );
            let header = header.await.unwrap_or_else(|_| {
                let message = "the token provider gave no token for a probe in time";
                Err(Fault::new(Cause::NoToken, message))
            })?;
            let found = self.probe_as(role, Some(header.clone())).await?;
            if found == Probed::Serves || is_last {
                return Ok(found);
            }
            // It may have expired.
            tokens.forget(role, &header);
        }
        Ok(Probed::Reachable)
    }

    async fn probe_as(
        &self,
        role: Role,
        authorization: Option<HeaderValue>,
    ) -> Result<Probed, Fault> {
        let target = self
            .organization
            .locate(&self.settings.probe_path)
            .map_err(|error| Fault::new(Cause::BadMessage, error.message()))?;
        probe(
            &self.transport,
            &self.address(&target, role),
            &self.user_agent,
            authorization,
            self.settings.probe_timeout,
        )
        .await
    }
}
