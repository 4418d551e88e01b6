//! Tokens: the application's callback as the core's provider.

use std::ffi::{c_char, c_void};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use d365_failover_core as core;

use crate::argument::{Owned, out, text};
use crate::d365_destroy_fn;
use crate::error::d365_error_t;
use crate::fork;
use crate::guard::{Failure, catch, guard, guard_with};
use crate::handle::{self, Noun, Tag};
use crate::status::{D365_LATE, d365_status_t, role};
use crate::text::{Text, d365_str_t};

/// A question for a token, to be answered once. Owned by the provider that it was given to.
pub struct d365_token_request_t {
    _opaque: (),
}

/// The application's token provider. It owns `request`: it answers it, now or later, on any thread,
/// by d365_token_request_reply() or d365_token_request_fail(), then frees it by
/// d365_token_request_free().
pub type d365_token_provider_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, request: *mut d365_token_request_t)>;

type Provide = unsafe extern "C" fn(*mut c_void, *mut d365_token_request_t);

/// Drops with the last settings or client that has it, and tells the application then.
pub(crate) struct CallbackProvider {
    provide: Provide,
    user_data: Owned,
}

impl CallbackProvider {
    pub(crate) fn new(
        provide: Provide,
        user_data: *mut c_void,
        destroy: d365_destroy_fn,
    ) -> CallbackProvider {
        CallbackProvider {
            provide,
            user_data: Owned::new(user_data, destroy),
        }
    }
}

impl core::TokenProvider for CallbackProvider {
    fn provide(&self, request: core::TokenRequest) {
        // Without a handle the request is dropped, which fails the call: nothing is left to report
        // to.
        let handle = catch(|| handle::insert::<d365_token_request_t>(TokenObject::new(request)));
        if let Ok(handle) = handle {
            // SAFETY: the application gave this function and this pointer for each other, for any
            // thread.
            unsafe { (self.provide)(self.user_data.pointer(), handle) };
            fork::note_if_child();
        }
    }
}

pub(crate) struct TokenObject {
    url: Text,
    role: i32,
    open: Mutex<Option<core::TokenRequest>>,
}

impl TokenObject {
    fn new(request: core::TokenRequest) -> TokenObject {
        TokenObject {
            url: Text::new(request.url()),
            role: role(request.role()),
            open: Mutex::new(Some(request)),
        }
    }

    fn take(&self) -> Result<core::TokenRequest, Failure> {
        let open = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        open.ok_or_else(|| Failure::new(D365_LATE, "the token request was answered before"))
    }
}

impl Noun for d365_token_request_t {
    type Object = TokenObject;
    const TAG: Tag = Tag::TokenRequest;
    const NAME: &'static str = "d365_token_request_t";
}

/// The origin of the endpoint that the token is for: `https://contoso--s.crm.dynamics.com`. A token
/// of the other endpoint is refused by the service. The view is valid until the request is freed.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_token_request_url(
    request: *const d365_token_request_t,
    url: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let request = handle::get(request)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(url, "url") }?.set(request.url.view());
        Ok(())
    })
}

/// The role of that endpoint: D365_ROLE_PRIMARY or D365_ROLE_ALTERNATE.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_token_request_role(
    request: *const d365_token_request_t,
    role: *mut i32,
) -> d365_status_t {
    guard(|| {
        let request = handle::get(request)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(role, "role") }?.set(request.role);
        Ok(())
    })
}

/// Answers with a token, which is copied: what follows `Bearer` in the header. The library keeps it
/// for `expires_in_ms` milliseconds at most; with 0, which says that this is not known, for 5
/// seconds; with less it serves the calls that wait now. A token that an endpoint refuses with 401
/// is forgotten.
///
/// Errors: D365_LATE when the request was answered before; D365_INVALID_ARGUMENT for a token that is
/// empty or longer than 256 KiB, begins with the word Bearer, or holds white space or other
/// characters that no token has: the request stays open; D365_NULL_POINTER, D365_INVALID_UTF8, and
/// what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_token_request_reply(
    request: *mut d365_token_request_t,
    token: *const c_char,
    token_len: usize,
    expires_in_ms: i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        // SAFETY: text of the caller's that is valid during the call.
        let token = unsafe { text(token, token_len, "token") }?;
        if let Some(defect) = core::TokenRequest::defect(token) {
            return Err(Failure::argument(format!("token: {defect}")));
        }
        let expires_in = match u64::try_from(expires_in_ms) {
            Ok(0) => None,
            Ok(ms) => Some(Duration::from_millis(ms)),
            Err(_) => Some(Duration::ZERO),
        };
        request.take()?.reply(token.to_owned(), expires_in);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Answers that there is no token: the call fails with D365_AUTHENTICATION and this message.
///
/// Errors: D365_LATE when the request was answered before; D365_NULL_POINTER, D365_INVALID_UTF8,
/// and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_token_request_fail(
    request: *mut d365_token_request_t,
    message: *const c_char,
    message_len: usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        // SAFETY: text of the caller's that is valid during the call.
        let message = unsafe { text(message, message_len, "message") }?;
        request.take()?.fail(message);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// As d365_token_request_fail(), and the errors of the calls tell `data` again, by
/// d365_error_provider_data(): so the application finds the failure that they come from.
///
/// Errors: as d365_token_request_fail().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_token_request_fail_with(
    request: *mut d365_token_request_t,
    message: *const c_char,
    message_len: usize,
    data: i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        // SAFETY: text of the caller's that is valid during the call.
        let message = unsafe { text(message, message_len, "message") }?;
        request.take()?.fail_with(message, data);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Frees a token request and ends its views. One that was not answered fails its call with
/// D365_AUTHENTICATION. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_token_request_free(request: *mut d365_token_request_t) -> d365_status_t {
    guard(|| handle::remove(request).map(drop))
}
