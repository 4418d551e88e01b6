//! Native methods of a client's queue and its items.

use d365_failover as c;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass, JLongArray};
use jni::sys::{jint, jlong};

use crate::failure::{check, owned, value};
use crate::jvm::{Stop, answer, number, quietly};
use crate::owned::{Owned, from_long, to_long};
use crate::packet::Writer;
use crate::response;
use crate::result::{text, view};

const FOR_EVER: i64 = -1;

/// Waits for the next item and gives its handle, which is Java's to free; 0: there will be none any more.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_queueNext<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    queue: jlong,
) -> jlong {
    number(env, || {
        // SAFETY: outputs are local variables.
        let next = owned(|out, error| unsafe {
            c::d365_queue_next(from_long(queue), FOR_EVER, out, error)
        });
        match next {
            Ok(item) => Ok(Owned::<c::d365_item_t>::into_long(item)),
            Err(failure) if failure.is(c::D365_CLOSED) => Ok(0),
            Err(failure) => Err(failure),
        }
    })
}

/// The number that a completion's call was submitted with; 0 for an item that is no completion.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_itemCall<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    item: jlong,
) -> jlong {
    number(env, || {
        // SAFETY: outputs are local variables.
        let id = value(std::ptr::null_mut(), |out, _| unsafe {
            c::d365_item_user_data(from_long(item), out)
        });
        match id {
            Ok(id) => Ok(to_long(id)),
            Err(failure) if failure.is(c::D365_NOT_AVAILABLE) => Ok(0),
            Err(failure) => Err(failure),
        }
    })
}

/// How a completion's call ended, once. Out: the call's own packet, and see [`response::hand_over`]; of a read that was
/// submitted, its bytes.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_itemResult<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    item: jlong,
    place: JLongArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        // SAFETY: outputs are local variables.
        let kind = value(0, |out, _| unsafe {
            c::d365_item_kind(from_long(item), out)
        })?;
        if kind == c::D365_ITEM_BODY {
            return piece(item);
        }
        // SAFETY: outputs are local variables.
        let response =
            owned(|out, error| unsafe { c::d365_item_result(from_long(item), out, error) })?;
        response::hand_over(env, response, &place)
    })
}

fn piece(item: jlong) -> Result<Writer, Stop> {
    let (mut data, mut len) = (std::ptr::null(), 0);
    // SAFETY: outputs are local variables.
    check(|error| unsafe {
        c::d365_item_body(from_long(item), &raw mut data, &raw mut len, error)
    })?;
    let mut packet = Writer::ok();
    packet.bytes(if len == 0 {
        &[]
    } else {
        // SAFETY: the view is as long as is said, and lives as long as the item, which Java frees when this has
        // returned.
        unsafe { std::slice::from_raw_parts(data, len) }
    });
    Ok(packet)
}

/// What an event says. Out: kind and fields, in the order in which `EventItem.java` reads them.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_itemEvent<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    item: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        let item = from_long(item);
        // SAFETY: outputs are local variables.
        let kind = value(0, |out, _| unsafe { c::d365_item_kind(item, out) })?;
        let mut packet = Writer::ok();
        packet.int(kind);
        event(&mut packet, item);
        Ok(packet)
    })
}

fn event(packet: &mut Writer, handle: *mut c::d365_item_t) {
    // SAFETY: outputs are local variables; Java frees the item, whose the views are, when this has returned.
    unsafe {
        for field in [
            c::D365_ITEM_TIME_MS,
            c::D365_ITEM_EPOCH,
            c::D365_ITEM_PREVIOUS_ROLE,
            c::D365_ITEM_NEW_ROLE,
            c::D365_ITEM_AUTOMATIC,
            c::D365_ITEM_LEVEL,
            c::D365_ITEM_DROPPED,
            c::D365_ITEM_PROBED,
            c::D365_ITEM_LEDGER_ID,
            c::D365_ITEM_IN_DOUBT,
            c::D365_ITEM_ACKNOWLEDGED,
            c::D365_ITEM_RETRY_AFTER_MS,
            c::D365_ITEM_LASTED_MS,
            c::D365_ITEM_PLANNED,
            c::D365_ITEM_SETTLED_TOTAL,
            c::D365_ITEM_SETTLED_CONFIRMED,
            c::D365_ITEM_SETTLED_REPLAYED,
            c::D365_ITEM_SETTLED_LEFT,
        ] {
            packet.long(value(0, |out, _| c::d365_item_number(handle, field, out)).unwrap_or(0));
        }
        for field in [
            c::D365_ITEM_PREVIOUS_URL,
            c::D365_ITEM_NEW_URL,
            c::D365_ITEM_REASON,
            c::D365_ITEM_MESSAGE,
            c::D365_ITEM_METHOD,
            c::D365_ITEM_URL,
            c::D365_ITEM_TAG,
        ] {
            text(
                packet,
                view(|out| c::d365_item_text(handle, field, out)).ok(),
            );
        }
    }
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
