//! The faults that are set on a side, and which of them acts.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::fault::{Fault, FaultId};
use crate::fault_kind::FaultKind;

/// A fault that is set on a side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultStatus {
    /// Its id.
    pub id: FaultId,
    /// The fault.
    pub fault: Fault,
    /// How many requests or connections it has met.
    pub hits: u64,
}

/// What a side's listener does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listening {
    Accepting,
    /// Bound and listening, but nothing is accepted.
    Deaf,
    Closed,
}

/// A fault that acts on a request.
#[derive(Debug)]
pub(crate) struct Hit {
    pub(crate) kind: FaultKind,
    /// Closed when the fault is cleared.
    pub(crate) released: watch::Receiver<()>,
}

struct Armed {
    status: FaultStatus,
    passed: u64,
    /// Dropped with the fault, which tells those that it holds.
    release: watch::Sender<()>,
}

impl Armed {
    /// Whether the fault acts on what it matched; counts the skip or the hit.
    fn strike(&mut self) -> bool {
        if self
            .status
            .fault
            .times
            .is_some_and(|times| self.status.hits >= times)
        {
            return false;
        }
        if self.passed < self.status.fault.skip {
            self.passed += 1;
            return false;
        }
        self.status.hits += 1;
        true
    }
}

/// The faults of a side, oldest first.
#[derive(Default)]
pub(crate) struct FaultSet {
    faults: Vec<Armed>,
}

impl FaultSet {
    pub(crate) fn add(&mut self, id: FaultId, fault: Fault) {
        let (release, _) = watch::channel(());
        self.faults.push(Armed {
            status: FaultStatus { id, fault, hits: 0 },
            passed: 0,
            release,
        });
    }

    pub(crate) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.faults.len();
        self.faults.retain(|armed| armed.status.id != id);
        self.faults.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn statuses(&self) -> Vec<FaultStatus> {
        self.faults
            .iter()
            .map(|armed| armed.status.clone())
            .collect()
    }

    pub(crate) fn listening(&self) -> Listening {
        let kinds = || self.faults.iter().map(|armed| &armed.status.fault.kind);
        if kinds().any(|kind| matches!(kind, FaultKind::Refuse { .. })) {
            Listening::Closed
        } else if kinds().any(|kind| *kind == FaultKind::ListenNeverAccept) || self.is_black_hole()
        {
            Listening::Deaf
        } else {
            Listening::Accepting
        }
    }

    /// Whether no socket is to be heard of.
    pub(crate) fn is_black_hole(&self) -> bool {
        let mut kinds = self.faults.iter().map(|armed| &armed.status.fault.kind);
        kinds.any(|kind| *kind == FaultKind::BlackHole)
    }

    /// The fault that acts on a connection as it is accepted: a reset, or one in the handshake.
    pub(crate) fn strike_accept(&mut self) -> Option<FaultKind> {
        self.first(|FaultStatus { fault, .. }| {
            fault.kind.is_of_the_handshake()
                || fault.kind == FaultKind::ResetBeforeRequest && !fault.has_matcher()
        })
        .map(|armed| armed.status.fault.kind.clone())
    }

    /// The fault that acts on a request before it was read whole. `judged_below` are the faults
    /// that have judged the connection already when it was accepted, and that do not judge its
    /// first request again.
    pub(crate) fn strike_head(
        &mut self,
        method: &str,
        path: &str,
        reused: bool,
        expects_continue: bool,
        judged_below: FaultId,
    ) -> Option<FaultKind> {
        self.first(|FaultStatus { id, fault, .. }| {
            let judged = fault.kind == FaultKind::ResetBeforeRequest
                && !fault.has_matcher()
                && *id < judged_below;
            let is_meant = expects_continue || fault.kind != FaultKind::WithholdContinue;
            fault.kind.is_of_the_head()
                && is_meant
                && !judged
                && fault.matches(method, path, reused)
        })
        .map(|armed| armed.status.fault.kind.clone())
    }

    /// The fault that acts on a request, which came over HTTP/2 or not, and on a connection that
    /// had another before or not.
    pub(crate) fn strike(
        &mut self,
        method: &str,
        path: &str,
        reused: bool,
        http2: bool,
    ) -> Option<Hit> {
        self.first(|FaultStatus { fault, .. }| {
            let earlier = fault.kind.is_of_the_handshake() || fault.kind.is_of_the_head();
            let is_elsewhere =
                matches!(fault.kind, FaultKind::Refuse { .. } | FaultKind::BlackHole);
            let has_frames = http2 || !fault.kind.is_of_http2();
            !earlier && !is_elsewhere && has_frames && fault.matches(method, path, reused)
        })
        .map(|armed| Hit {
            kind: armed.status.fault.kind.clone(),
            released: armed.release.subscribe(),
        })
    }

