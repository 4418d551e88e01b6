//! Native methods of the writes on record.

use d365_failover as c;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass};
use jni::sys::{jint, jlong};

use crate::failure::{Failure, check, owned, value};
use crate::jvm::{answer, quietly};
use crate::owned::{Owned, from_long};
use crate::packet::Writer;
use crate::result::{EMPTY, text, view};

/// In the order in which `LedgerEntry.java` reads them.
const NUMBERS: [i32; 15] = [
    c::D365_LEDGER_ID,
    c::D365_LEDGER_OPERATION,
    c::D365_LEDGER_EFFECT,
    c::D365_LEDGER_IS_SUSPECT,
    c::D365_LEDGER_RESOLUTION,
    c::D365_LEDGER_ROLE,
    c::D365_LEDGER_EPOCH,
    c::D365_LEDGER_STARTED_MS,
    c::D365_LEDGER_ENDED_MS,
    c::D365_LEDGER_BODY_LENGTH,
    c::D365_LEDGER_ATTEMPTS,
    c::D365_LEDGER_VERIFIED,
    c::D365_LEDGER_VERIFIED_MS,
    c::D365_LEDGER_IS_FINAL,
    c::D365_LEDGER_IS_KEPT,
];

const TEXTS: [i32; 7] = [
    c::D365_LEDGER_METHOD,
    c::D365_LEDGER_URL,
    c::D365_LEDGER_ROW_URL,
    c::D365_LEDGER_BODY_DIGEST,
    c::D365_LEDGER_TAG,
    c::D365_LEDGER_WHY,
    c::D365_LEDGER_LEFT_OUT,
];

/// Which writes are on record, `D365_LEDGER_ALL`, `_SUSPECTS` or `_MINE`. Out: count, and the fields of each.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_ledger<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    selection: jint,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: outputs are local variables.
        let ledger = owned(|out, error| unsafe {
            c::d365_client_ledger(from_long(client), selection, out, error)
        })?;
        let mut packet = Writer::ok();
        entries(&mut packet, &ledger)?;
        Ok(packet)
    })
}

fn entries(packet: &mut Writer, ledger: &Owned<c::d365_ledger_t>) -> Result<(), Failure> {
    let handle = ledger.get();
    // SAFETY: every output is a local variable, every view is of `ledger`, which lives until the end.
    unsafe {
        let count = value(0, |out, _| c::d365_ledger_count(handle, out))?;
        packet.int(count as i32);
        for index in 0..count {
            for field in NUMBERS {
                packet.long(value(0, |out, _| {
                    c::d365_ledger_number(handle, index, field, out)
                })?);
            }
            for field in TEXTS {
                let content = view(|out| c::d365_ledger_text(handle, index, field, out))?;
                text(packet, Some(content));
            }
            let count = value(0, |out, _| {
                c::d365_ledger_difference_count(handle, index, out)
            })?;
            packet.int(count as i32);
            for nth in 0..count {
                let (mut name, mut sent, mut found) = (EMPTY, EMPTY, EMPTY);
                let (one, two, three) = (&raw mut name, &raw mut sent, &raw mut found);
                check(|_| c::d365_ledger_difference(handle, index, nth, one, two, three))?;
                for part in [name, sent, found] {
                    text(packet, Some(part));
                }
            }
        }
    }
    Ok(())
}

/// Takes what was found out about a write.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_resolve<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    id: jlong,
    resolution: jint,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: the error pointer is a local variable.
        check(|error| unsafe { c::d365_client_resolve(from_long(client), id, resolution, error) })?;
        Ok(Writer::ok())
    })
}

/// What was acknowledged since then (ms) is in question. Out: how many, and since when all are on record (ms).
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_suspectSince<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    client: jlong,
    since_ms: jlong,
) -> JByteArray<'local> {
    answer(env, |_| {
        let (mut count, mut on_record_since) = (0, 0);
        let (counted, since) = (&raw mut count, &raw mut on_record_since);
        let client = from_long(client);
        // SAFETY: outputs are local variables.
        check(|error| unsafe {
            c::d365_client_suspect_since(client, since_ms, counted, since, error)
        })?;
        let mut packet = Writer::ok();
        packet.long(count);
        packet.long(on_record_since);
        Ok(packet)
    })
}

/// Begins a walk over the writes to verify. Out: a request of it, which is Java's to free.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_walkNew<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    flags: jint,
) -> JByteArray<'local> {
    answer(env, |_| {
        // SAFETY: outputs are local variables.
        let walk = owned(|out, error| unsafe {
            c::d365_request_new_settle(flags.cast_unsigned(), out, error)
        })?;
        let mut packet = Writer::ok();
        packet.long(Owned::<c::d365_request_t>::into_long(walk));
        Ok(packet)
    })
}

/// Frees a request.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_requestFree<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    request: jlong,
) {
    quietly(env, || {
        c::d365_request_free(from_long(request));
    });
}
