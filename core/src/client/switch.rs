//! Drives the switch: reports faults to it, and carries out what it asks for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant as Clock;

use tokio::time::{Instant, timeout_at};

use super::Inner;
use super::outage::Unanswered;
use super::policy::read;
use super::probing::{Finding, Probing};
use super::tell::{Reason, found_by_probes};
use crate::decide::call::Course;
use crate::decide::evidence::Evidence;
use crate::decide::look::{Heard, Stay};
use crate::decide::place::{Move, Place};
use crate::decide::switch::{Action, Input, Report, Switch};
use crate::resource::outlet::Reply;
use crate::resource::race::{First, race};
use crate::resource::settled::{Awaited, Maker, pair, settled};
use crate::{Decision, Event, Fault, ItemKind, Level, Probed, Role};

/// The switch, and who waits for what it is about.
pub(super) struct Board {
    pub(super) switch: Switch,
    /// What becomes of the inquiry that began last.
    outcome: Option<Awaited<Result<(), Stay>>>,
    /// The end of the inquiry that began last, and of an outage that it has found.
    pub(super) end: Option<Awaited<()>>,
    /// Why the endpoints did not answer the probes before, the primary and the alternate.
    pub(super) found: [Option<String>; 2],
    /// What becomes of the reading of the policy that is under way.
    pub(super) reading: Option<Awaited<Result<(), Fault>>>,
}

/// Who tells what becomes of an inquiry.
pub(super) struct Makers {
    outcome: Maker<Result<(), Stay>>,
    end: Maker<()>,
}

impl Board {
    pub(super) fn new(switch: Switch) -> Board {
        Board {
            switch,
            outcome: None,
            end: None,
            found: [None, None],
            reading: None,
        }
    }
}

impl Board {
    /// What probes have found, and what else there is to say of it.
    pub(super) fn findings(&self) -> String {
        let found = found_by_probes(&self.found);
        match self.switch.kept() {
            Some(kept) => format!("{found}; {}", kept.why()),
            None => found,
        }
    }

    /// Who does not answer in an outage: where calls are kept at one, nobody asks the other.
    pub(super) fn who_is_silent(&self) -> String {
        match self.switch.kept() {
            Some(_) => format!("the {} does not answer", self.switch.place().role.name()),
            None => "no endpoint answers".to_owned(),
        }
    }

    fn finds(&mut self, finding: Finding) {
        if let Some((role, why)) = finding {
            let found = match role {
                Role::Primary => 0,
                Role::Alternate => 1,
            };
            self.found[found] = why;
        }
    }

    /// An inquiry begins.
    pub(super) fn begins(&mut self) -> Makers {
        let (outcome, awaited) = pair();
        let (end, ended) = pair();
        self.found = [None, None];
        self.outcome = Some(awaited);
        self.end = Some(ended);
        Makers { outcome, end }
    }
}

/// Where a fault is heard.
enum Reported {
    /// What becomes of an inquiry; whether this fault has begun it.
    UnderWay(Awaited<Result<(), Stay>>, bool),
    /// Whether there is an alternate is read first.
    Reading(Result<Awaited<Result<(), Fault>>, Fault>),
    Course(Course),
}

/// An inquiry under way. Given up, by a panic or with the client, it can be begun again.
struct Inquiry<'a> {
    inner: &'a Inner,
    number: u64,
    has_ended: bool,
}

impl Drop for Inquiry<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            if self.inner.flights.are_cancelled() {
                self.inner.ends_outage();
            }
            self.inner.board().switch.give_up(self.number);
        }
        self.inner.gate.fault_ends();
    }
}

