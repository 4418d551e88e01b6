//! What a request has the library do, instead of being sent as it is.

use std::sync::Arc;

use crate::Role;
use crate::walk::Walk;

#[derive(Clone)]
pub(crate) enum Errand {
    /// To ask about this write on record, perhaps by a read of this URL, which the application has named.
    Verify(u64, Option<String>),
    /// To send this write on record again; whether whatever was found of it.
    Replay(u64, bool),
    /// To go on with a walk over the writes to verify.
    Settle(Arc<Walk>),
    /// To read what the organization's WSDL says about failover.
    Discover,
    /// To look at this endpoint.
    Check(Role),
}
