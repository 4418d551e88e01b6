//! The decisions by themselves, for whoever drives them in a time of his own: the simulation.

pub use crate::decide::alternate::{Alternate, Policy};
pub use crate::decide::budget::Budget;
pub use crate::decide::call::{Course, Failure, Moment, Next, Resending};
pub use crate::decide::evidence::Evidence;
pub use crate::decide::failback::{Home, Ways};
pub use crate::decide::look::{Answer, Asks, Found, Glance, Heard, Look, Stay};
pub use crate::decide::offered::{Offered, Remembered};
pub use crate::decide::outage::{Outage, Over};
pub use crate::decide::place::{Move, Place};
pub use crate::decide::preset::Rules;
pub use crate::decide::ramp::{Ramp, STEP};
pub use crate::decide::resend::{Failed, Resend};
pub use crate::decide::switch::{Action, Begin, Input, Limits, Report, Switch, WaitOut};
pub use crate::decide::watch::{Bounds, Patience, Wait, Watch};
pub use crate::rule::RulesOff;
