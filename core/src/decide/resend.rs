//! What may be sent again: the preset `safe`'s matrix, and .NET's one rule. In the matrix a write that a repeat would do twice is sent
//! again only where it is certain that the attempt has executed nothing.

use crate::rule::{Rule, RulesOff};
use crate::{Cause, Effect, FaultKind, Operation, Phase};

/// Where something may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// Nowhere.
    No,
    /// Where it was, at once, one time: it was not processed there.
    Unprocessed,
    /// Where it was, after the time that the service asks for.
    Throttled,
    /// At another endpoint: here the answer would be the same.
    Elsewhere,
    /// Wherever calls go by then.
    Anywhere,
}

/// What is known of an attempt that has failed.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    pub operation: Operation,
    /// Several operations in one, of which some may have been executed.
    pub is_compound: bool,
    pub phase: Phase,
    pub http_status: Option<u16>,
    /// The service itself has answered with success.
    pub is_acknowledged: bool,
    pub cause: Cause,
    /// What its answer says of the parts of several operations.
    pub parts_effect: Option<Effect>,
}

struct MatrixRow {
    rule: Rule,
    applies: fn(&Failed) -> bool,
    /// For what a repeat leaves as it is: reads, idempotent and guarded writes.
    repeatable: Resend,
    /// For what a repeat would do twice.
    unrepeatable: Resend,
    /// Nobody has answered in the service's place: it may well be executed, which its row would tell.
    asks_row: bool,
}

/// The first row that applies decides.
const MATRIX: [MatrixRow; 9] = [
    // DNS, connect, proxy, handshake: no byte of the request has left.
    MatrixRow {
        rule: Rule::ResendNotSent,
        applies: |failed| failed.phase == Phase::NotSent && failed.cause != Cause::Unprocessed,
        repeatable: Resend::Anywhere,
        unrepeatable: Resend::Anywhere,
        asks_row: false,
    },
    // REFUSED_STREAM; GOAWAY whose last stream is below ours, with any code (RFC 9113, 8.7).
    MatrixRow {
        rule: Rule::ResendUnprocessed,
        applies: |failed| failed.cause == Cause::Unprocessed && failed.http_status.is_none(),
        repeatable: Resend::Unprocessed,
        unrepeatable: Resend::Unprocessed,
        asks_row: false,
    },
    // 429, and the throttling codes: refused before execution. Of several operations, some may have
    // been let through.
    MatrixRow {
        rule: Rule::ResendThrottled,
        applies: |failed| failed.cause == Cause::Throttled && !failed.is_partly_done(),
        repeatable: Resend::Throttled,
        unrepeatable: Resend::Throttled,
        asks_row: false,
    },
    // 0x8004B065 on a single operation.
    MatrixRow {
        rule: Rule::ResendNotHere,
        applies: |failed| failed.cause == Cause::DatacenterNotAvailable && !failed.is_partly_done(),
        repeatable: Resend::Elsewhere,
        unrepeatable: Resend::Elsewhere,
        asks_row: false,
    },
    // A 2xx status of the service, and then not the whole body: only a read has lost anything. Of
    // several operations the head says nothing; what was done in part is never repeated.
    MatrixRow {
        rule: Rule::ResendExecuted,
        applies: |failed| {
            failed.operation != Operation::Read
                && match failed.parts_effect {
                    Some(effect) => effect == Effect::Executed,
                    None => failed.is_acknowledged && !failed.is_compound,
                }
        },
        repeatable: Resend::No,
        unrepeatable: Resend::No,
        asks_row: false,
    },
    // EOF, RST, RST_STREAM, GOAWAY that covers our stream, an answer that is no HTTP: servers had
    // read it whole.
    MatrixRow {
        rule: Rule::ResendLost,
        applies: |failed| {
            failed.cause.kind() == FaultKind::ConnectionLost || failed.cause == Cause::Malformed
        },
        repeatable: Resend::Anywhere,
        unrepeatable: Resend::No,
        asks_row: true,
    },
    // No answer in time: it may have come to its end since.
    MatrixRow {
        rule: Rule::ResendTimedOut,
        applies: |failed| matches!(failed.cause, Cause::AttemptTimeout | Cause::EndpointLeft),
        repeatable: Resend::Anywhere,
        unrepeatable: Resend::No,
        asks_row: true,
    },
    // 502, 503, 504, a page, a 2xx of nobody's, the organization off, 404 and 410 of no service: a
    // proxy may have forwarded it.
    MatrixRow {
        rule: Rule::ResendFrontEnd,
        applies: |failed| {
            matches!(
                failed.cause.kind(),
                FaultKind::ServerUnavailable | FaultKind::EndpointNotFound
            ) || failed.cause == Cause::GatewayTimeout
        },
        repeatable: Resend::Anywhere,
        unrepeatable: Resend::No,
        asks_row: false,
    },
    // The database moves to another server: it may have been committed before.
    MatrixRow {
        rule: Rule::ResendDatabase,
        applies: |failed| failed.cause == Cause::DatabaseMoving,
        repeatable: Resend::Anywhere,
        unrepeatable: Resend::No,
        asks_row: false,
    },
];

