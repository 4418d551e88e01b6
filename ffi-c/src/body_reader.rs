//! A body that is read while it is sent: the application's functions as the core's source.

use std::ffi::c_void;
use std::io;
use std::sync::Arc;

use d365_failover_core as core;

use crate::argument::Owned;
use crate::d365_destroy_fn;
use crate::error::d365_error_t;
use crate::fork;
use crate::guard::{Failure, guard_with};
use crate::handle;
use crate::request::d365_request_t;
use crate::status::d365_status_t;

/// Reads a body. Puts the next bytes into `buffer`, at most `capacity`, which is above 0, and
/// answers how many. 0: the body has ended. Below 0: it cannot be read; the call ends. See
/// d365_request_set_body_reader().
pub type d365_body_read_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, buffer: *mut u8, capacity: usize) -> i64>;

/// Goes back to the first byte of a body, so that it can be sent again. 0: done. Other: it cannot
/// be done; the call ends. See d365_request_set_body_reader().
pub type d365_body_rewind_fn = Option<unsafe extern "C" fn(user_data: *mut c_void) -> i32>;

type Read = unsafe extern "C" fn(*mut c_void, *mut u8, usize) -> i64;
type Rewind = unsafe extern "C" fn(*mut c_void) -> i32;

/// Drops with the last request or call that has it, and tells the application then.
struct CallbackSource {
    read: Read,
    rewind: Option<Rewind>,
    user_data: Arc<Owned>,
}

impl core::BodySource for CallbackSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the application gave this function and this pointer for each other, for the
        // thread that sends; the buffer is as long as is said.
        let answer =
            unsafe { (self.read)(self.user_data.pointer(), buffer.as_mut_ptr(), buffer.len()) };
        fork::note_if_child();
        counted(answer, buffer.len()).map_err(io::Error::other)
    }

    fn rewind(&mut self) -> io::Result<()> {
        let rewind = self
            .rewind
            .ok_or_else(|| io::Error::other("there is no rewind function"))?;
        // SAFETY: as for `read`.
        let answer = unsafe { rewind(self.user_data.pointer()) };
        fork::note_if_child();
        match answer {
            0 => Ok(()),
            answer => Err(io::Error::other(format!(
                "the rewind function answered {answer}"
            ))),
        }
    }
}

/// How many bytes a read function has put into a buffer that holds `capacity`.
fn counted(answer: i64, capacity: usize) -> Result<usize, String> {
    let count =
        usize::try_from(answer).map_err(|_| format!("the read function answered {answer}"))?;
    if count > capacity {
        return Err(format!(
            "the read function answered {count} bytes, and the buffer holds {capacity}"
        ));
    }
    Ok(count)
}

