//! Which faults can be: where each acts, what it takes, and what a passive side may answer.

use std::collections::BTreeMap;

use crate::error::TwinError;
use crate::fault_kind::FaultKind;

/// Of `coded`: what is made of spaces takes time.
const LARGEST_INFLATED: u64 = 1 << 33;

impl FaultKind {
    /// Whether the fault is made at the listener or at idle connections, so that no request is
    /// there to be matched or counted.
    pub(crate) fn is_of_the_listener(&self) -> bool {
        matches!(
            self,
            FaultKind::Refuse { .. }
                | FaultKind::ListenNeverAccept
                | FaultKind::BlackHole
                | FaultKind::CloseIdle
        )
    }

    /// Whether the fault is made in the TLS handshake, where connections are counted and no
    /// request is there to be matched.
    pub(crate) fn is_of_the_handshake(&self) -> bool {
        matches!(
            self,
            FaultKind::BreakHandshake { .. } | FaultKind::Certificate { .. }
        )
    }

    /// Whether the fault acts before the request was read whole.
    pub(crate) fn is_of_the_head(&self) -> bool {
        matches!(
            self,
            FaultKind::ResetBeforeRequest
                | FaultKind::ResetWithinRequest { .. }
                | FaultKind::AnswerAtHead { .. }
                | FaultKind::WithholdContinue
        )
    }

    /// Whether the fault is made of frames that HTTP/1.1 does not have.
    pub(crate) fn is_of_http2(&self) -> bool {
        matches!(self, FaultKind::Goaway { .. } | FaultKind::RstStream { .. })
    }

    /// The answer whose sending the fault disturbs, where it is not the service's.
    pub(crate) fn answer(&self) -> Option<&FaultKind> {
        match self {
            FaultKind::CutHead { answer, .. }
            | FaultKind::CutBody { answer, .. }
            | FaultKind::StallBody { answer, .. }
            | FaultKind::WrongLength { answer, .. }
            | FaultKind::SlowDrip { answer, .. }
            | FaultKind::Coded { answer, .. }
            | FaultKind::Informational { answer, .. }
            | FaultKind::Trailers { answer, .. }
            | FaultKind::CloseAfterAnswer { answer, .. } => answer.as_deref(),
            FaultKind::AnswerAtHead { answer } => Some(answer),
            _ => None,
        }
    }

    /// What a passive side may answer: a fault that executes nothing and needs a request.
    pub(crate) fn check_passive(&self) -> Result<(), TwinError> {
        let fits = match self {
            FaultKind::AcceptNeverAnswer
            | FaultKind::ResetAfterRequest
            | FaultKind::CloseAfterRequest { .. }
            | FaultKind::Throttled { .. }
            | FaultKind::DatacenterNotAvailable { .. } => true,
            FaultKind::HtmlPage { commit, .. }
            | FaultKind::Status { commit, .. }
            | FaultKind::ServiceFault { commit, .. } => !commit,
            _ => false,
        };
        if !fits {
            return Err(TwinError::invalid(format!(
                "a passive side cannot answer `{}`: take accept_never_answer, reset_after_request, \
                 close_after_request, datacenter_not_available, throttled, or html_page, status, service_fault \
                 without `commit`",
                self.name()
            )));
        }
        self.check()
    }

