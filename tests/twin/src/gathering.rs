//! A request's body while it comes: kept, or digested where it is bulk.

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Uri};

use crate::bulk::{Digesting, is_upload};

pub(crate) enum Gathering {
    Kept(Vec<u8>),
    Digested(Box<Digesting>),
}

impl Gathering {
    pub(crate) fn of(uri: &Uri) -> Gathering {
        match is_upload(uri) {
            true => Gathering::Digested(Box::new(Digesting::new())),
            false => Gathering::Kept(Vec::new()),
        }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        match self {
            Gathering::Kept(kept) => kept.extend(bytes),
            Gathering::Digested(digesting) => digesting.update(bytes),
        }
    }

    /// The request, with an empty body and its digest where it was not kept.
    pub(crate) fn request(self, head: Parts) -> Request<Bytes> {
        match self {
            Gathering::Kept(kept) => Request::from_parts(head, kept.into()),
            Gathering::Digested(digesting) => {
                let mut request = Request::from_parts(head, Bytes::new());
                request.extensions_mut().insert(digesting.finish());
                request
            }
        }
    }
}
