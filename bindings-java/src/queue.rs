//! Native methods of a client's queue and its items.

use d365_failover as c;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass};
use jni::sys::{jint, jlong};

use crate::failure::{check, owned, value};
use crate::jvm::{Stop, answer, quietly};
use crate::owned::{Owned, from_long, to_long};
use crate::packet::Writer;
use crate::result::{self, text, view};

/// Waits for the next item. Out: kind; then of a completion its id and the call's own packet, of an event its handle
/// and fields.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_queueNext<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    queue: jlong,
    timeout_ms: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: outputs are local variables.
        unsafe {
            let item =
                owned(|out, error| c::d365_queue_next(from_long(queue), timeout_ms, out, error))?;
            let kind = value(0, |out, _| c::d365_item_kind(item.get(), out))?;
            let mut packet = Writer::ok();
            packet.int(kind);
            if kind == c::D365_ITEM_COMPLETION {
                completion(&mut packet, &item)?;
            } else {
                event(&mut packet, item);
            }
            Ok(packet)
        }
    })
}

fn completion(packet: &mut Writer, item: &Owned<c::d365_item_t>) -> Result<(), Stop> {
    // SAFETY: outputs are local variables.
    let id = value(std::ptr::null_mut(), |out, _| unsafe {
        c::d365_item_user_data(item.get(), out)
    })?;
    packet.long(to_long(id));
    // SAFETY: as above.
    let outcome = owned(|out, error| unsafe { c::d365_item_result(item.get(), out, error) });
    let call = match outcome {
        Ok(response) => {
            let mut call = Writer::ok();
            result::response(&mut call, &response);
            call
        }
        Err(failure) => failure.packet(),
    };
    packet.bytes(call.as_slice());
    Ok(())
}

/// The item's handle goes to Java, which frees it when its listeners are done.
fn event(packet: &mut Writer, item: Owned<c::d365_item_t>) {
    let handle = item.get();
    // SAFETY: outputs are local variables; views are of `item`, which lives until the end.
    unsafe {
        for field in [
            c::D365_ITEM_SEQ,
            c::D365_ITEM_TIME_MS,
            c::D365_ITEM_EPOCH,
            c::D365_ITEM_PREVIOUS_ROLE,
            c::D365_ITEM_NEW_ROLE,
            c::D365_ITEM_AUTOMATIC,
        ] {
            packet.long(value(0, |out, _| c::d365_item_number(handle, field, out)).unwrap_or(0));
        }
        for field in [
            c::D365_ITEM_PREVIOUS_URL,
            c::D365_ITEM_NEW_URL,
            c::D365_ITEM_REASON,
            c::D365_ITEM_MESSAGE,
        ] {
            text(
                packet,
                view(|out| c::d365_item_text(handle, field, out)).ok(),
            );
        }
    }
    packet.long(item.into_long());
}

/// Answers a decision.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_itemReply<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    item: jlong,
    decision: jint,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: the error pointer is a local variable.
        check(|error| unsafe { c::d365_item_reply(from_long(item), decision, error) })?;
        Ok(Writer::ok())
    })
}

/// Gives an item back: a decision takes its default, a notification is acknowledged.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_itemFree<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    item: jlong,
) {
    quietly(env, || drop(Owned::<c::d365_item_t>::new(from_long(item))));
}

/// Takes no further items; what is left can still be fetched.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_queueClose<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    queue: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: the error pointer is a local variable.
        check(|error| unsafe { c::d365_queue_close(from_long(queue), 0, error) })?;
        Ok(Writer::ok())
    })
}

/// Gives a queue's handle back.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_queueFree<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    queue: jlong,
) {
    quietly(env, || {
        drop(Owned::<c::d365_queue_t>::new(from_long(queue)))
    });
}
