//! The client: one organization, one switchboard.

use std::ffi::c_void;
use std::sync::OnceLock;

use d365_failover_core as core;

use crate::argument::{duration, out, time, to_core};
use crate::error::d365_error_t;
use crate::fields::{d365_request_fields_t, filled_in};
use crate::guard::{Done, Failure, check_locals, guard, guard_with, of_call};
use crate::handle::{self, Noun, Tag};
use crate::ledger::{self, LedgerList, d365_ledger_t};
use crate::pending::d365_pending_t;
use crate::request::{Check, RequestObject, d365_request_t};
use crate::response::{d365_response_t, handed_out};
use crate::settings::d365_settings_t;
use crate::stack;
use crate::status::{D365_NO_ALTERNATE, d365_status_t};
use crate::text::{Text, d365_str_t};

/// A client of one organization. All functions may be called on any thread at any time.
pub struct d365_client_t {
    _opaque: (),
}

pub(crate) struct ClientObject {
    pub(crate) core: core::Client,
    primary: Text,
    /// Copied when first asked for; from when it is known it stays the same.
    alternate: OnceLock<Text>,
}

impl ClientObject {
    fn alternate(&self) -> Result<&Text, Failure> {
        let url = self.core.alternate_url().ok_or_else(|| {
            Failure::new(
                D365_NO_ALTERNATE,
                "the organization has no alternate, says its FailoverPolicy",
            )
        })?;
        Ok(self.alternate.get_or_init(|| Text::new(url)))
    }

    fn active(&self) -> &Text {
        let url = self.core.active_url();
        if url == self.primary.as_str() {
            return &self.primary;
        }
        self.alternate.get_or_init(|| Text::new(url))
    }
}

impl Noun for d365_client_t {
    type Object = ClientObject;
    const TAG: Tag = Tag::Client;
    const NAME: &'static str = "d365_client_t";
}

/// Opens a client. No I/O but reading the CA file. The settings stay the caller's and may be used
/// again.
///
/// `client` is the caller's, freed by d365_client_free(), best after d365_client_shutdown().
///
/// Errors: D365_NO_CA_STORE when the system has none and `ca_bundle` is not set;
/// D365_INVALID_SETTING for settings that do not fit together or a CA file that cannot be read;
/// D365_NO_RESOURCES without descriptors for it, and on a thread at its end; D365_NULL_POINTER, and what can be wrong with
/// a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_open(
    settings: *const d365_settings_t,
    client: *mut *mut d365_client_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let settings = handle::get(settings)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(client, "client") }?;
        check_locals()?;
        let core = settings.open()?;
        let primary = Text::new(core.primary_url());
        place.set(handle::insert(ClientObject {
            core,
            primary,
            alternate: OnceLock::new(),
        })?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Sends a request and waits for the answer, through a failover if one is needed. The request stays
/// the caller's; the response is the caller's, freed by d365_response_free().
///
/// Blocks up to the call's deadline (d365_request_set_timeout_ms(), setting `deadline_ms`). From
/// the callback of a decision that is not answered yet, and from the client's own token provider,
/// it fails at once with D365_WOULD_DEADLOCK; from the callback of any other item it works.
///
/// Errors: the statuses from 101 on, when the call ended without a usable response; then the error
/// object says what is known: d365_error_effect(), d365_error_attempts(). D365_WRITE_IN_DOUBT is the
/// one of a write that may have been executed, whatever it failed with. D365_CLOSED, D365_FORKED,
/// D365_WOULD_DEADLOCK; D365_INVALID_URL for a URL of another origin that is not in the setting
/// `allowed_hosts`, and one that would not be sent as it is given; D365_BUSY when another call reads
/// the request's body, D365_INVALID_ARGUMENT when that can be read only once and was;
/// D365_NO_RESOURCES on a thread with too little stack; D365_NULL_POINTER, and what can be wrong with a
/// handle. See also d365_client_submit(), d365_client_send_cancellable(), d365_request_set_check().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_send(
    client: *mut d365_client_t,
    request: *const d365_request_t,
    response: *mut *mut d365_response_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    // SAFETY: NULL or the caller's variables.
    unsafe { send(client, request, None, response, error) }
}

/// As d365_client_send(), for a call that another thread can cancel while this one waits:
/// d365_pending_cancel() ends it at once, d365_pending_ledger_id() says which write it is. `pending` is
/// one of d365_pending_new(), for this one call, and stays the caller's; it must not be freed before
/// this has returned, if it is to be of use. d365_request_set_check() works as well.
///
/// Errors: as d365_client_send(), and D365_INVALID_ARGUMENT where another call had `pending`.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_send_cancellable(
    client: *mut d365_client_t,
    request: *const d365_request_t,
    pending: *const d365_pending_t,
    response: *mut *mut d365_response_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    // SAFETY: NULL or the caller's variables.
    unsafe { send(client, request, Some(pending), response, error) }
}

