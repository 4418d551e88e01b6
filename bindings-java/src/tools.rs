//! Native methods that need no client: version, URLs, faults.

use std::ffi::CStr;

use d365_failover as c;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass};
use jni::sys::jint;

use crate::failure::{owned, value};
use crate::jvm::{answer, bytes};
use crate::owned::Owned;
use crate::packet::{Reader, Writer};
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
        let mut packed = Reader::new(&headers);
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
