//! What a call or a function of the library failed with.

use std::fmt;
use std::sync::Arc;

use crate::{Attempt, Effect, Fault, FaultKind, Response};

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is outside of what the function takes.
    InvalidArgument,
    /// A URL cannot be used; the message says why and what to do.
    InvalidUrl,
    /// There is no setting of that name.
    UnknownSetting,
    /// The setting's value is not one that it takes.
    InvalidSetting,
    /// The object has no such thing.
    NotAvailable,
    /// The client or the queue is closed.
    Closed,
    /// A blocking call from the handler of a decision that this very call might wait for.
    WouldDeadlock,
    /// The client was made by the parent of this process.
    Forked,
    /// The organization has no alternate, says its FailoverPolicy; or, of a switch by hand, that was
    /// not read yet.
    NoAlternate,
    /// The operator keeps calls where they are; the message says by what, and how it is lifted.
    Overridden,
    /// The queue has nothing, and nothing came in time.
    Empty,
    /// Something is still running. Of a call: an outage is waited out by `max_waiting` calls already;
    /// nothing of it was sent.
    Busy,
    /// The decision was already taken.
    Late,
    /// There is no certificate store on this machine, and no `ca_bundle`.
    NoCaStore,
    /// The client has no queue.
    NoQueue,
    /// This machine has no thread, no descriptor, no memory for it; the message says which. Of a call
    /// that lacked something under way: [`Call`](ErrorKind::Call) with `local`, and
    /// [`Cause::NoResources`](crate::Cause::NoResources).
    NoResources,
    /// A defect of the library.
    Internal,
    /// A call ended without a response that can be used.
    Call(FaultKind),
}

/// What a call or a function failed with. Cheap to clone.
#[derive(Clone)]
pub struct Error(Arc<ErrorData>);

struct ErrorData {
    kind: ErrorKind,
    message: String,
    fault: Option<Fault>,
    ending: Option<Ending>,
}

/// How a call ended that has no usable response.
#[derive(Clone, Default)]
pub(crate) struct Ending {
    pub(crate) effect: Effect,
    pub(crate) switched: bool,
    pub(crate) attempts: Vec<Attempt>,
    /// The write on record.
    pub(crate) ledger_id: Option<u64>,
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) response: Option<Response>,
}

impl Ending {
    /// Of a call that had this response.
    fn of(response: &Response) -> Ending {
        Ending {
            effect: response.effect(),
            switched: response.switched(),
            attempts: response.attempts().to_vec(),
            ledger_id: response.ledger_id(),
            tag: response.tag().map(Arc::from),
            response: Some(response.clone()),
        }
    }
}

impl Error {
    /// An error that is no call's end.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::made(kind, message.into(), None, None)
    }

    fn made(
        kind: ErrorKind,
        message: String,
        fault: Option<Fault>,
        ending: Option<Ending>,
    ) -> Error {
        Error(Arc::new(ErrorData {
            kind,
            message,
            fault,
            ending,
        }))
    }

    pub(crate) fn of_call(message: String, fault: Fault, ending: Ending) -> Error {
        Error::made(
            ErrorKind::Call(fault.kind),
            message,
            Some(fault),
            Some(ending),
        )
    }

    /// The end of a call that was turned away before anything of it was sent.
    pub(crate) fn turned_away(message: String, fault: Fault, ending: Ending) -> Error {
        Error::made(ErrorKind::Busy, message, Some(fault), Some(ending))
    }

    /// Whether it says what is known of a call.
    pub(crate) fn is_of_a_call(&self) -> bool {
        self.0.ending.is_some()
    }

    /// The same with what is known of the call besides.
    pub(crate) fn knowing(&self, ending: Ending) -> Error {
        let data = &self.0;
        Error::made(
            data.kind,
            data.message.clone(),
            data.fault.clone(),
            Some(ending),
        )
    }

    /// The same of a call that goes on in another process, which is told its end.
    pub(crate) fn of_another(self) -> Error {
        self.knowing(Ending::default())
    }

    /// The same where the call had this response, which could not be handed out.
    #[must_use]
    pub fn after(self, response: &Response) -> Error {
        self.knowing(Ending::of(response))
    }

    /// The same where reading this response's body has failed so. What keeps a read from being begun says
    /// nothing of a write whose answer was not read to its end: the next read may.
    #[must_use]
    pub fn of_read(self, response: &Response) -> Error {
        let is_told = response.effect() != Effect::Unknown || self.kind() == ErrorKind::Internal;
        if self.is_of_a_call() || !is_told {
            return self;
        }
        self.knowing(Ending {
            response: None,
            ..Ending::of(response)
        })
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened, where, and what to do next, for a person.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fault of the last attempt. `None` for errors that are no call's end.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.0.fault.as_ref()
    }

    /// What is known of the write: [`Effect::NotExecuted`] also where its call was not begun,
    /// [`Effect::Unknown`] also after a defect of the library. [`Effect::None`] for a read and for
    /// errors of no call.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.0
            .ending
            .as_ref()
            .map_or(Effect::None, |ending| ending.effect)
    }

    /// Whether the call's attempts went to more than one endpoint, or the endpoint was switched
    /// for it.
    #[must_use]
    pub fn switched(&self) -> bool {
        self.0.ending.as_ref().is_some_and(|ending| ending.switched)
    }

    /// The number of the write in the client's ledger. `None` for a read, and for errors that are
    /// no call's end.
    #[must_use]
    pub fn ledger_id(&self) -> Option<u64> {
        self.0.ending.as_ref()?.ledger_id
    }

    /// The request's tag. `None`: it had none, or the error is of no call.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.0.ending.as_ref()?.tag.as_deref()
    }

    /// The attempts, in order.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        self.0
            .ending
            .as_ref()
            .map_or(&[], |ending| ending.attempts.as_slice())
    }

    /// The answer that was judged to be no answer of the service, if there was one.
    #[must_use]
    pub fn response(&self) -> Option<&Response> {
        self.0.ending.as_ref()?.response.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("effect", &self.effect())
            .field("attempts", &self.attempts())
            .finish()
    }
}

impl std::error::Error for Error {}
