//! Where calls go: what the application may know of it, and have a say in.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::tell::Reason;
use super::{Client, Inner};
use crate::decide::switch::Refusal;
use crate::{Error, ErrorKind, Order, Override, Role};

/// How far ahead an interruption can be planned.
const FARTHEST_WINDOW: Duration = Duration::from_secs(366 * 24 * 3600);

impl Client {
    /// The primary's base URL.
    #[must_use]
    pub fn primary_url(&self) -> &str {
        self.inner.organization.url(Role::Primary)
    }

    /// The alternate's base URL, known from the start. `None` when the FailoverPolicy has said that
    /// there is none.
    #[must_use]
    pub fn alternate_url(&self) -> Option<&str> {
        let has_none = self.inner.board().switch.alternate().is_none();
        (!has_none).then(|| self.inner.organization.url(Role::Alternate))
    }

    /// The base URL of the endpoint that calls go to now.
    #[must_use]
    pub fn active_url(&self) -> &str {
        self.inner.organization.url(self.inner.place().role)
    }

    /// Whether calls go to the primary now.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.inner.place().role == Role::Primary
    }

    /// How many switches there were.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.inner.place().epoch
    }

    /// Whether a fault moves the client to the other endpoint. With `auto_switch` = `auto`, off
    /// until the WSDL's policy has said that there is one. Off under the operator's override.
    #[must_use]
    pub fn endpoint_auto_switch_enabled(&self) -> bool {
        self.inner.board().switch.auto_switch()
    }

    /// Sets auto-switch. Counts for a switch whose `EndpointSwitchRequired` is being handled; under the
    /// operator's override, once that is over.
    ///
    /// # Errors
    /// [`ErrorKind::Forked`].
    pub fn set_endpoint_auto_switch_enabled(&self, enabled: bool) -> Result<(), Error> {
        self.inner.check_is_own_process()?;
        let mut board = self.inner.board();
        board.switch.alternate_mut().set_auto_switch(enabled);
        Ok(())
    }

    /// What the operator says, where calls go because of it or are not moved. The environment's
    /// `D365_FAILOVER`, read when the client was opened, goes before the store's.
    #[must_use]
    pub fn current_override(&self) -> Option<Order> {
        self.inner.board().switch.order()
    }

    /// Puts the operator's override for this organization into the store, for all processes that name
    /// it; `None` takes it away. This client heeds it before this returns, the others within about a
    /// second.
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`] without a store; [`ErrorKind::InvalidArgument`] for an end that is past;
    /// [`ErrorKind::Call`] with `local` when the store could not be written; [`ErrorKind::Closed`],
    /// [`ErrorKind::Forked`].
    pub fn set_override(
        &self,
        value: Option<Override>,
        until: Option<SystemTime>,
    ) -> Result<(), Error> {
        self.inner.check_is_usable()?;
        self.inner.set_override(value, until)
    }

    /// Switches to the other endpoint by hand. Raises `EndpointSwitched`, and waits for no
    /// handler.
    ///
    /// # Errors
    /// [`ErrorKind::Overridden`] where the operator keeps calls at an endpoint;
    /// [`ErrorKind::NoAlternate`], also as long as the FailoverPolicy, where one decides, was not read;
    /// [`ErrorKind::Closed`], [`ErrorKind::Forked`].
    pub fn switch_endpoint(&self) -> Result<(), Error> {
        self.inner.check_is_usable()?;
        self.inner.switch_by_hand()
    }

    /// An interruption is planned from `start` to `end`, the end excluded. In that time an outage is
    /// waited out up to `end`, whatever `outage_wait` says, within the calls' deadlines; events say
    /// `planned`; and the log does not warn of it. Calls are sent as ever, and a switch comes when the
    /// other endpoint serves. Several windows may be announced, up to 100; those that meet or overlap
    /// are one. They are kept as times from now: a machine that sleeps, or whose clock is set, shifts
    /// them. Sends nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where `end` is not after `start`, or is past, or is more than a
    /// year ahead; [`ErrorKind::Closed`], [`ErrorKind::Forked`].
    pub fn maintenance(&self, start: SystemTime, end: SystemTime) -> Result<(), Error> {
        self.inner.check_is_usable()?;
        self.inner.maintenance(start, end)
    }
}

impl Inner {
    fn switch_by_hand(self: &Arc<Self>) -> Result<(), Error> {
        let from = {
            let mut board = self.board();
            let from = board.switch.place();
            let refused = |refusal| match refusal {
                Refusal::NoAlternate => Error::new(
                    ErrorKind::NoAlternate,
                    "the organization has no alternate, says its FailoverPolicy, or that was not \
                     read yet; call discover, or set alternate_url",
                ),
                Refusal::Ordered(order) => {
                    let message = format!("not switched: {}", order.why());
                    Error::new(ErrorKind::Overridden, message)
                }
            };
            let actions = board.switch.switch_by_hand(Instant::now());
            let actions = actions.map_err(refused)?;
            self.tell(&board, &actions, from, Reason::Hand);
            from
        };
        self.left(from);
        Ok(())
    }

    /// An interruption is planned.
    fn maintenance(&self, start: SystemTime, end: SystemTime) -> Result<(), Error> {
        let (now, clock) = (SystemTime::now(), Instant::now());
        let until = end.duration_since(now).unwrap_or_default();
        if start >= end || until.is_zero() || until > FARTHEST_WINDOW {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a planned interruption ends after its start, in the future, and within a year",
            ));
        }
        let from = clock + start.duration_since(now).unwrap_or_default();
        self.board().switch.announce(from, clock + until, clock);
        Ok(())
    }
}
