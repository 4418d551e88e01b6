//! Walks over the writes that are to be verified: looks at each, and does what may be done.

use std::sync::Arc;

use super::Inner;
use super::verify::Asking;
use crate::decide::settle::{Act, act};
use crate::ending::{Ending, ResponseData};
use crate::resource::cancel::Cancel;
use crate::resource::desk::Desk;
use crate::resource::ledger::{At, VERIFIED};
use crate::resource::race::{First, race};
use crate::walk::{Done, Next, Walk};
use crate::{
    Cause, Effect, Error, ErrorKind, Event, Fault, ItemKind, LedgerSelection, Request, Resolution,
    Response, SettlePolicy, SettleStep, Settled,
};

/// So many reads at a time.
const AT_ONCE: usize = 4;

impl Inner {
    /// The next step of a walk: the response says what became of one write, or that it is over.
    pub(super) async fn settle(
        self: &Arc<Self>,
        walk: &Arc<Walk>,
        asking: &Asking<'_>,
    ) -> Result<Response, Error> {
        // The application's own code runs on the thread that is inside of the call, and there only.
        let runs_here = self.needs_its_thread(asking.request);
        let most = if runs_here { 1 } else { AT_ONCE };
        loop {
            if !walk.has_begun() {
                walk.begin(self.suspects(asking.desk).await?);
            }
            match walk.next(most) {
                Next::Begin(id) if runs_here => {
                    let done = self.settled_one(id, walk.policy, asking).await;
                    walk.ended(id, done);
                }
                Next::Begin(id) => self.settle_beside(id, walk, asking.request),
                Next::Tell(done, settled) => return Ok(told(*done, settled)),
                Next::Fail(error) => return Err(error),
                Next::Wait => {
                    let stop = race(asking.cancel.cancelled(), self.flights.cancelled());
                    if let First::Left(_) = race(stop, walk.changed()).await {
                        return Err(given_up());
                    }
                }
                Next::Over(settled, is_first) => {
                    if is_first && (walk.policy.confirm || walk.policy.replay) {
                        self.tell_settled(settled);
                    }
                    return Ok(over(settled));
                }
            }
        }
    }

    async fn suspects(&self, desk: Option<&Desk>) -> Result<Vec<u64>, Error> {
        let suspects = self.ledger.list(LedgerSelection::Suspects, At::now());
        let suspects = suspects.get(desk).await?;
        Ok(suspects.iter().map(|entry| entry.id).collect())
    }

    /// On the client's own thread, whoever waits for it.
    fn settle_beside(self: &Arc<Self>, id: u64, walk: &Arc<Walk>, request: &Request) {
        let (inner, walk_) = (Arc::clone(self), Arc::clone(walk));
        let request = request.clone();
        let looking = async move {
            let done = match inner.flights.enter() {
                Err(error) => Err(error),
                Ok(flight) => {
                    let asking = Asking {
                        request: &request,
                        desk: None,
                        flight: &flight,
                        cancel: &Cancel::default(),
                    };
                    inner.settled_one(id, walk_.policy, &asking).await
                }
            };
            walk_.ended(id, done);
        };
        if let Err(error) = self.engine.spawn(looking) {
            walk.ended(id, Err(super::lacking("no thread to verify with", &error)));
        }
    }

    async fn settled_one(
        self: &Arc<Self>,
        id: u64,
        policy: SettlePolicy,
        asking: &Asking<'_>,
    ) -> Result<Done, Error> {
        let mut done = self.settle_one(id, policy, asking).await?;
        if done.resolution.is_none() {
            // Others may have resolved it meanwhile, by hand or by a walk of their own.
            let question = self.ledger.question(id, VERIFIED).get(asking.desk).await;
            done.is_left = match question {
                Ok(question) => question.entry.is_suspect,
                Err(error) => error.kind() != ErrorKind::NotAvailable,
            };
        }
        Ok(done)
    }

    async fn settle_one(
        self: &Arc<Self>,
        id: u64,
        policy: SettlePolicy,
        asking: &Asking<'_>,
    ) -> Result<Done, Error> {
        let mut done = Done {
            id,
            found: None,
            resolution: None,
            is_left: false,
            why: String::new(),
            answer: Response::new(ResponseData::default()),
        };
        if policy.verify {
            match Box::pin(self.verify(id, asking)).await {
                Ok(answer) => done.answer = answer,
                Err(error) => return done.because(&error),
            }
        }
        let entry = match self.ledger.question(id, VERIFIED).get(asking.desk).await {
            Ok(question) => question.entry,
            Err(error) => return done.because(&error),
        };
        let Some(found) = entry.verification.filter(|_| entry.is_suspect) else {
            "it is in question no more, or nobody has looked".clone_into(&mut done.why);
            return Ok(done);
        };
        let act = act(policy, &found);
        done.why.clone_from(&found.why);
        done.found = Some(found);
        match act {
            Act::Confirm => {
                let resolved = self.ledger.resolve(id, Resolution::Confirmed, At::now());
                match resolved.get(asking.desk).await {
                    Ok(()) => done.resolution = Some(Resolution::Confirmed),
                    Err(error) => return done.because(&error),
                }
            }
            Act::Replay => match Box::pin(self.replay(id, false, asking)).await {
                Ok(answer) => {
                    if answer.effect() == Effect::Executed {
                        done.resolution = Some(Resolution::Replayed);
                    } else {
                        done.why = format!("sent again, and answered HTTP {}", answer.status());
                    }
                    done.answer = answer;
                }
                // It is in doubt again, and on record so.
                Err(error) if error.effect() == Effect::Unknown => {
                    error.message().clone_into(&mut done.why);
                }
                Err(error) => return done.because(&error),
            },
            Act::Leave(why) => {
                if done.why.is_empty() {
                    why.clone_into(&mut done.why);
                }
            }
        }
        Ok(done)
    }

    fn tell_settled(&self, settled: Settled) {
        let message = || {
            format!(
                "settled: of {} writes to verify {} are confirmed and {} were sent again; {} are left",
                settled.total, settled.confirmed, settled.replayed, settled.left
            )
        };
        self.outlet.tell(ItemKind::Settled, || Event {
            settled: Some(settled),
            automatic: false,
            ..Event::new(ItemKind::Settled, self.place().epoch, message())
        });
    }
}

impl Done {
    /// What the service has refused, or what cannot be asked, is the end of this one; without an answer
    /// the walk stops.
    fn because(mut self, error: &Error) -> Result<Done, Error> {
        if error.response().is_none() && error.fault().is_some() {
            return Err(error.clone());
        }
        error.message().clone_into(&mut self.why);
        Ok(self)
    }
}

fn told(done: Done, settled: Settled) -> Response {
    let step = SettleStep {
        resolution: done.resolution,
        why: done.why,
        settled,
    };
    done.answer.with_step(Some(done.id), done.found, step)
}

fn over(settled: Settled) -> Response {
    let step = SettleStep {
        resolution: None,
        why: String::new(),
        settled,
    };
    Response::new(ResponseData::default()).with_step(None, None, step)
}

fn given_up() -> Error {
    let message = "the application cancelled the call, or the client was closed; what was begun of it \
                   goes on to its end";
    let fault = Fault::new(Cause::Cancelled, message);
    Error::of_call(message.to_owned(), fault, Ending::default())
}