/// As d365_client_send(), for a request that is made for this one call: what d365_request_new(), the
/// setters and d365_request_free() do is done in this one, which costs less. What is sent is the same.
/// Others make a d365_request_t: requests that are sent more than once, whose body is read while it is
/// sent, or that are submitted. Everything in `fields` is copied before the call begins, and stays the
/// caller's.
///
/// Errors: those of d365_client_send(), d365_request_new() and of the setters; D365_INVALID_ARGUMENT for
/// another `size` than this library knows.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_send_fields(
    client: *mut d365_client_t,
    fields: *const d365_request_fields_t,
    response: *mut *mut d365_response_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        // SAFETY: NULL, or what the caller has filled in, with its size.
        let fields = unsafe { filled_in(fields) }?;
        // SAFETY: each is valid for what its type and length say.
        let request = unsafe { fields.request() }?;
        let pending = Some(fields.pending).filter(|pending| !pending.is_null());
        // SAFETY: NULL or the caller's variable.
        unsafe { send_this(client, &request, fields.check(), pending, response) }
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// # Safety
/// `response` and `error` are NULL or the caller's variables.
unsafe fn send(
    client: *mut d365_client_t,
    request: *const d365_request_t,
    pending: Option<*const d365_pending_t>,
    response: *mut *mut d365_response_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let (request, check) = handle::get(request)?.snapshot();
        // SAFETY: NULL or the caller's variable.
        unsafe { send_this(client, &request, check, pending, response) }
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// # Safety
/// `response` is NULL or the caller's variable.
unsafe fn send_this(
    client: *mut d365_client_t,
    request: &core::Request,
    check: Option<Check>,
    pending: Option<*const d365_pending_t>,
    response: *mut *mut d365_response_t,
) -> Done {
    of_call(request, || {
        let client = handle::get(client)?;
        let pending = pending.map(handle::get).transpose()?;
        stack::check()?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(response, "response") }?;
        let mut cancels = || check.is_some_and(Check::cancels);
        let response = match (pending, check) {
            (Some(pending), check) => {
                let check = check.map(|_| &mut cancels as &mut dyn FnMut() -> bool);
                client.core.send_cancellable(request, &pending, check)?
            }
            (None, Some(_)) => client.core.send_with_check(request, &mut cancels)?,
            (None, None) => client.core.send(request)?,
        };
        place.set(handed_out(response)?);
        Ok(())
    })
}

/// Submits a request, and hands out what it can be cancelled by.
///
/// # Safety
/// `pending` is NULL or the caller's variable.
pub(crate) unsafe fn submit(
    client: &ClientObject,
    request: &core::Request,
    user_data: *mut c_void,
    pending: *mut *mut d365_pending_t,
) -> Result<(), Failure> {
    let user_data = to_core(user_data);
    let submitted = match stack::has_room() {
        true => client.core.submit_begun(request, user_data)?,
        false => client.core.submit(request, user_data)?,
    };
    if !pending.is_null() {
        // Without a handle the call is under way all the same, and can just not be cancelled:
        // NULL then.
        let handle = handle::insert::<d365_pending_t>(submitted);
        // SAFETY: not NULL, thus the caller's variable.
        unsafe { pending.write(handle.unwrap_or(std::ptr::null_mut())) };
    }
    Ok(())
}

/// Sends a request without waiting. After D365_OK exactly one item D365_ITEM_COMPLETION with
/// `user_data` comes through the client's queue, whatever becomes of the call; what is wrong before
/// that is this function's status, and no item comes.
///
/// It begins with the call on this thread, where that has 192 kB of its own stack left, and goes as far
/// as nothing has to be waited for: over a connection that is open the request has left then. The item
/// may have come before this function returns.
///
/// `pending` may be NULL; else it is the caller's, freed by d365_pending_free(), for
/// d365_pending_cancel(). The request stays the caller's and may be freed at once.
///
/// Errors: D365_NO_QUEUE, D365_CLOSED, D365_FORKED, D365_INVALID_URL, D365_NO_RESOURCES without a
/// thread to send with, D365_WOULD_DEADLOCK from the client's own token provider, and what can be
/// wrong with a handle. See also d365_item_result().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_submit(
    client: *mut d365_client_t,
    request: *const d365_request_t,
    user_data: *mut c_void,
    pending: *mut *mut d365_pending_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let (request, _) = handle::get(request)?.snapshot();
        of_call(&request, || {
            let client = handle::get(client)?;
            // SAFETY: NULL or the caller's variable.
            unsafe { submit(&client, &request, user_data, pending) }
        })
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Chooses the events that come through the client's queue: bit `1 << kind` for each
/// (D365_EVENT_...); the mask replaces the one before. Without a call no events come. Only what is
/// subscribed is enqueued, and only that is waited for: whoever subscribes to
/// D365_EVENT_ENDPOINT_SWITCH_REQUIRED or D365_EVENT_ENDPOINT_SWITCHED must take and free the
/// items, else each switch waits for `handler_timeout_ms`.
///
/// D365_EVENT_CALL_RETRIED, D365_EVENT_THROTTLED and D365_EVENT_LOG may be dropped when nobody takes
/// them (d365_queue_new()). D365_EVENT_ENDPOINT_SWITCH_REQUIRED, D365_EVENT_ENDPOINT_SWITCHED,
/// D365_EVENT_WRITE_IN_DOUBT and D365_EVENT_DATA_LOSS_SUSPECTED never are: they stay in the queue,
/// and in memory, until they are taken. Only D365_EVENT_ENDPOINT_SWITCH_REQUIRED is a decision.
///
/// Errors: D365_NO_QUEUE, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_subscribe(
    client: *mut d365_client_t,
    event_mask: u64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        handle::get(client)?
            .core
            .subscribe(event_mask)
            .map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// The primary endpoint, without a slash at the end: `https://contoso.crm.dynamics.com`. The view