impl Inner {
    /// Where a call goes that begins, or is to be sent again. It waits as long as it is certain that
    /// its endpoint fails and not decided what comes next, for an outage to end, and for the look that
    /// goes before it where only others know that its endpoint serves. The very first one has the
    /// policy read, and does not wait for it.
    pub(super) async fn place_to_go(
        self: &Arc<Self>,
        is_write: bool,
        deadline: Instant,
    ) -> Result<Place, Unanswered> {
        loop {
            let (begin, outcome) = {
                let mut board = self.board();
                let begin = board.switch.begin(is_write, Clock::now());
                if begin.reads_policy {
                    // Without a thread it is read when a fault needs it.
                    let _ = self.reading(&mut board);
                }
                let waits = begin.waits || begin.looks_first && self.look_first(&mut board);
                let outcome = board.outcome.as_ref().filter(|_| waits);
                (begin, outcome.cloned())
            };
            if begin.waits_out {
                self.outlast(deadline).await?;
                continue;
            }
            let Some(outcome) = outcome else {
                return Ok(begin.place);
            };
            // Out of time, or nobody is left to decide: the call finds out for itself.
            let Ok(Some(_)) = timeout_at(deadline, settled(outcome)).await else {
                return Ok(begin.place);
            };
        }
    }

    /// Finds out where a call goes on whose attempt at `seen_at` has given `evidence`.
    pub(super) async fn consider(
        self: &Arc<Self>,
        seen_at: Place,
        evidence: Evidence,
        fault: &Fault,
        deadline: Instant,
    ) -> Course {
        let mut is_policy_unread = false;
        loop {
            let (outcome, is_ours) = match self.report(seen_at, evidence, is_policy_unread, fault) {
                Reported::UnderWay(outcome, is_ours) => (outcome, is_ours),
                Reported::Course(course) => return course,
                Reported::Reading(reading) => {
                    let Ok(read) = timeout_at(deadline, read(reading)).await else {
                        return Course::Nowhere("its deadline was over before the WSDL was read");
                    };
                    is_policy_unread = read.is_err();
                    continue;
                }
            };
            return match timeout_at(deadline, settled(outcome)).await {
                Ok(Some(outcome)) if Switch::answers(evidence, is_ours, outcome) => {
                    Course::of(outcome)
                }
                Ok(Some(_)) => continue,
                Ok(None) => Course::Nowhere("the client was closed"),
                Err(_) => Course::Nowhere("its deadline was over before a switch was decided"),
            };
        }
    }

    fn report(
        self: &Arc<Self>,
        seen_at: Place,
        evidence: Evidence,
        is_policy_unread: bool,
        fault: &Fault,
    ) -> Reported {
        const NO_THREAD: Course = Course::Nowhere("no thread could be had for the switch");
        let is_armed = || self.has_credentials(seen_at.role.other());
        let mut board = self.board();
        let now = Clock::now();
        let report = board
            .switch
            .report(seen_at, evidence, is_policy_unread, is_armed, now);
        let (number, actions) = match report {
            Report::Began(number, actions) => (number, actions),
            Report::Joined => {
                return match board.outcome.clone() {
                    Some(outcome) => Reported::UnderWay(outcome, false),
                    None => Reported::Course(NO_THREAD),
                };
            }
            Report::ReadPolicy => return Reported::Reading(self.reading(&mut board)),
            Report::Moved => return Reported::Course(Course::Elsewhere),
            Report::NoAlternate => return Reported::Course(Course::NoAlternate),
            Report::Stays(stay) => return Reported::Course(Course::of_stay(stay, evidence)),
            Report::PolicyUnread => {
                return Reported::Course(Course::Nowhere(
                    "whether there is an alternate is not known, because the WSDL could not be \
                     read; set alternate_url, or auto_switch to on",
                ));
            }
        };
        let makers = board.begins();
        let (inner, fault) = (Arc::clone(self), fault.clone());
        // A task of its own: it outlives the call that began it.
        let spawned = self.engine.spawn(async move {
            let reason = Reason::Fault(&fault);
            inner
                .inquire(number, seen_at, actions, reason, makers)
                .await;
        });
        match board.outcome.clone() {
            Some(outcome) if spawned.is_ok() => Reported::UnderWay(outcome, true),
            _ => {
                board.switch.give_up(number);
                Reported::Course(NO_THREAD)
            }
        }
    }

