//! Runs many clients against the twin datacenter through a random history, and checks every claim
//! that they were told: [`Plan::draw`] decides, [`run()`] lets it happen, [`judge`] judges,
//! [`tell`] tells.

mod history;
mod kills;
mod misfortune;
mod mortal;
mod plan;
mod record;
mod request;
mod rules;
mod run;
mod stage;
mod story;
mod weather;
mod witness;
mod work;

pub use history::{
    Answer, AttemptSeen, Call, Change, ClientRecord, End, EventSeen, History, Receipt, Rows,
    Season, Terms, Told,
};
pub use kills::{Killing, run_killing};
pub use misfortune::Misfortune;
pub use mortal::live;
pub use plan::{CallPlan, ClientPlan, Manner, Plan};
pub use record::{Claim, Recorded, Word, judge_record};
pub use rules::{Rule, Violation, judge};
pub use run::{Preset, RunError, run, summary};
pub use story::{tell, tell_all};
pub use weather::{Act, Front};
pub use work::{Kind, RowOf, TABLE, Traits, Work};
