//! Whether a call that met a fault may go on elsewhere: the policy, the one switch, the events.

use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use tokio::time::{Instant, timeout, timeout_at};

use super::Inner;
use super::safe::Question;
use crate::decide::caution::{Caution, Stay};
use crate::decide::switchboard::{Decided, Place, Switch, Switchboard, Verdict};
use crate::error::Ending;
use crate::evidence::Evidence;
use crate::resource::cancel::Cancel;
use crate::resource::discovery;
use crate::resource::outlet::Reply;
use crate::resource::race::{First, race};
use crate::resource::settled::{Awaited, pair, settled};
use crate::settings::LONGEST_WAIT;
use crate::{
    Attempt, Cause, Decision, Effect, Error, ErrorKind, Event, Fault, FaultKind, ItemKind, Level,
    Organization, Preset, Probed, Request, Response, Role, response,
};

/// The switchboard, and what is under way to change it.
pub(super) struct Board {
    pub(super) switchboard: Switchboard,
    pub(super) caution: Caution,
    /// The switch under way, or the question whether there is to be one. An error: why calls stay.
    pub(super) switching: Option<Awaited<Result<(), Stay>>>,
    /// The same, while calls that begin at its place wait for it.
    pub(super) parked: Option<(Place, Awaited<Result<(), Stay>>)>,
    /// The place that was left last because it was found dead.
    pub(super) found_dead: Option<Place>,
    /// The reading of the policy under way, or its end.
    reading: Option<Awaited<Result<(), Fault>>>,
}

impl Board {
    pub(super) fn new(switchboard: Switchboard, caution: Caution) -> Board {
        Board {
            switchboard,
            caution,
            switching: None,
            parked: None,
            found_dead: None,
            reading: None,
        }
    }

    /// Whether the policy is being read.
    fn is_reading(&self) -> bool {
        let end = self.reading.as_ref();
        end.is_some_and(|end| end.borrow().is_none())
    }
}

/// Where a call with a fault goes.
pub(super) enum Course {
    /// To the active endpoint, which is another one now.
    Elsewhere,
    /// Nowhere: there is no other endpoint.
    NoAlternate,
    /// Its endpoint is not left, and may be asked again.
    Here(Stay),
    /// Nowhere: neither this endpoint nor the other one answers a probe.
    OtherSilent,
    /// Nowhere; the reason completes the sentence of its error.
    Nowhere(&'static str),
}

impl Course {
    /// Why the call is not sent again; `None`: it is.
    pub(super) fn why(&self) -> Option<&'static str> {
        match self {
            Course::Elsewhere => None,
            Course::NoAlternate => Some("the organization has no alternate"),
            Course::Here(stay) => Some(stay.why()),
            Course::OtherSilent => Some(Stay::OtherSilent.why()),
            Course::Nowhere(why) => Some(why),
        }
    }
}

impl Inner {
    /// Finds out whether a call whose attempt at `seen_at` met `fault` may be sent again.
    /// `is_at_sibling`: it met it at a sibling host, and nobody leaves a base host that answers.
    /// (.NET had one address.)
    pub(super) async fn fail_over(
        self: &Arc<Self>,
        seen_at: Place,
        is_at_sibling: bool,
        fault: &Fault,
        deadline: Instant,
    ) -> Course {
        if is_at_sibling
            && self.place() == seen_at
            // Who has no time to look has nothing to go elsewhere with.
            && timeout_at(deadline, self.is_alive_now(seen_at.role)).await != Ok(false)
        {
            return Course::Nowhere(Stay::Alive.why());
        }
        loop {
            let outcome = {
                let mut board = self.board();
                match board.switchboard.report(seen_at, Clock::now()) {
                    Verdict::Moved => return Course::Elsewhere,
                    Verdict::NoAlternate => return Course::NoAlternate,
                    Verdict::Begin => match self.begin_switch(&mut board, seen_at, fault) {
                        Some(outcome) => Some(outcome),
                        None => return Course::Nowhere("no thread could be had for the switch"),
                    },
                    Verdict::Join => board.switching.clone(),
                    Verdict::Undecided => None,
                }
            };
            if let Some(outcome) = outcome {
                return match timeout_at(deadline, settled(outcome)).await {
                    Ok(Some(Ok(()))) => Course::Elsewhere,
                    Ok(Some(Err(stay))) => Course::Nowhere(stay.why()),
                    Ok(None) => Course::Nowhere("the switch was given up"),
                    Err(_) => Course::Nowhere("its deadline was over before a switch was decided"),
                };
            }
            match timeout_at(deadline, self.read_policy(false)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => {
                    return Course::Nowhere(
                        "whether there is an alternate is not known, because the WSDL could not \
                         be read; set alternate_url, or auto_switch to on",
                    );
                }
                Err(_) => return Course::Nowhere("its deadline was over before the WSDL was read"),
            }
        }
    }

