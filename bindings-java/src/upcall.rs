//! What the library asks of the application during a call, on the Java thread that is inside of `Native.send`.
//!
//! The functions here get no user data: whom to ask is the innermost call that the thread is inside of. So nothing of
//! the JVM's is held by the library, and a function that came on any other thread would find nobody to ask.

use std::cell::RefCell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use d365_failover as c;
use jni::objects::JObject;
use jni::sys::{jlong, jobject};
use jni::{Env, JavaVM, jni_sig, jni_str};

use crate::owned::to_long;

/// Enough for what one question makes: the `ByteBuffer`, and the class of the object that is asked.
const LOCAL_REFERENCES: usize = 8;

const FAILED: i32 = -1;

thread_local! {
    /// The `Upcalls` of the calls that this thread is inside of, the innermost last; null where there is none.
    static CALLS: RefCell<Vec<jobject>> = const { RefCell::new(Vec::new()) };
}

/// As long as it lives, its `Upcalls` are asked.
pub(crate) struct Inside<'a>(PhantomData<&'a JObject<'a>>);

impl<'a> Inside<'a> {
    /// `upcalls` may be null, for a call in which nothing is asked.
    pub(crate) fn enter(upcalls: &'a JObject<'_>) -> Inside<'a> {
        CALLS.with_borrow_mut(|calls| calls.push(upcalls.as_raw()));
        Inside(PhantomData)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        CALLS.with_borrow_mut(Vec::pop);
    }
}

/// Asks; `FAILED` where there is nobody to ask, or no answer. No exception goes further than this.
fn ask(question: impl FnOnce(&mut Env<'_>, &JObject<'_>) -> jni::errors::Result<i32>) -> i32 {
    let asked = catch_unwind(AssertUnwindSafe(|| {
        let Some(upcalls) = CALLS.with_borrow(|calls| calls.last().copied()) else {
            return Ok(FAILED);
        };
        JavaVM::singleton()?.with_local_frame(LOCAL_REFERENCES, |env| {
            // SAFETY: an `Inside` of this thread's still borrows the reference, which is one of this thread's.
            let upcalls = unsafe { JObject::from_raw(env, upcalls) };
            let answer = question(env, &upcalls);
            // Upcalls throw nothing, but a JVM without a stack to call them on does.
            env.exception_clear();
            answer
        })
    }));
    match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => FAILED,
    }
}

/// `d365_body_read_fn`.
pub(crate) extern "C" fn read(_user_data: *mut c_void, buffer: *mut u8, capacity: usize) -> i64 {
    ask(|env, upcalls| {
        // SAFETY: the buffer is as long as is said until this function returns, and Java's side does not keep it.
        let room = unsafe { env.new_direct_byte_buffer(buffer, capacity) }?;
        env.call_method(
            upcalls,
            jni_str!("read"),
            jni_sig!("(Ljava/nio/ByteBuffer;)I"),
            &[(&room).into()],
        )?
        .i()
    })
    .into()
}

/// `d365_body_rewind_fn`.
pub(crate) extern "C" fn rewind(_user_data: *mut c_void) -> i32 {
    ask(|env, upcalls| {
        env.call_method(upcalls, jni_str!("rewind"), jni_sig!("()I"), &[])?
            .i()
    })
}

/// `d365_prepare_fn`.
pub(crate) extern "C" fn prepare(
    _user_data: *mut c_void,
    outgoing: *mut c::d365_outgoing_t,
) -> i32 {
    let outgoing: jlong = to_long(outgoing);
    ask(|env, upcalls| {
        env.call_method(
            upcalls,
            jni_str!("prepare"),
            jni_sig!("(J)I"),
            &[outgoing.into()],
        )?
        .i()
    })
}