    /// The first fault that is meant and armed.
    fn first(&mut self, meant: impl Fn(&FaultStatus) -> bool) -> Option<&mut Armed> {
        self.faults
            .iter_mut()
            .find_map(|armed| (meant(&armed.status) && armed.strike()).then_some(armed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(faults: impl IntoIterator<Item = Fault>) -> FaultSet {
        let mut set = FaultSet::default();
        for (index, fault) in faults.into_iter().enumerate() {
            set.add(FaultId(index as u64), fault);
        }
        set
    }

    fn names(set: &mut FaultSet, requests: usize) -> Vec<&'static str> {
        (0..requests)
            .map(|_| {
                set.strike("POST", "/a", false, false)
                    .map_or("-", |hit| hit.kind.name())
            })
            .collect()
    }

    #[test]
    fn skip_lets_pass_and_times_ends() {
        let mut set = set([Fault::from(FaultKind::CommitThenReset).skip(1).times(2)]);
        assert_eq!(
            names(&mut set, 4),
            ["-", "commit_then_reset", "commit_then_reset", "-"]
        );
    }

    #[test]
    fn a_skipping_fault_leaves_the_request_to_the_next() {
        let first = Fault::from(FaultKind::cut_body()).skip(1).times(1);
        let mut set = set([first, FaultKind::AcceptNeverAnswer.into()]);
        let expected = ["accept_never_answer", "cut_body", "accept_never_answer"];
        assert_eq!(names(&mut set, 3), expected);
    }

    #[test]
    fn matchers_are_all_needed() {
        let fault = Fault::from(FaultKind::cut_body())
            .method("post")
            .path("/api")
            .path_contains("acc");
        let mut set = set([fault]);
        assert!(set.strike("GET", "/api/accounts", false, false).is_none());
        assert!(
            set.strike("POST", "/x/api/accounts", false, false)
                .is_none()
        );
        assert!(set.strike("POST", "/api/contacts", false, false).is_none());
        assert!(set.strike("POST", "/api/accounts", false, false).is_some());
    }

    #[test]
    fn a_fault_of_reused_connections_passes_first_requests() {
        let mut set = set([Fault::from(FaultKind::CommitThenReset)
            .reused(true)
            .times(1)]);
        assert!(set.strike("POST", "/", false, false).is_none());
        assert!(set.strike("POST", "/", true, false).is_some());
        let fault = Fault::from(FaultKind::ResetBeforeRequest).reused(false);
        set.add(FaultId(9), fault);
        assert!(set.strike_accept().is_none());
        assert!(
            set.strike_head("GET", "/", true, false, FaultId(0))
                .is_none()
        );
        assert!(
            set.strike_head("GET", "/", false, false, FaultId(0))
                .is_some()
        );
    }

    #[test]
    fn a_fault_that_judged_the_accept_does_not_judge_the_first_request() {
        let mut set = set([Fault::from(FaultKind::ResetBeforeRequest).skip(1).times(1)]);
        assert!(set.strike_accept().is_none());
        assert!(
            set.strike_head("GET", "/", false, false, FaultId(1))
                .is_none()
        );
        assert!(
            set.strike_head("GET", "/", false, false, FaultId(0))
                .is_some()
        );
        assert!(set.strike_accept().is_none());
    }

    #[test]
    fn faults_of_http2_pass_other_requests() {
        let fault = FaultKind::RstStream {
            code: 7,
            commit: false,
            partial: false,
        };
        let mut set = set([Fault::from(fault).times(1)]);
        assert!(set.strike("GET", "/", false, false).is_none());
        assert!(set.strike("GET", "/", false, true).is_some());
    }

    #[test]
    fn removing_a_fault_releases_what_it_holds() {
        let mut set = set([FaultKind::Stall { ms: None }.into()]);
        let hit = set.strike("GET", "/", false, false).unwrap();
        assert!(hit.released.has_changed().is_ok());
        assert!(set.remove(FaultId(0)));
        assert!(hit.released.has_changed().is_err());
        assert!(!set.remove(FaultId(0)));
    }

    #[test]
    fn refused_wins_over_deaf() {
        let mut set = set([
            FaultKind::ListenNeverAccept.into(),
            FaultKind::Refuse {
                keep_existing: false,
            }
            .into(),
        ]);
        assert_eq!(set.listening(), Listening::Closed);
        set.remove(FaultId(1));
        assert_eq!(set.listening(), Listening::Deaf);
        set.clear();
        assert_eq!(set.listening(), Listening::Accepting);
    }
}