    /// Starts the one task that carries out the switch: it outlives the call that began it.
    fn begin_switch(
        self: &Arc<Self>,
        board: &mut Board,
        from: Place,
        fault: &Fault,
    ) -> Option<Awaited<Result<(), Stay>>> {
        let (maker, awaited) = pair();
        let (inner, fault) = (Arc::clone(self), fault.clone());
        let spawned = self.engine.spawn(async move {
            let question = Question::new(&inner, from);
            let outcome = inner.switch(from, &fault).await;
            question.close();
            maker.send_replace(Some(outcome));
        });
        if spawned.is_err() {
            board.switchboard.decide(from, true);
            return None;
        }
        board.switching = Some(awaited.clone());
        Some(awaited)
    }

    /// `EndpointSwitchRequired`, the decision, the switch, `EndpointSwitched`, in this order.
    async fn switch(self: &Arc<Self>, from: Place, fault: &Fault) -> Result<(), Stay> {
        let is_busy = self.outlet.is_busy();
        let Some(is_vetoed) = self.is_vetoed(from, fault, None).await else {
            return Ok(());
        };
        let reply = {
            let mut board = self.board();
            match board.switchboard.decide(from, is_vetoed) {
                // In the queue before anybody can switch again: events come in the order of epochs.
                Decided::Switched(done) => {
                    let switched = self.switched(done, Some(fault), None);
                    self.outlet.put(switched, false)
                }
                Decided::Moved => return Ok(()),
                Decided::Stayed => {
                    drop(board);
                    self.log(Level::Warn, || {
                        format!(
                            "the {} stays active after a fault ({}): auto-switch is off, or a \
                             handler vetoed",
                            from.role.name(),
                            fault.kind.name()
                        )
                    });
                    return Err(if is_vetoed { Stay::Vetoed } else { Stay::Off });
                }
            }
        };
        self.left(from);
        self.unless_closed(reply.filter(|_| !is_busy)).await;
        Ok(())
    }

    /// Raises `EndpointSwitchRequired` and waits for its decision. `None`: the application has
    /// switched by hand meanwhile, and there is nothing to decide.
    pub(super) async fn is_vetoed(
        &self,
        from: Place,
        fault: &Fault,
        probed: Option<Probed>,
    ) -> Option<bool> {
        let required = Event {
            probed,
            ..self.event(
                ItemKind::EndpointSwitchRequired,
                Switch::from(from),
                Some(fault),
                format!("a fault at the {}: {}", from.role.name(), fault.message),
            )
        };
        // A handler that is running is not asked, and not waited for: it may itself be waiting.
        let is_busy = self.outlet.is_busy();
        let reply = {
            // In the queue before anybody can switch by hand: events come in the order of epochs.
            let board = self.board();
            if board.switchboard.place() != from {
                return None;
            }
            self.outlet.put(required, !is_busy)
        };
        let decision = self.unless_closed(reply.filter(|_| !is_busy)).await;
        // Where all calls are to end, nobody goes anywhere.
        let is_ending = self.flights.are_cancelled();
        Some(is_ending || decision.is_none_or(|decision| decision == Decision::Veto))
    }

    /// Waits for an answer. `None`: the client was closed.
    async fn unless_closed(&self, reply: Option<Reply>) -> Option<Decision> {
        match race(self.outlet.answer(reply), self.flights.cancelled()).await {
            First::Left(decision) => Some(decision),
            First::Right(()) => None,
        }
    }

    pub(super) fn switch_by_hand(&self) -> Result<(), Error> {
        let done = {
            let mut board = self.board();
            let done = board.switchboard.switch_by_hand().ok_or_else(|| {
                Error::new(
                    ErrorKind::NoAlternate,
                    "the organization has no alternate, says its FailoverPolicy, or that was not \
                     read yet; call discover, or set alternate_url",
                )
            })?;
            board.caution.switched(std::time::Instant::now());
            self.outlet.put(self.switched(done, None, None), false);
            done
        };
        self.left(done.from);
        Ok(())
    }

