//! One call: what comes after an attempt.

use super::resend::{Failed, Resend};
use crate::evidence::Evidence;
use crate::rule::RulesOff;
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
    /// Report the evidence, then go on as far as `Resend` allows.
    Report(Evidence, Resend),
    /// Wait as long as the service asks for, and send it again where it was.
    Wait,
}

/// How often a call was sent again, for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resent {
    pub(crate) unprocessed: u32,
    pub(crate) failed_over: u32,
    /// In one place, after a pause.
    pub(crate) in_place: u32,
    /// Of these, after attempts of which nothing had left.
    pub(crate) unsent: u32,
}

/// Decides under the preset `safe` after an attempt.
pub(crate) fn after_safe_attempt(failed: &Failed, resent: Resent, off: RulesOff) -> Next {
    let evidence = Evidence::of(failed.cause, off);
    match failed.resend(off) {
        Resend::Unprocessed if resent.unprocessed == 0 => Next::Again,
        // Refused twice counts against the endpoint; executed it was not.
        Resend::Unprocessed => Next::Report(evidence, Resend::Anywhere),
        Resend::Throttled => Next::Wait,
        resend if evidence > Evidence::Never || failed.cause == Cause::EndpointLeft => {
            Next::Report(evidence, resend)
        }
        // A proxy, a handshake, a resolver, garbled bytes, a database: it says nothing of the
        // endpoint, and may be over.
        Resend::Anywhere if failed.may_pass() => Next::Report(evidence, Resend::Anywhere),
        // The cause is elsewhere: here or there, it would meet the same.
        _ => Next::End,
    }
}

/// Decides under the preset `dotnet` after an attempt ended with `fault`.
pub(crate) fn after_dotnet_attempt(resent: Resent, fault: &Fault) -> Next {
    // No rule of .NET's, whose HTTP/2 does it beneath: the peer has said that it did nothing
    // (RFC 9113, 8.7), and every deployment says so now and then.
    if fault.cause == Cause::Unprocessed && fault.http_status.is_none() && resent.unprocessed == 0 {
        return Next::Again;
    }
    // One retry for every operation, and a second failure is returned as it is.
    if resent.failed_over == 0 && fault.starts_failover(Preset::Dotnet) {
        return Next::FailOver;
    }
    Next::End
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Operation, Phase};

    fn after(unprocessed: u32, failed_over: u32, cause: Cause) -> Next {
        let resent = Resent {
            unprocessed,
            failed_over,
            ..Resent::default()
        };
        after_dotnet_attempt(resent, &Fault::new(cause, ""))
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

    fn safely(unprocessed: u32, cause: Cause, operation: Operation) -> Next {
        let failed = Failed {
            operation,
            is_compound: false,
            phase: Phase::Sent,
            http_status: None,
            is_acknowledged: false,
            cause,
            parts_effect: None,
        };
        let resent = Resent {
            unprocessed,
            ..Resent::default()
        };
        after_safe_attempt(&failed, resent, RulesOff::default())
    }

    #[test]
    fn safe_reports_what_is_evidence_also_of_what_is_not_sent_again() {
        let weak = |resend| Next::Report(Evidence::Weak, resend);
        let (read, write) = (Operation::Read, Operation::Unsafe);
        assert_eq!(safely(0, Cause::Reset, read), weak(Resend::Anywhere));
        assert_eq!(safely(0, Cause::Reset, write), weak(Resend::No));
        assert_eq!(safely(0, Cause::LocalFailure, read), Next::End);
        assert_eq!(safely(0, Cause::BadMessage, read), Next::End);
        let again = Next::Report(Evidence::Never, Resend::Anywhere);
        assert_eq!(safely(0, Cause::Malformed, read), again);
        assert_eq!(safely(0, Cause::Malformed, write), Next::End);
        assert_eq!(safely(0, Cause::Throttled, write), Next::Wait);
        assert_eq!(safely(0, Cause::Unprocessed, write), Next::Again);
        assert_eq!(safely(1, Cause::Unprocessed, write), weak(Resend::Anywhere));
        let left = safely(0, Cause::EndpointLeft, read);
        assert_eq!(left, Next::Report(Evidence::Never, Resend::Anywhere));
    }
}
