//! Does what a look asks for: tokens, probes, and the time.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant as Clock};

use http::HeaderValue;
use tokio::time::{Instant, sleep_until};

use super::Inner;
use crate::classify::Protocol;
use crate::decide::look::{Answer, Asks, Found, Glance, Heard, Look, Stay};
use crate::resource::late::in_time;
use crate::resource::probe::{Reply, probe};
use crate::resource::race::{First, race};
use crate::resource::transport::Progress;
use crate::{Cause, Fault, FaultKind, Level, Role};

/// A look waits for a token so many times as long as for a probe's answer. Calls that have met a
/// fault wait for the look; a provider may ask a server that is far away, or hang.
const TIMES_FOR_A_TOKEN: u32 = 5;

/// What was asked for, and its end.
type Running = Pin<Box<dyn Future<Output = Ended> + Send>>;

enum Ended {
    Authorized(Role, Result<Option<HeaderValue>, Fault>),
    Probed(Role, Result<Reply, Fault>),
}

/// Why an endpoint did not answer, or that it did.
pub(super) type Finding = Option<(Role, Option<String>)>;

pub(super) struct Probing {
    inner: Arc<Inner>,
    /// The endpoint that may be left.
    role: Role,
    running: Vec<Running>,
    wake: Option<Clock>,
    /// How far its probes have got.
    progress: Vec<Arc<Progress>>,
    /// What probes say as `Authorization`, to that endpoint and to the other.
    authorizations: [Option<HeaderValue>; 2],
}

impl Probing {
    pub(super) fn new(inner: &Arc<Inner>, role: Role) -> Probing {
        Probing {
            inner: Arc::clone(inner),
            role,
            running: Vec::new(),
            wake: None,
            progress: Vec::new(),
            authorizations: [None, None],
        }
    }

    fn authorization(&mut self, role: Role) -> &mut Option<HeaderValue> {
        &mut self.authorizations[usize::from(role != self.role)]
    }

    pub(super) fn start(&mut self, asks: Asks) {
        match asks {
            Asks::Wake(at) => self.wake = Some(at),
            Asks::Authorize(role) => self.authorize(role),
            Asks::Renew(role) => {
                let refused = self.authorization(role).take();
                if let (Some(tokens), Some(refused)) = (&self.inner.tokens, refused) {
                    tokens.forget(role, &refused);
                }
                self.authorize(role);
            }
            Asks::Probe(role) => {
                let (inner, progress) = (Arc::clone(&self.inner), Arc::new(Progress::default()));
                let authorization = self.authorization(role).clone();
                if role == self.role {
                    self.progress.push(Arc::clone(&progress));
                }
                self.running.push(Box::pin(async move {
                    let found = inner
                        .probe_as(role, authorization, &progress, inner.settings.probe_timeout)
                        .await;
                    Ended::Probed(role, found)
                }));
            }
        }
    }

    fn authorize(&mut self, role: Role) {
        if role == self.role {
            // Another look begins.
            self.progress.clear();
        }
        let inner = Arc::clone(&self.inner);
        self.running.push(Box::pin(async move {
            Ended::Authorized(role, inner.credentials(role).await)
        }));
    }

    /// What is still asked for is of no use any more.
    pub(super) fn stop(&mut self) {
        self.running.clear();
        self.wake = None;
    }

    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> (Heard, Finding) {
        let running = &mut self.running;
        let ended = poll_fn(|context| {
            for index in 0..running.len() {
                if let Poll::Ready(ended) = running[index].as_mut().poll(context) {
                    drop(running.remove(index));
                    return Poll::Ready(ended);
                }
            }
            Poll::Pending
        });
        let wake = self.wake;
        let woken = async {
            match wake {
                Some(at) => sleep_until(Instant::from_std(at)).await,
                None => std::future::pending().await,
            }
        };
        match race(ended, pin!(woken)).await {
            First::Left(ended) => self.heard(ended),
            First::Right(()) => {
                self.wake = None;
                (Heard::Woken, None)
            }
        }
    }

