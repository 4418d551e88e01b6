//! Native methods of a client.

use std::ptr;

use d365_failover as c;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass, JLongArray, JObject};
use jni::sys::{jboolean, jint, jlong};

use crate::failure::{check, owned, value};
use crate::jvm::{answer, bytes, number, optional_bytes, quietly};
use crate::owned::{Owned, from_long};
use crate::packet::{Reader, Writer};
use crate::result::{text, view};
use crate::upcall::{self, Inside};
use crate::{request, response, token};

/// Opens a client with a queue of its own. Packet in: URL, count, keys and values. Out: client, queue, token channel
/// (0 without).
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_open<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    settings: JByteArray<'local>,
    with_tokens: jboolean,
    with_prepare: jboolean,
) -> JByteArray<'local> {
    answer(env, |env| {
        let packed = bytes(env, &settings)?;
        let mut packed = Reader::new(&packed);
        let url = packed.bytes()?;
        // SAFETY: every pointer is that of a slice with its length; outputs are local variables.
        unsafe {
            let settings: Owned<c::d365_settings_t> = owned(|out, error| {
                c::d365_settings_new(url.as_ptr().cast(), url.len(), out, error)
            })?;
            for _ in 0..packed.int()? {
                let (key, content) = (packed.bytes()?, packed.bytes()?);
                check(|error| {
                    c::d365_settings_set(
                        settings.get(),
                        key.as_ptr().cast(),
                        key.len(),
                        content.as_ptr().cast(),
                        content.len(),
                        error,
                    )
                })?;
            }
            let queue: Owned<c::d365_queue_t> =
                owned(|out, error| c::d365_queue_new(0, out, error))?;
            check(|error| {
                c::d365_settings_set_queue(settings.get(), queue.get(), ptr::null_mut(), error)
            })?;
            if with_prepare {
                check(|error| {
                    c::d365_settings_set_prepare(
                        settings.get(),
                        Some(upcall::prepare),
                        ptr::null_mut(),
                        None,
                        error,
                    )
                })?;
            }
            let channel = if with_tokens {
                token::attach(&settings)?
            } else {
                0
            };
            let client: Owned<c::d365_client_t> =
                owned(|out, error| c::d365_client_open(settings.get(), out, error))?;
            let mut packet = Writer::ok();
            packet.long(client.into_long());
            packet.long(queue.into_long());
            packet.long(channel);
            Ok(packet)
        }
    })
}

/// Sends and waits; `pending` is what another thread cancels the call by. `upcalls` (may be null) is asked for the body
/// and to prepare attempts. With `place` the body is not collected: what it then gets is in [`response::hand_over`].
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_send<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    head: JByteArray<'local>,
    body: JByteArray<'local>,
    upcalls: JObject<'local>,
    pending: jlong,
    place: JLongArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        let head = bytes(env, &head)?;
        let body = optional_bytes(env, &body)?;
        let packed = request::unpack(&head, body.as_deref(), !place.is_null())?;
        let _inside = Inside::enter(&upcalls);
        let (client, pending) = (from_long(client), from_long::<c::d365_pending_t>(pending));
        let response = match packed.fields() {
            Some(fields) => {
                let fields = c::d365_request_fields_t { pending, ..fields };
                // SAFETY: outputs are local variables; any value is allowed for a handle; what is pointed to outlives the call.
                owned(|out, error| unsafe {
                    c::d365_client_send_fields(client, &raw const fields, out, error)
                })?
            }
            None => {
                let request = packed.request()?;
                // SAFETY: outputs are local variables; any value is allowed for a handle.
                owned(|out, error| unsafe {
                    c::d365_client_send_cancellable(client, request.get(), pending, out, error)
                })?
            }
        };
        response::hand_over(env, response, &place)
    })
}

/// What one call can be cancelled by while its thread waits.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_pendingNew<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
) -> jlong {
    number(env, || {
        // SAFETY: the output is a local variable.
        let pending = owned(|out, error| unsafe { c::d365_pending_new(out, error) })?;
        Ok(Owned::<c::d365_pending_t>::into_long(pending))
    })
}

/// Submits; `id` comes back with the completion. Out: the pending call.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_submit<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    head: JByteArray<'local>,
    body: JByteArray<'local>,
    streaming: jboolean,
    id: jlong,
) -> JByteArray<'local> {
    answer(env, |env| {
        let head = bytes(env, &head)?;
        let body = optional_bytes(env, &body)?;
        let request = request::unpack(&head, body.as_deref(), streaming)?.request()?;
        // SAFETY: the output is a local variable; `id` is a number that the C ABI only hands back.
        let pending: Owned<c::d365_pending_t> = owned(|out, error| unsafe {
            c::d365_client_submit(from_long(client), request.get(), from_long(id), out, error)
        })?;
        let mut packet = Writer::ok();
        packet.long(pending.into_long());
        Ok(packet)
    })
}

/// Cancels a call.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_pendingCancel<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    pending: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: the error pointer is a local variable.
        check(|error| unsafe { c::d365_pending_cancel(from_long(pending), error) })?;
        Ok(Writer::ok())
    })
}