impl Failed {
    /// Of one operation, which had no answer.
    pub fn unanswered(operation: Operation, phase: Phase, cause: Cause) -> Failed {
        Failed {
            operation,
            is_compound: false,
            phase,
            http_status: None,
            is_acknowledged: false,
            cause,
            parts_effect: None,
        }
    }

    /// Whether the reason is not the endpoint's and may be gone the next time.
    pub fn may_pass(&self) -> bool {
        match self.cause {
            Cause::Malformed | Cause::DatabaseMoving => true,
            Cause::Proxy | Cause::TlsAlert => self.phase == Phase::NotSent,
            _ => false,
        }
    }

    /// Whether some of it may have been executed although it was refused, and not be repeated.
    fn is_partly_done(&self) -> bool {
        match self.parts_effect {
            Some(Effect::Executed) => self.operation != Operation::Read,
            Some(Effect::NotExecuted) => false,
            _ => self.is_compound && !self.is_repeatable(),
        }
    }

    fn is_repeatable(&self) -> bool {
        self.operation != Operation::Unsafe
    }
}

fn row(failed: &Failed) -> Option<&'static MatrixRow> {
    MATRIX.iter().find(|row| (row.applies)(failed))
}

/// Whether a write that creates a row is asked for by it before it is sent again where it was.
pub fn asks_row(failed: &Failed) -> bool {
    row(failed).is_some_and(|row| row.asks_row)
}

/// The preset `safe`: by the matrix. A rule that is off says the opposite.
pub fn by_matrix(failed: &Failed, off: RulesOff) -> Resend {
    let Some(row) = row(failed) else {
        return Resend::No;
    };
    let resend = if failed.is_repeatable() {
        row.repeatable
    } else {
        row.unrepeatable
    };
    match resend {
        resend if !off.has(row.rule) => resend,
        Resend::No => Resend::Anywhere,
        _ => Resend::No,
    }
}

