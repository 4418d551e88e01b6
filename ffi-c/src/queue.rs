//! The queue: the one source of events and completions; polled, waited for by descriptor, or run by
//! a thread.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use d365_failover_core as core;

use crate::argument::{UserData, duration, out};
use crate::d365_destroy_fn;
use crate::error::d365_error_t;
use crate::guard::{Done, Failure, catch, guard, guard_with};
use crate::handle::{self, Noun, Tag};
use crate::item::{ItemObject, d365_item_t};
use crate::status::{D365_BUSY, D365_CLOSED, D365_EMPTY, D365_OK, d365_status_t};
use crate::sys::Event;

/// Where the events of clients and the completions of submitted calls come out. See
/// d365_settings_set_queue().
pub struct d365_queue_t {
    _opaque: (),
}

/// The callback of d365_queue_run(). It owns `item` and frees it by d365_item_free(), then or
/// later, on any thread.
pub type d365_item_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, item: *mut d365_item_t)>;

type OnItem = unsafe extern "C" fn(*mut c_void, *mut d365_item_t);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// By threads inside d365_queue_next(), so many at the moment.
    Polled(usize),
    /// By the thread of d365_queue_run(), which says which it is once it has begun.
    Run(Option<core::ThreadId>),
    /// That thread has come to its end.
    Ended,
}

struct Runner {
    taken: Mutex<Taken>,
    ended: Condvar,
    /// The queue was freed: what is left is dropped instead of delivered.
    freed: AtomicBool,
}

impl Runner {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_run(&self) -> bool {
        matches!(*self.taken(), Taken::Run(_))
    }

    /// Counts a thread inside d365_queue_next().
    fn enter(&self) -> Result<Turn<'_>, Failure> {
        match &mut *self.taken() {
            Taken::Run(_) => Err(Failure::new(D365_BUSY, "d365_queue_run() takes the items")),
            Taken::Ended => Err(Failure::new(D365_CLOSED, "the queue is closed")),
            Taken::Polled(threads) => {
                *threads += 1;
                Ok(Turn(self))
            }
        }
    }

    fn wait_for_end(&self, timeout: Duration) -> Done {
        let taken = self.taken();
        // The thread that would have to end is this one: it ends when the callback has returned.
        if *taken == Taken::Run(Some(core::ThreadId::here())) {
            return Ok(());
        }
        let running = |taken: &mut Taken| matches!(taken, Taken::Run(_));
        let (taken, waited) = self
            .ended
            .wait_timeout_while(taken, timeout, running)
            .unwrap_or_else(PoisonError::into_inner);
        drop(taken);
        if waited.timed_out() {
            return Err(Failure::new(
                D365_BUSY,
                "a callback of the queue is still running",
            ));
        }
        Ok(())
    }
}

struct Turn<'a>(&'a Runner);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Taken::Polled(threads) = &mut *self.0.taken() {
            *threads -= 1;
        }
    }
}

pub(crate) struct QueueObject {
    core: Arc<core::Queue>,
    runner: Arc<Runner>,
    /// Made when it is asked for first.
    event: Mutex<Option<Arc<Event>>>,
}

impl QueueObject {
    fn event(&self) -> Result<Arc<Event>, Failure> {
        let mut event = self.event.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = &*event {
            return Ok(Arc::clone(event));
        }
        let made = Event::new().map(Arc::new).map_err(|error| {
            core::Error::new(
                core::ErrorKind::NoResources,
                format!("no {} for the queue: {error}", Event::KIND),
            )
        })?;
        let told = Arc::clone(&made);
        self.core.tell(move |is_ready| match is_ready {
            true => told.set(),
            false => told.clear(),
        });
        *event = Some(Arc::clone(&made));
        Ok(made)
    }

    pub(crate) fn core(&self) -> &Arc<core::Queue> {
        &self.core
    }
}

impl Noun for d365_queue_t {
    type Object = QueueObject;
    const TAG: Tag = Tag::Queue;
    const NAME: &'static str = "d365_queue_t";
}

#[derive(Clone, Copy)]
struct Callback {
    on_item: OnItem,
    user_data: UserData,
    destroy: d365_destroy_fn,
}

