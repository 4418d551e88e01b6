//! What the presets differ in: a row per rule, a column per preset.

use std::time::Duration;

use super::evidence::{self, Evidence};
use super::resend::{self, Failed, Resend, after_failover, by_matrix};
use crate::rule::{Rule, RulesOff};
use crate::{Cause, Fault, Operation, Phase, Preset};

/// A connection that was used within this time is as good as a fresh one: servers close idle ones
/// after seconds.
pub const JUST_USED: Duration = Duration::from_secs(1);

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $safe:expr, $dotnet:expr $(, without $rule:ident: $off:expr)?;)*) => {
        /// The rules that a client goes by.
        #[derive(Clone, Copy, Debug)]
        pub struct Rules {
            $($(#[$doc])* pub $name: $type,)*
            off: RulesOff,
        }

        impl Rules {
            /// Those of a preset, without the ones that are switched off.
            pub fn of(preset: Preset, off: RulesOff) -> Rules {
                Rules {
                    $($name: match preset {
                        $(_ if off.has(Rule::$rule) => $off,)?
                        Preset::Safe => $safe,
                        Preset::Dotnet => $dotnet,
                    },)*
                    off,
                }
            }
        }
    };
}

table! {
    // ---- what a fault says --------------------------------------------- safe, dotnet

    /// What a cause says of its endpoint.
    evidence: fn(Cause, RulesOff) -> Evidence = evidence::weighed, evidence::as_dotnet;
    /// Who was in a hurry, and gave a connection less time than the client does, has only a doubt.
    forgives_haste: bool = true, false;
    /// What an answer says in the requests inside of it counts as what itself says.
    reads_parts: bool = true, false;

    // ---- before an endpoint is left ------------------------------------

    /// One that is only doubted is left when it answers no probe.
    confirms_doubts: bool = true, true, without ConfirmDead: false;
    /// None is left unless the other one answers a probe.
    asks_other: bool = true, false, without ProbeOther: false;
    /// Shortly after a switch even what is certain is confirmed.
    holds_down: bool = true, false, without HoldDown: false;
    /// A veto holds for the hold-down, and so does auto-switch off.
    refusal_holds: bool = true, false, without RefusalHolds: false;
    /// Calls that begin wait while it is certain that their endpoint fails, and not yet decided
    /// where they go.
    holds_calls: bool = true, false;
    /// Where the policy cannot be read, the alternate itself is asked.
    asks_unread_alternate: bool = true, false;
    /// The policy is read at the other endpoint for whatever reason it could not be at this one.
    reads_policy_anywhere: bool = true, false;

    // ---- after a switch ------------------------------------------------

    /// Calls are let go by and by.
    ramps: bool = true, false, without Ramp: false;
    /// Calls are sent again after the handlers of `EndpointSwitched` have returned.
    awaits_switched: bool = false, true;
    /// A plain update creates no row that has only not come over yet.
    guards_updates: bool = true, false, without UpdateGuard: false;

    // ---- one attempt ---------------------------------------------------

    /// None leaves for a place that was left meanwhile.
    leaves_no_left_place: bool = true, false;
    /// Unsafe writes go out on fresh or just-used connections.
    wants_fresh: bool = true, false, without FreshConnection: false;
    /// A call that waits in silence has its endpoint probed.
    watches: bool = true, false, without Watch: false;
    /// What the application sends as `Authorization` is kept for probes.
    keeps_authorization: bool = true, false;
    /// A write whose endpoint was left is waited for.
    has_write_grace: bool = true, true, without WriteGrace: false;

    /// The row of a guarded create is read in place of a repeat at an endpoint that stays, and where one is told that
    /// it is there.
    reads_back: bool = true, true, without ReadBack: false;

    // ---- what comes after it -------------------------------------------

    /// Where it may be sent again.
    resend: fn(&Failed, RulesOff) -> Resend = by_matrix, after_failover;
    /// How often a call's faults are heard.
    most_reports: u32 = u32::MAX, 1;
    /// The setting `max_attempts` holds.
    counts_attempts: bool = true, false;
    /// A call whose endpoint was left because of it says so, also where it is not sent again.
    tells_its_switch: bool = true, false;
    /// What is sent again in one place is a share of recent calls.
    spends_budget: bool = true, false;
    /// How long a call waits where no endpoint answers, if the settings do not say.
    outage_wait: Duration = Duration::from_secs(30), Duration::ZERO;
}

impl Rules {
    /// What a cause says of its endpoint.
    pub fn evidence(&self, cause: Cause) -> Evidence {
        (self.evidence)(cause, self.off)
    }

    /// Whether an attempt is waited for although its endpoint was found dead: one of a write that may
    /// have been executed, and would be in doubt. What is sent again elsewhere gains nothing by waiting.
    /// `goes_again`: its call may be sent again if the matrix says so.
    pub fn has_grace(&self, operation: Operation, phase: Phase, goes_again: bool) -> bool {
        let left = Failed::unanswered(operation, phase, Cause::EndpointLeft);
        match phase {
            Phase::NotSent => false,
            // Its answer has begun: what it says is worth its time.
            Phase::Responded => operation != Operation::Read,
            Phase::Sent => {
                let is_last = !goes_again || self.resend(&left) == Resend::No;
                operation != Operation::Read && is_last
            }
        }
    }

    /// Whether a write that makes a row is asked for by it before it is sent again where it was.
    pub fn asks_row(&self, failed: &Failed) -> bool {
        self.reads_back && resend::asks_row(failed)
    }

    /// Where what has failed may be sent again.
    pub fn resend(&self, failed: &Failed) -> Resend {
        (self.resend)(failed, self.off)
    }
}

impl Fault {
    /// Whether this fault starts failover under the preset. Under `safe`: whether it is evidence
    /// against its endpoint, which probes then confirm.
    #[must_use]
    pub fn starts_failover(&self, preset: Preset) -> bool {
        let off = RulesOff::default();
        Rules::of(preset, off).evidence(self.cause) != Evidence::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_failover_is_evidence() {
        for (cause, expected) in [
            (Cause::Refused, [true, true]),
            (Cause::Unavailable, [true, false]),
            (Cause::ServiceFault, [false, false]),
        ] {
            let fault = Fault::new(cause, "");
            let found = [Preset::Safe, Preset::Dotnet].map(|preset| fault.starts_failover(preset));
            assert_eq!(found, expected, "{cause:?}");
        }
    }

    #[test]
    fn a_rule_that_is_off_is_off_in_its_row_only() {
        let mut off = RulesOff::default();
        off.switch_off(Rule::ProbeOther);
        let rules = Rules::of(Preset::Safe, off);
        assert!(!rules.asks_other && rules.confirms_doubts && rules.holds_down);
    }

    #[test]
    fn who_is_sent_again_elsewhere_anyway_has_no_grace() {
        use Operation::{Guarded, Idempotent, Read, Unsafe};
        let rules = Rules::of(Preset::Safe, RulesOff::default());
        for (operation, phase, goes_again, has_grace) in [
            (Read, Phase::Sent, true, false),
            (Read, Phase::Sent, false, false),
            (Read, Phase::Responded, true, false),
            (Unsafe, Phase::NotSent, true, false),
            (Unsafe, Phase::Sent, true, true),
            (Unsafe, Phase::Responded, true, true),
            (Guarded, Phase::NotSent, false, false),
            (Guarded, Phase::Sent, true, false),
            (Guarded, Phase::Sent, false, true),
            (Guarded, Phase::Responded, true, true),
            (Idempotent, Phase::Sent, true, false),
            (Idempotent, Phase::Sent, false, true),
        ] {
            let found = rules.has_grace(operation, phase, goes_again);
            assert_eq!(found, has_grace, "{operation:?} {phase:?} {goes_again}");
        }
    }

    #[test]
    fn the_columns() {
        let off = RulesOff::default();
        let (safe, dotnet) = (Rules::of(Preset::Safe, off), Rules::of(Preset::Dotnet, off));
        assert_eq!(safe.evidence(Cause::Reset), Evidence::Weak);
        assert_eq!(dotnet.evidence(Cause::Reset), Evidence::Never);
        assert!(safe.asks_other && !dotnet.asks_other);
    }
}
