//! The request: built by setters, then sent as often as wanted.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use d365_failover_core as core;

use crate::argument::{Owned, UserData, bytes, copied, out, text};
use crate::error::d365_error_t;
use crate::fields::above_zero;
use crate::fork;
use crate::guard::{Failure, guard, guard_with};
use crate::handle::{self, Noun, Tag};
use crate::status::{
    D365_OPERATION_AUTO, D365_OPERATION_GUARDED, D365_OPERATION_IDEMPOTENT, D365_OPERATION_READ,
    D365_OPERATION_UNSAFE, d365_status_t,
};

/// One request of the application. It can be sent many times, also by several threads and clients
/// at once, unless its body is read while it is sent; a change does not touch a call that is under
/// way.
pub struct d365_request_t {
    _opaque: (),
}

/// Asked during d365_client_send() whether to go on: 0 goes on, anything else cancels the call; and
/// during d365_response_read_checked(), where it ends the read.
pub type d365_check_fn = Option<unsafe extern "C" fn(user_data: *mut c_void) -> i32>;

/// A check with what it is asked with.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    function: unsafe extern "C" fn(*mut c_void) -> i32,
    user_data: UserData,
}

impl Check {
    pub(crate) fn new(check: d365_check_fn, user_data: *mut c_void) -> Option<Check> {
        check.map(|function| Check {
            function,
            user_data: UserData::new(user_data),
        })
    }

    pub(crate) fn cancels(self) -> bool {
        // SAFETY: the application gave this function and this pointer for each other, for the
        // thread that sends, or reads.
        let cancels = unsafe { (self.function)(self.user_data.pointer()) != 0 };
        fork::note_if_child();
        cancels
    }
}

struct Built {
    /// Shared with the calls under way; a change copies it then.
    request: Arc<core::Request>,
    /// Of the body, if it has one.
    user_data: Option<Arc<Owned>>,
    check: Option<Check>,
}

pub(crate) struct RequestObject(Mutex<Built>);

