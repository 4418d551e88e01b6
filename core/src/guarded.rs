//! A request as it is sent: in the place of one that asks for it, its guarded create.

use std::borrow::Cow;

use uuid::Uuid;

use crate::body::Body;
use crate::operation::{Class, Row};
use crate::rewrite::guarded_create::guarded_create;
use crate::{Error, ErrorKind, Operation, Request};

impl Request {
    /// As it is sent, and what a repeat of that does.
    ///
    /// # Errors
    /// It cannot be made a guarded create; what is sent for it is for the library to choose.
    pub(crate) fn as_sent(&self) -> Result<(Cow<'_, Request>, Class), Error> {
        if self.errand.is_some() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the request has no method and no URL of its own: what is sent for it is known when it is sent",
            ));
        }
        Ok(if self.is_guarded_create {
            let (guarded, class, _) = self.guarded()?;
            (Cow::Owned(guarded), class)
        } else {
            (Cow::Borrowed(self), self.class())
        })
    }

    /// The request in whose place a guarded create is sent, and whether its id is one of ours.
    pub(crate) fn guarded(&self) -> Result<(Request, Class, bool), Error> {
        let body = self.body.bytes().cloned().unwrap_or_default();
        let id = Uuid::new_v4();
        let created = guarded_create(&self.method, &self.url, &self.headers, &body, id)
            .map_err(|why| Error::new(ErrorKind::InvalidArgument, why))?;
        let guarded = Request {
            method: created.request.method,
            url: created.request.url,
            headers: created.request.headers,
            body: match &self.body {
                Body::Bytes(_) => Body::Bytes(created.request.body),
                Body::Reader(_) => self.body.clone(),
            },
            ..self.clone()
        };
        let is_ours = match created.guard.row() {
            Row::Url(_) => true,
            Row::Soap { id: sent, .. } => *sent == id,
        };
        let class = Class {
            operation: Operation::Guarded,
            is_compound: false,
            guard: Some(created.guard),
            deletes: None,
            creates_in: None,
        };
        Ok((guarded, class, is_ours))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::Value;

    use super::*;
    use crate::{Cause, Phase, Preset, SettlePolicy, explain_fault};

    fn explained(request: &Request) -> Result<Value, ErrorKind> {
        let (now, cause) = (Instant::now(), Cause::Reset);
        explain_fault(request, Preset::Safe, now, cause, Phase::Sent)
            .map(|told| serde_json::from_str(&told).unwrap())
            .map_err(|error| error.kind())
    }

    #[test]
    fn what_is_explained_is_what_is_sent() {
        for (method, url, operation) in [
            ("POST", "/api/data/v9.2/accounts", Ok("guarded")),
            (
                "GET",
                "/api/data/v9.2/accounts",
                Err(ErrorKind::InvalidArgument),
            ),
            (
                "POST",
                "/api/data/v9.2/WhoAmI()",
                Err(ErrorKind::InvalidArgument),
            ),
        ] {
            let mut request = Request::new(method, url).unwrap();
            request.set_guarded_create(true);
            let told = explained(&request);
            assert_eq!(
                told.as_ref()
                    .map(|told| told["operation"].as_str().unwrap()),
                operation.as_ref().copied(),
                "{method} {url}"
            );
            if let Ok(told) = told {
                assert!(told["next"]["switched"].is_object(), "{told}");
            }
        }
        for request in [
            Request::discover(),
            Request::replay(1, true),
            Request::settle(SettlePolicy::default()),
        ] {
            assert_eq!(explained(&request), Err(ErrorKind::InvalidArgument));
        }
    }
}
