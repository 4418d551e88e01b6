//! An attempt before it is sent, in the hands of the application's prepare function.

use std::ffi::{c_char, c_void};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use d365_failover_core as core;

use crate::argument::{Owned, bytes, copied, out, text};
use crate::d365_destroy_fn;
use crate::error::d365_error_t;
use crate::guard::{Failure, catch, guard, guard_with};
use crate::handle::{self, Noun, Tag};
use crate::status::{D365_INVALID_HANDLE, d365_status_t, role};
use crate::text::{Text, d365_str_t};

/// Number field of an outgoing attempt: the endpoint it goes to (D365_ROLE_...), 0 for a host of
/// the setting `allowed_hosts`.
pub const D365_OUTGOING_ROLE: i32 = 1;
/// Number field of an outgoing attempt: the epoch (count of switches) it is made in.
pub const D365_OUTGOING_EPOCH: i32 = 2;
/// Number field of an outgoing attempt: which attempt of its call it is, from 1 on.
pub const D365_OUTGOING_ATTEMPT: i32 = 3;

/// An attempt that was not sent yet. The library's: the handle is valid until the function that it
/// was given to returns, on every thread, and is not freed. Its views are valid as long, also when
/// what they show is changed.
pub struct d365_outgoing_t {
    _opaque: (),
}

/// The application's prepare function: looks at an attempt and changes it. 0: it is sent. Other:
/// the call ends with D365_LOCAL. See d365_settings_set_prepare().
pub type d365_prepare_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, outgoing: *mut d365_outgoing_t) -> i32>;

type PrepareFn = unsafe extern "C" fn(*mut c_void, *mut d365_outgoing_t) -> i32;

/// Drops with the last settings or client that has it, and tells the application then.
pub(crate) struct CallbackPrepare {
    prepare: PrepareFn,
    user_data: Owned,
}

impl CallbackPrepare {
    pub(crate) fn new(
        prepare: PrepareFn,
        user_data: *mut c_void,
        destroy: d365_destroy_fn,
    ) -> CallbackPrepare {
        CallbackPrepare {
            prepare,
            user_data: Owned::new(user_data, destroy),
        }
    }
}

impl core::Prepare for CallbackPrepare {
    fn prepare(&self, outgoing: &mut core::Outgoing) -> Result<(), String> {
        let opened = catch(|| handle::insert::<d365_outgoing_t>(OutgoingObject::new(outgoing)));
        let handed_out = HandedOut(opened.map_err(|failure| failure.error.to_string())?);
        // SAFETY: the application gave this function and this pointer for each other, for the
        // thread that sends.
        let answer = unsafe { (self.prepare)(self.user_data.pointer(), handed_out.0) };
        let reason = handed_out.take_back();
        match answer {
            0 => Ok(()),
            _ => Err(reason.unwrap_or_else(|| format!("it answered {answer}"))),
        }
    }
}

/// The handle of an attempt while the application has it.
struct HandedOut(*mut d365_outgoing_t);

impl HandedOut {
    /// Ends the handle; says why the attempt is not to be sent, if that was said.
    fn take_back(self) -> Option<String> {
        handle::get(self.0).ok()?.lock().reason.take()
    }
}

impl Drop for HandedOut {
    fn drop(&mut self) {
        // In a child that the application has forked there is no such handle, and nobody to use it.
        if let Ok(Some(outgoing)) = handle::remove(self.0) {
            outgoing.lock().open = None;
        }
    }
}

/// The core's attempt, borrowed for the time of a callback.
struct Borrowed(NonNull<core::Outgoing>);

// SAFETY: an attempt may be used by any thread, one at a time; which is what the lock round it is
// for.
unsafe impl Send for Borrowed where core::Outgoing: Send {}

pub(crate) struct OutgoingObject {
    url: Text,
    endpoint_url: Option<Text>,
    method: Text,
    role: i32,
    epoch: u64,
    number: usize,
    state: Mutex<Loan>,
}