impl RequestObject {
    pub(crate) fn new(request: core::Request) -> RequestObject {
        RequestObject(Mutex::new(Built {
            request: Arc::new(request),
            user_data: None,
            check: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Built> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request as it is now, and its check.
    pub(crate) fn snapshot(&self) -> (Arc<core::Request>, Option<Check>) {
        let inner = self.lock();
        (Arc::clone(&inner.request), inner.check)
    }

    fn change<T>(&self, change: impl FnOnce(&mut core::Request) -> T) -> T {
        change(Arc::make_mut(&mut self.lock().request))
    }

    /// Changes the body, to one that has this pointer of the application's, if any.
    pub(crate) fn set_body(
        &self,
        user_data: Option<Arc<Owned>>,
        change: impl FnOnce(&mut core::Request),
    ) {
        let before = {
            let mut inner = self.lock();
            change(Arc::make_mut(&mut inner.request));
            std::mem::replace(&mut inner.user_data, user_data)
        };
        // Without the lock: its `destroy` may use this request.
        drop(before);
    }
}

impl Noun for d365_request_t {
    type Object = RequestObject;
    const TAG: Tag = Tag::Request;
    const NAME: &'static str = "d365_request_t";
}

/// Makes a request. `method` is an HTTP method, `GET`; a standard one is sent in upper case. `url` is
/// absolute, on either endpoint of the organization, or goes on from its base URL,
/// `/api/data/v9.2/accounts`; without a slash at its beginning it goes on from the URL that the client
/// was opened with. Either way the call goes to the endpoint that is active then.
///
/// The URL is sent as it is given. What no URL holds (space, backslash, letters beyond ASCII) is
/// percent-encoded, and what is encoded stays. d365_client_send() refuses a `#`, which belongs in a
/// value as `%23`, and `/../` in a key, whose slashes are `%2F`.
///
/// `request` is the caller's, freed by d365_request_free().
///
/// Errors: D365_INVALID_ARGUMENT for what is no method; D365_INVALID_URL; D365_NULL_POINTER,
/// D365_INVALID_UTF8. A URL of another origin that is not in the setting `allowed_hosts` is refused
/// by d365_client_send().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_new(
    method: *const c_char,
    method_len: usize,
    url: *const c_char,
    url_len: usize,
    request: *mut *mut d365_request_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        // SAFETY: texts of the caller's that are valid during the call.
        let (method, url) = unsafe {
            (
                text(method, method_len, "method")?,
                text(url, url_len, "url")?,
            )
        };
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(request, "request") }?;
        let request = RequestObject::new(core::Request::new(method, url)?);
        place.set(handle::insert(request)?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Adds a header; the same name may be added again, and then is sent twice. `Content-Length` is the
/// library's: one that agrees with the body is no error, and it tells the length of a body whose
/// reader was set without one.
///
/// Headers whose names begin with `D365-Failover-` speak to the library, for code that has no other
/// way to say it, and are not sent: `Operation` (`read`, `idempotent`, `guarded`, `unsafe`), `Tag`,
/// `Guarded-Create` and `Upsert` (`on`, `off`), each as its setter.
///
/// Errors: D365_INVALID_ARGUMENT for a name or value that HTTP does not allow, for headers that the
/// library sets itself (`Host`, `Transfer-Encoding`, ...), for others that begin so, and for more
/// than 16384; D365_NULL_POINTER,
/// D365_INVALID_UTF8, and what can be wrong with a handle. A `Content-Length` that does not agree
/// with the body is D365_INVALID_ARGUMENT when the request is sent.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_add_header(
    request: *mut d365_request_t,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        // SAFETY: texts of the caller's that are valid during the call.
        let (name, value) = unsafe {
            (
                text(name, name_len, "name")?,
                text(value, value_len, "value")?,
            )
        };
        request
            .change(|request| request.add_header(name, value))
            .map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Sets the body: `len` bytes at `data`, copied, sent again with each attempt. `(NULL, 0)` is an
/// empty body.
///
/// Errors: D365_NO_RESOURCES without memory for it; D365_NULL_POINTER, and what can be wrong with a
/// handle. See also d365_request_set_body_reader().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_body(
    request: *mut d365_request_t,
    data: *const u8,
    len: usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        // SAFETY: bytes of the caller's that are valid during the call.
        let data = copied(unsafe { bytes(data, len, "data") }?)?;
        request.set_body(None, |request| request.set_body(data));
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Says how the body of the answer is had. 0, the default: it is collected before the call ends, and
/// d365_response_body() gives it. Other: the call ends when status and headers of the answer are
/// there, and the body is read by d365_response_read() or d365_response_submit_read(). Of an answer
/// with a status from 400 on, its first bytes are read before the call ends, as many as the setting
/// `error_prefix` says and for at most 2 seconds, to tell what it means; d365_response_read() gives
/// them all the same. The call's deadline ends with the call.
///
/// Errors: what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_streaming(
    request: *mut d365_request_t,
    streaming: i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        request.change(|request| request.set_streaming(streaming != 0));
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Sets the call's deadline in milliseconds, 1 to 86400000: the time for all its attempts and
/// pauses together, from when it is sent or submitted. Without it the setting `deadline_ms` holds.
/// With the preset `dotnet` a deadline that is over while the endpoint is waited for counts as its
/// timeout: the endpoint is left, and the call is not sent again.
///
/// Errors: D365_INVALID_ARGUMENT, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_timeout_ms(
    request: *mut d365_request_t,
    ms: i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    // SAFETY: NULL or the caller's variable.
    unsafe { set_time(request, ms, core::Request::set_timeout, error) }
}

/// Sets in milliseconds, 1 to 86400000, how long the call waits for a connection in one attempt: for
/// the name, all addresses, the proxy, TLS, and for a connection that other calls wait for as well,
/// which goes on without it. Without it each address has the setting `connect_timeout_ms`. A
/// connection that is there already is used whatever this says; deadline and attempt timeout hold
/// besides. What it ends has the cause D365_CAUSE_CONNECT_TIMEOUT, nothing was sent, and the endpoint
/// is not left without being probed (with the preset `dotnet` it is).
///
/// Errors: D365_INVALID_ARGUMENT, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_connect_timeout_ms(
    request: *mut d365_request_t,
    ms: i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    // SAFETY: NULL or the caller's variable.
    unsafe { set_time(request, ms, core::Request::set_connect_timeout, error) }
}

/// Sets in milliseconds, 1 to 86400000, how long one attempt of the call may take, whole; with
/// d365_request_set_streaming(), until the call ends, and then for each read of the body. Without it
/// the setting `attempt_timeout_ms` holds. The deadline holds besides.
///
/// Errors: D365_INVALID_ARGUMENT, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_attempt_timeout_ms(
    request: *mut d365_request_t,
    ms: i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    // SAFETY: NULL or the caller's variable.
    unsafe { set_time(request, ms, core::Request::set_attempt_timeout, error) }
}

/// Sets in milliseconds, 1 to 86400000, how long one attempt of the call may stand still once it has
/// its connection: no byte of the request leaves and none of the answer comes; with
/// d365_request_set_streaming() also how long each read of the body waits. What most other clients
/// call so. A connection of HTTP/2 moves with whatever comes on it. What it ends has the cause
/// D365_CAUSE_ATTEMPT_TIMEOUT. Without it only the attempt's time holds, which does so besides.
///
/// Errors: D365_INVALID_ARGUMENT, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_read_timeout_ms(
    request: *mut d365_request_t,
    ms: i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    // SAFETY: NULL or the caller's variable.
    unsafe { set_time(request, ms, core::Request::set_read_timeout, error) }
}

