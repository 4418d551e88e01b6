//! What comes in by pointer: checked once, here.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::d365_destroy_fn;
use crate::guard::Failure;
use crate::text::D365_NTS;

/// A place of the caller's for one output, written at most once.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    pub(crate) fn set(self, value: T) {
        // SAFETY: `out` made it from a pointer that is valid for a write as long as the call lasts.
        unsafe { self.0.write(value) };
    }
}

/// # Safety
/// `pointer` is NULL or valid for a write until the function of the ABI returns.
pub(crate) unsafe fn out<T>(pointer: *mut T, what: &str) -> Result<Out<T>, Failure> {
    NonNull::new(pointer)
        .map(Out)
        .ok_or_else(|| Failure::null(what))
}

/// Bytes; `(NULL, 0)` is none.
///
/// # Safety
/// `data` is NULL or valid for reading `len` bytes as long as the result is used.
pub(crate) unsafe fn bytes<'a>(
    data: *const u8,
    len: usize,
    what: &str,
) -> Result<&'a [u8], Failure> {
    // SAFETY: the caller's contract is that of `slice`.
    unsafe { slice(data, len, what) }
}

/// A copy, however much it is: as much as an application may have is more than the machine may have left.
pub(crate) fn copied(bytes: &[u8]) -> Result<Bytes, Failure> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())
        .map_err(|_| Failure::lacking(format!("no memory for a body of {} bytes", bytes.len())))?;
    copy.extend_from_slice(bytes);
    Ok(copy.into())
}

/// An array; `(NULL, 0)` is empty.
///
/// # Safety
/// `data` is NULL or valid for reading `len` elements as long as the result is used.
pub(crate) unsafe fn slice<'a, T>(
    data: *const T,
    len: usize,
    what: &str,
) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    check_array(data, len, what)?;
    // SAFETY: not NULL, valid for `len` elements by contract, and of a size that a slice may have.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

fn check_array<T>(data: *const T, len: usize, what: &str) -> Result<(), Failure> {
    if data.is_null() {
        return Err(Failure::null(what));
    }
    if len
        .checked_mul(size_of::<T>().max(1))
        .is_none_or(|size| size > isize::MAX as usize)
    {
        return Err(Failure::argument(format!(
            "{what}: the length {len} is more than memory has"
        )));
    }
    Ok(())
}

/// Room for bytes that go out; `(NULL, 0)` is none.
///
/// # Safety
/// `data` is NULL or valid for writing `len` bytes, and used by nobody else, as long as the result
/// is used.
pub(crate) unsafe fn room<'a>(
    data: *mut u8,
    len: usize,
    what: &str,
) -> Result<&'a mut [u8], Failure> {
    if len == 0 {
        return Ok(&mut []);
    }
    check_array(data, len, what)?;
    // SAFETY: not NULL, of a size that a slice may have, and nobody else's by contract. What is in
    // it is not read, only written.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, len) })
}

/// UTF-8 text; `(NULL, 0)` is empty; `D365_NTS` reads up to the NUL.
///
/// # Safety
/// `data` is NULL or valid for reading `len` bytes (with `D365_NTS`: up to its NUL) as long as the
/// result is used.
pub(crate) unsafe fn text<'a>(
    data: *const c_char,
    len: usize,
    what: &str,
) -> Result<&'a str, Failure> {
    let bytes = if len == D365_NTS {
        if data.is_null() {
            return Err(Failure::null(what));
        }
        // SAFETY: not NULL and NUL-terminated by contract.
        unsafe { CStr::from_ptr(data) }.to_bytes()
    } else {
        // SAFETY: the caller's contract is that of `slice`.
        unsafe { slice(data.cast::<u8>(), len, what) }?
    };
    std::str::from_utf8(bytes).map_err(|_| Failure::utf8(what))
}

/// Milliseconds from zero up.
pub(crate) fn duration(ms: i64, what: &str) -> Result<Duration, Failure> {
    u64::try_from(ms)
        .map(Duration::from_millis)
        .map_err(|_| Failure::argument(format!("{what}: {ms} is negative")))
}

/// A pointer of the application's that the library only hands back, on whatever thread.
#[derive(Clone, Copy)]
pub(crate) struct UserData(*mut c_void);

// SAFETY: the library never dereferences it; the conventions of the header tell the application
// which threads get it.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    pub(crate) fn new(pointer: *mut c_void) -> UserData {
        UserData(pointer)
    }

    pub(crate) fn pointer(self) -> *mut c_void {
        self.0
    }
}

/// A pointer of the application's that it is told of when nobody uses it any more.
pub(crate) struct Owned {
    user_data: UserData,
    destroy: d365_destroy_fn,
}

impl Owned {
    pub(crate) fn new(pointer: *mut c_void, destroy: d365_destroy_fn) -> Owned {
        Owned {
            user_data: UserData::new(pointer),
            destroy,
        }
    }

    pub(crate) fn pointer(&self) -> *mut c_void {
        self.user_data.pointer()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the application gave this function for this pointer; a drop happens once.
            unsafe { destroy(self.user_data.pointer()) };
        }
    }
}

/// The pointer of the application as the core carries it.
pub(crate) fn to_core(pointer: *mut c_void) -> usize {
    // The address travels through a `usize`: exposed, so that the pointer that comes back may be
    // dereferenced.
    pointer.expose_provenance()
}

/// The reverse of `to_core`.
pub(crate) fn from_core(value: usize) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(value)
}

/// A time of day, in milliseconds since 1970.
pub(crate) fn time(name: &str, ms: i64) -> Result<SystemTime, Failure> {
    let distance = Duration::from_millis(ms.unsigned_abs());
    let time = match ms {
        0.. => UNIX_EPOCH.checked_add(distance),
        _ => UNIX_EPOCH.checked_sub(distance),
    };
    time.ok_or_else(|| Failure::argument(format!("{name}: {ms} is out of range")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{D365_INVALID_ARGUMENT, D365_INVALID_UTF8, D365_NULL_POINTER};

    fn read(data: *const c_char, len: usize) -> Result<&'static str, i32> {
        // SAFETY: the tests pass NULL or static text with its length.
        unsafe { text(data, len, "x") }.map_err(|failure| failure.status)
    }

    #[test]
    fn text_comes_with_a_length_or_a_nul_or_not_at_all() {
        assert_eq!(read(std::ptr::null(), 0), Ok(""));
        assert_eq!(read(std::ptr::null(), 3), Err(D365_NULL_POINTER));
        assert_eq!(read(std::ptr::null(), D365_NTS), Err(D365_NULL_POINTER));
        assert_eq!(read(c"abc".as_ptr(), 2), Ok("ab"));
        assert_eq!(read(c"abc".as_ptr(), D365_NTS), Ok("abc"));
        assert_eq!(read(c"a\xff".as_ptr(), D365_NTS), Err(D365_INVALID_UTF8));
        assert_eq!(
            read(c"abc".as_ptr(), usize::MAX - 1),
            Err(D365_INVALID_ARGUMENT)
        );
    }

    #[test]
    fn an_output_is_checked_before_it_is_needed() {
        // SAFETY: NULL is allowed.
        assert!(unsafe { out::<i32>(std::ptr::null_mut(), "x") }.is_err());
        let mut value = 0;
        // SAFETY: a local variable.
        unsafe { out(&raw mut value, "x") }.unwrap().set(5);
        assert_eq!(value, 5);
    }

    #[test]
    fn a_duration_is_not_negative() {
        assert_eq!(duration(1500, "x").unwrap(), Duration::from_millis(1500));
        assert!(duration(-1, "x").is_err());
    }
}
