//! The FailoverPolicy of the WSDL: read once for all who need it.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use tokio::time::Instant;

use super::Inner;
use super::flights::Flight;
use super::switch::Board;
use crate::decide::alternate::Policy;
use crate::decide::evidence::Evidence;
use crate::decide::place::Place;
use crate::ending::{Ending, ResponseData};
use crate::resource::cancel::Cancel;
use crate::resource::discovery;
use crate::resource::late::in_time;
use crate::resource::race::{First, race};
use crate::resource::settled::{Awaited, pair, settled};
use crate::resource::state::News;
use crate::settings::LONGEST_WAIT;
use crate::{Cause, Error, ErrorKind, Fault, Level, Organization, Request, Response, Role};

/// A reading under way. However it ends, the next one can begin.
struct Reading<'a>(&'a Inner);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut board = self.0.board();
        board.switch.alternate_mut().reading_is_over();
        board.reading = None;
    }
}

/// Waits until the policy was read, and what follows from it was done.
pub(super) async fn read(reading: Result<Awaited<Result<(), Fault>>, Fault>) -> Result<(), Fault> {
    settled(reading?).await.unwrap_or_else(|| {
        Err(Fault::new(
            Cause::Cancelled,
            "the client was closed while the WSDL was read",
        ))
    })
}

impl Inner {
    /// As `request` says, whose response is empty.
    pub(super) async fn discover(
        self: &Arc<Self>,
        request: &Request,
        flight: &Flight,
        cancel: &Cancel,
    ) -> Result<Response, Error> {
        let end = flight.began + request.timeout.unwrap_or(self.settings.deadline);
        let stop = race(cancel.cancelled(), self.flights.cancelled());
        let fault = match race(stop, in_time(end, pin!(self.read_policy()))).await {
            First::Right(Some(Ok(()))) => return Ok(Response::new(ResponseData::default())),
            First::Right(Some(Err(fault))) => fault,
            First::Right(None) => Fault::new(Cause::Deadline, "the call's deadline was over"),
            First::Left(First::Left(())) => {
                Fault::new(Cause::Cancelled, "the application cancelled the call")
            }
            First::Left(First::Right(())) => {
                return Err(Error::new(ErrorKind::Closed, "the client was closed"));
            }
        };
        Err(Error::of_call(
            format!("the FailoverPolicy could not be read: {}", fault.message),
            fault,
            Ending {
                tag: request.tag.clone(),
                ..Ending::default()
            },
        ))
    }

    /// Waits until the policy is known, also where it said that there is no alternate.
    async fn read_policy(self: &Arc<Self>) -> Result<(), Fault> {
        let reading = {
            let mut board = self.board();
            if !board.switch.alternate_mut().is_discovered() {
                return Ok(());
            }
            self.reading(&mut board)
        };
        read(reading).await
    }

    /// The reading that the switch wants: the one under way, or one that begins.
    pub(super) fn reading(
        self: &Arc<Self>,
        board: &mut Board,
    ) -> Result<Awaited<Result<(), Fault>>, Fault> {
        if let Some(reading) = &board.reading {
            return Ok(reading.clone());
        }
        let (maker, awaited) = pair();
        let inner = Arc::clone(self);
        self.engine
            .spawn(async move {
                let reading = Reading(&inner);
                let closing = inner.flights.cancelled();
                let ended = race(Box::pin(inner.fetch_policy()), closing).await;
                // Who hears that it has failed may want it anew.
                drop(reading);
                if let First::Left(result) = ended {
                    maker.send_replace(Some(result));
                }
            })
            .map_err(|error| {
                board.switch.alternate_mut().reading_is_over();
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
            && (self.rules.reads_policy_anywhere || discovery::asks_the_other(fault))
        {
            self.log(Level::Info, || fault.message.clone());
            role = role.other();
            result = self.fetch_policy_at(role).await;
        }
        let policy = result.inspect_err(|fault| {
            let mut board = self.board();
            board.switch.alternate_mut().policy_is_unread(Clock::now());
            drop(board);
            self.log(Level::Warn, || fault.message.clone());
        })?;
        self.log(Level::Info, || {
            let verb = if policy.available { "has an" } else { "has no" };
            format!(
                "the organization {verb} alternate, says the {}",
                role.name()
            )
        });
        let policy = Policy {
            read_from: role,
            says: policy,
        };
        if let Some(state) = &self.state {
            state.tell(News::Policy(policy));
        }
        let disabled = self.board().switch.set_policy(policy, Clock::now());
        self.hastened.notify_one();
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
        self.consider(place, Evidence::Strong, &fault, end).await;
    }

    async fn fetch_policy_at(&self, role: Role) -> Result<crate::FailoverPolicy, Fault> {
        let limit = if self.rules.asks_unread_alternate {
            self.settings.probe_timeout * 2
        } else {
            self.settings.attempt_timeout
        };
        self.read_policy_at(role, limit).await
    }

    pub(super) async fn read_policy_at(
        &self,
        role: Role,
        limit: Duration,
    ) -> Result<crate::FailoverPolicy, Fault> {
        let url = wsdl_url(&self.organization, role)?;
        discovery::read_policy(&self.transport, &url, &self.user_agent, limit).await
    }
}

fn wsdl_url(organization: &Organization, role: Role) -> Result<url::Url, Fault> {
    let target = organization
        .locate(discovery::SERVICE)
        .map_err(|error| Fault::new(Cause::BadMessage, error.message()))?;
    Ok(organization.url_of(&target, role))
}