    /// Carries an inquiry out, and tells what becomes of it.
    pub(super) async fn inquire(
        self: &Arc<Self>,
        number: u64,
        from: Place,
        actions: Vec<Action>,
        reason: Reason<'_>,
        makers: Makers,
    ) {
        self.gate.fault_begins();
        let mut inquiry = Inquiry {
            inner: self,
            number,
            has_ended: false,
        };
        let carried_out = self.carry_out(number, from, actions, reason, &makers.outcome);
        let ended = race(Box::pin(carried_out), self.flights.cancelled()).await;
        inquiry.has_ended = matches!(ended, First::Left(_));
        drop(inquiry);
        if let First::Left(outcome) = ended {
            makers.outcome.send_replace(Some(outcome));
            makers.end.send_replace(Some(()));
        }
    }

    /// Does what the switch asks for, until it is decided whether the place is left.
    async fn carry_out(
        self: &Arc<Self>,
        number: u64,
        from: Place,
        mut actions: Vec<Action>,
        reason: Reason<'_>,
        outcome: &Maker<Result<(), Stay>>,
    ) -> Result<(), Stay> {
        let mut probing = Probing::new(self, from.role);
        let is_busy = self.outlet.is_busy();
        let mut reply = None;
        loop {
            for action in std::mem::take(&mut actions) {
                match action {
                    Action::Ask(asks) => probing.start(asks),
                    Action::Raise(probed) => {
                        probing.stop();
                        let is_vetoed = self.is_vetoed(from, reason, probed).await;
                        let replied = Input::Replied { is_vetoed };
                        (actions, reply) = self.hear(number, replied, None, from, reason);
                    }
                    Action::Switched(done, _) => {
                        self.left(done.from);
                        self.watch_home();
                    }
                    Action::OutageStarted => {
                        // What is asked from now on is the outage's.
                        probing.stop();
                        outcome.send_replace(Some(Err(Stay::Outage)));
                        self.log_unless_planned(|| {
                            let board = self.board();
                            let (who, found) = (board.who_is_silent(), board.findings());
                            format!("an outage: {who}; {found}")
                        });
                    }
                    Action::OutageEnded(over) => {
                        probing.stop();
                        let millis = over.lasted.as_millis();
                        self.log(Level::Info, || {
                            format!("the outage is over after {millis} ms")
                        });
                    }
                    Action::AwaitHandlers => {
                        self.unless_closed(reply.take().filter(|_| !is_busy)).await;
                    }
                    Action::Recalled(holds) => self.recalled(holds),
                    Action::StaysAway(stay) => self.log_stay(from, stay, reason),
                    Action::End(outcome) => {
                        if let Err(stay @ (Stay::Vetoed | Stay::Off | Stay::Ordered(_))) = outcome {
                            self.log_stay(from, stay, reason);
                        }
                        return outcome;
                    }
                }
            }
            if actions.is_empty() {
                let (heard, finding) = match race(probing.next(), self.hastened.notified()).await {
                    First::Left(heard) => heard,
                    First::Right(()) => (Heard::Woken, None),
                };
                let input = Input::Look(heard, probing.glance());
                (actions, _) = self.hear(number, input, finding, from, reason);
            }
        }
    }

    /// Raises `EndpointSwitchRequired` and waits for its decision, unless calls go elsewhere by now,
    /// which the switch will say.
    async fn is_vetoed(&self, from: Place, reason: Reason<'_>, probed: Option<Probed>) -> bool {
        let message = match reason {
            Reason::Fault(fault) => {
                format!("a fault at the {}: {}", from.role.name(), fault.message)
            }
            Reason::StoredState => format!(
                "calls began at the {}, because of a record in the store, and it answers no probe",
                from.role.name()
            ),
            Reason::OtherProcess => format!(
                "another process has switched, and the {} answers no probe",
                from.role.name()
            ),
            Reason::Failback | Reason::Hand | Reason::Override | Reason::Closed => {
                "the primary answers again, for failback_after".to_owned()
            }
        };
        let kind = ItemKind::EndpointSwitchRequired;
        let required = Event {
            probed,
            ..self.event(kind, Move::on_from(from), reason, message)
        };
        // A handler that is running is not asked, and not waited for: it may itself be waiting.
        let is_busy = self.outlet.is_busy();
        let reply = {
            // In the queue before anybody can switch by hand: events come in the order of epochs.
            let board = self.board();
            if board.switch.place() != from {
                return false;
            }
            let planned = board.switch.is_planned(Clock::now());
            self.outlet.put(
                Event {
                    planned,
                    ..required
                },
                !is_busy,
            )
        };
        let decision = self.unless_closed(reply.filter(|_| !is_busy)).await;
        // Where all calls are to end, nobody goes anywhere.
        let is_ending = self.flights.are_cancelled();
        is_ending || decision.is_none_or(|decision| decision == Decision::Veto)
    }