/// is valid until the client is freed.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_primary_url(
    client: *const d365_client_t,
    url: *mut d365_str_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(url, "url") }?.set(client.primary.view());
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// The alternate endpoint, known from the start. The view is valid until the client is freed.
///
/// Errors: D365_NO_ALTERNATE when the FailoverPolicy has said that there is none; D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_alternate_url(
    client: *const d365_client_t,
    url: *mut d365_str_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        // SAFETY: NULL or the caller's variable.
        let url = unsafe { out(url, "url") }?;
        url.set(client.alternate()?.view());
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// The endpoint that calls go to now. The view is valid until the client is freed, and says what
/// was active when it was asked.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_active_url(
    client: *const d365_client_t,
    url: *mut d365_str_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        // SAFETY: NULL or the caller's variable.
        let url = unsafe { out(url, "url") }?;
        url.set(client.active().view());
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// 1 while calls go to the primary, else 0.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_is_primary(
    client: *const d365_client_t,
    is_primary: *mut i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(is_primary, "is_primary") }?.set(client.core.is_primary().into());
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// How often the client has switched endpoints, 0 at first.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_epoch(
    client: *const d365_client_t,
    epoch: *mut u64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(epoch, "epoch") }?.set(client.core.epoch());
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// 1 if a fault makes the client switch by itself, else 0. At first as the setting `auto_switch`
/// says; 0 under an override (d365_client_current_override()).
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_endpoint_auto_switch_enabled(
    client: *const d365_client_t,
    enabled: *mut i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(enabled, "enabled") }?;
        place.set(client.core.endpoint_auto_switch_enabled().into());
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Turns switching by itself on (other than 0) or off (0). Set while an item
/// D365_EVENT_ENDPOINT_SWITCH_REQUIRED is not answered yet, it counts for that switch, as in .NET. Set under
/// an override, it counts once that is over.
///
/// Errors: what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_set_endpoint_auto_switch_enabled(
    client: *mut d365_client_t,
    enabled: i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        client
            .core
            .set_endpoint_auto_switch_enabled(enabled != 0)
            .map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Switches to the other endpoint by hand, whatever auto-switch says. Raises