/// # Safety
/// `error` is NULL or the caller's variable.
unsafe fn set_time(
    request: *mut d365_request_t,
    ms: i64,
    set: fn(&mut core::Request, Duration) -> Result<(), core::Error>,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        let time = above_zero(ms)?;
        request
            .change(|request| set(request, time))
            .map_err(Failure::from)
    };
    // SAFETY: the caller's.
    unsafe { guard_with(error, body) }
}

/// Says what a repeat of this request does (D365_OPERATION_...). With D365_OPERATION_AUTO, the
/// default, the library tells by method and headers.
///
/// Errors: D365_INVALID_ARGUMENT for another number, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_operation(
    request: *mut d365_request_t,
    operation: i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        let operation = operation_of(operation)?;
        request.change(|request| request.set_operation(operation));
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

pub(crate) fn operation_of(operation: i32) -> Result<Option<core::Operation>, Failure> {
    Ok(match operation {
        D365_OPERATION_AUTO => None,
        D365_OPERATION_READ => Some(core::Operation::Read),
        D365_OPERATION_IDEMPOTENT => Some(core::Operation::Idempotent),
        D365_OPERATION_GUARDED => Some(core::Operation::Guarded),
        D365_OPERATION_UNSAFE => Some(core::Operation::Unsafe),
        _ => return Err(Failure::argument(format!("operation: {operation} is none"))),
    })
}

/// Asks for a create that can be repeated. Other than 0: the create is sent with an id that the
/// library chooses, so that a repeat of it is detected (D365_OPERATION_GUARDED): a `POST` of one row
/// to an entity set of the Web API goes out as `PATCH` of the row with `If-None-Match: *`, a SOAP
/// `Create` of an entity without an id gets one. 0, the default: as it is.
///
/// Errors: what can be wrong with a handle. Whether the request is such a create is only known when
/// it is sent: d365_client_send() and the completion of d365_client_submit() give
/// D365_INVALID_ARGUMENT where it is not.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_guarded_create(
    request: *mut d365_request_t,
    is_guarded: i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        request.change(|request| request.set_guarded_create(is_guarded != 0));
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Declares with other than 0 that a `PATCH` without condition may create its row. 0, the default:
/// it updates, and within `replication_window_ms` after a switch the setting `update_guard` adds
/// `If-Match: *`, because the row may not have arrived at the new endpoint yet.
///
/// Errors: what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_upsert(
    request: *mut d365_request_t,
    is_upsert: i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        request.change(|request| request.set_upsert(is_upsert != 0));
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Names the request by a text of the application's, by which it can tell its write again: the tag
/// stands in the ledger (D365_LEDGER_TAG), in events (D365_ITEM_TAG) and in errors
/// (d365_error_tag()), and leaves the process nowhere. At most 256 characters, none of them a control
/// character. Of length 0, the default: none.
///
/// Errors: D365_INVALID_ARGUMENT, D365_INVALID_UTF8, D365_NULL_POINTER, and what can be wrong with a
/// handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_tag(
    request: *mut d365_request_t,
    tag: *const c_char,
    tag_len: usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        // SAFETY: a text of the caller's that is valid during the call.
        let tag = unsafe { text(tag, tag_len, "tag") }?;
        request
            .change(|request| request.set_tag(tag))
            .map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Sets a function that d365_client_send() asks about every 20 ms, on the thread that called it,
/// whether to go on: for interpreters that have signals to look at. When it answers other than 0,
/// the call ends with D365_CANCELLED, or D365_WRITE_IN_DOUBT. NULL takes it away.
/// d365_client_submit() does not use it. Where another thread is to end the call, that is
/// d365_client_send_cancellable(), which asks nobody.
/// `user_data` must live as long as calls with this request.
///
/// Errors: what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_check(
    request: *mut d365_request_t,
    check: d365_check_fn,
    user_data: *mut c_void,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        request.lock().check = Check::new(check, user_data);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Frees a request. Calls under way with it go on. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_request_free(request: *mut d365_request_t) -> d365_status_t {
    guard(|| handle::remove(request).map(drop))
}
