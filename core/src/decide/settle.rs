//! What is done about a write by what was found of it.

use crate::{SettlePolicy, Verification, Verified};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is there for good.
    Confirm,
    /// It is not there for good: sent again, if it may be.
    Replay,
    /// Why nothing is done.
    Leave(&'static str),
}

pub(crate) fn act(policy: SettlePolicy, found: &Verification) -> Act {
    match found.verdict {
        Verified::Unverifiable => Act::Leave("no row tells of it"),
        Verified::Conflicting => Act::Leave("its row has other values"),
        _ if !found.is_final => Act::Leave("replication_window is not over"),
        Verified::Present if policy.confirm => Act::Confirm,
        Verified::Missing if policy.replay => Act::Replay,
        Verified::Present | Verified::Missing => Act::Leave(""),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_what_is_final_is_acted_upon_and_only_as_it_may_be() {
        use Verified::{Conflicting, Missing, Present, Unverifiable};
        let all = SettlePolicy::default();
        let (no_confirm, no_replay) = (
            SettlePolicy {
                confirm: false,
                ..all
            },
            SettlePolicy {
                replay: false,
                ..all
            },
        );
        let table = [
            (all, Present, true, Some(Act::Confirm)),
            (all, Present, false, None),
            (all, Missing, true, Some(Act::Replay)),
            (all, Missing, false, None),
            (all, Conflicting, true, None),
            (all, Unverifiable, true, None),
            (no_confirm, Present, true, None),
            (no_confirm, Missing, true, Some(Act::Replay)),
            (no_replay, Missing, true, None),
            (no_replay, Present, true, Some(Act::Confirm)),
        ];
        for (policy, verdict, is_final, expected) in table {
            let found = Verification::new(verdict, is_final, SystemTime::UNIX_EPOCH);
            let got = act(policy, &found);
            let got = (!matches!(got, Act::Leave(_))).then_some(got);
            assert_eq!(got, expected, "{policy:?} {verdict:?} {is_final}");
        }
    }
}