/// The preset `dotnet`: everything, at the other endpoint. And, which is no rule of .NET's, whose
/// HTTP/2 does it beneath: where it was, if the peer has said that it did nothing (RFC 9113, 8.7),
/// as every deployment says now and then.
pub fn after_failover(failed: &Failed, _: RulesOff) -> Resend {
    match failed.cause {
        Cause::Unprocessed if failed.http_status.is_none() => Resend::Unprocessed,
        _ => Resend::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::{Attempt, Fault, Role};

    #[test]
    fn what_would_be_done_twice_is_sent_again_only_where_nothing_was_executed() {
        let phases = [
            (Phase::NotSent, None),
            (Phase::Sent, None),
            (Phase::Responded, Some(200)),
            (Phase::Responded, Some(404)),
            (Phase::Responded, Some(429)),
            (Phase::Responded, Some(500)),
            (Phase::Responded, Some(503)),
        ];
        for cause in Cause::ALL {
            for (phase, http_status) in phases {
                for (is_compound, is_acknowledged) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let failed = Failed {
                        is_compound,
                        http_status,
                        is_acknowledged,
                        ..Failed::unanswered(Operation::Unsafe, phase, cause)
                    };
                    // Only an answer says the first ones, and it says one thing.
                    let is_refusal =
                        matches!(cause, Cause::Throttled | Cause::DatacenterNotAvailable);
                    let cannot_be = is_refusal && (http_status.is_none() || is_acknowledged)
                        || is_acknowledged && http_status != Some(200);
                    if by_matrix(&failed, RulesOff::default()) == Resend::No || cannot_be {
                        continue;
                    }
                    let attempt = Attempt {
                        role: Some(Role::Primary),
                        epoch: 0,
                        url: String::new(),
                        phase,
                        http_version: None,
                        http_status,
                        is_acknowledged,
                        fault: Some(Fault::new(cause, "")),
                        started: SystemTime::UNIX_EPOCH,
                        took: Duration::ZERO,
                        parts_effect: None,
                        reads_row: false,
                    };
                    let effect = Effect::of_call(Operation::Unsafe, is_compound, &[attempt]);
                    assert_eq!(effect, Effect::NotExecuted, "{failed:?}");
                }
            }
        }
    }

    fn resend(operation: Operation, phase: Phase, status: Option<u16>, cause: Cause) -> Resend {
        let failed = Failed {
            http_status: status,
            is_acknowledged: matches!(
                cause,
                Cause::Closed | Cause::AttemptTimeout | Cause::Malformed
            ) && status.is_some(),
            ..Failed::unanswered(operation, phase, cause)
        };
        by_matrix(&failed, RulesOff::default())
    }

    #[test]
    fn a_rule_that_is_off_says_the_opposite() {
        let mut off = RulesOff::default();
        off.switch_off(Rule::ResendLost);
        for (operation, cause, expected) in [
            (Operation::Read, Cause::Reset, Resend::No),
            (Operation::Unsafe, Cause::Reset, Resend::Anywhere),
            (Operation::Read, Cause::AttemptTimeout, Resend::Anywhere),
            (Operation::Unsafe, Cause::AttemptTimeout, Resend::No),
        ] {
            let failed = Failed::unanswered(operation, Phase::Sent, cause);
            assert_eq!(by_matrix(&failed, off), expected, "{operation:?} {cause:?}");
        }
    }

    #[test]
    fn dotnet_sends_again_where_it_was_only_what_the_peer_has_said_that_it_did_nothing_of() {
        for (cause, status, expected) in [
            (Cause::Unprocessed, None, Resend::Unprocessed),
            (Cause::Unprocessed, Some(200), Resend::Elsewhere),
            (Cause::Refused, None, Resend::Elsewhere),
        ] {
            let failed = Failed {
                http_status: status,
                ..Failed::unanswered(Operation::Unsafe, Phase::Sent, cause)
            };
            let found = after_failover(&failed, RulesOff::default());
            assert_eq!(found, expected, "{cause:?} {status:?}");
        }
    }

    #[test]
    fn what_may_be_over_the_next_time() {
        let (not_sent, sent) = (Phase::NotSent, Phase::Sent);
        for (cause, phase, expected) in [
            (Cause::Malformed, sent, true),
            (Cause::DatabaseMoving, sent, true),
            (Cause::Proxy, not_sent, true),
            (Cause::Proxy, sent, false),
            (Cause::TlsAlert, not_sent, true),
            (Cause::TlsAlert, sent, false),
            (Cause::Tls, not_sent, false),
            (Cause::LocalFailure, not_sent, false),
            (Cause::Refused, not_sent, false),
        ] {
            let failed = Failed::unanswered(Operation::Read, phase, cause);
            assert_eq!(failed.may_pass(), expected, "{cause:?} {phase:?}");
        }
    }

    #[test]
    fn the_matrix() {
        use Resend::{Anywhere, Elsewhere, No, Throttled, Unprocessed};
        let (not_sent, sent, responded) = (Phase::NotSent, Phase::Sent, Phase::Responded);
        // phase, status, cause, read, idempotent and guarded, unsafe
        let table = [
            (not_sent, None, Cause::Refused, [Anywhere; 3]),
            (not_sent, None, Cause::Reset, [Anywhere; 3]),
            (sent, None, Cause::Unprocessed, [Unprocessed; 3]),
            (sent, None, Cause::Closed, [Anywhere, Anywhere, No]),
            (sent, None, Cause::Reset, [Anywhere, Anywhere, No]),
            (sent, None, Cause::AttemptTimeout, [Anywhere, Anywhere, No]),
            (sent, None, Cause::EndpointLeft, [Anywhere, Anywhere, No]),
            (responded, Some(429), Cause::Throttled, [Throttled; 3]),
            (
                responded,
                Some(500),
                Cause::DatacenterNotAvailable,
                [Elsewhere; 3],
            ),
            (
                responded,
                Some(503),
                Cause::Unavailable,
                [Anywhere, Anywhere, No],
            ),
            (
                responded,
                Some(502),
                Cause::BadGateway,
                [Anywhere, Anywhere, No],
            ),
            (
                responded,
                Some(504),
                Cause::GatewayTimeout,
                [Anywhere, Anywhere, No],
            ),
            (
                responded,
                Some(200),
                Cause::HtmlPage,
                [Anywhere, Anywhere, No],
            ),
            (
                responded,
                Some(202),
                Cause::NoServiceMark,
                [Anywhere, Anywhere, No],
            ),
            (
                responded,
                Some(500),
                Cause::DatabaseMoving,
                [Anywhere, Anywhere, No],
            ),
            (
                responded,
                Some(200),
                Cause::DatacenterNotAvailable,
                [Elsewhere; 3],
            ),
            (responded, Some(200), Cause::Closed, [Anywhere, No, No]),
            (
                responded,
                Some(204),
                Cause::AttemptTimeout,
                [Anywhere, No, No],
            ),
            (responded, Some(500), Cause::ServiceFault, [No; 3]),
            (responded, Some(401), Cause::Unauthorized, [No; 3]),
            (sent, None, Cause::Cancelled, [No; 3]),
            (sent, None, Cause::BadMessage, [No; 3]),
            (sent, None, Cause::Malformed, [Anywhere, Anywhere, No]),
            (responded, Some(200), Cause::Malformed, [Anywhere, No, No]),
        ];
        for (phase, status, cause, [read, repeatable, unrepeatable]) in table {
            for (operation, expected) in [
                (Operation::Read, read),
                (Operation::Idempotent, repeatable),
                (Operation::Guarded, repeatable),
                (Operation::Unsafe, unrepeatable),
            ] {
                let got = resend(operation, phase, status, cause);
                assert_eq!(
                    got, expected,
                    "{operation:?} {phase:?} {status:?} {cause:?}"
                );
            }
        }
    }

    #[test]
    fn the_row_is_asked_for_where_nobody_has_answered() {
        let (not_sent, sent, responded) = (Phase::NotSent, Phase::Sent, Phase::Responded);
        for (phase, status, cause, expected) in [
            (not_sent, None, Cause::Reset, false),
            (sent, None, Cause::Unprocessed, false),
            (sent, None, Cause::Reset, true),
            (sent, None, Cause::Closed, true),
            (sent, None, Cause::Malformed, true),
            (sent, None, Cause::AttemptTimeout, true),
            // Broken off before it said whose it is.
            (responded, Some(200), Cause::Reset, true),
            (responded, Some(503), Cause::Unavailable, false),
            (responded, Some(504), Cause::GatewayTimeout, false),
            (responded, Some(500), Cause::DatabaseMoving, false),
            (responded, Some(500), Cause::DatacenterNotAvailable, false),
            (responded, Some(429), Cause::Throttled, false),
            (responded, Some(500), Cause::ServiceFault, false),
        ] {
            let failed = Failed {
                http_status: status,
                ..Failed::unanswered(Operation::Guarded, phase, cause)
            };
            assert_eq!(
                asks_row(&failed),
                expected,
                "{phase:?} {status:?} {cause:?}"
            );
        }
    }

    #[test]
    fn several_operations_are_not_sent_again_after_a_refusal() {
        for cause in [Cause::Throttled, Cause::DatacenterNotAvailable] {
            for (operation, is_sent_again) in
                [(Operation::Idempotent, true), (Operation::Unsafe, false)]
            {
                let failed = Failed {
                    is_compound: true,
                    http_status: Some(500),
                    ..Failed::unanswered(operation, Phase::Responded, cause)
                };
                let resend = by_matrix(&failed, RulesOff::default());
                assert_eq!(resend != Resend::No, is_sent_again, "{failed:?}");
            }
        }
    }

    #[test]
    fn parts_say_whether_several_operations_are_sent_again() {
        use Effect::{Executed, NotExecuted, Unknown};
        use Operation::{Idempotent, Read, Unsafe};
        #[rustfmt::skip]
        let table = [
            (Unsafe, Some(NotExecuted), Cause::DatacenterNotAvailable, Resend::Elsewhere),
            (Unsafe, Some(NotExecuted), Cause::Throttled, Resend::Throttled),
            (Unsafe, Some(Unknown), Cause::DatacenterNotAvailable, Resend::No),
            (Unsafe, Some(Executed), Cause::DatacenterNotAvailable, Resend::No),
            (Idempotent, Some(Unknown), Cause::DatacenterNotAvailable, Resend::Elsewhere),
            (Idempotent, Some(Executed), Cause::DatacenterNotAvailable, Resend::No),
            (Idempotent, Some(Executed), Cause::Closed, Resend::No),
            (Read, Some(Executed), Cause::DatacenterNotAvailable, Resend::Elsewhere),
            // Cut before its parts were told.
            (Idempotent, None, Cause::Closed, Resend::Anywhere),
            (Unsafe, None, Cause::Closed, Resend::No),
        ];
        for (operation, parts_effect, cause, expected) in table {
            let failed = Failed {
                is_compound: true,
                http_status: Some(200),
                parts_effect,
                ..Failed::unanswered(operation, Phase::Responded, cause)
            };
            let got = by_matrix(&failed, RulesOff::default());
            assert_eq!(got, expected, "{failed:?}");
        }
    }
}