struct Loan {
    /// `None` from when the callback has returned.
    open: Option<Borrowed>,
    /// What views were given of: it may be changed, and they stay.
    texts: Vec<Text>,
    bodies: Vec<Bytes>,
    reason: Option<String>,
}

impl OutgoingObject {
    fn new(outgoing: &mut core::Outgoing) -> OutgoingObject {
        OutgoingObject {
            url: Text::new(outgoing.url()),
            endpoint_url: outgoing.endpoint_url().map(Text::new),
            method: Text::new(outgoing.method()),
            role: outgoing.role().map_or(0, role),
            epoch: outgoing.epoch(),
            number: outgoing.number(),
            state: Mutex::new(Loan {
                open: Some(Borrowed(NonNull::from(outgoing))),
                texts: Vec::new(),
                bodies: Vec::new(),
                reason: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Loan> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loan {
    fn outgoing(&mut self) -> Result<&mut core::Outgoing, Failure> {
        let open = self.open.as_mut().ok_or_else(|| {
            let name = d365_outgoing_t::NAME;
            Failure::new(
                D365_INVALID_HANDLE,
                format!("{name}: the function that it was given to has returned"),
            )
        })?;
        // SAFETY: `CallbackPrepare::prepare` has the attempt exclusively borrowed, does not touch it
        // while the application has the handle, and `HandedOut` takes the pointer away before that
        // borrow ends; this is called under the lock only.
        Ok(unsafe { open.0.as_mut() })
    }
}

impl Noun for d365_outgoing_t {
    type Object = OutgoingObject;
    const TAG: Tag = Tag::Outgoing;
    const NAME: &'static str = "d365_outgoing_t";
}

/// The whole URL that the attempt goes to.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_outgoing_url(
    outgoing: *const d365_outgoing_t,
    url: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let outgoing = handle::get(outgoing)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(url, "url") }?.set(outgoing.url.view());
        Ok(())
    })
}

/// The base URL of the endpoint that the attempt goes to, without a slash at the end:
/// `https://contoso--s.crm.dynamics.com`.
///
/// Errors: D365_NOT_AVAILABLE for a host of the setting `allowed_hosts`, which is neither endpoint;
/// D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_outgoing_endpoint_url(
    outgoing: *const d365_outgoing_t,
    url: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let outgoing = handle::get(outgoing)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(url, "url") }?;
        let url = outgoing.endpoint_url.as_ref();
        place.set(url.ok_or_else(|| Failure::absent("endpoint"))?.view());
        Ok(())
    })
}

/// The method: `POST`.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_outgoing_method(
    outgoing: *const d365_outgoing_t,
    method: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let outgoing = handle::get(outgoing)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(method, "method") }?.set(outgoing.method.view());
        Ok(())
    })
}

/// A number of the attempt: D365_OUTGOING_ROLE to D365_OUTGOING_ATTEMPT.
///
/// Errors: D365_NOT_AVAILABLE for a field that there is not; D365_NULL_POINTER, and what can be
/// wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_outgoing_number(
    outgoing: *const d365_outgoing_t,
    field: i32,
    value: *mut i64,
) -> d365_status_t {
    guard(|| {
        let outgoing = handle::get(outgoing)?;
        // SAFETY: NULL or the caller's variable.
        let value = unsafe { out(value, "value") }?;
        value.set(match field {
            D365_OUTGOING_ROLE => outgoing.role.into(),
            D365_OUTGOING_EPOCH => outgoing.epoch.try_into().unwrap_or(i64::MAX),
            D365_OUTGOING_ATTEMPT => outgoing.number.try_into().unwrap_or(i64::MAX),
            _ => {
                return Err(Failure::absent(&format!(
                    "number field {field} of an outgoing attempt"
                )));
            }
        });
        Ok(())
    })
}

