//! From an error of the operating system, TLS or hyper to its cause.

use std::error::Error as StdError;
use std::io;

use dns_lookup::LookupErrorKind;
use rustix::io::Errno;

use crate::{Cause, Fault};

/// A connection could not be established.
pub(super) fn of_connect(address: &str, error: &io::Error) -> Fault {
    let cause = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::HOSTDOWN) => {
            Cause::Unreachable
        }
        Some(Errno::TIMEDOUT) => Cause::ConnectTimeout,
        Some(Errno::CONNREFUSED) => Cause::Refused,
        Some(Errno::CONNRESET | Errno::CONNABORTED) => Cause::Reset,
        // No descriptors, no ports, no memory, not permitted: this machine's doing.
        _ => Cause::LocalFailure,
    };
    Fault::new(cause, format!("connect to {address}: {error}"))
}

/// A name was not resolved.
pub(super) fn of_lookup(host: &str, kind: LookupErrorKind, error: &io::Error) -> Fault {
    let cause = match kind {
        LookupErrorKind::NoName | LookupErrorKind::NoData => Cause::NoSuchName,
        LookupErrorKind::Again | LookupErrorKind::Fail => Cause::NameTryAgain,
        _ => Cause::LocalFailure,
    };
    Fault::new(cause, format!("resolve {host}: {error}"))
}

/// A TLS handshake failed.
pub(super) fn of_handshake(host: &str, error: &io::Error) -> Fault {
    let cause = match of_io(error) {
        Cause::Closed => Cause::ClosedUnsent,
        cause => cause,
    };
    Fault::new(cause, format!("TLS with {host}: {error}"))
}

/// An exchange over a connection failed.
pub(super) fn of_exchange(host: &str, error: &(dyn StdError + 'static)) -> Fault {
    let mut cause = None;
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let line = error.to_string();
        if !text.contains(&line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&line);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            cause = Some(of_io(error));
        } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
            cause = of_hyper(error).or(cause);
        }
        next = error.source();
    }
    Fault::new(
        cause.unwrap_or(Cause::BadMessage),
        format!("exchange with {host}: {text}"),
    )
}

fn of_hyper(error: &hyper::Error) -> Option<Cause> {
    if error.is_parse() {
        Some(Cause::BadMessage)
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(Cause::Closed)
    } else {
        None
    }
}

fn of_io(error: &io::Error) -> Cause {
    if error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
    {
        return Cause::Tls;
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Cause::Reset,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected => Cause::Closed,
        io::ErrorKind::InvalidData => Cause::BadMessage,
        _ => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::TIMEDOUT | Errno::NETUNREACH | Errno::HOSTUNREACH) => Cause::Reset,
            _ => Cause::LocalFailure,
        },
    }
}
