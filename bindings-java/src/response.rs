//! Native methods of a response whose body is read by and by.

use d365_failover as c;
use jni::objects::{JByteArray, JClass, JLongArray};
use jni::sys::{jint, jlong};
use jni::{Env, EnvUnowned};

use crate::failure::{check, value};
use crate::jvm::{Stop, answer, quietly};
use crate::owned::{Owned, from_long, to_long};
use crate::packet::Writer;
use crate::result;

/// The most that is read at a time: what the library reads from a connection at a time is not more.
const MOST: usize = 64 << 10;

/// Packs a response. One whose body is still to be read is Java's to free: its handle is put into `place`, for which
/// the JVM needs no memory, so that it is not lost when there is none for the packet.
pub(crate) fn hand_over(
    env: &Env<'_>,
    response: Owned<c::d365_response_t>,
    place: &JLongArray<'_>,
) -> Result<Writer, Stop> {
    let mut packet = Writer::ok();
    result::response(&mut packet, &response);
    let (mut data, mut len) = (std::ptr::null(), 0);
    // SAFETY: outputs are local variables.
    let collected =
        check(|_| unsafe { c::d365_response_body(response.get(), &raw mut data, &raw mut len) });
    if collected.is_err_and(|failure| failure.is(c::D365_NOT_AVAILABLE)) {
        place.set_region(env, 0, &[to_long(response.get())])?;
        response.into_long();
    }
    Ok(packet)
}

/// Waits for the next bytes of the body. Out: how many there are in `buffer` from `offset` on; 0 at the end.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_responseRead<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    response: jlong,
    buffer: JByteArray<'local>,
    offset: jint,
    length: jint,
) -> JByteArray<'local> {
    answer(env, |env| {
        let capacity = usize::try_from(length).map_err(|_| Stop::Malformed)?;
        // The JVM's bytes have a sign; it is the same memory to the library.
        let mut piece: Vec<i8> = vec![0; capacity.min(MOST)];
        // SAFETY: the pointer is that of a slice with its length, which nobody else uses; outputs are local variables.
        let count = value(0, |out, error| unsafe {
            c::d365_response_read(
                from_long(response),
                piece.as_mut_ptr().cast(),
                piece.len(),
                out,
                error,
            )
        })?;
        buffer.set_region(env, offset, &piece[..count])?;
        let mut packet = Writer::ok();
        packet.int(count as i32);
        Ok(packet)
    })
}

/// Reads without waiting: a body item with the number `id` comes in the queue of the response's client.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_responseSubmitRead<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    response: jlong,
    most: jint,
    id: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        let most = usize::try_from(most).map_err(|_| Stop::Malformed)?;
        // SAFETY: any value is allowed for a handle; `id` is a number that the C ABI only hands back.
        check(|error| unsafe {
            c::d365_response_submit_read(from_long(response), most, from_long(id), error)
        })?;
        Ok(Writer::ok())
    })
}

/// What the response is known for when its body was read: its effect and its parts.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_responseTold<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    response: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        let response = from_long(response);
        // SAFETY: any value is allowed for a handle; the output is a local variable.
        let effect = value(0, |out, _| unsafe {
            c::d365_response_effect(response, out)
        });
        let mut packet = Writer::ok();
        packet.int(effect.unwrap_or(c::D365_EFFECT_UNKNOWN));
        result::parts(&mut packet, response);
        Ok(packet)
    })
}

/// Ends a read that waits on another thread.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_responseCancel<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    response: jlong,
) {
    quietly(env, || {
        // SAFETY: any value is allowed for a handle, and NULL for the error.
        unsafe { c::d365_response_cancel(from_long(response), std::ptr::null_mut()) };
    });
}

/// Gives a response back; if its body was not read to the end, its connection is closed.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_responseFree<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    response: jlong,
) {
    quietly(env, || {
        drop(Owned::<c::d365_response_t>::new(from_long(response)))
    });
}