/// D365_EVENT_ENDPOINT_SWITCHED with the reason `manual`, and no
/// D365_EVENT_ENDPOINT_SWITCH_REQUIRED. Does not wait for the event's handler.
///
/// Errors: D365_OVERRIDDEN where the operator keeps calls at an endpoint; D365_NO_ALTERNATE, also as long as
/// the FailoverPolicy, where one decides, was not read (d365_client_discover()); D365_CLOSED, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_switch_endpoint(
    client: *mut d365_client_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        handle::get(client)?
            .core
            .switch_endpoint()
            .map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Announces that an interruption is planned from `start_ms` to `end_ms`, the end excluded (milliseconds
/// since 1970-01-01 UTC; the start may be past). In that time an outage is waited out up to the end,
/// whatever `outage_wait_ms` says, within the calls' deadlines; events say D365_ITEM_PLANNED; and the log
/// does not warn of it. Calls are sent as ever, and the endpoint is switched when the other one serves.
/// Up to 100 windows are kept; those that meet or overlap are one. They are kept as times from now: a
/// machine that sleeps, or whose clock is set, shifts them. Sends nothing. Any thread, any callback.
///
/// Errors: D365_INVALID_ARGUMENT where the end is not after the start, or is past, or more than a year
/// ahead; D365_CLOSED, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_maintenance(
    client: *mut d365_client_t,
    start_ms: i64,
    end_ms: i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        let (start, end) = (time("start_ms", start_ms)?, time("end_ms", end_ms)?);
        client.core.maintenance(start, end).map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Reads the organization's failover policy now, from the WSDL, and waits for it, unless it said that
/// there is an alternate. Without this call the policy is read in the background at the first call,
/// where the settings leave it open. Before the first call a policy that disables the active endpoint
/// says where calls start; after it a switch is tried, with its events, and waited for. A request of
/// d365_request_new_discover() does the same, and can be cancelled, or submitted.
///
/// Errors: as d365_client_send().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_discover(
    client: *mut d365_client_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        stack::check()?;
        client.core.discover().map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Makes the request that reads the organization's failover policy as d365_client_discover() does, for
/// d365_client_send(), d365_client_send_cancellable() and d365_client_submit(). A timeout can be set.
/// Its response has the status 0 and no attempts. It joins a reading under way, which goes on for
/// others when this call is cancelled.
///
/// `request` is the caller's, freed by d365_request_free().
///
/// Errors: D365_NULL_POINTER.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_request_new_discover(
    request: *mut *mut d365_request_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(request, "request") }?;
        let request = RequestObject::new(core::Request::discover());
        place.set(handle::insert(request)?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Lists writes on record, the oldest first: D365_LEDGER_ALL, _SUSPECTS or _MINE. Every call whose
/// operation is not D365_OPERATION_READ is on record from before it is sent: while it is in flight;
/// when it was acknowledged, for the setting `replication_window_ms` (the last `ledger_entries` of
/// them: d365_client_ledger_evicted()); in doubt, until d365_client_resolve() is called; resolved, for
/// that time again. One that was not executed is taken off. The records are in memory, and asking for
/// them does no I/O; with the setting `store` they are in its file, of all processes that name it, and
/// what was acknowledged or resolved stays for `ledger_retention_ms`. Works after
/// d365_client_shutdown(), until d365_client_free().
///
/// `ledger` is the caller's, freed by d365_ledger_free(), and stays as it is.
///
/// Errors: D365_INVALID_ARGUMENT for another selection; D365_NO_RESOURCES when the store fails;
/// D365_NULL_POINTER, and what can be wrong with a handle. See also d365_ledger_number(), d365_client_verify(), d365_response_ledger_id(),
/// d365_error_ledger_id().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_ledger(
    client: *const d365_client_t,
    selection: i32,
    ledger: *mut *mut d365_ledger_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        let selection = ledger::selection(selection)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(ledger, "ledger") }?;
        let entries = client.core.ledger(selection)?;
        place.set(handle::insert(LedgerList::new(entries))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Records what the application has found out about the suspect `id` (D365_LEDGER_ID), by
/// d365_client_verify() or otherwise:
/// D365_RESOLUTION_CONFIRMED, D365_RESOLUTION_REPLAYED or D365_RESOLUTION_LOST. It is no suspect any
/// more then. Sends nothing. Works after d365_client_shutdown().
///
/// Errors: D365_NOT_AVAILABLE for a number that is not on record, and for a write that is no suspect,
/// so also the second time; D365_INVALID_ARGUMENT for another resolution; what can be wrong with a
/// handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_resolve(
    client: *mut d365_client_t,
    id: i64,
    resolution: i32,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        let resolution = ledger::resolution(resolution)?;
        let id = u64::try_from(id).map_err(|_| Failure::absent(&format!("write {id}")))?;
        client.core.resolve(id, resolution).map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Ends the client's work: new calls get D365_CLOSED; calls in flight have `timeout_ms`
/// milliseconds (0 or more) to end, and so have the bodies of answers that are not read to their end
/// (d365_request_set_streaming()); then they are cancelled. Open decisions take their default. Every
/// submitted call still gets its completion. What was cancelled is on record when this returns, unless a
/// callback of its own holds it for over a second, or this thread is in the callback of a decision. Where
/// writes are left that are to be verified, a log record says how many. May be called again. The getters
/// work until d365_client_free().
///
/// Errors: D365_WOULD_DEADLOCK from the callback of a decision when `timeout_ms` is above 0;
/// D365_INVALID_ARGUMENT, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_shutdown(
    client: *mut d365_client_t,
    timeout_ms: i64,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        client
            .core
            .shutdown(duration(timeout_ms, "timeout_ms")?)
            .map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Frees a client and ends its views. What is in flight is cancelled, without waiting: blocking
/// calls on other threads return D365_CANCELLED, or D365_WRITE_IN_DOUBT; submitted ones get their
/// completion, unless the queue is closed before it comes: d365_client_shutdown() waits for it. NULL is
/// fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_client_free(client: *mut d365_client_t) -> d365_status_t {
    guard(|| {
        if let Some(client) = handle::remove(client)? {
            // A thread inside d365_client_send() holds the object too, so that its drop alone would
            // cancel nothing.
            client.core.cancel_all();
        }
        Ok(())
    })
}
