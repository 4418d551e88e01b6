//! One call: what comes after an attempt.

use crate::{Fault, Preset};

/// What a call does after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The attempt's outcome is the call's.
    End,
    /// Ask the switchboard whether the call may go on elsewhere.
    FailOver,
}

/// Decides after the attempt number `made` (from 1) ended with `fault`.
pub(crate) fn after_attempt(preset: Preset, made: usize, fault: Option<&Fault>) -> Next {
    let Some(fault) = fault else { return Next::End };
    match preset {
        // One retry for every operation, and a second failure is returned as it is.
        Preset::Dotnet if made == 1 && fault.starts_failover(preset) => Next::FailOver,
        Preset::Dotnet => Next::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;

    #[test]
    fn dotnet_has_one_retry_and_only_for_what_starts_failover() {
        let refused = Fault::new(Cause::Refused, "");
        let reset = Fault::new(Cause::Reset, "");
        let after = |made, fault| after_attempt(Preset::Dotnet, made, fault);
        assert_eq!(after(1, None), Next::End);
        assert_eq!(after(1, Some(&refused)), Next::FailOver);
        assert_eq!(after(2, Some(&refused)), Next::End);
        assert_eq!(after(1, Some(&reset)), Next::End);
    }
}