    fn heard(&mut self, ended: Ended) -> (Heard, Finding) {
        match ended {
            Ended::Authorized(role, Ok(header)) => {
                let from_provider = self.inner.tokens.is_some() && header.is_some();
                *self.authorization(role) = header;
                let heard = Heard::Authorized {
                    role,
                    from_provider,
                };
                (heard, None)
            }
            Ended::Authorized(role, Err(fault)) => {
                (Heard::NoToken(role), Some((role, Some(fault.message))))
            }
            Ended::Probed(role, Ok(reply)) => {
                let answer = match reply {
                    Reply::Came(probed) => Answer::Came(probed),
                    Reply::Busy(told) => Answer::Busy(told),
                };
                (Heard::Probed(role, answer), Some((role, None)))
            }
            Ended::Probed(role, Err(fault)) => {
                let answer = match fault.kind {
                    // Where its name leads nobody can say: to nowhere, for the client.
                    _ if fault.cause == Cause::NameTryAgain => Answer::Silent,
                    FaultKind::Local => Answer::NotAsked,
                    FaultKind::Service => Answer::Odd,
                    _ => Answer::Silent,
                };
                let heard = Heard::Probed(role, answer);
                (heard, Some((role, Some(fault.message))))
            }
        }
    }

    /// How far the probes of the endpoint that may be left have got.
    pub(super) fn glance(&self) -> Glance {
        let progress = self.progress.iter();
        let base = self.inner.base(self.role);
        Glance {
            best_connect: self.inner.transport.best_connect(base),
            has_connected: progress.clone().any(|progress| progress.is_connected()),
            head_starts: progress
                .map(|progress| progress.head_starts())
                .max()
                .unwrap_or_default(),
        }
    }
}

impl Inner {
    /// Whether an endpoint that is not active any more still answers. One look serves all who ask
    /// within a second: thousands of calls may wait there.
    pub(super) async fn is_alive_now(self: &Arc<Self>, role: Role) -> bool {
        let _turn = self.looks_back.lock().await;
        let look = self.board().switch.look_back(role, Clock::now());
        let look = match look {
            Ok(look) => look,
            Err(is_alive) => return is_alive,
        };
        let found = self.look(role, look).await;
        let is_alive = found == Found::Stay(Stay::Alive);
        self.board()
            .switch
            .looked_back(role, is_alive, Clock::now());
        is_alive
    }

    /// Does what a look asks for, which is at `role` or from there at the other endpoint.
    pub(super) async fn look(self: &Arc<Self>, role: Role, mut look: Look) -> Found {
        let mut probing = Probing::new(self, role);
        let mut asks: Vec<Asks> = look.begin().into_iter().collect();
        loop {
            if let Some(found) = look.found() {
                return found;
            }
            for asks in asks {
                probing.start(asks);
            }
            let (heard, _) = probing.next().await;
            asks = look.hear(heard, probing.glance(), Clock::now());
        }
    }

    /// Whether an endpoint can be probed at once.
    pub(super) fn has_credentials(&self, role: Role) -> bool {
        let tokens = self.tokens.as_ref();
        tokens.is_none_or(|tokens| tokens.holds(role))
    }

    /// The `Authorization` that a probe says.
    pub(super) async fn credentials(
        self: &Arc<Self>,
        role: Role,
    ) -> Result<Option<HeaderValue>, Fault> {
        let settings = &self.settings;
        let limit = settings
            .attempt_timeout
            .min(settings.probe_timeout.saturating_mul(TIMES_FOR_A_TOKEN));
        self.credentials_within(role, limit).await
    }

    pub(super) async fn credentials_within(
        self: &Arc<Self>,
        role: Role,
        limit: Duration,
    ) -> Result<Option<HeaderValue>, Fault> {
        let Some(tokens) = &self.tokens else {
            return Ok(self.last_authorization(role));
        };
        let header = pin!(tokens.header(role, self.organization.url(role)));
        let header = in_time(Instant::now() + limit, header).await;
        let header = header.unwrap_or_else(|| {
            let message = "the token provider gave no token for a probe in time";
            Err(Fault::new(Cause::NoToken, message))
        });
        header
            .inspect_err(|fault| self.log(Level::Warn, || fault.message.clone()))
            .map(Some)
    }

    pub(super) async fn probe_as(
        &self,
        role: Role,
        authorization: Option<HeaderValue>,
        progress: &Progress,
        limit: Duration,
    ) -> Result<Reply, Fault> {
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
            limit,
            progress,
        )
        .await;
        self.statistics
            .side(role)
            .probed(found.as_ref().map(|reply| reply.probed()).ok());
        self.log(Level::Debug, || match &found {
            Ok(Reply::Came(probed)) => format!("a probe: the {} {}", role.name(), probed.name()),
            Ok(Reply::Busy(_)) => format!("a probe: the {} asks for less", role.name()),
            Err(fault) => format!("a probe of the {} failed: {}", role.name(), fault.message),
        });
        found
    }
}
