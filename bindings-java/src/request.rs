//! A request, from its packet.

use std::marker::PhantomData;
use std::ptr;

use d365_failover as c;

use crate::failure::{check, owned};
use crate::jvm::Stop;
use crate::owned::{Owned, from_long};
use crate::packet::Reader;
use crate::upcall;

const VERIFIES: i32 = 1;
const DISCOVERS: i32 = 2;
const VERIFIES_WITH: i32 = 3;
const REPLAYS: i32 = 4;
const REPLAYS_AS_WANTED: i32 = 5;
const SETTLES: i32 = 6;
const CHECKS: i32 = 7;
const READ_ONCE: i32 = 1;
const READ_AGAIN: i32 = 2;

/// A request as its packet says it. It points into what it was unpacked from.
pub(crate) struct Packed<'a> {
    question: i32,
    subject: i64,
    fields: c::d365_request_fields_t,
    headers: Vec<c::d365_header_t>,
    reader: i32,
    length: i64,
    _of: PhantomData<&'a [u8]>,
}

/// What it asks (0: it is sent; 1: about a write, 2: for the failover policy, 3: about a write by its URL, 4 and 5: it sends
/// one again, 6: it goes on with a walk, 7: at an endpoint), which write, walk or role, tag, method,
/// URL, headers, timeout (ms; negative: none of its own), connect timeout and attempt timeout likewise,
/// operation, guarded create, upsert, how the body is read (0: not), its length then
/// (negative: unknown). A body that is read is asked for on the thread that sends.
pub(crate) fn unpack<'a>(
    head: &'a [u8],
    body: Option<&'a [u8]>,
    streaming: bool,
) -> Result<Packed<'a>, Stop> {
    let mut head = Reader::new(head);
    let (question, subject) = (head.int()?, head.long()?);
    let tag = head.bytes()?;
    let (method, url) = (head.bytes()?, head.bytes()?);
    let mut headers = Vec::new();
    for _ in 0..head.int()? {
        let (name, value) = (head.bytes()?, head.bytes()?);
        headers.push(c::d365_header_t {
            name: name.as_ptr().cast(),
            name_len: name.len(),
            value: value.as_ptr().cast(),
            value_len: value.len(),
        });
    }
    // In the ABI 0 is none, and what is negative is refused, which is what becomes of 0 here.
    let mut ms = || {
        head.long().map(|ms| match ms {
            ..0 => 0,
            0 => -1,
            ms => ms,
        })
    };
    let times = [ms()?, ms()?, ms()?, ms()?];
    let operation = head.int()?;
    let (guarded_create, upsert) = (head.int()?, head.int()?);
    let body = body.unwrap_or_default();
    let (reader, length) = (head.int()?, head.long()?);
    Ok(Packed {
        question,
        subject,
        fields: c::d365_request_fields_t {
            method: method.as_ptr().cast(),
            method_len: method.len(),
            url: url.as_ptr().cast(),
            url_len: url.len(),
            headers: headers.as_ptr(),
            header_count: headers.len(),
            body: body.as_ptr(),
            body_len: body.len(),
            tag: tag.as_ptr().cast(),
            tag_len: tag.len(),
            timeout_ms: times[0],
            connect_timeout_ms: times[1],
            attempt_timeout_ms: times[2],
            read_timeout_ms: times[3],
            operation,
            is_streaming: streaming.into(),
            is_guarded_create: guarded_create,
            is_upsert: upsert,
            ..c::d365_request_fields_t::default()
        },
        headers,
        reader,
        length,
        _of: PhantomData,
    })
}

impl Packed<'_> {
    /// For one call, where it is sent as it is. `None`: it asks something, or its body is read while it is sent.
    pub(crate) fn fields(&self) -> Option<c::d365_request_fields_t> {
        (self.question == 0 && self.reader == 0).then_some(self.fields)
    }

    pub(crate) fn request(&self) -> Result<Owned<c::d365_request_t>, Stop> {
        let of = &self.fields;
        let (url, url_len) = (of.url, of.url_len);
        // SAFETY: every pointer is that of a slice with its length, which lives as long as `self`; outputs are local variables.
        unsafe {
            let request = owned(|out, error| match self.question {
                VERIFIES => c::d365_request_new_verify(self.subject, out, error),
                DISCOVERS => c::d365_request_new_discover(out, error),
                VERIFIES_WITH => {
                    c::d365_request_new_verify_with(self.subject, url, url_len, out, error)
                }
                REPLAYS => c::d365_request_new_replay(self.subject, 0, out, error),
                REPLAYS_AS_WANTED => c::d365_request_new_replay(self.subject, 1, out, error),
                SETTLES => c::d365_request_new_settle_on(from_long(self.subject), out, error),
                CHECKS => c::d365_request_new_check(self.subject as i32, out, error),
                _ => c::d365_request_new(of.method, of.method_len, url, url_len, out, error),
            })?;
            let raw = request.get();
            check(|error| c::d365_request_set_tag(raw, of.tag, of.tag_len, error))?;
            for header in &self.headers {
                let (name, name_len) = (header.name, header.name_len);
                let (value, value_len) = (header.value, header.value_len);
                check(|error| {
                    c::d365_request_add_header(raw, name, name_len, value, value_len, error)
                })?;
            }
            if of.timeout_ms != 0 {
                check(|error| c::d365_request_set_timeout_ms(raw, of.timeout_ms, error))?;
            }
            if of.connect_timeout_ms != 0 {
                let ms = of.connect_timeout_ms;
                check(|error| c::d365_request_set_connect_timeout_ms(raw, ms, error))?;
            }
            if of.attempt_timeout_ms != 0 {
                let ms = of.attempt_timeout_ms;
                check(|error| c::d365_request_set_attempt_timeout_ms(raw, ms, error))?;
            }
            if of.read_timeout_ms != 0 {
                check(|error| c::d365_request_set_read_timeout_ms(raw, of.read_timeout_ms, error))?;
            }
            // Where nothing is said here, a header to the library may have said it.
            if of.operation != 0 {
                check(|error| c::d365_request_set_operation(raw, of.operation, error))?;
            }
            if of.is_guarded_create != 0 {
                check(|error| c::d365_request_set_guarded_create(raw, 1, error))?;
            }
            if of.is_upsert != 0 {
                check(|error| c::d365_request_set_upsert(raw, 1, error))?;
            }
            check(|error| c::d365_request_set_body(raw, of.body, of.body_len, error))?;
            let rewind: c::d365_body_rewind_fn =
                (self.reader == READ_AGAIN).then_some(upcall::rewind);
            if self.reader == READ_ONCE || self.reader == READ_AGAIN {
                let (read, nothing) = (Some(upcall::read as _), ptr::null_mut());
                check(|error| {
                    c::d365_request_set_body_reader(
                        raw,
                        read,
                        rewind,
                        self.length,
                        nothing,
                        None,
                        error,
                    )
                })?;
            }
            check(|error| c::d365_request_set_streaming(raw, of.is_streaming, error))?;
            Ok(request)
        }
    }
}
