//! What stands round every body: no panic crosses, and a failure becomes a status and an error
//! object.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use d365_failover_core as core;

use crate::error::{ErrorObject, d365_error_t};
use crate::handle;
use crate::status::{
    D365_INTERNAL, D365_INVALID_ARGUMENT, D365_INVALID_UTF8, D365_NOT_AVAILABLE, D365_NULL_POINTER,
    D365_OK, D365_WRITE_IN_DOUBT, d365_status_t, status_of_error,
};
use crate::sys::Uncancelled;

/// Why a function of the ABI did not do it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: d365_status_t,
    pub(crate) error: core::Error,
}

impl Failure {
    /// A failure that the core does not know, because it lies in what crossed the ABI.
    pub(crate) fn new(status: d365_status_t, message: impl Into<String>) -> Failure {
        let kind = if status == D365_INTERNAL {
            core::ErrorKind::Internal
        } else {
            core::ErrorKind::InvalidArgument
        };
        Failure {
            status,
            error: core::Error::new(kind, message),
        }
    }

    pub(crate) fn null(what: &str) -> Failure {
        Failure::new(D365_NULL_POINTER, format!("{what}: NULL"))
    }

    pub(crate) fn utf8(what: &str) -> Failure {
        Failure::new(D365_INVALID_UTF8, format!("{what}: not UTF-8"))
    }

    pub(crate) fn argument(message: impl Into<String>) -> Failure {
        Failure::new(D365_INVALID_ARGUMENT, message)
    }

    pub(crate) fn absent(what: &str) -> Failure {
        Failure::new(D365_NOT_AVAILABLE, format!("{what}: there is none"))
    }

    pub(crate) fn lacking(message: impl Into<String>) -> Failure {
        core::Error::new(core::ErrorKind::NoResources, message).into()
    }

    pub(crate) fn internal(message: impl Into<String>) -> Failure {
        Failure::new(D365_INTERNAL, message)
    }

    /// The same of a call that had this response, which could not be handed out.
    pub(crate) fn after(self, response: &core::Response) -> Failure {
        self.knowing(|error| error.after(response))
    }

    /// The same with what is known of the call. Its status is that of a write in doubt where it is one.
    fn knowing(self, known: impl FnOnce(core::Error) -> core::Error) -> Failure {
        let error = known(self.error);
        let status = match error.effect() {
            core::Effect::Unknown => D365_WRITE_IN_DOUBT,
            _ => self.status,
        };
        Failure { status, error }
    }
}

impl From<core::Error> for Failure {
    fn from(error: core::Error) -> Failure {
        Failure {
            status: status_of_error(&error),
            error,
        }
    }
}

pub(crate) type Done = Result<(), Failure>;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The default hook writes to stderr, which a library must not: inside a guard the text goes into
/// the error instead.
fn keep_panics_quiet() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.load(Ordering::Relaxed) || INSTALLED.swap(true, Ordering::AcqRel) {
        return;
    }
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // `try_with`: a panic while the thread's locals are destroyed must not become an abort.
        match DEPTH.try_with(Cell::get) {
            Ok(0) | Err(_) => previous(info),
            Ok(_) => {
                let _ = PANIC.try_with(|text| *text.borrow_mut() = Some(info.to_string()));
            }
        }
    }));
}

/// Whether the calling thread's locals are destroyed: in destructors that run after them, at its end or the process's.
/// Neither tokio nor `std::thread::current()` works there.
pub(crate) fn is_ending() -> bool {
    // What was never there is not known to be destroyed: `catch` makes it.
    PANIC.try_with(|_| ()).is_err()
}

/// For what needs them.
pub(crate) fn check_locals() -> Result<(), Failure> {
    if is_ending() {
        return Err(Failure::lacking(
            "this thread is at its end, and its local data is destroyed: do it before that, or on another thread; what is \
             submitted needs none",
        ));
    }
    Ok(())
}

/// Runs `body`; a panic becomes a failure.
pub(crate) fn catch<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    keep_panics_quiet();
    let _ = is_ending();
    let _uncancelled = Uncancelled::new();
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let caught = catch_unwind(AssertUnwindSafe(body));
    DEPTH.with(|depth| depth.set(depth.get() - 1));
    caught.unwrap_or_else(|_| {
        let text = PANIC.try_with(|text| text.borrow_mut().take());
        let text = text.ok().flatten().unwrap_or_default();
        Err(Failure::internal(format!(
            "a defect of the library: {text}"
        )))
    })
}