    /// Tells the switch what has happened, and the application what the switch has done.
    fn hear(
        &self,
        number: u64,
        input: Input,
        finding: Finding,
        from: Place,
        reason: Reason<'_>,
    ) -> (Vec<Action>, Option<Reply>) {
        let mut board = self.board();
        board.finds(finding);
        let (now, chance) = (Clock::now(), self.chance.draw());
        let actions = board.switch.hear(number, input, now, chance);
        let reply = self.tell(&board, &actions, from, reason);
        (actions, reply)
    }

    /// Tells what the switch has done, of which the application hears. While the board is held: the
    /// events are in the queue before anybody can switch again, and so come in the order of epochs.
    pub(super) fn tell(
        &self,
        board: &Board,
        actions: &[Action],
        from: Place,
        reason: Reason<'_>,
    ) -> Option<Reply> {
        let goes =
            |action: &Action| matches!(action, Action::Switched(..) | Action::OutageEnded(_));
        if actions.iter().any(goes) {
            self.crowd_goes();
        }
        let mut reply = None;
        for action in actions {
            match action {
                Action::OutageStarted => self.is_out.store(true, Ordering::Relaxed),
                Action::OutageEnded(_) => self.is_out.store(false, Ordering::Relaxed),
                _ => {}
            }
            let event = match action {
                Action::Switched(done, probed) => {
                    self.went(done.to.role, reason);
                    self.switched(*done, reason, *probed)
                }
                Action::OutageStarted => self.outage_started(from, reason, board),
                Action::OutageEnded(over) => self.outage_ended(from, *over, reason),
                _ => continue,
            };
            let planned = board.switch.is_planned(Clock::now());
            reply = self.outlet.put(Event { planned, ..event }, false);
        }
        reply
    }

    /// The client is closed: whoever has heard of an outage hears of its end.
    pub(super) fn ends_outage(&self) {
        let mut board = self.board();
        let from = board.switch.place();
        let actions = board.switch.ends_outage(Clock::now());
        self.tell(&board, &actions, from, Reason::Closed);
    }

    /// All who have waited go now, where calls go.
    fn crowd_goes(&self) {
        if self.rules.ramps {
            self.gate.ramp(self.chance.draw());
        }
    }

    /// Waits for an answer. `None`: the client was closed.
    async fn unless_closed(&self, reply: Option<Reply>) -> Option<Decision> {
        match race(self.outlet.answer(reply), self.flights.cancelled()).await {
            First::Left(decision) => Some(decision),
            First::Right(()) => None,
        }
    }

    /// An endpoint was left: its idle connections are of no use any more, and what it has
    /// acknowledged of late may be missing at the other.
    pub(super) fn left(self: &Arc<Self>, from: Place) {
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

    fn log_stay(&self, from: Place, stay: Stay, reason: Reason<'_>) {
        self.log_unless_planned(|| {
            let (role, why) = (from.role.name(), stay.why());
            let reason = match reason {
                Reason::Fault(fault) => &*format!("after a fault ({})", fault.kind.name()),
                Reason::Failback => "although the primary answers again",
                Reason::OtherProcess => {
                    "although another process has left it and it answers no probe"
                }
                Reason::StoredState | Reason::Hand | Reason::Override | Reason::Closed => {
                    "although it answers no probe"
                }
            };
            format!("the {role} stays active {reason}: {why}")
        });
    }
}
