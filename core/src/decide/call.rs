//! One call: what comes after an attempt.

use crate::{Cause, Fault, Preset};

/// What a call does after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The attempt's outcome is the call's.
    End,
    /// Send it again where it was: it was not processed there.
    Again,
    /// Ask the switchboard whether the call may go on elsewhere.
    FailOver,
}

/// How often a call was sent again, for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resent {
    pub(crate) unprocessed: u32,
    pub(crate) failed_over: u32,
}

/// Decides after an attempt ended with `fault`.
pub(crate) fn after_attempt(preset: Preset, resent: Resent, fault: &Fault) -> Next {
    match preset {
        // No rule of .NET's, whose HTTP/2 does it beneath: the peer has said that it did nothing
        // (RFC 9113, 8.7), and every deployment says so now and then.
        _ if fault.cause == Cause::Unprocessed
            && fault.http_status.is_none()
            && resent.unprocessed == 0 =>
        {
            Next::Again
        }
        // One retry for every operation, and a second failure is returned as it is.
        _ if resent.failed_over == 0 && fault.starts_failover(preset) => {
            Next::FailOver
        }
        _ => Next::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(unprocessed: u32, failed_over: u32, cause: Cause) -> Next {
        let resent = Resent {
            unprocessed,
            failed_over,
        };
        after_attempt(Preset::Dotnet, resent, &Fault::new(cause, ""))
    }

    #[test]
    fn dotnet_has_one_retry_and_only_for_what_starts_failover() {
        assert_eq!(after(0, 0, Cause::Refused), Next::FailOver);
        assert_eq!(after(0, 1, Cause::Refused), Next::End);
        assert_eq!(after(0, 0, Cause::Reset), Next::End);
    }

    #[test]
    fn what_was_not_processed_is_sent_again_once_and_is_no_failover() {
        assert_eq!(after(0, 0, Cause::Unprocessed), Next::Again);
        assert_eq!(after(0, 1, Cause::Unprocessed), Next::Again);
        assert_eq!(after(1, 0, Cause::Unprocessed), Next::End);
        assert_eq!(after(1, 0, Cause::Refused), Next::FailOver);
    }
}