    pub(super) fn switched(
        &self,
        done: Switch,
        fault: Option<&Fault>,
        probed: Option<Probed>,
    ) -> Event {
        Event {
            probed,
            ..self.event(
                ItemKind::EndpointSwitched,
                done,
                fault,
                format!("calls go to the {} now", done.to.role.name()),
            )
        }
    }

    /// An endpoint was left: its idle connections are of no use any more, and what it has
    /// acknowledged of late may be missing at the other.
    pub(super) fn left(&self, from: Place) {
        self.moved.notify_waiters();
        self.transport.leave(&self.organization.origins(from.role));
        self.log(Level::Info, || {
            format!(
                "switched from the {} to the {}",
                from.role.name(),
                from.role.other().name()
            )
        });
        self.suspect(from);
    }

    fn event(
        &self,
        kind: ItemKind,
        switch: Switch,
        fault: Option<&Fault>,
        message: String,
    ) -> Event {
        Event {
            previous_url: Some(self.organization.url(switch.from.role).to_owned()),
            new_url: Some(self.organization.url(switch.to.role).to_owned()),
            previous_role: Some(switch.from.role),
            new_role: Some(switch.to.role),
            automatic: fault.is_some(),
            fault_kind: fault.map(|fault| fault.kind),
            reason: fault.map_or("manual", |fault| fault.kind.name()),
            ..Event::new(kind, switch.to.epoch, message)
        }
    }

    pub(super) fn retried(
        &self,
        last: &Attempt,
        request: &Request,
        from: Place,
        to: Place,
        fault: &Fault,
    ) {
        self.outlet.tell(ItemKind::CallRetried, || Event {
            tag: request.tag.as_deref().map(str::to_owned),
            method: Some(request.method.to_string()),
            url: Some(last.shown_url()),
            ..self.event(
                ItemKind::CallRetried,
                Switch { from, to },
                Some(fault),
                format!("a call is sent again after: {}", fault.kind.name()),
            )
        });
    }

    pub(super) fn throttled(&self, last: &Attempt, request: &Request, pause: Duration) {
        self.outlet.tell(ItemKind::Throttled, || {
            let message = format!(
                "the service asks for less: a call waits for {} ms",
                pause.as_millis()
            );
            Event {
                retry_after: Some(pause),
                tag: request.tag.as_deref().map(str::to_owned),
                method: Some(request.method.to_string()),
                url: Some(last.shown_url()),
                fault_kind: Some(FaultKind::Throttled),
                reason: FaultKind::Throttled.name(),
                ..Event::new(ItemKind::Throttled, self.place().epoch, message)
            }
        });
    }

    pub(super) fn log(&self, level: Level, message: impl FnOnce() -> String) {
        self.outlet.tell(ItemKind::Log, || Event {
            reason: "log",
            level,
            ..Event::new(ItemKind::Log, self.place().epoch, message())
        });
    }

    /// Where a call's first attempt goes. The very first call starts the reading of the policy,
    /// and does not wait for it.
    pub(super) fn first_place(self: &Arc<Self>) -> Place {
        let mut board = self.board();
        let is_due = match board.reading {
            None => board.switchboard.needs_policy(Clock::now()),
            // One that has failed is tried anew when a fault needs it.
            Some(_) => board.switchboard.is_due_again(Clock::now()) && !board.is_reading(),
        };
        if is_due {
            // Without a thread it is read when a fault needs it.
            let _ = self.begin_reading(&mut board);
        }
        board.switchboard.begin()
    }

    /// As `request` says, whose response is empty.
    pub(super) async fn discover(
        self: &Arc<Self>,
        request: &Request,
        cancel: &Cancel,
    ) -> Result<Response, Error> {
        let limit = request.timeout.unwrap_or(self.settings.deadline);
        let stop = race(cancel.cancelled(), self.flights.cancelled());
        let fault = match race(stop, timeout(limit, self.read_policy(true))).await {
            First::Right(Ok(Ok(()))) => return Ok(Response::new(response::Inner::default())),
            First::Right(Ok(Err(fault))) => fault,
            First::Right(Err(_)) => Fault::new(Cause::Deadline, "the call's deadline was over"),
            First::Left(First::Left(())) => {
                Fault::new(Cause::Cancelled, "the application cancelled the call")
            }
            First::Left(First::Right(())) => {
                return Err(Error::new(ErrorKind::Closed, "the client was closed"));
            }
        };
        Err(Error::of_call(
            format!("the FailoverPolicy could not be read: {}", fault.message),
            Ending {
                fault,
                effect: Effect::None,
                switched: false,
                ledger_id: None,
                tag: request.tag.clone(),
                attempts: Vec::new(),
                response: None,
            },
        ))
    }

