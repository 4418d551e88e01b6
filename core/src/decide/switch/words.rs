//! What the switch is told, and what it tells.

use std::time::{Duration, Instant};

use crate::decide::failback::Ways;
use crate::decide::look::{Asks, Glance, Heard, Stay};
use crate::decide::outage::Over;
use crate::decide::place::{Move, Place};
use crate::decide::preset::Rules;
use crate::{Order, Probed, Settings};

/// What the settings say.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub hold_down: Duration,
    pub probe_timeout: Duration,
    /// How long a call waits for an outage to end.
    pub outage_wait: Duration,
    /// How many wait at most.
    pub max_waiting: usize,
    /// What leads back to the primary.
    pub ways: Ways,
}

impl Limits {
    pub fn of(settings: &Settings, rules: &Rules) -> Limits {
        Limits {
            hold_down: settings.hold_down,
            probe_timeout: settings.probe_timeout,
            outage_wait: settings.outage_wait.unwrap_or(rules.outage_wait),
            max_waiting: settings.max_waiting,
            ways: Ways {
                failback: settings.failback,
                interval: settings.failback_interval,
                after: settings.failback_after,
            },
        }
    }
}

/// Where a call goes that begins, or is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    pub place: Place,
    /// It waits first until it is decided whether its endpoint is left.
    pub waits: bool,
    /// It waits first until an endpoint answers.
    pub waits_out: bool,
    /// Nobody looks yet, and a look goes before it.
    pub looks_first: bool,
    /// The policy is to be read, and not to be waited for.
    pub reads_policy: bool,
}

/// What a fault leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Calls go elsewhere by now: send again there.
    Moved,
    /// There is no alternate.
    NoAlternate,
    /// Whether there is one must be read first.
    ReadPolicy,
    /// That cannot be read, and is not guessed.
    PolicyUnread,
    /// The endpoint stays.
    Stays(Stay),
    /// It is being found out whether it is left: wait for the outcome.
    Joined,
    /// It is to be found out now: the number of the inquiry, and what is to be done for it.
    Began(u64, Vec<Action>),
}

/// How long an outage is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOut {
    /// There is none.
    Over,
    /// Too many wait already.
    Full,
    /// Until then at the latest. It is counted.
    Until(Instant),
}

/// What is to be done for a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at the endpoints.
    Ask(Asks),
    /// Raise `EndpointSwitchRequired`, and wait for the reply. What the other one has answered.
    Raise(Option<Probed>),
    /// It is done: raise `EndpointSwitched`.
    Switched(Move, Option<Probed>),
    /// Wait until its handlers have returned.
    AwaitHandlers,
    /// No endpoint answers: raise `OutageStarted`, and let those go who do not wait for one.
    OutageStarted,
    /// One answers: raise `OutageEnded`.
    OutageEnded(Over),
    /// Where calls go by the record of others was looked at: the record holds, or it does not.
    Recalled(bool),
    /// Calls are not led back: say why.
    StaysAway(Stay),
    /// Let those go who wait. An error: why they stay.
    End(Result<(), Stay>),
}

/// What a switch under way hears.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// Of its look.
    Look(Heard, Glance),
    /// The handlers have spoken.
    Replied { is_vetoed: bool },
}

/// Why the application does not switch by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoAlternate,
    /// The operator keeps calls where they are.
    Ordered(Order),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preset;
    use crate::rule::RulesOff;

    #[test]
    fn an_outage_is_waited_out_as_the_preset_says_unless_that_is_set() {
        let wait = Duration::from_secs(7);
        for preset in [Preset::Safe, Preset::Dotnet] {
            let rules = Rules::of(preset, RulesOff::default());
            let mut settings = Settings::new("https://contoso.crm.dynamics.com").unwrap();
            assert_eq!(Limits::of(&settings, &rules).outage_wait, rules.outage_wait);
            settings.outage_wait = Some(wait);
            assert_eq!(Limits::of(&settings, &rules).outage_wait, wait);
        }
    }
}
