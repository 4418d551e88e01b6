//! A request, from its packet.

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

/// What it asks (0: it is sent; 1: about a write, 2: for the failover policy, 3: about a write by its URL, 4 and 5: it sends
/// one again, 6: it goes on with a walk, 7: at an endpoint), which write, walk or role, tag, method,
/// URL, headers, timeout (ms; negative: none of its own), connect timeout and attempt timeout likewise,
/// operation, guarded create, upsert, how the body is read (0: not), its length then
/// (negative: unknown). A body that is read is asked for on the thread that sends.
pub(crate) fn unpack(
    head: &[u8],
    body: Option<&[u8]>,
    streaming: bool,
) -> Result<Owned<c::d365_request_t>, Stop> {
    let mut head = Reader::new(head);
    let (question, verifies) = (head.int()?, head.long()?);
    let tag = head.bytes()?;
    let (method, url) = (head.bytes()?, head.bytes()?);
    // SAFETY: every pointer is that of a slice with its length; outputs are local variables.
    unsafe {
        let request = owned(|out, error| match question {
            VERIFIES => c::d365_request_new_verify(verifies, out, error),
            DISCOVERS => c::d365_request_new_discover(out, error),
            VERIFIES_WITH => c::d365_request_new_verify_with(
                verifies,
                url.as_ptr().cast(),
                url.len(),
                out,
                error,
            ),
            REPLAYS => c::d365_request_new_replay(verifies, 0, out, error),
            REPLAYS_AS_WANTED => c::d365_request_new_replay(verifies, 1, out, error),
            SETTLES => c::d365_request_new_settle_on(from_long(verifies), out, error),
            CHECKS => c::d365_request_new_check(verifies as i32, out, error),
            _ => c::d365_request_new(
                method.as_ptr().cast(),
                method.len(),
                url.as_ptr().cast(),
                url.len(),
                out,
                error,
            ),
        })?;
        let tag = (tag.as_ptr().cast(), tag.len());
        check(|error| c::d365_request_set_tag(request.get(), tag.0, tag.1, error))?;
        for _ in 0..head.int()? {
            let (name, content) = (head.bytes()?, head.bytes()?);
            check(|error| {
                c::d365_request_add_header(
                    request.get(),
                    name.as_ptr().cast(),
                    name.len(),
                    content.as_ptr().cast(),
                    content.len(),
                    error,
                )
            })?;
        }
        let timeout = head.long()?;
        if timeout >= 0 {
            check(|error| c::d365_request_set_timeout_ms(request.get(), timeout, error))?;
        }
        let (connect, attempt, read) = (head.long()?, head.long()?, head.long()?);
        if connect >= 0 {
            check(|error| c::d365_request_set_connect_timeout_ms(request.get(), connect, error))?;
        }
        if attempt >= 0 {
            check(|error| c::d365_request_set_attempt_timeout_ms(request.get(), attempt, error))?;
        }
        if read >= 0 {
            check(|error| c::d365_request_set_read_timeout_ms(request.get(), read, error))?;
        }
        let operation = head.int()?;
        check(|error| c::d365_request_set_operation(request.get(), operation, error))?;
        let (guarded_create, upsert) = (head.int()?, head.int()?);
        check(|error| c::d365_request_set_guarded_create(request.get(), guarded_create, error))?;
        check(|error| c::d365_request_set_upsert(request.get(), upsert, error))?;
        if let Some(body) = body {
            check(|error| {
                c::d365_request_set_body(request.get(), body.as_ptr(), body.len(), error)
            })?;
        }
        let (reader, length) = (head.int()?, head.long()?);
        let rewind: c::d365_body_rewind_fn = (reader == READ_AGAIN).then_some(upcall::rewind);
        if reader == READ_ONCE || reader == READ_AGAIN {
            check(|error| {
                c::d365_request_set_body_reader(
                    request.get(),
                    Some(upcall::read),
                    rewind,
                    length,
                    ptr::null_mut(),
                    None,
                    error,
                )
            })?;
        }
        check(|error| c::d365_request_set_streaming(request.get(), streaming.into(), error))?;
        Ok(request)
    }
}
