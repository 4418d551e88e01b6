//! Whether an endpoint is left under the preset `safe`: one inquiry for all who ask.

use std::sync::Arc;
use std::time::Instant as Clock;

use tokio::time::{Instant, timeout_at};

use super::Inner;
use super::failover::Course;
use super::look::Look;
use crate::decide::caution::{Inquiry, Stay};
use crate::decide::switchboard::{Decided, Place, Verdict};
use crate::evidence::Evidence;
use crate::resource::race::{First, race};
use crate::resource::settled::{Awaited, pair, settled};
use crate::rule::Rule;
use crate::{Fault, Level};

/// Which question a fault has found when it asked.
enum Asked {
    /// One that is being looked into; whether this fault has begun it.
    UnderWay(Awaited<Result<(), Stay>>, bool),
    /// None: whether there is an alternate must be read first.
    Policy,
}

/// A question that is being looked into. Given up, by a panic or with the client, it can be asked
/// again.
pub(super) struct Question<'a> {
    inner: &'a Inner,
    place: Place,
    is_open: bool,
}

impl Question<'_> {
    pub(super) fn new(inner: &Inner, place: Place) -> Question<'_> {
        Question {
            inner,
            place,
            is_open: true,
        }
    }

    /// It was decided.
    pub(super) fn close(mut self) {
        self.is_open = false;
        self.inner.unpark(self.place);
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.inner.board().switchboard.abandon(self.place);
            self.inner.unpark(self.place);
        }
    }
}

impl Inner {
    /// Finds out where a call goes on whose attempt at `seen_at` has given `evidence`.
    pub(super) async fn consider(
        self: &Arc<Self>,
        seen_at: Place,
        evidence: Evidence,
        fault: &Fault,
        deadline: Instant,
    ) -> Course {
        if evidence == Evidence::Never {
            return if self.place() == seen_at {
                Course::Here(Stay::Alive)
            } else {
                Course::Elsewhere
            };
        }
        let mut is_policy_unread = false;
        loop {
            let asked = match self.ask(seen_at, evidence, fault, is_policy_unread) {
                Ok(asked) => asked,
                Err(course) => return course,
            };
            let (outcome, is_ours) = match asked {
                Asked::UnderWay(outcome, is_ours) => (outcome, is_ours),
                Asked::Policy => {
                    match timeout_at(deadline, self.read_policy(false)).await {
                        // The alternate will be asked instead.
                        Ok(read) => is_policy_unread = read.is_err(),
                        Err(_) => {
                            return Course::Nowhere(
                                "its deadline was over before the WSDL was read",
                            );
                        }
                    }
                    continue;
                }
            };
            return match timeout_at(deadline, settled(outcome)).await {
                Ok(Some(Ok(()))) => Course::Elsewhere,
                // What was found alive for a doubt is no answer to what is certain.
                Ok(Some(Err(Stay::Alive))) if evidence == Evidence::Strong && !is_ours => continue,
                Ok(Some(Err(stay))) => course(stay),
                Ok(None) => Course::Nowhere("the client was closed"),
                Err(_) => Course::Nowhere("its deadline was over before a switch was decided"),
            };
        }
    }

