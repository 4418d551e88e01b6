//! The writes on record, as the application asks of them.

use std::time::SystemTime;

use super::Client;
use crate::resource::ledger::At;
use crate::{
    Error, ErrorKind, LedgerEntry, LedgerSelection, Request, Resolution, Response, SettlePolicy,
    Settled, SuspectedSince, Verification,
};

impl Client {
    /// The writes on record, the oldest first: those in flight, those in doubt until they are
    /// resolved, and those acknowledged within the setting `replication_window` (at most as many as
    /// `ledger_entries` says).
    /// Does no I/O. Works after [`shutdown`](Client::shutdown).
    ///
    /// # Errors
    /// [`ErrorKind::Forked`].
    pub fn ledger(&self, selection: LedgerSelection) -> Result<Vec<LedgerEntry>, Error> {
        self.inner.check_is_own_process()?;
        self.inner.ledger.list(selection, At::now()).wait()
    }

    /// Asks the active endpoint what became of the write `id`, by a read of its row. What is found
    /// is kept in the entry; to [`resolve`](Client::resolve) it stays the application's.
    ///
    /// A create is proved by its row, a delete by the row's absence, an update by the version that
    /// its answer named. All else is [`Verified::Unverifiable`](crate::Verified), and nothing is
    /// sent: a `$batch`, an action (also by SOAP's `Execute`), an upload, an update in doubt. Resolve a
    /// write when what was found [is final](Verification::is_final).
    ///
    /// The read has the provider's token, else the `Authorization` that the application sent last to
    /// that endpoint. To set other headers, or a timeout, send a [`Request::verify`].
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`] for a number that is not on record, or in flight. As
    /// [`send`](Client::send), and [`ErrorKind::Call`] for an answer that says neither that the row
    /// is there nor that it is not: 401, 403, 404 of a front end, 5xx. Then the entry stays as it is.
    pub fn verify(&self, id: u64) -> Result<Verification, Error> {
        let response = self.send(&Request::verify(id))?;
        response.verification().cloned().ok_or_else(|| {
            let message = "a write was verified without a verdict: a defect of this library";
            Error::new(ErrorKind::Internal, message)
        })
    }

    /// As [`verify`](Client::verify), by a read of the URL that the application names; see
    /// [`Request::verify_with`].
    ///
    /// # Errors
    /// As [`verify`](Client::verify); [`ErrorKind::InvalidUrl`].
    pub fn verify_with(&self, id: u64, url: &str) -> Result<Verification, Error> {
        let response = self.send(&Request::verify_with(id, url))?;
        response.verification().cloned().ok_or_else(|| {
            let message = "a write was verified without a verdict: a defect of this library";
            Error::new(ErrorKind::Internal, message)
        })
    }

    /// Sends the write `id` again, which was found to be missing for good: a create under its id and
    /// with the condition that there is none, a change or a delete with the version that its row was
    /// seen to have (`If-Match`). At most one at a time, over all clients and processes of a store. When
    /// it was executed, its entry is resolved as replayed. In doubt again, it is on record so, and
    /// `WriteInDoubt` is raised; refused, it stays to be verified.
    ///
    /// `is_wanted`: the application wants it for just this write, whatever was found of it and whatever
    /// a repeat of it does; a condition is set all the same where there is one to set.
    ///
    /// The response is that of the write. Its request must be kept (the setting `ledger_bodies`), which
    /// has no credential: that is the provider's, or one that a [`Request::replay`] is given.
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`], with why it is not sent again. As [`send`](Client::send).
    pub fn replay(&self, id: u64, is_wanted: bool) -> Result<Response, Error> {
        self.send(&Request::replay(id, is_wanted))
    }

    /// Goes over all writes that are to be verified, as `policy` says: looks at each, confirms what is
    /// there for good, sends again what is missing for good and may be, leaves the rest, and returns the
    /// numbers. Raises `Settled`. To hear of each write as it goes, send a [`Request::settle`].
    ///
    /// # Errors
    /// As [`send`](Client::send), at the first look that has no answer; what was done until then is on
    /// record.
    pub fn settle(&self, policy: SettlePolicy) -> Result<Settled, Error> {
        let walk = Request::settle(policy);
        loop {
            let response = self.send(&walk)?;
            if let (Some(step), None) = (response.settle_step(), response.ledger_id()) {
                return Ok(step.settled);
            }
        }
    }

    /// Writes acknowledged at `time` or later may be lost, whatever endpoint is active: a failover
    /// behind one URL, whose operator names the time up to which data was kept. They are suspects
    /// from now on, as after a switch, with those in flight once they are acknowledged;
    /// `DataLossSuspected` is raised with the reason `suspect_since`, and `update_guard` holds for
    /// `replication_window`. Sends nothing. Works after [`shutdown`](Client::shutdown).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a time in the future; [`ErrorKind::Forked`].
    pub fn suspect_since(&self, time: SystemTime) -> Result<SuspectedSince, Error> {
        self.inner.check_is_own_process()?;
        self.inner.suspect_since(time)
    }

    /// How many acknowledged writes went from the record before `replication_window` was over and
    /// before they were verified or resolved, because there were more than `ledger_entries`.
    ///
    /// # Errors
    /// [`ErrorKind::Forked`].
    pub fn ledger_evicted(&self) -> Result<u64, Error> {
        self.inner.check_is_own_process()?;
        Ok(self.inner.ledger.evicted())
    }

    /// Records what the application has found out about a suspect, which is none then any more.
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`] for a number that is not on record or not in question;
    /// [`ErrorKind::Forked`].
    pub fn resolve(&self, id: u64, resolution: Resolution) -> Result<(), Error> {
        self.inner.check_is_own_process()?;
        self.inner.ledger.resolve(id, resolution, At::now()).wait()
    }
}
