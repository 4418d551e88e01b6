//! What a fault says of its endpoint: the preset `safe`'s table, and .NET's.

use super::ramp::Became;
use crate::Cause;
use crate::rule::{Rule, RulesOff};

/// How much a fault says against its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// Nothing: the cause is elsewhere.
    Never,
    /// Nothing yet, but silence: a slow endpoint's too. To be confirmed by probes.
    Silence,
    /// Perhaps: to be confirmed by probes.
    Weak,
    /// The endpoint does not serve.
    Strong,
}

impl Became {
    /// What has left, by the fault that it has ended with, and what that says of its endpoint.
    pub fn of(cause: Option<Cause>, evidence: Evidence) -> Became {
        match cause {
            Some(_) if evidence > Evidence::Never => Became::Failed,
            None | Some(Cause::DatabaseMoving | Cause::ServiceFault) => Became::Answered,
            Some(_) => Became::Untold,
        }
    }
}

struct Line {
    rule: Rule,
    evidence: Evidence,
    causes: &'static [Cause],
}

const TABLE: [Line; 11] = [
    Line {
        rule: Rule::EndpointNotFound,
        evidence: Evidence::Strong,
        causes: &[
            Cause::NoSuchName,
            Cause::Refused,
            Cause::Unreachable,
            Cause::ConnectTimeout,
        ],
    },
    Line {
        rule: Rule::DatacenterNotAvailable,
        evidence: Evidence::Strong,
        causes: &[Cause::DatacenterNotAvailable],
    },
    // A front end answers that knows of no service.
    Line {
        rule: Rule::NoService,
        evidence: Evidence::Weak,
        causes: &[
            Cause::NotFound,
            Cause::Gone,
            Cause::InvalidHostname,
            Cause::DestinationUnreachable,
        ],
    },
    Line {
        rule: Rule::Timeout,
        evidence: Evidence::Weak,
        causes: &[
            Cause::AttemptTimeout,
            Cause::Deadline,
            Cause::GatewayTimeout,
        ],
    },
    Line {
        rule: Rule::ServerUnavailable,
        evidence: Evidence::Weak,
        causes: &[
            Cause::BadGateway,
            Cause::Unavailable,
            Cause::HtmlPage,
            Cause::NoServiceMark,
            Cause::OrganizationOff,
        ],
    },
    // What was refused a second time on a new connection counts as lost.
    Line {
        rule: Rule::ConnectionLost,
        evidence: Evidence::Weak,
        causes: &[
            Cause::Reset,
            Cause::Closed,
            Cause::ClosedUnsent,
            Cause::Unprocessed,
        ],
    },
    // The machine's own resolver, or the name's: where it is the machine's, the other name leads nowhere either.
    Line {
        rule: Rule::NameServer,
        evidence: Evidence::Weak,
        causes: &[Cause::NameTryAgain],
    },
    Line {
        rule: Rule::Local,
        evidence: Evidence::Never,
        causes: &[Cause::LocalFailure, Cause::NoResources, Cause::Proxy],
    },
    // `EndpointLeft` and `Outage` say what was decided already.
    Line {
        rule: Rule::NotTheEndpoint,
        evidence: Evidence::Never,
        causes: &[
            Cause::Tls,
            Cause::TlsAlert,
            Cause::Unauthorized,
            Cause::Forbidden,
            Cause::NoToken,
            Cause::BadMessage,
            Cause::Malformed,
            Cause::Cancelled,
            Cause::EndpointLeft,
            Cause::Outage,
        ],
    },
    Line {
        rule: Rule::Throttling,
        evidence: Evidence::Never,
        causes: &[Cause::Throttled],
    },
    Line {
        rule: Rule::Answered,
        evidence: Evidence::Never,
        causes: &[Cause::DatabaseMoving, Cause::ServiceFault],
    },
];

/// What a cause says under the preset `safe`. A rule that is off says the opposite.
pub fn weighed(cause: Cause, off: RulesOff) -> Evidence {
    let row = TABLE.iter().find(|row| row.causes.contains(&cause));
    match row {
        None => Evidence::Never,
        Some(row) if !off.has(row.rule) => row.evidence,
        Some(row) => match row.evidence {
            Evidence::Strong => Evidence::Never,
            Evidence::Never | Evidence::Silence | Evidence::Weak => Evidence::Strong,
        },
    }
}

