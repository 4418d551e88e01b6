//! What a request does when it is sent twice.

use http::Method;

/// The class of a request, by what a repeat of it would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Changes nothing.
    Read = 1,
    /// A repeat has the same effect as the first.
    Idempotent = 2,
    /// A repeat is detected by the service (`If-Match`, `If-None-Match`, a chosen id).
    Guarded = 3,
    /// A repeat is done twice.
    Unsafe = 4,
}

impl Operation {
    /// The class that the method alone tells: `GET`, `HEAD` and `OPTIONS` read, everything else
    /// may write. SOAP reads travel by `POST` and count as writes unless the application says
    /// otherwise.
    #[must_use]
    pub fn of_method(method: &Method) -> Operation {
        if method.is_safe() {
            Operation::Read
        } else {
            Operation::Unsafe
        }
    }

    /// `read`, `idempotent`, `guarded` or `unsafe`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::Read => "read",
            Operation::Idempotent => "idempotent",
            Operation::Guarded => "guarded",
            Operation::Unsafe => "unsafe",
        }
    }
}