/// The value of the first header of that name, in whatever case the name is given: one of the
/// request's or one that the library adds (`host`, `authorization`, `user-agent`,
/// `accept-encoding`). A value that is not UTF-8 is read as Latin-1.
///
/// Errors: D365_NOT_AVAILABLE when there is no such header; D365_NULL_POINTER, D365_INVALID_UTF8,
/// and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_outgoing_header(
    outgoing: *const d365_outgoing_t,
    name: *const c_char,
    name_len: usize,
    value: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let outgoing = handle::get(outgoing)?;
        // SAFETY: text of the caller's that is valid during the call.
        let name = unsafe { text(name, name_len, "name") }?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(value, "value") }?;
        let mut state = outgoing.lock();
        let value = state
            .outgoing()?
            .headers()
            .get(name)
            .ok_or_else(|| Failure::absent(name))?;
        let value = Text::new(core::readable(value.as_bytes()));
        place.set(value.view());
        state.texts.push(value);
        Ok(())
    })
}

/// Sets a header for this attempt, in the place of all of its name.
///
/// Errors: D365_INVALID_ARGUMENT for a name or value that HTTP does not allow, and for a header
/// that the library sets itself (`Host`, `Content-Length`, ...), as in d365_request_add_header();
/// D365_NULL_POINTER, D365_INVALID_UTF8, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_outgoing_set_header(
    outgoing: *mut d365_outgoing_t,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let outgoing = handle::get(outgoing)?;
        // SAFETY: texts of the caller's that are valid during the call.
        let (name, value) = unsafe {
            (
                text(name, name_len, "name")?,
                text(value, value_len, "value")?,
            )
        };
        outgoing.lock().outgoing()?.set_header(name, value)?;
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Takes all headers of that name away from this attempt; there may be none.
///
/// Errors: as d365_outgoing_set_header().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_outgoing_remove_header(
    outgoing: *mut d365_outgoing_t,
    name: *const c_char,
    name_len: usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let outgoing = handle::get(outgoing)?;
        // SAFETY: text of the caller's that is valid during the call.
        let name = unsafe { text(name, name_len, "name") }?;
        outgoing.lock().outgoing()?.remove_header(name)?;
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// The body as it would be sent: `len` bytes at `data`, which is not NULL even when there are none,
/// and not NUL-terminated.
///
/// Errors: D365_NOT_AVAILABLE for a body that is read while it is sent
/// (d365_request_set_body_reader()); D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_outgoing_body(
    outgoing: *const d365_outgoing_t,
    data: *mut *const u8,
    len: *mut usize,
) -> d365_status_t {
    guard(|| {
        let outgoing = handle::get(outgoing)?;
        // SAFETY: NULL or the caller's variables.
        let (data, len) = unsafe { (out(data, "data")?, out(len, "len")?) };
        let mut state = outgoing.lock();
        let body = state.outgoing()?.body().cloned();
        let body = body.ok_or_else(|| Failure::absent("body of bytes"))?;
        data.set(body.as_ptr());
        len.set(body.len());
        state.bodies.push(body);
        Ok(())
    })
}

/// Sends `len` bytes at `data`, copied, as the body of this attempt, also in the place of one that
/// would be read. `(NULL, 0)` is an empty body.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_outgoing_set_body(
    outgoing: *mut d365_outgoing_t,
    data: *const u8,
    len: usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let outgoing = handle::get(outgoing)?;
        // SAFETY: bytes of the caller's that are valid during the call.
        let data = copied(unsafe { bytes(data, len, "data") }?)?;
        outgoing.lock().outgoing()?.set_body(data);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Says why the attempt is not to be sent, for the message of the call's error. It counts when the
/// prepare function then answers other than 0.
///
/// Errors: D365_NULL_POINTER, D365_INVALID_UTF8, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_outgoing_fail(
    outgoing: *mut d365_outgoing_t,
    message: *const c_char,
    message_len: usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let outgoing = handle::get(outgoing)?;
        // SAFETY: text of the caller's that is valid during the call.
        let message = unsafe { text(message, message_len, "message") }?;
        let mut state = outgoing.lock();
        state.outgoing()?;
        state.reason = Some(message.to_owned());
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}
