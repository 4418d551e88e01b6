//! What an error says of the call that it has kept from being begun.

use crate::ending::Ending;
use crate::{Effect, Error, ErrorKind, Request};

impl Error {
    /// The same of a call with this request. What is no call's end has kept it from being begun; but
    /// for a defect of the library, of which nobody knows when it came.
    #[must_use]
    pub fn of(self, request: &Request) -> Error {
        self.of_begun(request, None)
    }

    /// As [`of`](Error::of); and which write it was, if that was on record already.
    pub(crate) fn of_begun(self, request: &Request, ledger_id: Option<u64>) -> Error {
        if self.is_of_a_call() {
            return self;
        }
        let effect = match self.kind() {
            ErrorKind::Internal => Effect::Unknown,
            _ => Effect::NotExecuted,
        };
        self.of_write(request, effect, ledger_id)
    }

    /// The same of a call that is known not to have been begun, whatever the error is.
    pub(crate) fn of_unbegun(self, request: &Request) -> Error {
        self.of_write(request, Effect::NotExecuted, None)
    }

    /// The same where a write has this effect. A read has none.
    fn of_write(self, request: &Request, effect: Effect, ledger_id: Option<u64>) -> Error {
        let effect = match request.is_read() {
            true => Effect::None,
            false => effect,
        };
        self.knowing(Ending {
            effect,
            ledger_id: ledger_id.filter(|_| effect == Effect::Unknown),
            tag: request.tag.clone(),
            ..Ending::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_write_whose_call_failed_before_its_end() {
        use Effect as E;
        use ErrorKind as K;
        let request = |method: &str| {
            let mut request = Request::new(method, "/api/data/v9.2/accounts").unwrap();
            request.set_tag("order 17").unwrap();
            request
        };
        // the kind, of a write, of a read
        let table = [
            (K::Closed, E::NotExecuted, E::None),
            (K::Forked, E::NotExecuted, E::None),
            (K::WouldDeadlock, E::NotExecuted, E::None),
            (K::NoQueue, E::NotExecuted, E::None),
            (K::NoResources, E::NotExecuted, E::None),
            (K::Busy, E::NotExecuted, E::None),
            (K::InvalidUrl, E::NotExecuted, E::None),
            (K::InvalidArgument, E::NotExecuted, E::None),
            (K::NotAvailable, E::NotExecuted, E::None),
            (K::Internal, E::Unknown, E::None),
        ];
        for (kind, of_write, of_read) in table {
            for (method, effect) in [("POST", of_write), ("GET", of_read)] {
                let bare = Error::new(kind, "why");
                assert_eq!((bare.effect(), bare.tag()), (E::None, None));
                let error = bare.of_begun(&request(method), Some(7));
                assert_eq!(error.effect(), effect, "{kind:?} {method}");
                assert_eq!((error.kind(), error.message()), (kind, "why"));
                assert_eq!(error.tag(), Some("order 17"));
                assert_eq!(error.ledger_id(), (effect == E::Unknown).then_some(7));
                assert!(error.fault().is_none() && error.attempts().is_empty());
            }
        }
    }

    #[test]
    fn what_is_known_already_stays() {
        let request = Request::new("POST", "/").unwrap();
        let forked = || Error::new(ErrorKind::Forked, "");
        let defect = || Error::new(ErrorKind::Internal, "");
        assert_eq!(forked().of_another().of(&request).effect(), Effect::None);
        let unbegun = defect().of_unbegun(&request);
        assert_eq!(unbegun.of(&request).effect(), Effect::NotExecuted);
    }

    #[test]
    fn a_question_is_a_read_and_a_replay_a_write() {
        let closed = || Error::new(ErrorKind::Closed, "");
        for (request, effect) in [
            (Request::verify(1), Effect::None),
            (Request::verify_with(1, "/x"), Effect::None),
            (Request::discover(), Effect::None),
            (Request::check(crate::Role::Primary), Effect::None),
            (
                Request::settle(crate::SettlePolicy::default()),
                Effect::None,
            ),
            (Request::replay(1, false), Effect::NotExecuted),
            (Request::replay(1, true), Effect::NotExecuted),
        ] {
            assert_eq!(closed().of(&request).effect(), effect, "{request:?}");
        }
    }
}