/// What a cause says under the preset `dotnet`: what .NET leaves an endpoint for, it leaves at once.
/// That is `EndpointNotFoundException`, `TimeoutException`, and the fault 0x8004B065, with WCF's
/// mapping of results to exceptions. DNS's "try again" is a name resolution failure there like any
/// other, and a failure to send without an error of the socket is an endpoint that was not found. A
/// 410, a 503, a reset connection are neither.
pub fn as_dotnet(cause: Cause, _: RulesOff) -> Evidence {
    match cause {
        Cause::NoSuchName
        | Cause::NameTryAgain
        | Cause::Refused
        | Cause::Unreachable
        | Cause::ConnectTimeout
        | Cause::NotFound
        | Cause::InvalidHostname
        | Cause::DestinationUnreachable
        | Cause::DatacenterNotAvailable
        | Cause::AttemptTimeout
        | Cause::Deadline
        | Cause::GatewayTimeout
        | Cause::ClosedUnsent => Evidence::Strong,
        _ => Evidence::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FaultKind;

    #[test]
    fn what_an_end_says() {
        use Became::{Answered, Failed, Untold};
        for (cause, evidence, became) in [
            (None, Evidence::Never, Answered),
            (Some(Cause::ServiceFault), Evidence::Never, Answered),
            (Some(Cause::DatabaseMoving), Evidence::Never, Answered),
            (Some(Cause::Refused), Evidence::Strong, Failed),
            (Some(Cause::Unavailable), Evidence::Weak, Failed),
            (Some(Cause::Throttled), Evidence::Never, Untold),
            (Some(Cause::Unauthorized), Evidence::Never, Untold),
            (Some(Cause::Forbidden), Evidence::Never, Untold),
            (Some(Cause::Malformed), Evidence::Never, Untold),
            (Some(Cause::Tls), Evidence::Never, Untold),
            (Some(Cause::Cancelled), Evidence::Never, Untold),
            (Some(Cause::EndpointLeft), Evidence::Never, Untold),
        ] {
            assert_eq!(Became::of(cause, evidence), became, "{cause:?}");
        }
    }

    #[test]
    fn what_dotnet_leaves_an_endpoint_for() {
        use Cause::*;
        let strong = [
            NoSuchName,
            NameTryAgain,
            Refused,
            Unreachable,
            ConnectTimeout,
            NotFound,
            InvalidHostname,
            DestinationUnreachable,
            DatacenterNotAvailable,
            AttemptTimeout,
            Deadline,
            GatewayTimeout,
            ClosedUnsent,
        ];
        for cause in TABLE.iter().flat_map(|row| row.causes) {
            let expected = match strong.contains(cause) {
                true => Evidence::Strong,
                false => Evidence::Never,
            };
            assert_eq!(
                as_dotnet(*cause, RulesOff::default()),
                expected,
                "{cause:?}"
            );
        }
    }

    #[test]
    fn the_table_names_a_cause_once() {
        let mut seen = Vec::new();
        for cause in TABLE.iter().flat_map(|row| row.causes) {
            assert!(!seen.contains(cause), "{cause:?}");
            seen.push(*cause);
        }
    }

    #[test]
    fn only_the_endpoint_s_own_faults_are_evidence() {
        for row in &TABLE {
            for cause in row.causes {
                let is_evidence = matches!(
                    cause.kind(),
                    FaultKind::EndpointNotFound
                        | FaultKind::DatacenterNotAvailable
                        | FaultKind::Timeout
                        | FaultKind::ServerUnavailable
                        | FaultKind::ConnectionLost
                ) && !matches!(cause, Cause::EndpointLeft | Cause::Outage)
                    || *cause == Cause::NameTryAgain;
                assert_eq!(row.evidence != Evidence::Never, is_evidence, "{cause:?}");
                assert_eq!(weighed(*cause, RulesOff::default()), row.evidence);
            }
        }
    }

    #[test]
    fn a_rule_that_is_off_says_the_opposite() {
        let mut off = RulesOff::default();
        off.switch_off(Rule::Timeout);
        off.switch_off(Rule::EndpointNotFound);
        assert_eq!(weighed(Cause::GatewayTimeout, off), Evidence::Strong);
        assert_eq!(weighed(Cause::Refused, off), Evidence::Never);
        assert_eq!(weighed(Cause::Reset, off), Evidence::Weak);
    }
}