    /// Waits until the policy is known, and what follows from it was done. Joins a reading under
    /// way; one that failed is tried anew. `again`: also where it said that there is no alternate.
    pub(super) async fn read_policy(self: &Arc<Self>, again: bool) -> Result<(), Fault> {
        let end = {
            let mut board = self.board();
            let is_wanted = if again {
                board.switchboard.may_need_policy() || board.is_reading()
            } else {
                board.switchboard.needs_policy(Clock::now())
            };
            if !is_wanted {
                return Ok(());
            }
            let under_way = board.reading.clone().filter(|end| end.borrow().is_none());
            match under_way {
                Some(end) => end,
                None => self.begin_reading(&mut board)?,
            }
        };
        settled(end).await.unwrap_or_else(|| {
            Err(Fault::new(
                Cause::Cancelled,
                "the client was closed while the WSDL was read",
            ))
        })
    }

    fn begin_reading(
        self: &Arc<Self>,
        board: &mut Board,
    ) -> Result<Awaited<Result<(), Fault>>, Fault> {
        let (maker, awaited) = pair();
        let inner = Arc::clone(self);
        self.engine
            .spawn(async move {
                let closing = inner.flights.cancelled();
                if let First::Left(result) = race(Box::pin(inner.fetch_policy()), closing).await {
                    maker.send_replace(Some(result));
                }
            })
            .map_err(|error| {
                let message = format!("no thread to read the WSDL with: {error}");
                Fault::new(Cause::NoResources, message)
            })?;
        board.reading = Some(awaited.clone());
        Ok(awaited)
    }

    async fn fetch_policy(self: &Arc<Self>) -> Result<(), Fault> {
        let mut role = Role::Primary;
        let mut result = self.fetch_policy_at(role).await;
        if let Err(fault) = &result
            && (self.settings.preset == Preset::Safe || discovery::asks_the_other(fault))
        {
            self.log(Level::Info, || fault.message.clone());
            role = role.other();
            result = self.fetch_policy_at(role).await;
        }
        let policy = result.inspect_err(|fault| {
            self.board().switchboard.policy_is_unread(Clock::now());
            self.log(Level::Warn, || fault.message.clone());
        })?;
        self.log(Level::Info, || {
            let verb = if policy.available { "has an" } else { "has no" };
            format!(
                "the organization {verb} alternate, says the {}",
                role.name()
            )
        });
        let disabled = self
            .board()
            .switchboard
            .set_policy(policy, role, Clock::now());
        if let Some(place) = disabled {
            self.leave_disabled(place).await;
        }
        Ok(())
    }

    /// The policy says that an endpoint is not enabled to which calls were sent already.
    async fn leave_disabled(self: &Arc<Self>, place: Place) {
        let fault = Fault::new(
            Cause::DatacenterNotAvailable,
            "the WSDL's FailoverPolicy says that this endpoint is not enabled",
        );
        let end = Instant::now() + LONGEST_WAIT;
        match self.settings.preset {
            Preset::Dotnet => self.fail_over(place, false, &fault, end).await,
            Preset::Safe => self.consider(place, Evidence::Strong, &fault, end).await,
        };
    }

    async fn fetch_policy_at(&self, role: Role) -> Result<crate::FailoverPolicy, Fault> {
        let url = wsdl_url(&self.organization, role)?;
        let limit = match self.settings.preset {
            Preset::Dotnet => self.settings.attempt_timeout,
            // Where it cannot be read, the alternate itself is asked.
            Preset::Safe => self.settings.probe_timeout * 2,
        };
        discovery::read_policy(&self.transport, &url, &self.user_agent, limit).await
    }
}

fn wsdl_url(organization: &Organization, role: Role) -> Result<url::Url, Fault> {
    let target = organization
        .locate(discovery::SERVICE)
        .map_err(|error| Fault::new(Cause::BadMessage, error.message()))?;
    Ok(organization.url_of(&target, role))
}
