//! From an error of the operating system, TLS or hyper to its cause.

use std::error::Error as StdError;
use std::io;

use dns_lookup::LookupErrorKind;

use super::head::HeadError;
use super::send_body::BodyError;
use super::tls::told;
use crate::resource::sys;
use crate::{Cause, Fault, ResolveError};

/// A connection could not be established.
pub(super) fn of_connect(address: &str, error: &io::Error) -> Fault {
    let cause = match sys::kind(error) {
        _ if sys::is_unreachable(error) => Cause::Unreachable,
        Some(io::ErrorKind::TimedOut) => Cause::ConnectTimeout,
        Some(io::ErrorKind::ConnectionRefused) => Cause::Refused,
        // The last one: the peer has taken the connection, ended it, and reset it.
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe,
        ) => Cause::Reset,
        _ if sys::is_exhausted(error) => Cause::NoResources,
        // No ports, not permitted: this machine's doing.
        _ => Cause::LocalFailure,
    };
    Fault::new(cause, format!("connect to {address}: {error}"))
}

/// None of a name's addresses could be connected to. What counts is what says most of the endpoint,
/// unless this machine has lacked something: then the addresses say nothing.
pub(super) fn of_addresses(mut failures: Vec<Fault>) -> Option<Fault> {
    const MOST_TOLD: usize = 6;
    let weight = |fault: &Fault| match fault.cause {
        Cause::NoResources => 0,
        Cause::Refused => 1,
        Cause::ConnectTimeout => 2,
        Cause::Reset => 3,
        Cause::Unreachable => 4,
        _ => 5,
    };
    let index = (0..failures.len()).min_by_key(|index| weight(&failures[*index]))?;
    let mut told: Vec<String> = failures
        .iter()
        .take(MOST_TOLD)
        .map(|fault| fault.message.clone())
        .collect();
    if failures.len() > MOST_TOLD {
        told.push(format!("and {} more", failures.len() - MOST_TOLD));
    }
    let fault = failures.swap_remove(index);
    Some(Fault {
        message: told.join("; "),
        ..fault
    })
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

/// A name was not resolved, says who was asked instead of the system.
pub(super) fn of_resolver(host: &str, error: &ResolveError) -> Fault {
    let (cause, why) = match error {
        ResolveError::NoSuchName => (Cause::NoSuchName, "there is no such name"),
        ResolveError::TryAgain => (Cause::NameTryAgain, "nobody could say now"),
        ResolveError::Failed(why) => (Cause::LocalFailure, why.as_str()),
    };
    Fault::new(cause, format!("resolve {host}: {why}"))
}

/// A TLS handshake failed.
pub(super) fn of_handshake(host: &str, error: &io::Error) -> Fault {
    let cause = match of_io(error) {
        Cause::Closed => Cause::ClosedUnsent,
        cause => cause,
    };
    let why = told(error).unwrap_or_else(|| said(error));
    Fault::new(cause, format!("TLS with {host}: {why}"))
}

/// An exchange over a connection failed.
pub(super) fn of_exchange(host: &str, error: &(dyn StdError + 'static)) -> Fault {
    let mut cause = None;
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<BodyError>() {
            cause = Some(Cause::LocalFailure);
        } else if let Some(error) = error.downcast_ref::<HeadError>() {
            cause = Some(of_head(error));
        } else if let Some(error) = error.downcast_ref::<io::Error>() {
            cause = Some(of_io(error));
        } else if let Some(error) = error.downcast_ref::<h2::Error>() {
            cause = of_h2(error).or(cause);
        } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
            cause = of_hyper(error).or(cause);
        }
        next = error.source();
    }
    Fault::new(
        cause.unwrap_or(Cause::BadMessage),
        format!("exchange with {host}: {}", text(error)),
    )
}

/// What an error says, and those that it comes from.
pub(super) fn text(error: &(dyn StdError + 'static)) -> String {
    if let Some(told) = told(error) {
        return told;
    }
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let line = said(error);
        if !text.contains(&line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&line);
        }
        next = error.source();
    }
    text
}

/// Without the page of its own manual that rustls sends its users to.
fn said(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.find(": https://docs.rs/") {
        text.truncate(at);
    }
    text
}

/// Whether what came is no HTTP/2: what begins with letters is no frame, because it would be too large.
pub(super) fn is_no_http2(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        error.is_library() && error.reason() == Some(h2::Reason::FRAME_SIZE_ERROR)
    })
}

/// Whether the peer has said that it takes no further stream on the connection, or has just
/// refused one: the next one has better chances on another connection.
pub(super) fn is_goodbye(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| of_h2(error) == Some(Cause::Unprocessed))
}

/// Whether the peer wants to be asked over HTTP/1.1, and has not processed the request (RFC 9113, 7).
pub(super) fn wants_http1(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        error.is_remote() && error.reason() == Some(h2::Reason::HTTP_1_1_REQUIRED)
    })
}

/// Whether an exchange failed because its connection has ended, and not its stream alone.
pub(super) fn ends_connection(error: &hyper::Error) -> bool {
    h2_error(error).is_none_or(|error| error.is_io())
}

/// Whether it was the connection that failed, and not what came on it.
pub(super) fn is_io(error: &hyper::Error) -> bool {
    error.source().is_some_and(|error| error.is::<io::Error>())
}

fn h2_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a h2::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        next = error.source();
    }
    None
}

/// RFC 9113, 8.7: what the peer refuses, and what is above the last stream of its GOAWAY, with
/// whatever code, it has not processed. A stream that a GOAWAY covers ends otherwise: with its
/// answer, or with the connection.
fn of_h2(error: &h2::Error) -> Option<Cause> {
    if let Some(error) = error.get_io() {
        return Some(of_io(error));
    }
    if !error.is_remote() {
        // What this side found wrong with what came.
        return Some(Cause::Malformed);
    }
    let is_refused = [h2::Reason::REFUSED_STREAM, h2::Reason::HTTP_1_1_REQUIRED];
    if error.is_go_away()
        || error
            .reason()
            .is_some_and(|reason| is_refused.contains(&reason))
    {
        return Some(Cause::Unprocessed);
    }
    Some(Cause::Reset)
}

fn of_hyper(error: &hyper::Error) -> Option<Cause> {
    if error.is_parse_too_large() {
        Some(Cause::BadMessage)
    } else if error.is_parse() {
        Some(Cause::Malformed)
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(Cause::Closed)
    } else {
        None
    }
}

fn of_head(error: &HeadError) -> Cause {
    match error {
        HeadError::TooLarge(_) => Cause::BadMessage,
        // What came was not for this request: its connection is of no use.
        HeadError::Unasked | HeadError::Early => Cause::Closed,
        _ => Cause::Malformed,
    }
}

fn of_io(error: &io::Error) -> Cause {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(_)) => return Cause::TlsAlert,
        Some(_) => return Cause::Tls,
        None => {}
    }
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<HeadError>()) {
        return of_head(error);
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Cause::Reset,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected => Cause::Closed,
        // What hyper says of a chunk that is none. The system has numbers for its own.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            if error.raw_os_error().is_none() =>
        {
            Cause::Malformed
        }
        _ if sys::is_cut(error) => Cause::Reset,
        _ if sys::is_exhausted(error) => Cause::NoResources,
        _ => Cause::LocalFailure,
    }
}
