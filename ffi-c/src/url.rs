//! The pair of URLs: pure functions.

use std::ffi::c_char;

use d365_failover_core as core;

use crate::argument::{out, text};
use crate::error::d365_error_t;
use crate::guard::guard_with;
use crate::handle;
use crate::status::d365_status_t;
use crate::text::{Text, d365_text_t};

/// The alternate of an organization's URL by the rule of the product: any URL on
/// `https://contoso.crm.dynamics.com` gives the same on `https://contoso--s.crm.dynamics.com`, in
/// normal form (an empty path becomes `/`); a URL on an alternate gives itself. Pure: no client, no
/// I/O. `alternate` is the caller's, freed by d365_text_free().
///
/// Errors: D365_INVALID_URL for a URL that the rule does not cover, and where `--s` would be put on a
/// name that anybody can register (`contoso.com`, by the Public Suffix List); D365_NULL_POINTER,
/// D365_INVALID_UTF8.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_url_alternate(
    url: *const c_char,
    url_len: usize,
    alternate: *mut *mut d365_text_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        // SAFETY: text of the caller's that is valid during the call.
        let url = unsafe { text(url, url_len, "url") }?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(alternate, "alternate") }?;
        place.set(handle::insert(Text::new(core::alternate_url(url)?))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// The reverse of d365_url_alternate(): an alternate gives its primary; a primary gives itself.
///
/// Errors: as d365_url_alternate().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_url_primary(
    url: *const c_char,
    url_len: usize,
    primary: *mut *mut d365_text_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        // SAFETY: text of the caller's that is valid during the call.
        let url = unsafe { text(url, url_len, "url") }?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(primary, "primary") }?;
        place.set(handle::insert(Text::new(core::primary_url(url)?))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// A URL as it may stand in logs and messages: origin and path, at most 200 characters. A query becomes
/// `?…`, because it may hold rows and signatures, user info `…@`. Takes any text. Pure. `shown` is the
/// caller's, freed by d365_text_free().
///
/// Errors: D365_NULL_POINTER, D365_INVALID_UTF8.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_url_shown(
    url: *const c_char,
    url_len: usize,
    shown: *mut *mut d365_text_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        // SAFETY: text of the caller's that is valid during the call.
        let url = unsafe { text(url, url_len, "url") }?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(shown, "shown") }?;
        place.set(handle::insert(Text::new(core::shown_url(url)))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// 1 if the URL is that of an alternate by the rule of the product, else 0.
///
/// Errors: as d365_url_alternate().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_url_is_alternate(
    url: *const c_char,
    url_len: usize,
    is_alternate: *mut i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        // SAFETY: text of the caller's that is valid during the call.
        let url = unsafe { text(url, url_len, "url") }?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(is_alternate, "is_alternate") }?;
        place.set(core::is_alternate_url(url)?.into());
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}