    /// Says what is wrong with a kind that could not do what it says.
    pub(crate) fn check(&self) -> Result<(), TwinError> {
        let both_ends = |reset: bool, close_notify: bool| {
            if reset && close_notify {
                return Err(TwinError::invalid(format!(
                    "`{}`: a reset says no goodbye: leave out `reset` or `close_notify`",
                    self.name()
                )));
            }
            Ok(())
        };
        match self {
            FaultKind::CutHead {
                reset,
                close_notify,
                ..
            }
            | FaultKind::CutBody {
                reset,
                close_notify,
                ..
            }
            | FaultKind::CloseAfterAnswer {
                reset,
                close_notify,
                ..
            } => both_ends(*reset, *close_notify)?,
            FaultKind::Coded {
                inflated: Some(bytes),
                ..
            } if *bytes > LARGEST_INFLATED => {
                return Err(TwinError::invalid(format!(
                    "`coded`: `inflated` is at most {LARGEST_INFLATED}"
                )));
            }
            FaultKind::Informational {
                status, headers, ..
            } => {
                if *status == 101 || !(100..=199).contains(status) {
                    return Err(TwinError::invalid(format!(
                        "`informational`: {status} is no interim status: take 100, or 102 to 199"
                    )));
                }
                check_headers(headers)?;
            }
            FaultKind::Trailers { headers, .. } => check_headers(headers)?,
            FaultKind::AnswerAtHead { answer } if answer.commits() => {
                return Err(TwinError::invalid(
                    "`answer_at_head`: what was not read is not executed: leave out `commit`",
                ));
            }
            FaultKind::WrongLength { by: 0, .. } => {
                return Err(TwinError::invalid(
                    "`wrong_length`: by 0 is right: take another number",
                ));
            }
            FaultKind::Goaway {
                answered: true,
                commit: false,
                ..
            }
            | FaultKind::RstStream {
                partial: true,
                commit: false,
                ..
            } => {
                return Err(TwinError::invalid(format!(
                    "`{}`: what is answered was executed: set `commit`",
                    self.name()
                )));
            }
            FaultKind::RstStream {
                code: 7 | 13,
                commit: true,
                ..
            } => {
                return Err(TwinError::invalid(
                    "`rst_stream`: codes 7 and 13 say that nothing was executed: take another \
                     `code` under `commit`",
                ));
            }
            FaultKind::SlowDrip { bytes: 0, .. } => {
                return Err(TwinError::invalid(
                    "`slow_drip`: 0 bytes never end: take 1 or more",
                ));
            }
            _ => {}
        }
        if let Some(answer) = self.answer() {
            let takes_coded = !matches!(self, FaultKind::Coded { .. });
            let is_coded = matches!(answer, FaultKind::Coded { .. });
            if !(answer.is_answer() || is_coded && takes_coded) {
                return Err(TwinError::invalid(format!(
                    "`{}` is no answer: take html_page, status, datacenter_not_available, \
                     service_fault, throttled or coded",
                    answer.name()
                )));
            }
            answer.check()?;
        }
        self.check_status()
    }

    fn is_answer(&self) -> bool {
        matches!(
            self,
            FaultKind::HtmlPage { .. }
                | FaultKind::Status { .. }
                | FaultKind::DatacenterNotAvailable { .. }
                | FaultKind::ServiceFault { .. }
                | FaultKind::Throttled { .. }
        )
    }

    /// Whether an answer comes after the request was executed.
    fn commits(&self) -> bool {
        match self {
            FaultKind::HtmlPage { commit, .. }
            | FaultKind::Status { commit, .. }
            | FaultKind::ServiceFault { commit, .. } => *commit,
            FaultKind::Coded { answer, .. } => answer.as_deref().is_none_or(FaultKind::commits),
            _ => false,
        }
    }

    fn check_status(&self) -> Result<(), TwinError> {
        let status = match self {
            FaultKind::HtmlPage { status, .. }
            | FaultKind::Status { status, .. }
            | FaultKind::DatacenterNotAvailable { status }
            | FaultKind::ServiceFault { status, .. } => *status,
            _ => return Ok(()),
        };
        if !(200..=999).contains(&status) {
            return Err(TwinError::invalid(format!(
                "status {status} is none: take a number from 200 to 999"
            )));
        }
        if let FaultKind::Status { headers, .. } = self {
            check_headers(headers)?;
        }
        Ok(())
    }
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), TwinError> {
    for (name, value) in headers {
        if http::HeaderName::try_from(name).is_err() || http::HeaderValue::try_from(value).is_err()
        {
            return Err(TwinError::invalid(format!(
                "`{name}: {value}` is no header"
            )));
        }
    }
    Ok(())
}
