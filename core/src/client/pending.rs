//! A call that can be cancelled from elsewhere.

use std::sync::Arc;

use crate::resource::cancel::Cancel;
use crate::{Error, ErrorKind};

/// A call that can be cancelled from elsewhere: one that was submitted, or one that a thread waits for
/// in [`Client::send_cancellable`](crate::Client::send_cancellable).
#[derive(Clone)]
pub struct Pending(Arc<Cancel>);

impl Default for Pending {
    fn default() -> Pending {
        Pending::new()
    }
}

impl Pending {
    /// For one call that is to be sent.
    #[must_use]
    pub fn new() -> Pending {
        Pending(Arc::default())
    }

    /// Of a call that was submitted.
    pub(super) fn of(cancel: Arc<Cancel>) -> Pending {
        let pending = Pending(cancel);
        pending.0.is_taken();
        pending
    }

    /// From here on it is a call's.
    pub(super) fn take(&self) -> Result<&Cancel, Error> {
        if self.0.is_taken() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "what a call is cancelled by is for one call; make another one for this call",
            ));
        }
        Ok(&self.0)
    }

    /// Cancels the call, if it has not ended; one that has not begun is not sent. A submitted call's
    /// completion comes in either case.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// The number of its write in the client's ledger, from before it is sent. `None` of a read,
    /// and until it is on record.
    #[must_use]
    pub fn ledger_id(&self) -> Option<u64> {
        self.0.write.get().copied()
    }
}
