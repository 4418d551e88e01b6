//! What is known of a write from its attempts.

use crate::classify::DATACENTER_NOT_AVAILABLE;
use crate::{Attempt, Cause, Effect, FaultKind, Operation, Phase};

impl Effect {
    /// The effect of a call from its attempts.
    ///
    /// A success says `executed`, and stays silent about an earlier attempt in doubt: whether that
    /// one was executed too, the attempts tell. Without a success, one attempt in doubt puts the
    /// call in doubt, whatever came later.
    ///
    /// `is_compound`: the request held several operations, so that a success or a refusal of the whole
    /// says nothing of each: its parts do.
    #[must_use]
    pub(crate) fn of_call<'a>(
        operation: Operation,
        is_compound: bool,
        attempts: impl IntoIterator<Item = &'a Attempt>,
    ) -> Effect {
        if operation == Operation::Read {
            return Effect::None;
        }
        let mut whole = Effect::NotExecuted;
        for attempt in attempts.into_iter().filter(|attempt| !attempt.reads_row) {
            match Effect::of_attempt(is_compound, attempt) {
                Effect::Executed => return Effect::Executed,
                Effect::Unknown => whole = Effect::Unknown,
                Effect::None | Effect::NotExecuted => {}
            }
        }
        whole
    }

    /// What one attempt of a write did. Only what the service is documented to answer before it
    /// executes anything counts as not executed; a 5xx may come from a proxy that had forwarded.
    fn of_attempt(is_compound: bool, attempt: &Attempt) -> Effect {
        if attempt.phase == Phase::NotSent {
            return Effect::NotExecuted;
        }
        let cause = attempt.fault.as_ref().map(|fault| fault.cause);
        let Some(status) = attempt.http_status else {
            return match cause {
                Some(Cause::Unprocessed) => Effect::NotExecuted,
                _ => Effect::Unknown,
            };
        };
        if let Some(effect) = attempt.parts_effect {
            return effect;
        }
        let fault = attempt.fault.as_ref();
        let kind = fault.map(|fault| fault.kind);
        let code = fault.and_then(|fault| fault.code);
        match (status, kind) {
            // Of several operations the head says nothing.
            (200..=299, _) if attempt.is_acknowledged && !is_compound => Effect::Executed,
            // Who is not let in has executed nothing, however many operations there were.
            (401, _) => Effect::NotExecuted,
            _ if is_compound => Effect::Unknown,
            (_, Some(FaultKind::DatacenterNotAvailable | FaultKind::Throttled)) => {
                Effect::NotExecuted
            }
            // Whatever the status says first.
            _ if code == Some(DATACENTER_NOT_AVAILABLE) => Effect::NotExecuted,
            // "See other", and what is sent in its place: it may have been processed, and the answer
            // stand elsewhere.
            (301..=303, _) => Effect::Unknown,
            // 304 answers no write.
            (304, _) => Effect::Unknown,
            // 408: the server gave up on a request that it may have had in part. The others are those
            // of front ends that gave it up after they had passed it on: nginx's 444 and 499, an AWS
            // load balancer's 460.
            (408 | 444 | 460 | 499, _) => Effect::Unknown,
            (300..=499, _) => Effect::NotExecuted,
            // Also with a status of success: something on the way has answered in the service's place, or
            // the service has refused under it, for a reason that does not say when.
            _ => Effect::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::{Cause, Fault, Role};

    /// One whose answer bears the service's mark, unless its fault says otherwise.
    fn attempt(phase: Phase, http_status: Option<u16>, fault: Option<Cause>) -> Attempt {
        let is_success = http_status.is_some_and(|status| (200..300).contains(&status));
        let is_cut = matches!(fault, None | Some(Cause::Closed));
        Attempt {
            role: Some(Role::Primary),
            epoch: 0,
            url: String::new(),
            phase,
            http_version: None,
            http_status,
            is_acknowledged: is_success && is_cut,
            fault: fault.map(|cause| Fault::new(cause, "")),
            started: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            parts_effect: None,
            reads_row: false,
        }
    }

    #[test]
    fn a_read_has_no_effect() {
        let attempts = [attempt(Phase::Sent, None, Some(Cause::Reset))];
        assert_eq!(
            Effect::of_call(Operation::Read, false, &attempts),
            Effect::None
        );
    }

    #[test]
    fn one_attempt_of_a_write() {
        let table = [
            (
                Phase::NotSent,
                None,
                Some(Cause::Refused),
                Effect::NotExecuted,
            ),
            (Phase::Sent, None, Some(Cause::Reset), Effect::Unknown),
            (
                Phase::Sent,
                None,
                Some(Cause::Unprocessed),
                Effect::NotExecuted,
            ),
            (
                Phase::Sent,
                None,
                Some(Cause::AttemptTimeout),
                Effect::Unknown,
            ),
            (Phase::Responded, Some(204), None, Effect::Executed),
            (
                Phase::Responded,
                Some(204),
                Some(Cause::Closed),
                Effect::Executed,
            ),
            (
                Phase::Responded,
                Some(200),
                Some(Cause::HtmlPage),
                Effect::Unknown,
            ),
            (
                Phase::Responded,
                Some(202),
                Some(Cause::NoServiceMark),
                Effect::Unknown,
            ),
            (
                Phase::Responded,
                Some(200),
                Some(Cause::ServiceFault),
                Effect::Unknown,
            ),
            (
                Phase::Responded,
                Some(200),
                Some(Cause::DatacenterNotAvailable),
                Effect::NotExecuted,
            ),
            (
                Phase::Responded,
                Some(200),
                Some(Cause::Throttled),
                Effect::NotExecuted,
            ),
            // Broken off before it said whose it is.
            (
                Phase::Responded,
                Some(200),
                Some(Cause::Reset),
                Effect::Unknown,
            ),
            (Phase::Responded, Some(304), None, Effect::Unknown),
            (
                Phase::Responded,
                Some(444),
                Some(Cause::ServiceFault),
                Effect::Unknown,
            ),
            (
                Phase::Responded,
                Some(499),
                Some(Cause::ServiceFault),
                Effect::Unknown,
            ),
            (
                Phase::Responded,
                Some(500),
                Some(Cause::DatacenterNotAvailable),
                Effect::NotExecuted,
            ),
            (
                Phase::Responded,
                Some(500),
                Some(Cause::ServiceFault),
                Effect::Unknown,
            ),
            (
                Phase::Responded,
                Some(503),
                Some(Cause::Unavailable),
                Effect::Unknown,
            ),
            (
                Phase::Responded,
                Some(429),
                Some(Cause::Throttled),
                Effect::NotExecuted,
            ),
            (
                Phase::Responded,
                Some(412),
                Some(Cause::ServiceFault),
                Effect::NotExecuted,
            ),
            (
                Phase::Responded,
                Some(408),
                Some(Cause::ServiceFault),
                Effect::Unknown,
            ),
        ];
        for (phase, status, cause, expected) in table {
            let got = Effect::of_call(Operation::Unsafe, false, &[attempt(phase, status, cause)]);
            assert_eq!(got, expected, "{phase:?} {status:?} {cause:?}");
        }
    }

    #[test]
    fn where_the_answer_is_to_be_sought_elsewhere_there_is_doubt() {
        for status in [301, 302, 303, 304] {
            let found = attempt(Phase::Responded, Some(status), None);
            assert_eq!(
                Effect::of_attempt(false, &found),
                Effect::Unknown,
                "{status}"
            );
        }
        for status in [300, 305, 307, 308] {
            let found = attempt(Phase::Responded, Some(status), None);
            assert_eq!(
                Effect::of_attempt(false, &found),
                Effect::NotExecuted,
                "{status}"
            );
        }
    }

    #[test]
    fn the_code_of_a_datacenter_counts_under_any_status() {
        for status in [500, 503, 504] {
            let mut refused = attempt(Phase::Responded, Some(status), Some(Cause::Unavailable));
            assert_eq!(
                Effect::of_attempt(false, &refused),
                Effect::Unknown,
                "{status}"
            );
            let fault = refused.fault.as_mut().unwrap();
            fault.code = Some(DATACENTER_NOT_AVAILABLE);
            assert_eq!(
                Effect::of_attempt(false, &refused),
                Effect::NotExecuted,
                "{status}"
            );
        }
    }

    #[test]
    fn a_refusal_of_several_operations_leaves_doubt() {
        let table = [
            (
                Phase::NotSent,
                None,
                Some(Cause::Refused),
                Effect::NotExecuted,
            ),
            // Of what its parts say: see parts.
            (Phase::Responded, Some(200), None, Effect::Unknown),
            (
                Phase::Responded,
                Some(200),
                Some(Cause::Closed),
                Effect::Unknown,
            ),
            (
                Phase::Responded,
                Some(401),
                Some(Cause::Unauthorized),
                Effect::NotExecuted,
            ),
            (
                Phase::Responded,
                Some(412),
                Some(Cause::ServiceFault),
                Effect::Unknown,
            ),
            (
                Phase::Responded,
                Some(429),
                Some(Cause::Throttled),
                Effect::Unknown,
            ),
            (
                Phase::Responded,
                Some(500),
                Some(Cause::DatacenterNotAvailable),
                Effect::Unknown,
            ),
        ];
        for (phase, status, cause, expected) in table {
            let got = Effect::of_call(Operation::Unsafe, true, &[attempt(phase, status, cause)]);
            assert_eq!(got, expected, "{phase:?} {status:?} {cause:?}");
        }
    }

    #[test]
    fn doubt_wins_over_a_later_not_executed() {
        let attempts = [
            attempt(Phase::Sent, None, Some(Cause::Reset)),
            attempt(Phase::NotSent, None, Some(Cause::Refused)),
        ];
        assert_eq!(
            Effect::of_call(Operation::Unsafe, false, &attempts),
            Effect::Unknown
        );
    }

    #[test]
    fn a_success_wins() {
        let attempts = [
            attempt(Phase::Sent, None, Some(Cause::AttemptTimeout)),
            attempt(Phase::Responded, Some(204), None),
        ];
        assert_eq!(
            Effect::of_call(Operation::Unsafe, false, &attempts),
            Effect::Executed
        );
    }

    #[test]
    fn a_look_at_the_row_did_nothing() {
        for (status, fault) in [(200, None), (404, Some(Cause::ServiceFault))] {
            let look = Attempt {
                reads_row: true,
                ..attempt(Phase::Responded, Some(status), fault)
            };
            let lost = attempt(Phase::Sent, None, Some(Cause::Reset));
            for (attempts, expected) in [
                (&[look.clone()][..], Effect::NotExecuted),
                (&[lost, look], Effect::Unknown),
            ] {
                let got = Effect::of_call(Operation::Guarded, false, attempts);
                assert_eq!(got, expected, "{status}");
            }
        }
    }

    #[test]
    fn a_write_that_was_never_attempted_was_not_executed() {
        assert_eq!(
            Effect::of_call(Operation::Guarded, false, &[]),
            Effect::NotExecuted
        );
    }
}