/// Out: the write on record, if there is one.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_pendingLedgerId<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    pending: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: the output is a local variable.
        let id = value(0, |out, _| unsafe {
            c::d365_pending_ledger_id(from_long(pending), out)
        });
        let mut packet = Writer::default();
        packet.optional(id.ok(), Writer::long);
        Ok(packet)
    })
}

/// Gives a pending call's handle back.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_pendingFree<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    pending: jlong,
) {
    quietly(env, || {
        drop(Owned::<c::d365_pending_t>::new(from_long(pending)))
    });
}

/// Which events are wanted, one bit a kind.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_subscribe<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    mask: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: the error pointer is a local variable.
        check(|error| unsafe { c::d365_client_subscribe(from_long(client), mask as u64, error) })?;
        Ok(Writer::ok())
    })
}

/// 0 primary URL, 1 alternate URL, 2 active URL, 3 what it has counted.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_clientText<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    which: jint,
) -> JByteArray<'local> {
    answer(env, |_| {
        let client = from_long::<c::d365_client_t>(client);
        let mut packet = Writer::ok();
        if which == 3 {
            // SAFETY: outputs are local variables; the view is copied before its object is dropped.
            unsafe {
                let counted: Owned<c::d365_text_t> =
                    owned(|out, error| c::d365_client_statistics(client, out, error))?;
                let told = view(|out| c::d365_text_view(counted.get(), out))?;
                text(&mut packet, Some(told));
            }
            return Ok(packet);
        }
        let empty = c::d365_str_t {
            data: ptr::null(),
            len: 0,
        };
        // SAFETY: outputs are local variables; the Java side keeps the client from being freed meanwhile by a fence,
        // and the C ABI's views of a client live as long as its handle.
        unsafe {
            let view = value(empty, |out, error| match which {
                0 => c::d365_client_primary_url(client, out, error),
                1 => c::d365_client_alternate_url(client, out, error),
                _ => c::d365_client_active_url(client, out, error),
            })?;
            text(&mut packet, Some(view));
        }
        Ok(packet)
    })
}

/// 0 whether it is on the primary, 1 epoch, 2 whether it switches by itself, 3 writes that left the record too early.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_clientNumber<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    which: jint,
) -> JByteArray<'local> {
    answer(env, |_| {
        let client = from_long::<c::d365_client_t>(client);
        let mut packet = Writer::ok();
        // SAFETY: outputs are local variables.
        packet.long(unsafe {
            match which {
                0 => value(0, |out, error| {
                    c::d365_client_is_primary(client, out, error)
                })?
                .into(),
                1 => value(0, |out, error| c::d365_client_epoch(client, out, error))? as i64,
                3 => value(0, |out, error| {
                    c::d365_client_ledger_evicted(client, out, error)
                })?,
                _ => value(0, |out, error| {
                    c::d365_client_endpoint_auto_switch_enabled(client, out, error)
                })?
                .into(),
            }
        });
        Ok(packet)
    })
}

/// Whether it switches by itself from now on.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_setAutoSwitch<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    enabled: jboolean,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: the error pointer is a local variable.
        check(|error| unsafe {
            c::d365_client_set_endpoint_auto_switch_enabled(
                from_long(client),
                enabled.into(),
                error,
            )
        })?;
        Ok(Writer::ok())
    })
}

/// Switches by hand.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_switchEndpoint<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: the error pointer is a local variable.
        check(|error| unsafe { c::d365_client_switch_endpoint(from_long(client), error) })?;
        Ok(Writer::ok())
    })
}

/// An interruption is planned, from and to these times (ms).
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_maintenance<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    start_ms: jlong,
    end_ms: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        let client = from_long(client);
        // SAFETY: the error pointer is a local variable.
        check(|error| unsafe { c::d365_client_maintenance(client, start_ms, end_ms, error) })?;
        Ok(Writer::ok())
    })
}

/// What the operator says: its number, where it stands, its end (ms).
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_currentOverride<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        let (mut value, mut source, mut until) = (0, 0, 0);
        let (said, stands, ends) = (&raw mut value, &raw mut source, &raw mut until);
        // SAFETY: outputs are local variables.
        check(|error| unsafe {
            c::d365_client_current_override(from_long(client), said, stands, ends, error)
        })?;
        let mut packet = Writer::ok();
        packet.int(value);
        packet.int(source);
        packet.long(until);
        Ok(packet)
    })
}

/// Puts the operator's override into the store.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_setOverride<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    value: jint,
    until_ms: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        let client = from_long(client);
        // SAFETY: the error pointer is a local variable.
        check(|error| unsafe { c::d365_client_set_override(client, value, until_ms, error) })?;
        Ok(Writer::ok())
    })
}

/// No new calls; waits for those in flight, then cancels them.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_shutdown<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    timeout_ms: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: the error pointer is a local variable.
        check(|error| unsafe { c::d365_client_shutdown(from_long(client), timeout_ms, error) })?;
        Ok(Writer::ok())
    })
}

/// Gives a client's handle back.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_clientFree<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
) {
    quietly(env, || {
        drop(Owned::<c::d365_client_t>::new(from_long(client)))
    });
}