/// Sets a body that is read while it is sent, in the place of an earlier body. `length` is its
/// length in bytes, or -1 when it is not known: HTTP/1.1 then sends it in chunks.
///
/// `read` is called until it answers 0. With a `rewind` the body can be sent again: `rewind` is
/// called before each further attempt, and before each further call with this request. Without
/// (NULL) the body is one-shot: a call that has begun to read it is not sent again, but ends with
/// the fault that it met and says so; and the request serves no further call, unless its body is
/// set anew. An `Expect: 100-continue` header lets the server refuse before the body is begun; it
/// is waited for at most 1 second.
///
/// Both functions are called, one at a time, on the thread that is inside d365_client_send(), and
/// for d365_client_submit() on a thread of the library, of which a client has at most 64 for the
/// application's code; its completion comes when they have returned. More than 64 submitted calls
/// whose functions wait for one another can wait for ever. They hold no
/// lock of the library: they may block, during which the call's times run on but end nothing, and
/// may call every function, also to send by the same client. What `read` puts into `buffer` is sent
/// as it is; `buffer` is of no use after it has returned.
///
/// A body that cannot be read, or that gives more or fewer bytes than `length`, ends the call with
/// D365_LOCAL and without failover; the same holds for one that cannot be rewound.
///
/// A request with such a body serves one call at a time: another one meanwhile gets D365_BUSY, a
/// submitted one in its completion.
///
/// `destroy` (may be NULL) is called with `user_data` exactly once, on any thread, when the request
/// is freed or its body is set anew, and no call uses the reader any more. When this function fails,
/// it is not called, and `user_data` stays the caller's.
///
/// Errors: D365_INVALID_ARGUMENT for a length below -1; D365_NULL_POINTER, and what can be wrong
/// with a handle. See also d365_request_set_body().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_set_body_reader(
    request: *mut d365_request_t,
    read: d365_body_read_fn,
    rewind: d365_body_rewind_fn,
    length: i64,
    user_data: *mut c_void,
    destroy: d365_destroy_fn,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let request = handle::get(request)?;
        let read = read.ok_or_else(|| Failure::null("read"))?;
        let length = match length {
            -1 => None,
            length => Some(u64::try_from(length).map_err(|_| {
                Failure::argument(format!("length: {length} is neither a length nor -1"))
            })?),
        };
        let user_data = Arc::new(Owned::new(user_data, destroy));
        let source = Box::new(CallbackSource {
            read,
            rewind,
            user_data: Arc::clone(&user_data),
        });
        request.set_body(Some(user_data), |request| {
            request.set_body_source(source, length, rewind.is_some());
        });
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{d365_request_free, d365_request_new, d365_request_set_body};
    use crate::status::{D365_INVALID_ARGUMENT, D365_NULL_POINTER, D365_OK};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn an_answer_is_a_count_that_fits() {
        assert_eq!(counted(0, 10), Ok(0));
        assert_eq!(counted(10, 10), Ok(10));
        for (answer, told) in [(11, "11 bytes"), (i64::MAX, "bytes"), (-1, "-1")] {
            let message = counted(answer, 10).unwrap_err();
            assert!(message.contains(told), "{message}");
        }
        assert!(counted(i64::MIN, 10).is_err());
    }

    unsafe extern "C" fn count(user_data: *mut c_void) {
        // SAFETY: the tests give the address of a counter that outlives the request.
        unsafe { &*user_data.cast::<AtomicUsize>() }.fetch_add(1, Ordering::Relaxed);
    }

    unsafe extern "C" fn read(_: *mut c_void, _: *mut u8, _: usize) -> i64 {
        0
    }

    #[test]
    fn the_owner_is_told_once_however_the_body_goes() {
        let destroyed = AtomicUsize::new(0);
        let data = (&raw const destroyed).cast_mut().cast::<c_void>();
        let mut request = std::ptr::null_mut();
        let error = std::ptr::null_mut();
        let told = || destroyed.load(Ordering::Relaxed);
        // SAFETY: texts and variables of this function, which outlive the calls.
        unsafe {
            let url = c"/".as_ptr();
            assert_eq!(
                d365_request_new(c"PUT".as_ptr(), 3, url, 1, &raw mut request, error),
                D365_OK
            );
            let set = |read: d365_body_read_fn, length| {
                d365_request_set_body_reader(request, read, None, length, data, Some(count), error)
            };
            assert_eq!(set(None, -1), D365_NULL_POINTER);
            assert_eq!(set(Some(read), -2), D365_INVALID_ARGUMENT);
            assert_eq!(told(), 0, "a failed function keeps nothing");
            assert_eq!(set(Some(read), -1), D365_OK);
            assert_eq!(set(Some(read), 0), D365_OK);
            assert_eq!(told(), 1, "replaced by another reader");
            assert_eq!(
                d365_request_set_body(request, std::ptr::null(), 0, error),
                D365_OK
            );
            assert_eq!(told(), 2, "replaced by bytes");
            assert_eq!(set(Some(read), i64::MAX), D365_OK);
        }
        assert_eq!(d365_request_free(request), D365_OK);
        assert_eq!(told(), 3, "freed");
    }
}