/// Ends a run, however the thread ends: first `destroy`, then those who wait for it.
struct End {
    callback: Callback,
    runner: Arc<Runner>,
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(destroy) = self.callback.destroy {
            // SAFETY: the application gave this function for this pointer; one thread per run, one
            // end per thread.
            unsafe { destroy(self.callback.user_data.pointer()) };
        }
        *self.runner.taken() = Taken::Ended;
        self.runner.ended.notify_all();
    }
}

fn run(queue: &core::Queue, end: End) {
    let era = handle::era();
    while let Ok(item) = queue.next(None) {
        if end.runner.freed.load(Ordering::Acquire) {
            continue;
        }
        let handle = catch(|| handle::insert::<d365_item_t>(ItemObject::new(item)));
        if let Ok(handle) = handle {
            // SAFETY: the application gave this function and this pointer for each other, for this
            // thread.
            unsafe { (end.callback.on_item)(end.callback.user_data.pointer(), handle) };
        }
        if handle::era() != era {
            // The callback forked and this is the child: what is here belongs to the parent.
            std::mem::forget(end);
            return;
        }
    }
}

/// Makes a queue. `capacity` bounds the items that may be dropped when nobody takes them:
/// D365_EVENT_CALL_RETRIED, D365_EVENT_THROTTLED and D365_EVENT_LOG (counted, see D365_ITEM_DROPPED);
/// 0 is 1024. The others are never dropped: D365_EVENT_ENDPOINT_SWITCH_REQUIRED,
/// D365_EVENT_ENDPOINT_SWITCHED, D365_EVENT_WRITE_IN_DOUBT, D365_EVENT_DATA_LOSS_SUSPECTED,
/// D365_ITEM_COMPLETION and D365_ITEM_BODY.
///
/// `queue` is the caller's, freed by d365_queue_free(), best after its clients.
///
/// Errors: D365_NULL_POINTER; D365_INVALID_ARGUMENT for a capacity beyond reason.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_queue_new(
    capacity: usize,
    queue: *mut *mut d365_queue_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(queue, "queue") }?;
        let runner = Runner {
            taken: Mutex::new(Taken::Polled(0)),
            ended: Condvar::new(),
            freed: AtomicBool::new(false),
        };
        let core = core::Queue::new(capacity)?;
        place.set(handle::insert(QueueObject {
            core,
            runner: Arc::new(runner),
            event: Mutex::default(),
        })?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Takes the next item, waiting for it up to `timeout_ms` milliseconds: below 0 for ever, 0 not at
/// all. The item is the caller's, freed by d365_item_free(). Several threads may wait; each item
/// goes to one of them.
///
/// Errors: D365_EMPTY when nothing came in time; D365_CLOSED when the queue is closed and nothing
/// is left; D365_BUSY while d365_queue_run() takes the items; D365_NULL_POINTER, and what can be
/// wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_queue_next(
    queue: *mut d365_queue_t,
    timeout_ms: i64,
    item: *mut *mut d365_item_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let mut is_empty = false;
    let body = || {
        let queue = handle::get(queue)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(item, "item") }?;
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let item = {
            let _turn = queue.runner.enter()?;
            // Who looks after each call and wants no error finds nothing nearly always: none is made.
            if timeout_ms == 0
                && error.is_null()
                && queue.core.is_empty()
                && !queue.core.is_closed()
            {
                is_empty = true;
                return Ok(());
            }
            queue.core.next(timeout)?
        };
        place.set(handle::insert(ItemObject::new(item))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    match unsafe { guard_with(error, body) } {
        D365_OK if is_empty => D365_EMPTY,
        status => status,
    }
}

/// A file descriptor that is readable while items wait, and for ever once the queue is closed: for
/// poll(), epoll or select() in a loop of the application, which then takes items by
/// d365_queue_next() with a timeout of 0 until D365_EMPTY. It is never read, written or closed by
/// the application, and lives as long as the queue.
///
/// Errors: D365_NOT_AVAILABLE on Windows, which has d365_queue_wait_handle(); D365_NO_RESOURCES when
/// the process has none left; D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_queue_descriptor(
    queue: *const d365_queue_t,
    descriptor: *mut i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let queue = handle::get(queue)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(descriptor, "descriptor") }?;
        let descriptor = queue.event()?.descriptor();
        place.set(descriptor.ok_or_else(|| Failure::absent("descriptor"))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// The same on Windows: the `HANDLE` of an event that is signaled while items wait, and for ever
/// once the queue is closed: for WaitForMultipleObjects(), RegisterWaitForSingleObject() or
/// MsgWaitForMultipleObjects() in a loop of the application. It is never set, reset or closed by
/// the application, and lives as long as the queue.
///
/// Errors: D365_NOT_AVAILABLE on other systems, which have d365_queue_descriptor(); D365_NO_RESOURCES
/// when the process has none left; D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_queue_wait_handle(
    queue: *const d365_queue_t,
    wait_handle: *mut *mut c_void,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let queue = handle::get(queue)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(wait_handle, "wait_handle") }?;
        let wait_handle = queue.event()?.handle();
        place.set(wait_handle.ok_or_else(|| Failure::absent("wait_handle"))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Starts one thread of the library that takes the items and calls `callback` with each, one after
/// the other, until the queue is closed and empty. Then it calls `destroy` (may be NULL) with
/// `user_data`, exactly once, as the last thing. When this function fails, `destroy` is not called,
/// and `user_data` stays the caller's.
///
/// In the callback every function may be called; d365_client_send() fails with D365_WOULD_DEADLOCK
/// while a decision that the callback was given is not answered. d365_queue_close() and
/// d365_queue_free() work there, and take effect when it returns.
///
/// Errors: D365_BUSY when it runs already or a thread is inside d365_queue_next(); D365_CLOSED;
/// D365_NO_RESOURCES without a thread; D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_queue_run(
    queue: *mut d365_queue_t,
    callback: d365_item_fn,
    user_data: *mut c_void,
    destroy: d365_destroy_fn,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let queue = handle::get(queue)?;
        let on_item = callback.ok_or_else(|| Failure::null("callback"))?;
        let callback = Callback {
            on_item,
            user_data: UserData::new(user_data),
            destroy,
        };
        let mut taken = queue.runner.taken();
        match *taken {
            Taken::Polled(0) if !queue.core.is_closed() => {}
            Taken::Polled(0) | Taken::Ended => {
                return Err(Failure::new(D365_CLOSED, "the queue is closed"));
            }
            Taken::Polled(_) | Taken::Run(_) => {
                return Err(Failure::new(D365_BUSY, "somebody takes the items already"));
            }
        }
        let (core, runner) = (Arc::clone(&queue.core), Arc::clone(&queue.runner));
        // `End` is made on the thread: where no thread could be started, `destroy` must not run.
        let body = move || {
            *runner.taken() = Taken::Run(Some(core::ThreadId::here()));
            let end = End { callback, runner };
            // A panic has nobody to be reported to; the end of the run tells of itself.
            let _ = catch(|| {
                run(&core, end);
                Ok(())
            });
        };
        core::spawn("d365-queue", body)
            .map_err(|error| Failure::lacking(format!("no thread for the queue: {error}")))?;
        *taken = Taken::Run(None);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Closes a queue: it takes no further items, and decisions take their default. What it holds is
/// still delivered, by d365_queue_next() until D365_CLOSED, or by the thread of d365_queue_run().
/// With such a thread this function waits up to `timeout_ms` milliseconds (0 or more) for its end:
/// after D365_OK no callback runs, and `destroy` has run. From the callback itself it does not
/// wait, and D365_OK means that the end comes when the callback returns. May be called again.
///
/// Errors: D365_BUSY when the thread has not ended in time (the queue is closed all the same; call
/// again to wait more); D365_INVALID_ARGUMENT, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_queue_close(
    queue: *mut d365_queue_t,
    timeout_ms: i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let queue = handle::get(queue)?;
        let timeout = duration(timeout_ms, "timeout_ms")?;
        queue.core.close();
        queue.runner.wait_for_end(timeout)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Frees a queue: closes it without waiting, and drops the items that are left, decisions with
/// their default. A callback that is running comes to its end, no other begins, then `destroy`
/// runs. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_queue_free(queue: *mut d365_queue_t) -> d365_status_t {
    guard(|| {
        let Some(queue) = handle::remove(queue)? else {
            return Ok(());
        };
        queue.runner.freed.store(true, Ordering::Release);
        queue.core.close();
        // The core's queue lives on with its clients, and must not keep completions that nobody can
        // take.
        while !queue.runner.is_run() && queue.core.next(Some(Duration::ZERO)).is_ok() {}
        Ok(())
    })
}
