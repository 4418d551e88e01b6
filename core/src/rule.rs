//! The rules of the preset `safe` by name, so that a test can switch one off and see what it is
//! for.

/// A rule of the preset `safe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// Evidence: no such name, refused, unreachable, connect timeout.
    EndpointNotFound,
    /// Evidence: 404 and 410 without a service's mark, and their like.
    NoService,
    /// Evidence: 0x8004B065.
    DatacenterNotAvailable,
    /// Evidence: no answer in time, 504.
    Timeout,
    /// Evidence: 502, 503, an HTML page, the organization disabled or moving.
    ServerUnavailable,
    /// Evidence: reset, closed.
    ConnectionLost,
    /// Evidence: nobody could say where the name leads.
    NameServer,
    /// Evidence: what failed is on this machine.
    Local,
    /// Evidence: TLS, credentials, protocol, the application's cancel.
    NotTheEndpoint,
    /// Evidence: throttling.
    Throttling,
    /// Evidence: any other answer of the service.
    Answered,
    /// Resending: nothing has left.
    ResendNotSent,
    /// Resending: the peer says that it has not processed it.
    ResendUnprocessed,
    /// Resending: throttled, where it was.
    ResendThrottled,
    /// Resending: the datacenter does not serve the organization.
    ResendNotHere,
    /// Resending: a 2xx was seen.
    ResendExecuted,
    /// Resending: the connection was lost after sending.
    ResendLost,
    /// Resending: no answer in time.
    ResendTimedOut,
    /// Resending: a front end has answered.
    ResendFrontEnd,
    /// Resending: the database was not to be had for a moment.
    ResendDatabase,
    /// No switch unless the other side answers.
    ProbeOther,
    /// Weak evidence: no switch unless this side is dead.
    ConfirmDead,
    /// After a switch, strong evidence is confirmed as well.
    HoldDown,
    /// A veto, or auto-switch off, holds for a time.
    RefusalHolds,
    /// A call that waits in silence has its endpoint probed.
    Watch,
    /// A write whose endpoint was left is waited for.
    WriteGrace,
    /// Unsafe writes go out on fresh or just-used connections.
    FreshConnection,
    /// A plain PATCH shortly after a switch creates nothing.
    UpdateGuard,
    /// The row of a guarded create is read in place of a repeat, and where one is told that it is there.
    ReadBack,
    /// After a switch calls are let go by and by.
    Ramp,
}

/// The rules that are switched off; none at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RulesOff(u64);

impl RulesOff {
    /// From now on clients do without it.
    pub fn switch_off(&mut self, rule: Rule) {
        self.0 |= 1 << rule as u64;
    }

    /// Whether it is switched off.
    pub fn has(self, rule: Rule) -> bool {
        self.0 & 1 << rule as u64 != 0
    }
}
