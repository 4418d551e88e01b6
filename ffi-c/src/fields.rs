//! A request in one piece: what the setters say one by one, for who makes a request for each call.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::time::Duration;

use d365_failover_core as core;

use crate::argument::{bytes, copied, slice, text};
use crate::fault::d365_header_t;
use crate::guard::Failure;
use crate::pending::d365_pending_t;
use crate::request::{Check, d365_check_fn, operation_of};

/// A request in one piece, for d365_client_send_fields(). Zero it (`= {0}`, memset()), set `size`, and
/// then what the request has: everything that is 0 or NULL is as it is without the setter of the same
/// name.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct d365_request_fields_t {
    /// sizeof(d365_request_fields_t).
    pub size: usize,
    /// As of d365_request_new().
    pub method: *const c_char,
    /// Its length, or D365_NTS.
    pub method_len: usize,
    /// As of d365_request_new().
    pub url: *const c_char,
    /// Its length, or D365_NTS.
    pub url_len: usize,
    /// Each as of d365_request_add_header().
    pub headers: *const d365_header_t,
    /// How many they are.
    pub header_count: usize,
    /// As of d365_request_set_body().
    pub body: *const u8,
    /// Its length in bytes.
    pub body_len: usize,
    /// As of d365_request_set_tag().
    pub tag: *const c_char,
    /// Its length, or D365_NTS.
    pub tag_len: usize,
    /// As of d365_request_set_timeout_ms(); 0: the setting `deadline_ms`.
    pub timeout_ms: i64,
    /// As of d365_request_set_connect_timeout_ms(); 0: none of its own.
    pub connect_timeout_ms: i64,
    /// As of d365_request_set_attempt_timeout_ms(); 0: the setting `attempt_timeout_ms`.
    pub attempt_timeout_ms: i64,
    /// As of d365_request_set_read_timeout_ms(); 0: none.
    pub read_timeout_ms: i64,
    /// D365_OPERATION_...
    pub operation: i32,
    /// As of d365_request_set_streaming().
    pub is_streaming: i32,
    /// As of d365_request_set_guarded_create().
    pub is_guarded_create: i32,
    /// As of d365_request_set_upsert().
    pub is_upsert: i32,
    /// As of d365_request_set_check().
    pub check: d365_check_fn,
    /// What `check` is asked with.
    pub check_data: *mut c_void,
    /// What another thread cancels the call by, as of d365_client_send_cancellable().
    pub pending: *const d365_pending_t,
}

impl Default for d365_request_fields_t {
    fn default() -> d365_request_fields_t {
        d365_request_fields_t {
            size: size_of::<d365_request_fields_t>(),
            method: ptr::null(),
            method_len: 0,
            url: ptr::null(),
            url_len: 0,
            headers: ptr::null(),
            header_count: 0,
            body: ptr::null(),
            body_len: 0,
            tag: ptr::null(),
            tag_len: 0,
            timeout_ms: 0,
            connect_timeout_ms: 0,
            attempt_timeout_ms: 0,
            read_timeout_ms: 0,
            operation: 0,
            is_streaming: 0,
            is_guarded_create: 0,
            is_upsert: 0,
            check: None,
            check_data: ptr::null_mut(),
            pending: ptr::null(),
        }
    }
}

impl d365_request_fields_t {
    pub(crate) fn check(&self) -> Option<Check> {
        Check::new(self.check, self.check_data)
    }

    /// The request that it says.
    ///
    /// # Safety
    /// Every pointer is NULL or valid for what its type and length say.
    pub(crate) unsafe fn request(&self) -> Result<core::Request, Failure> {
        // SAFETY: the caller's.
        unsafe {
            let method = text(self.method, self.method_len, "method")?;
            let url = text(self.url, self.url_len, "url")?;
            let mut request = core::Request::new(method, url)?;
            for header in slice(self.headers, self.header_count, "headers")? {
                let name = text(header.name, header.name_len, "name")?;
                let value = text(header.value, header.value_len, "value")?;
                request.add_header(name, value)?;
            }
            if self.body_len > 0 {
                request.set_body(copied(bytes(self.body, self.body_len, "body")?)?);
            }
            if self.tag_len > 0 {
                request.set_tag(text(self.tag, self.tag_len, "tag")?)?;
            }
            type Set = fn(&mut core::Request, Duration) -> Result<(), core::Error>;
            let times: [(i64, Set); 4] = [
                (self.timeout_ms, core::Request::set_timeout),
                (self.connect_timeout_ms, core::Request::set_connect_timeout),
                (self.attempt_timeout_ms, core::Request::set_attempt_timeout),
                (self.read_timeout_ms, core::Request::set_read_timeout),
            ];
            for (ms, set) in times {
                if ms != 0 {
                    set(&mut request, above_zero(ms)?)?;
                }
            }
            // Where nothing is said here, a header to the library may have said it.
            if let Some(operation) = operation_of(self.operation)? {
                request.set_operation(Some(operation));
            }
            if self.is_guarded_create != 0 {
                request.set_guarded_create(true);
            }
            if self.is_upsert != 0 {
                request.set_upsert(true);
            }
            request.set_streaming(self.is_streaming != 0);
            Ok(request)
        }
    }
}

/// A time of one call.
pub(crate) fn above_zero(ms: i64) -> Result<Duration, Failure> {
    let time = u64::try_from(ms).ok().filter(|&ms| ms > 0);
    let time = time.map(Duration::from_millis);
    time.ok_or_else(|| Failure::argument(format!("ms: {ms} is not above 0")))
}

/// What the caller has filled in.
///
/// # Safety
/// NULL, or valid for as many bytes as its `size` says.
pub(crate) unsafe fn filled_in<'a>(
    fields: *const d365_request_fields_t,
) -> Result<&'a d365_request_fields_t, Failure> {
    if fields.is_null() {
        return Err(Failure::null("fields"));
    }
    // SAFETY: not NULL; the size is the first that every version has.
    let size = unsafe { (&raw const (*fields).size).read() };
    if size != size_of::<d365_request_fields_t>() {
        return Err(Failure::argument(format!(
            "fields: their size is sizeof(d365_request_fields_t), {}, and not {size}",
            size_of::<d365_request_fields_t>()
        )));
    }
    // SAFETY: it is as large as this library knows it.
    Ok(unsafe { &*fields })
}
