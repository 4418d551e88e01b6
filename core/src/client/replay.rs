//! Sends a write again that is missing.

use std::sync::Arc;

use tokio::time::Instant;

use super::Inner;
use super::call::{Call, Record};
use super::verify::Asking;
use crate::body::Body;
use crate::decide::replay::{Again, Missing, again};
use crate::decide::subject::{Subject, subjects};
use crate::kept::Kept;
use crate::operation::{Guard, classify};
use crate::resource::ledger::{Question, SENT_AGAIN};
use crate::rewrite::again::{as_it_is, create, matching};
use crate::verify_keys::VerifyKeys;
use crate::{Error, ErrorKind, Operation, Request, Response};

impl Inner {
    /// Sends the write `id` again, as `request` says. `is_wanted`: whatever was found of it.
    pub(super) async fn replay(
        self: &Arc<Self>,
        id: u64,
        is_wanted: bool,
        asking: &Asking<'_>,
    ) -> Result<Response, Error> {
        let asked = self.ledger.question(id, SENT_AGAIN).get(asking.desk).await;
        let question = asked.map_err(|error| error.of_unbegun(asking.request))?;
        let refused = |why: &str| {
            let message = format!("the write {id} is not sent again: {why}");
            Error::new(ErrorKind::NotAvailable, message)
        };
        let request = self
            .again(&question, is_wanted, asking.request)
            .map_err(refused)?;
        let target = self.organization.locate(&request.url)?;
        let record = Record::Again(id);
        let began = Instant::now();
        let mut call = Call::new(
            self,
            &request,
            target,
            asking.desk,
            asking.flight,
            began,
            record,
        )?;
        call.run(asking.cancel).await
    }

    /// The request that sends a write again.
    ///
    /// # Errors
    /// Why there is none.
    fn again(
        &self,
        question: &Question,
        is_wanted: bool,
        request: &Request,
    ) -> Result<Request, &'static str> {
        let kept = question.kept.as_deref();
        let kept = kept.ok_or("its request is not kept: the setting ledger_bodies")?;
        let subject = Subject::of(&question.proof, Some(kept), &self.settings.verify_keys);
        let (is_declared_unsafe, is_compound, creates_only) =
            nature(kept, question, &self.settings.verify_keys)?;
        let missing = Missing {
            entry: &question.entry,
            subject: &subject,
            is_compound,
            is_declared_unsafe,
            is_upsert: kept.is_upsert,
            creates_only,
        };
        let again = again(&missing, is_wanted)?;
        let row = subject.as_ref().ok().and_then(Subject::row);
        let made = match (&again, row) {
            (Again::Create(row), _) => create(kept, row),
            (Again::Match(version), Some(row)) => matching(kept, row, version),
            (Again::AsItIs | Again::Match(_), _) => as_it_is(kept),
        };
        let made = match made {
            Err(_) if is_wanted => as_it_is(kept)?,
            made => made?,
        };
        let mut headers = made.headers;
        for (name, value) in &request.headers {
            headers.insert(name.clone(), value.clone());
        }
        Ok(Request {
            method: made.method,
            url: made.url,
            headers,
            body: Body::Bytes(made.body),
            content_length: None,
            is_streaming: false,
            operation: is_declared_unsafe.then_some(Operation::Unsafe),
            is_upsert: kept.is_upsert,
            tag: question.entry.tag.as_deref().map(Into::into),
            errand: None,
            ..request.clone()
        })
    }
}

/// What a kept request is by itself: whether the application has called it unsafe beyond that, whether
/// it holds several, and whether it creates its row and nothing else.
fn nature(
    kept: &Kept,
    question: &Question,
    keys: &VerifyKeys,
) -> Result<(bool, bool, bool), &'static str> {
    let request = as_it_is(kept)?;
    let class = classify(
        &request.method,
        &request.url,
        &request.headers,
        Some(&request.body),
    );
    let is_declared_unsafe =
        question.entry.operation == Operation::Unsafe && class.operation != Operation::Unsafe;
    let creates_only = match class.is_compound {
        true => subjects(Some(kept), keys)?
            .iter()
            .all(|part| part.creates_only),
        false => matches!(class.guard, Some(Guard::Created(_))),
    };
    Ok((is_declared_unsafe, class.is_compound, creates_only))
}
