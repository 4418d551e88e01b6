//! The decisions by themselves, for whoever drives them in a time of his own: the simulation.

use std::time::Duration;

use crate::Settings;
pub use crate::decide::alternate::{Alternate, Policy};
pub use crate::decide::budget::Budget;
pub use crate::decide::call::{Course, Failure, Moment, Next, Resending, RowTold};
pub use crate::decide::evidence::Evidence;
pub use crate::decide::failback::{Home, Ways};
pub use crate::decide::look::{Answer, Asks, Found, Glance, Heard, Look, Stay};
pub use crate::decide::offered::{Offered, Remembered};
pub use crate::decide::outage::{Outage, Over};
pub use crate::decide::place::{Move, Place};
pub use crate::decide::preset::{JUST_USED, Rules};
pub use crate::decide::ramp::{Became, Ramp, STEP};
pub use crate::decide::resend::{Failed, Resend};
pub use crate::decide::switch::{
    Action, Begin, Heed, Input, Limits, Refusal, Report, Switch, WaitOut,
};
pub use crate::decide::watch::{Bounds, Patience, Wait, Watch};
pub use crate::rule::RulesOff;
pub use crate::whereabouts::Whereabouts;

/// What a client hands to the machines beside its [`Limits`], as [`Settings`] say it.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    pub probe_after: Duration,
    pub probe_timeout: Duration,
    pub write_grace: Duration,
    pub connect_timeout: Duration,
    pub attempt_timeout: Duration,
    pub deadline: Duration,
    pub idle_timeout: Duration,
    pub max_connections: usize,
    pub max_attempts: usize,
    pub retry_budget: f64,
    pub replication_window: Duration,
    pub ledger_entries: usize,
}

impl Given {
    pub fn of(settings: &Settings) -> Given {
        Given {
            probe_after: settings.probe_after,
            probe_timeout: settings.probe_timeout,
            write_grace: settings.write_grace,
            connect_timeout: settings.connect_timeout,
            attempt_timeout: settings.attempt_timeout,
            deadline: settings.deadline,
            idle_timeout: settings.idle_timeout,
            max_connections: settings.max_connections,
            max_attempts: settings.max_attempts,
            retry_budget: settings.retry_budget,
            replication_window: settings.replication_window,
            ledger_entries: settings.ledger_entries,
        }
    }
}
