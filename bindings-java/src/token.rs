//! Token requests, from the library's thread to a Java thread that waits for them.
//!
//! The C ABI asks for tokens on a thread of the library's. Attached to the JVM, that thread would hold up its exit as
//! long as a provider takes; so the request only passes through here, to a daemon thread of Java's.

use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use d365_failover as c;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass};
use jni::sys::jlong;

use crate::failure::{Failure, check, value};
use crate::jvm::{answer, bytes, number, quietly};
use crate::owned::{Owned, from_long, to_long};
use crate::packet::Writer;
use crate::result::{text, view};

type TokenRequest = Owned<c::d365_token_request_t>;

/// One client's requests that nobody has fetched yet; `None` is the end.
#[derive(Default)]
struct Channel {
    /// Handles as numbers, because a number may change threads.
    waiting: Mutex<VecDeque<Option<i64>>>,
    ready: Condvar,
}

impl Channel {
    fn push(&self, request: Option<i64>) {
        lock(&self.waiting).push_back(request);
        self.ready.notify_all();
    }

    fn next(&self) -> Option<TokenRequest> {
        let mut waiting = lock(&self.waiting);
        loop {
            match waiting.front() {
                Some(Some(_)) => {
                    return waiting
                        .pop_front()
                        .flatten()
                        .map(|value| Owned::new(from_long(value)));
                }
                // Stays in the channel, so that every later call sees it too.
                Some(None) => return None,
                None => {
                    waiting = self
                        .ready
                        .wait(waiting)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        for request in lock(&self.waiting).drain(..).flatten() {
            drop(TokenRequest::new(from_long(request)));
        }
    }
}

/// Channels by number: a number from Java or from the C ABI is looked up, never dereferenced.
static CHANNELS: Mutex<Option<HashMap<i64, Arc<Channel>>>> = Mutex::new(None);
static LAST: AtomicI64 = AtomicI64::new(0);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn channel(id: i64) -> Option<Arc<Channel>> {
    lock(&CHANNELS)
        .as_ref()
        .and_then(|channels| channels.get(&id).cloned())
}

fn close(id: i64) {
    let channel = lock(&CHANNELS)
        .as_mut()
        .and_then(|channels| channels.remove(&id));
    if let Some(channel) = channel {
        channel.push(None);
    }
}

/// Makes a channel the settings' token provider; gives its number.
pub(crate) fn attach(settings: &Owned<c::d365_settings_t>) -> Result<i64, Failure> {
    let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    lock(&CHANNELS)
        .get_or_insert_default()
        .insert(id, Arc::default());
    // SAFETY: both callbacks only use the number of the channel, which is no address.
    let attached = check(|error| unsafe {
        c::d365_settings_set_token_provider(
            settings.get(),
            Some(provide),
            from_long(id),
            Some(destroy),
            error,
        )
    });
    attached.inspect_err(|_| close(id)).map(|()| id)
}

/// `d365_token_provider_fn`: on a thread of the library's.
extern "C" fn provide(user_data: *mut c_void, request: *mut c::d365_token_request_t) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let request = TokenRequest::new(request);
        if let Some(channel) = channel(to_long(user_data)) {
            channel.push(Some(request.into_long()));
        }
    }));
}

/// `d365_destroy_fn`: nobody will ask for tokens any more.
extern "C" fn destroy(user_data: *mut c_void) {
    let _ = catch_unwind(AssertUnwindSafe(|| close(to_long(user_data))));
}

/// Waits for the next request and gives its handle, which is Java's to free; 0: there will be none any more.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_tokenNext<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    channel_id: jlong,
) -> jlong {
    number(env, || {
        let request = channel(channel_id).and_then(|channel| channel.next());
        Ok(request.map_or(0, Owned::into_long))
    })
}

/// What a request is for. Out: URL, role.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_tokenRequest<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    request: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        let request = from_long(request);
        let mut packet = Writer::ok();
        // SAFETY: outputs are local variables; Java frees the request, whose the view is, when this has returned.
        unsafe {
            let url = view(|out| c::d365_token_request_url(request, out))?;
            text(&mut packet, Some(url));
            packet.int(value(0, |out, _| c::d365_token_request_role(request, out))?);
        }
        Ok(packet)
    })
}

/// Answers a request with a token; `expires_in_ms` not above 0: used once.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_tokenReply<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    request: jlong,
    token: JByteArray<'local>,
    expires_in_ms: jlong,
) -> JByteArray<'local> {
    answer(env, |env| {
        let token = bytes(env, &token)?;
        // SAFETY: the pointer is that of a slice with its length; the error pointer is a local variable.
        check(|error| unsafe {
            c::d365_token_request_reply(
                from_long(request),
                token.as_ptr().cast(),
                token.len(),
                expires_in_ms,
                error,
            )
        })?;
        Ok(Writer::ok())
    })
}

/// Answers a request with the reason why there is no token; `number` comes again in the failures of the calls.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_tokenFail<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    request: jlong,
    message: JByteArray<'local>,
    number: jlong,
) -> JByteArray<'local> {
    answer(env, |env| {
        let message = bytes(env, &message)?;
        // SAFETY: the pointer is that of a slice with its length; the error pointer is a local variable.
        check(|error| unsafe {
            c::d365_token_request_fail_with(
                from_long(request),
                message.as_ptr().cast(),
                message.len(),
                number,
                error,
            )
        })?;
        Ok(Writer::ok())
    })
}

/// Gives a request back; unanswered, its call fails.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_tokenFree<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    request: jlong,
) {
    quietly(env, || drop(TokenRequest::new(from_long(request))));
}
