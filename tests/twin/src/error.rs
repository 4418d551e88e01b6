//! What can go wrong in steering the twin.

use std::io;

use thiserror::Error;

/// Why the twin could not do what it was told.
#[derive(Debug, Error)]
pub enum TwinError {
    /// A setting or an operation that cannot be; the text says what to do.
    #[error("{0}")]
    Invalid(String),
    /// No such organization.
    #[error("the twin has no organization `{0}`: see GET /state")]
    UnknownOrganization(String),
    /// No such proxy.
    #[error("the twin has no proxy `{0}`: see GET /state")]
    UnknownProxy(String),
    /// A condition was not met in time; `seen` is what held at the end.
    #[error("not met in time: {wanted}; seen: {seen}")]
    TimedOut {
        /// The condition.
        wanted: String,
        /// The counts at the end, as JSON.
        seen: String,
    },
    /// The twin is stopping, or has stopped.
    #[error("the twin has stopped")]
    Stopped,
    /// A socket or a file.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Making certificates.
    #[error("certificate of {host}: {source}")]
    Certificate {
        /// For which host.
        host: String,
        /// What the certificate library said.
        source: rcgen::Error,
    },
    /// Setting up TLS.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl TwinError {
    pub(crate) fn invalid(text: impl Into<String>) -> TwinError {
        TwinError::Invalid(text.into())
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> TwinError {
        let what = what.into();
        move |source| TwinError::Io { what, source }
    }
}
