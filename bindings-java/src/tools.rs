//! Native methods that need no client: version, URLs, faults.

use std::ffi::CStr;

use d365_failover as c;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass};
use jni::sys::jint;

use crate::failure::{owned, value};
use crate::jvm::{Stop, answer, bytes, optional_bytes};
use crate::owned::Owned;
use crate::packet::{Reader, Writer};
use crate::request;
use crate::result::{self, text, view};

/// The number of the C ABI, which the Java side compares with its own.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_abiVersion<'local>(
    _env: EnvUnowned<'local>,
    _class: JClass<'local>,
) -> jint {
    c::d365_abi_version() as jint
}

/// Out: the library's version.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_version<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
) -> JByteArray<'local> {
    answer(env, |_| {
        let mut packet = Writer::ok();
        // SAFETY: the function hands out static NUL-terminated text, never NULL.
        packet.bytes(unsafe { CStr::from_ptr(c::d365_version()) }.to_bytes());
        Ok(packet)
    })
}

/// 0: the alternate's URL, else the primary's. Out: the URL.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_url<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    url: JByteArray<'local>,
    which: jint,
) -> JByteArray<'local> {
    answer(env, |env| {
        let url = bytes(env, &url)?;
        let (data, len) = (url.as_ptr().cast(), url.len());
        // SAFETY: the pointer is that of a slice with its length; outputs are local variables; the view is copied
        // before its object is dropped.
        unsafe {
            let other: Owned<c::d365_text_t> = owned(|out, error| match which {
                0 => c::d365_url_alternate(data, len, out, error),
                1 => c::d365_url_primary(data, len, out, error),
                _ => c::d365_url_shown(data, len, out, error),
            })?;
            let mut packet = Writer::ok();
            text(
                &mut packet,
                Some(view(|out| c::d365_text_view(other.get(), out))?),
            );
            Ok(packet)
        }
    })
}

/// Out: 1 if it is an alternate's URL, else 0.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_urlIsAlternate<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    url: JByteArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        let url = bytes(env, &url)?;
        let mut packet = Writer::ok();
        // SAFETY: the pointer is that of a slice with its length; outputs are local variables.
        packet.int(value(0, |out, error| unsafe {
            c::d365_url_is_alternate(url.as_ptr().cast(), url.len(), out, error)
        })?);
        Ok(packet)
    })
}

/// Count, header names and values; what is made points into it.
fn header_list(packed: &[u8]) -> Result<Vec<c::d365_header_t>, Stop> {
    let mut packed = Reader::new(packed);
    let mut list = Vec::new();
    for _ in 0..packed.int()? {
        let (name, content) = (packed.bytes()?, packed.bytes()?);
        list.push(c::d365_header_t {
            name: name.as_ptr().cast(),
            name_len: name.len(),
            value: content.as_ptr().cast(),
            value_len: content.len(),
        });
    }
    Ok(list)
}

/// What would be done about an answer to a request: its head and body, the preset's number, the answer. With status 0:
/// about the cause of this number, where a byte had left (1) or not. Out: the explanation.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_explain<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    head: JByteArray<'local>,
    sent: JByteArray<'local>,
    numbers: JByteArray<'local>,
    headers: JByteArray<'local>,
    body: JByteArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        let (head, sent) = (bytes(env, &head)?, optional_bytes(env, &sent)?);
        let request = request::unpack(&head, sent.as_deref(), false)?.request()?;
        let (numbers, headers, body) = (
            bytes(env, &numbers)?,
            bytes(env, &headers)?,
            bytes(env, &body)?,
        );
        let mut numbers = Reader::new(&numbers);
        let (preset, status) = (numbers.int()?, numbers.int()?);
        let (cause, was_sent) = (numbers.int()?, numbers.int()? != 0);
        let list = header_list(&headers)?;
        let phase = match was_sent {
            true => c::D365_PHASE_SENT,
            false => c::D365_PHASE_NOT_SENT,
        };
        // SAFETY: the pointers are those of slices with their lengths, alive until the end; outputs are local variables.
        unsafe {
            let told: Owned<c::d365_text_t> = owned(|out, error| match status {
                0 => c::d365_explain_fault(request.get(), preset, cause, phase, out, error),
                _ => c::d365_explain_response(
                    request.get(),
                    preset,
                    status,
                    list.as_ptr(),
                    list.len(),
                    body.as_ptr(),
                    body.len(),
                    out,
                    error,
                ),
            })?;
            let mut packet = Writer::ok();
            text(
                &mut packet,
                Some(view(|out| c::d365_text_view(told.get(), out))?),
            );
            Ok(packet)
        }
    })
}

/// The number of a cause by its name; 0: there is none.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_causeNumber<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    name: JByteArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        let name = bytes(env, &name)?;
        // SAFETY: the function hands out static NUL-terminated text, never NULL.
        let is_it =
            |cause: &i32| unsafe { CStr::from_ptr(c::d365_cause_name(*cause)) }.to_bytes() == name;
        let known = (1..MOST_CAUSES).find(is_it).unwrap_or(0);
        let mut packet = Writer::ok();
        packet.int(known);
        Ok(packet)
    })
}

/// The number of a cause is below this.
const MOST_CAUSES: i32 = 1000;

/// Classifies a response. Packet in: count, header names and values. Out: kind, code, retry-after, message, whether it
/// starts a failover in each preset, in the order of `Preset.java`.
#[unsafe(no_mangle)]
extern "system" fn Java_io_github_d365failover_impl_Native_classify<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    status: jint,
    headers: JByteArray<'local>,
    body: JByteArray<'local>,
) -> JByteArray<'local> {
    answer(env, |env| {
        let (headers, body) = (bytes(env, &headers)?, bytes(env, &body)?);
        let list = header_list(&headers)?;
        // SAFETY: the pointers are those of slices with their lengths, alive until the end; outputs are local variables.
        unsafe {
            let fault: Owned<c::d365_fault_t> = owned(|out, error| {
                c::d365_fault_from_response(
                    status,
                    list.as_ptr(),
                    list.len(),
                    body.as_ptr(),
                    body.len(),
                    out,
                    error,
                )
            })?;
            let fault = fault.get();
            let mut packet = Writer::ok();
            packet.int(value(0, |out, _| c::d365_fault_kind(fault, out))?);
            packet.optional(
                value(0, |out, _| c::d365_fault_service_code(fault, out)).ok(),
                Writer::int,
            );
            packet.optional(
                value(0, |out, _| c::d365_fault_retry_after_ms(fault, out)).ok(),
                Writer::long,
            );
            text(
                &mut packet,
                view(|out| c::d365_fault_message(fault, out)).ok(),
            );
            result::cause(
                &mut packet,
                value(0, |out, _| c::d365_fault_cause(fault, out)).unwrap_or(0),
            );
            for preset in [c::D365_PRESET_SAFE, c::D365_PRESET_DOTNET] {
                packet.int(value(0, |out, error| {
                    c::d365_fault_starts_failover(fault, preset, out, error)
                })?);
            }
            Ok(packet)
        }
    })
}