    fn ask(
        self: &Arc<Self>,
        seen_at: Place,
        evidence: Evidence,
        fault: &Fault,
        is_policy_unread: bool,
    ) -> Result<Asked, Course> {
        let now = Clock::now();
        let mut board = self.board();
        let verdict = if is_policy_unread {
            board.switchboard.report_unread(seen_at, now)
        } else {
            board.switchboard.report(seen_at, now)
        };
        match verdict {
            Verdict::Moved => Err(Course::Elsewhere),
            Verdict::NoAlternate => Err(Course::NoAlternate),
            Verdict::Undecided => Ok(Asked::Policy),
            Verdict::Join => match board.switching.clone() {
                Some(outcome) => Ok(Asked::UnderWay(outcome, false)),
                None => Err(Course::Nowhere("no thread could be had for the switch")),
            },
            Verdict::Begin => {
                let auto_switch = board.switchboard.would_switch();
                let inquiry = board.caution.inquire(seen_at, evidence, auto_switch, now);
                if let Inquiry::Refused(stay) = inquiry {
                    board.switchboard.abandon(seen_at);
                    // A refusal says nothing against an endpoint that is only doubted.
                    return Err(if evidence == Evidence::Weak && !stay.is_of_other() {
                        Course::Here(stay)
                    } else {
                        course(stay)
                    });
                }
                let (maker, awaited) = pair();
                let (inner, fault) = (Arc::clone(self), fault.clone());
                let spawned = self.engine.spawn(async move {
                    let question = Question::new(&inner, seen_at);
                    let switching = inner.switch_safely(seen_at, inquiry, &fault);
                    let closing = inner.flights.cancelled();
                    if let First::Left(outcome) = race(Box::pin(switching), closing).await {
                        question.close();
                        maker.send_replace(Some(outcome));
                    }
                });
                if spawned.is_err() {
                    board.switchboard.abandon(seen_at);
                    return Err(Course::Nowhere("no thread could be had for the switch"));
                }
                board.switching = Some(awaited.clone());
                if inquiry == Inquiry::Other && self.has_credentials(seen_at.role.other()) {
                    // It is certain that calls would fail here.
                    board.parked = Some((seen_at, awaited.clone()));
                }
                Ok(Asked::UnderWay(awaited, true))
            }
        }
    }

    /// Holds calls that begin at a place back until it is decided whether it is left.
    pub(super) fn park(&self, place: Place) {
        let mut board = self.board();
        if board.switchboard.place() == place {
            board.parked = board.switching.clone().map(|outcome| (place, outcome));
        }
    }

    /// Lets them go on.
    pub(super) fn unpark(&self, place: Place) {
        let mut board = self.board();
        if board.parked.as_ref().is_some_and(|(at, _)| *at == place) {
            board.parked = None;
        }
    }

    /// The look, `EndpointSwitchRequired`, the decision, the switch, `EndpointSwitched`.
    async fn switch_safely(
        self: &Arc<Self>,
        from: Place,
        inquiry: Inquiry,
        fault: &Fault,
    ) -> Result<(), Stay> {
        let probed = match self.look(from, inquiry).await {
            Look::Go(probed) => probed,
            Look::Stay(stay) => {
                let mut board = self.board();
                board.switchboard.abandon(from);
                board.caution.stays(from, stay, Clock::now());
                return Err(stay);
            }
        };
        self.board().switchboard.has_answered();
        self.park(from);
        let Some(is_vetoed) = self.is_vetoed(from, fault, probed).await else {
            return Ok(());
        };
        {
            let mut board = self.board();
            match board.switchboard.decide(from, is_vetoed) {
                // In the queue before anybody can switch again: events come in the order of epochs.
                Decided::Switched(done) => {
                    board.caution.switched(Clock::now());
                    board.found_dead = (inquiry == Inquiry::Both).then_some(from);
                    if !self.settings.rules_off.has(Rule::Ramp) {
                        self.gate.ramp();
                    }
                    self.outlet
                        .put(self.switched(done, Some(fault), probed), false);
                }
                Decided::Moved => return Ok(()),
                Decided::Stayed => {
                    let stay = if is_vetoed { Stay::Vetoed } else { Stay::Off };
                    board.caution.stays(from, stay, Clock::now());
                    drop(board);
                    self.log(Level::Warn, || {
                        format!(
                            "the {} stays active after a fault ({}): {}",
                            from.role.name(),
                            fault.kind.name(),
                            stay.why()
                        )
                    });
                    return Err(stay);
                }
            }
        }
        self.left(from);
        Ok(())
    }

    /// Where a call goes that begins now, or is to be sent again: nowhere while it is certain that
    /// its endpoint fails and not yet decided what comes next.
    pub(super) async fn place_to_go(self: &Arc<Self>, deadline: Instant) -> Place {
        loop {
            let place = self.first_place();
            let parked = self.board().parked.clone();
            let Some((_, parked)) = parked.filter(|(at, _)| *at == place) else {
                return place;
            };
            // Out of time, or nobody is left to decide: the call finds out for itself.
            let Ok(Some(_)) = timeout_at(deadline, settled(parked)).await else {
                return place;
            };
        }
    }
}

fn course(stay: Stay) -> Course {
    match stay {
        Stay::Alive => Course::Here(stay),
        Stay::OtherSilent => Course::OtherSilent,
        stay => Course::Nowhere(stay.why()),
    }
}
