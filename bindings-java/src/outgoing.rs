//! Native methods of an attempt that is being prepared. Java's side calls them during the callback only.

use std::ptr;

use d365_failover as c;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass};
use jni::sys::jlong;

use crate::failure::{check, value};
use crate::jvm::{answer, bytes};
use crate::owned::from_long;
use crate::packet::Writer;
use crate::result::{text, view};

/// What never changes of it. Out: URL, endpoint's URL (optional), method, role, epoch, number.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_outgoing<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    outgoing: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        let outgoing = from_long(outgoing);
        let mut packet = Writer::ok();
        // SAFETY: outputs are local variables; views are valid during the callback.
        unsafe {
            let url = view(|out| c::d365_outgoing_url(outgoing, out))?;
            text(&mut packet, Some(url));
            let endpoint = view(|out| c::d365_outgoing_endpoint_url(outgoing, out)).ok();
            packet.optional(endpoint, |packet, endpoint| text(packet, Some(endpoint)));
            let method = view(|out| c::d365_outgoing_method(outgoing, out))?;
            text(&mut packet, Some(method));
            for field in [
                c::D365_OUTGOING_ROLE,
                c::D365_OUTGOING_EPOCH,
                c::D365_OUTGOING_ATTEMPT,
            ] {
                packet.long(value(0, |out, _| {
                    c::d365_outgoing_number(outgoing, field, out)
                })?);
            }
        }
        Ok(packet)
    })
}

/// Out: the first value of a header (optional).
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_outgoingHeader<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    outgoing: jlong,
    name: JByteArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        let name = bytes(env, &name)?;
        let mut packet = Writer::ok();
        // SAFETY: the pointer is that of a slice with its length; outputs are local variables; views are valid during
        // the callback.
        unsafe {
            let found = view(|out| {
                c::d365_outgoing_header(from_long(outgoing), name.as_ptr().cast(), name.len(), out)
            });
            let found = match found {
                Ok(found) => Some(found),
                Err(failure) if failure.is(c::D365_NOT_AVAILABLE) => None,
                Err(failure) => return Err(failure.into()),
            };
            packet.optional(found, |packet, found| text(packet, Some(found)));
        }
        Ok(packet)
    })
}

/// Sets a header, in the place of all of its name.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_outgoingSetHeader<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    outgoing: jlong,
    name: JByteArray<'local>,
    content: JByteArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        let (name, content) = (bytes(env, &name)?, bytes(env, &content)?);
        // SAFETY: the pointers are those of slices with their lengths; the error pointer is a local variable.
        check(|error| unsafe {
            c::d365_outgoing_set_header(
                from_long(outgoing),
                name.as_ptr().cast(),
                name.len(),
                content.as_ptr().cast(),
                content.len(),
                error,
            )
        })?;
        Ok(Writer::ok())
    })
}

/// Takes all headers of a name away.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_outgoingRemoveHeader<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    outgoing: jlong,
    name: JByteArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        let name = bytes(env, &name)?;
        // SAFETY: the pointer is that of a slice with its length; the error pointer is a local variable.
        check(|error| unsafe {
            c::d365_outgoing_remove_header(
                from_long(outgoing),
                name.as_ptr().cast(),
                name.len(),
                error,
            )
        })?;
        Ok(Writer::ok())
    })
}

/// Out: the bytes of the body (optional: not of one that is read while it is sent).
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_outgoingBody<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    outgoing: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        let (mut data, mut len) = (ptr::null(), 0);
        // SAFETY: outputs are local variables.
        let found = check(|_| unsafe {
            c::d365_outgoing_body(from_long(outgoing), &raw mut data, &raw mut len)
        });
        let body = match found {
            // SAFETY: the C ABI says that there are so many bytes, which are not NULL, during the callback.
            Ok(()) => Some(unsafe { std::slice::from_raw_parts(data, len) }),
            Err(failure) if failure.is(c::D365_NOT_AVAILABLE) => None,
            Err(failure) => return Err(failure.into()),
        };
        let mut packet = Writer::ok();
        packet.optional(body, Writer::bytes);
        Ok(packet)
    })
}

/// Sends these bytes in the place of the request's body.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_outgoingSetBody<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    outgoing: jlong,
    body: JByteArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        let body = bytes(env, &body)?;
        // SAFETY: the pointer is that of a slice with its length; the error pointer is a local variable.
        check(|error| unsafe {
            c::d365_outgoing_set_body(from_long(outgoing), body.as_ptr(), body.len(), error)
        })?;
        Ok(Writer::ok())
    })
}

/// Says why it is not to be sent.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_outgoingFail<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    outgoing: jlong,
    message: JByteArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        let message = bytes(env, &message)?;
        // SAFETY: the pointer is that of a slice with its length; the error pointer is a local variable.
        check(|error| unsafe {
            c::d365_outgoing_fail(
                from_long(outgoing),
                message.as_ptr().cast(),
                message.len(),
                error,
            )
        })?;
        Ok(Writer::ok())
    })
}