/// Runs what does a call with this request. How it fails says what is known of its write, also by a panic.
pub(crate) fn of_call<T>(
    request: &core::Request,
    body: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    catch(body).map_err(|failure| failure.knowing(|error| error.of(request)))
}

/// Reads this response's body. How it fails says what is known of its write, also by a panic.
pub(crate) fn of_read<T>(
    response: &core::Response,
    body: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    catch(body).map_err(|failure| failure.knowing(|error| error.of_read(response)))
}

/// For functions without an error object.
pub(crate) fn guard(body: impl FnOnce() -> Done) -> d365_status_t {
    match catch(body) {
        Ok(()) => D365_OK,
        Err(failure) => failure.status,
    }
}

/// For functions with an error object.
///
/// # Safety
/// `error` is NULL or valid for a write.
pub(crate) unsafe fn guard_with(
    error: *mut *mut d365_error_t,
    body: impl FnOnce() -> Done,
) -> d365_status_t {
    let Err(failure) = catch(body) else {
        return D365_OK;
    };
    let status = failure.status;
    if !error.is_null() {
        // Without a handle for it (the table is full) the caller still has the status.
        let handle = catch(|| handle::insert::<d365_error_t>(ErrorObject::new(failure)));
        // SAFETY: not NULL, thus valid for a write, by the contract of this function.
        unsafe { error.write(handle.unwrap_or(std::ptr::null_mut())) };
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_its_text_the_error() {
        let failure = catch::<()>(|| panic!("row {}", 7)).unwrap_err();
        assert_eq!(failure.status, D365_INTERNAL);
        let text = failure.error.to_string();
        assert!(
            text.contains("row 7") && text.contains("guard.rs"),
            "{text}"
        );
        assert_eq!(guard(|| panic!("again")), D365_INTERNAL);
        assert_eq!(guard(|| Ok(())), D365_OK);
    }

    #[test]
    fn a_panic_in_a_nested_guard_leaves_the_outer_one_whole() {
        let outer = catch(|| {
            assert_eq!(guard(|| panic!("inner")), D365_INTERNAL);
            Ok(5)
        });
        assert_eq!(outer.unwrap(), 5);
        assert_eq!(DEPTH.with(Cell::get), 0);
    }

    #[test]
    fn what_a_call_fails_with_says_what_is_known_of_its_write() {
        let defect = || -> Done { panic!("on its way") };
        let refused = || -> Done { Err(Failure::null("client")) };
        let (write, read) = ("POST", "GET");
        // the method, how it fails, the status, the effect
        let table: [(&str, &dyn Fn() -> Done, d365_status_t, core::Effect); 4] = [
            (write, &defect, D365_WRITE_IN_DOUBT, core::Effect::Unknown),
            (read, &defect, D365_INTERNAL, core::Effect::None),
            (
                write,
                &refused,
                D365_NULL_POINTER,
                core::Effect::NotExecuted,
            ),
            (read, &refused, D365_NULL_POINTER, core::Effect::None),
        ];
        for (method, body, status, effect) in table {
            let request = core::Request::new(method, "/").unwrap();
            let failure = of_call(&request, body).unwrap_err();
            let found = (failure.status, failure.error.effect());
            assert_eq!(found, (status, effect), "{method}: {}", failure.error);
        }
    }

    #[test]
    fn the_error_object_is_written_only_on_failure() {
        let untouched = std::ptr::without_provenance_mut::<d365_error_t>(0xdead);
        let mut error = untouched;
        // SAFETY: `error` is a local variable.
        assert_eq!(unsafe { guard_with(&raw mut error, || Ok(())) }, D365_OK);
        assert_eq!(error, untouched);
        // SAFETY: as above.
        let status = unsafe { guard_with(&raw mut error, || Err(Failure::null("x"))) };
        assert_eq!(status, D365_NULL_POINTER);
        assert_ne!(error, untouched);
        assert_eq!(crate::d365_error_free(error), D365_OK);
        // SAFETY: NULL is allowed.
        let status = unsafe { guard_with(std::ptr::null_mut(), || Err(Failure::utf8("x"))) };
        assert_eq!(status, D365_INVALID_UTF8);
    }
}
