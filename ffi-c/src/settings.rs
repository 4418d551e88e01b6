//! Settings: text under documented names, so that a new one never changes the ABI.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use d365_failover_core as core;

use crate::argument::{out, text, to_core};
use crate::d365_destroy_fn;
use crate::error::d365_error_t;
use crate::guard::{Failure, guard, guard_with};
use crate::handle::{self, Noun, Tag};
use crate::outgoing::{CallbackPrepare, d365_prepare_fn};
use crate::queue::d365_queue_t;
use crate::status::d365_status_t;
use crate::token::{CallbackProvider, d365_token_provider_fn};

/// What a client is opened with. Settings can be changed and used again after a client was opened
/// with them; the client keeps what they were.
pub struct d365_settings_t {
    _opaque: (),
}

pub(crate) struct SettingsObject {
    core: Mutex<core::Settings>,
    /// Where clients put in, and what is told of them there.
    queue: Mutex<Option<(Arc<core::Queue>, usize)>>,
}

impl SettingsObject {
    /// Opens a client with them.
    pub(crate) fn open(&self) -> Result<core::Client, core::Error> {
        let settings = self.lock().clone();
        match self.queue().clone() {
            Some((queue, data)) => core::Client::open_with_queue(&settings, queue, data),
            None => core::Client::open(&settings),
        }
    }

    fn lock(&self) -> MutexGuard<'_, core::Settings> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Option<(Arc<core::Queue>, usize)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is replaced does not go under the lock: its `destroy` may use these settings.
    fn change(&self, change: impl FnOnce(&mut core::Settings)) {
        let before = {
            let mut settings = self.lock();
            let before = settings.clone();
            change(&mut settings);
            before
        };
        drop(before);
    }
}

impl Noun for d365_settings_t {
    type Object = SettingsObject;
    const TAG: Tag = Tag::Settings;
    const NAME: &'static str = "d365_settings_t";
}

/// Makes settings for the organization at `url`: `https://contoso.crm.dynamics.com`, with or
/// without a path. A URL of the alternate (`https://contoso--s.crm.dynamics.com`) gives a client
/// that starts there. No I/O.
///
/// `settings` is the caller's, freed by d365_settings_free().
///
/// Errors: D365_INVALID_URL for one that no organization can have (the message says what to do);
/// D365_NULL_POINTER, D365_INVALID_UTF8. See also d365_settings_set(), d365_client_open().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_settings_new(
    url: *const c_char,
    url_len: usize,
    settings: *mut *mut d365_settings_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        // SAFETY: text of the caller's that is valid during the call.
        let url = unsafe { text(url, url_len, "url") }?;
        // SAFETY: NULL or the caller's variable.
        let settings = unsafe { out(settings, "settings") }?;
        let object = SettingsObject {
            core: Mutex::new(core::Settings::new(url)?),
            queue: Mutex::default(),
        };
        settings.set(handle::insert(object)?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Sets one setting. Both key and value are text; the value replaces an earlier one.
///
/// | Key                     | Default         | Values                                       |
/// |-------------------------|-----------------|----------------------------------------------|
/// | `alternate_url`         | by the URL rule | the other endpoint's URL, of any origin      |
/// | `url_form`              | none            | `host`, `path`                               |
/// | `preset`                | `safe`          | `safe`: no switch without proof, no write    |
/// |                         |                 | sent twice that could be executed twice;     |
/// |                         |                 | `dotnet`: what the .NET SDK does             |
/// | `auto_switch`           | `auto`          | `auto`, `on`, `off`                          |
/// | `connect_timeout_ms`    | 10000           | 1 to 86400000; for each address              |
/// | `attempt_timeout_ms`    | 120000          | likewise; one attempt, whole                 |
/// | `deadline_ms`           | 300000          | likewise; the call with all attempts         |
/// | `handler_timeout_ms`    | 5000            | likewise; how long a handler is waited for   |
/// | `probe_after_ms`        | 1000            | 0 to 86400000; silence after which the       |
/// |                         |                 | endpoint is probed while a call waits, once  |
/// |                         |                 | in 10 s after two fifths of it; 0: never     |
/// | `probe_timeout_ms`      | 1000            | 1 to 86400000; one probe, whole              |
/// | `probe_path`            | WhoAmI          | a path from the base URL on that is read     |
/// |                         |                 | with GET; `/api/data/v9.2/WhoAmI`            |
/// | `write_grace_ms`        | 10000           | 0 to 86400000; how long the answer to a      |
/// |                         |                 | write is waited for whose endpoint was left, |
/// |                         |                 | where it is not sent again at the other one  |
/// | `hold_down_ms`          | 30000           | 0 to 86400000; after a switch or a veto: how |
/// |                         |                 | long another one needs more proof; 0: none   |
/// | `outage_wait_ms`        | 30000           | 0 to 86400000; with `dotnet` 0 unless it is  |
/// |                         |                 | set; where no endpoint answers: how long a   |
/// |                         |                 | call waits, within its deadline, for the     |
/// |                         |                 | first one that does; 0: not at all           |
/// | `max_waiting`           | 10000           | 1 to 1000000; how many calls wait so; others |
/// |                         |                 | end with D365_BUSY, nothing of them is sent  |
/// | `failback`              | `on_fault`      | `on_fault`: a fault at the alternate leads   |
/// |                         |                 | back to the primary; `probe`: good looks at  |
/// |                         |                 | the primary do as well, where a fault had    |
/// |                         |                 | moved calls; `manual`: only                  |
/// |                         |                 | d365_client_switch_endpoint()                |
/// | `failback_interval_ms`  | 60000           | 1 to 86400000; with `probe`: how often the   |
/// |                         |                 | primary is looked at                         |
/// | `failback_after_ms`     | 300000          | 0 to 86400000; with `probe`: for how long    |
/// |                         |                 | each look must be good; doubled by each      |
/// |                         |                 | switch within an hour after such a failback  |
/// | `max_attempts`          | 4               | 1 to 100; of one call; what reads the row of a create is none |
/// | `retry_budget`          | 0.2             | 0 to 1; repeats at one endpoint as a share   |
/// |                         |                 | of recent calls, at least 10 a second        |
/// | `replication_window_ms` | 900000          | 0 to 86400000; how long before and after a   |
/// |                         |                 | switch rows may be missing at the new        |
/// |                         |                 | endpoint; 0: none                            |
/// | `ledger_entries`        | 100000          | 1 to 10000000; how many acknowledged writes  |
/// |                         |                 | are on record, and as many to verify         |
/// | `ledger_bodies`         | `digest`        | what a write on record keeps of its body:    |
/// |                         |                 | `off`: the length; `digest`: its SHA-256 as  |
/// |                         |                 | well; `full`: all of it, and the headers     |
/// |                         |                 | that say what is written, never a            |
/// |                         |                 | credential, for comparing and sending again  |
/// | `ledger_body_size`      | 1048576         | 0 to 1073741824 bytes; with `full`: a longer |
/// |                         |                 | body is kept as its digest                   |
/// | `ledger_retention_ms`   | 604800000       | 0 to 315360000000; with `store`: how long an |
/// |                         |                 | acknowledged or resolved write stays on      |
/// |                         |                 | record, not shorter than                     |
/// |                         |                 | `replication_window_ms`; what is to be       |
/// |                         |                 | verified stays                               |
/// | `store`                 | none            | path of a file, made if there is none: the   |
/// |                         |                 | ledger, on disk, for all processes of this   |
/// |                         |                 | machine that name it; opened with the client |
/// | `store_durability`      | `process`       | `process`: a record survives the end of the  |
/// |                         |                 | process, by `kill -9` too; `power`: a loss   |
/// |                         |                 | of power as well, and each write waits twice |
/// |                         |                 | for the disk                                 |
/// | `store_failure`         | `refuse`        | a write that cannot be put on record:        |
/// |                         |                 | `refuse`: ends as `local`, and nothing of it |
/// |                         |                 | is sent; `go_on`: is sent, and               |
/// |                         |                 | D365_EVENT_STORE_FAILED tells of it          |
/// | `verify_keys`           | none            | `set=column`, separated by commas, of        |
/// |                         |                 | several columns `set=column+column`: by what |
/// |                         |                 | a created row is looked for whose id nobody  |
/// |                         |                 | knows; with `ledger_bodies` = `full`         |
/// | `update_guard`          | `on`            | `on`: within that time after a switch a      |
/// |                         |                 | plain PATCH gets `If-Match: *`; `off`        |
/// | `service_mark`          | `required`      | `required`: a 2xx to a write that bears no   |
/// |                         |                 | mark of its service (`OData-Version` or its  |
/// |                         |                 | like, an OData body, a SOAP envelope without |
/// |                         |                 | a fault) is nobody's answer: its effect is   |
/// |                         |                 | unknown; `any`: for gateways that take the   |
/// |                         |                 | marks off                                    |
/// | `state_max_age_ms`      | 3600000         | 0 to 86400000; with a `store`: how long a    |
/// |                         |                 | client that opens goes by what other         |
/// |                         |                 | processes have on record of where calls go;  |
/// |                         |                 | what is older is a reason to look            |
/// | `ca_bundle`             | system store    | path of a PEM file, read by open; what in it |
/// |                         |                 | is broken is left out, and told in the log   |
/// | `client_certificate`    | none            | path of a PEM file with the certificate, its |
/// |                         |                 | chain and its key, not encrypted, read by    |
/// |                         |                 | open; shown to the two endpoints alone       |
/// | `client_key`            | none            | path of a PEM file with the private key of   |
/// |                         |                 | `client_certificate`, where it is not in     |
/// |                         |                 | that file                                    |
/// | `tls_verify`            | `on`            | `on`, `off`                                  |
/// | `oauth_tenant`          | none            | the directory (tenant) of Microsoft Entra    |
/// |                         |                 | ID, its id or a domain: with the next two    |
/// |                         |                 | the library gets the tokens itself, as an    |
/// |                         |                 | application, by client credentials; not      |
/// |                         |                 | beside a token provider                      |
/// | `oauth_client_id`       | none            | the application's id                         |
/// | `oauth_client_secret`   | none            | its secret; it stands in no text of the      |
/// |                         |                 | library's                                    |
/// | `oauth_certificate`     | none            | instead of it: path of a PEM file with the   |
/// |                         |                 | application's certificate and its RSA key,   |
/// |                         |                 | not encrypted, read by open                  |
/// | `oauth_authority`       | `https://login.microsoftonline.com` | who gives the tokens: an https URL, or http  |
/// |                         |                 | on this machine; it is verified and reached  |
/// |                         |                 | as the endpoints are                         |
/// | `token_precedence`      | `application`   | `application`: a request's own Authorization |
/// |                         |                 | goes before the token provider's;            |
/// |                         |                 | `provider`: it is replaced by the token of   |
/// |                         |                 | the endpoint that the attempt goes to        |
/// | `http2`                 | `on`            | `on`: HTTP/2 where the server speaks it over |
/// |                         |                 | TLS; `off`: only HTTP/1.1                    |
/// | `decompress`            | `on`            | `on`: asks for gzip and brotli where the     |
/// |                         |                 | request says nothing of it, and decodes;     |
/// |                         |                 | `off`: bodies as they come                   |
/// | `proxy`                 | none            | `system`: as HTTPS_PROXY, http_proxy,        |
/// |                         |                 | ALL_PROXY and NO_PROXY say, read by open as  |
/// |                         |                 | curl reads them; or                          |
/// |                         |                 | `http://[user:password@]host:port`           |
/// | `max_redirects`         | 0               | 0 to 20; each is an attempt                  |
/// | `allowed_hosts`         | none            | `host` or `host:port`, comma between:        |
/// |                         |                 | requests and redirects may go there as well, |
/// |                         |                 | without failover; with HTTP's and OData's    |
/// |                         |                 | own headers, and none of the application's   |
/// | `allowed_host_headers`  | none            | names, comma between: headers of the         |
/// |                         |                 | application's that go to `allowed_hosts`;    |
/// |                         |                 | `Authorization`, `Cookie` and                |
/// |                         |                 | `Proxy-Authorization` never do               |
/// | `connect_to`            | none            | `host:port:address:port`, comma between      |
/// | `max_connections`       | 256             | 1 to 65536; for each endpoint                |
/// | `idle_timeout_ms`       | 20000           | 1 to 86400000; then a connection is closed,  |
/// |                         |                 | also if nobody calls                         |
/// | `max_connection_age_ms` | 600000          | likewise; plus or minus 20 %                 |
/// | `max_response_headers`  | 65536           | 8192 to 1048576 bytes                        |
/// | `max_response_body`     | 268435456       | 1 to 2^40 bytes                              |
/// | `error_prefix`          | 65536           | 1024 to 16777216 bytes of a failure's body   |
/// |                         |                 | that are read for its code                   |
/// | `user_agent`            | the library's   | text that a header can hold                  |
///
/// Errors: D365_UNKNOWN_SETTING for a key that this library does not have (the message says which was
/// meant, by a slip or by another client's word for it: `timeout`, `verify`); D365_INVALID_SETTING for
/// a value that the key does not take (the message says which it takes); D365_INVALID_URL; D365_NULL_POINTER, D365_INVALID_UTF8, and
/// what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_settings_set(
    settings: *mut d365_settings_t,
    key: *const c_char,
    key_len: usize,
    value: *const c_char,
    value_len: usize,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let settings = handle::get(settings)?;
        // SAFETY: texts of the caller's that are valid during the call.
        let (key, value) =
            unsafe { (text(key, key_len, "key")?, text(value, value_len, "value")?) };
        settings.lock().set(key, value).map_err(Failure::from)
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Gives the clients of these settings a queue: where their events and the completions of their
/// submitted calls go. One queue may serve many clients; `user_data` tells them apart:
/// d365_item_client_data() gives it back, and the library does nothing else with it. The queue's
/// handle stays the caller's.
///
/// Errors: what can be wrong with a handle. See also d365_client_subscribe().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_settings_set_queue(
    settings: *mut d365_settings_t,
    queue: *mut d365_queue_t,
    user_data: *mut c_void,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let settings = handle::get(settings)?;
        let queue = handle::get(queue)?;
        *settings.queue() = Some((Arc::clone(queue.core()), to_core(user_data)));
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Gives the clients of these settings a token provider, which puts `Authorization: Bearer ...` on
/// each attempt, for the endpoint that the attempt goes to. A request that has an Authorization of
/// its own keeps it, unless the setting `token_precedence` is `provider`.
///
/// `provider` is called on a thread of the library, neither the caller's nor the one that does I/O,
/// and perhaps on several at a time: for one endpoint again only when it has answered, or when the
/// calls that waited for the answer have given up; of questions that are never answered, four at
/// once and then one a minute, at most 16. It owns the request that it is given, answers it then or
/// later, on any thread, and frees it. Calls of the same client from inside of it fail at once with
/// D365_WOULD_DEADLOCK; an answer that comes from a thread of the application's must not wait for
/// such calls either. A child that is made by fork() inside of it must leave by exec() or _exit().
///
/// `destroy` (may be NULL) is called with `user_data` exactly once, on any thread, when these
/// settings and all clients that were opened with this provider are gone, or when another provider
/// has replaced it everywhere. When this function fails, it is not called, and `user_data` stays
/// the caller's.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle. See also
/// d365_token_request_reply().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_settings_set_token_provider(
    settings: *mut d365_settings_t,
    provider: d365_token_provider_fn,
    user_data: *mut c_void,
    destroy: d365_destroy_fn,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let settings = handle::get(settings)?;
        let provider = provider.ok_or_else(|| Failure::null("provider"))?;
        let provider = Arc::new(CallbackProvider::new(provider, user_data, destroy));
        settings.change(|settings| settings.set_token_provider(provider));
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Gives the clients of these settings a prepare function: it is called for each attempt before it
/// is sent, when the endpoint and the token are known, and may change its headers and its body:
/// signatures, tokens that depend on the endpoint, absolute URLs in bodies. What it changes holds
/// for this attempt only.
///
/// `prepare` is called on the thread that is inside d365_client_send(), and for
/// d365_client_submit() on a thread of the library, of which a client has at most 64 for the
/// application's code: calls wait for one within their deadlines. By several calls it is called on
/// several threads at a time. It holds no lock of the library: it may block, which counts into
/// the call's times, and may call every function, also to send by the same client, which calls it
/// again. It answers 0, or other than 0 to end the call with D365_LOCAL and without failover;
/// d365_outgoing_fail() says why.
///
/// `destroy` (may be NULL) is called with `user_data` exactly once, on any thread, when these
/// settings and all clients that were opened with this function are gone, or when another one has
/// replaced it everywhere. When this function fails, it is not called, and `user_data` stays the
/// caller's.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle. See also d365_outgoing_url(),
/// d365_outgoing_set_header().
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_settings_set_prepare(
    settings: *mut d365_settings_t,
    prepare: d365_prepare_fn,
    user_data: *mut c_void,
    destroy: d365_destroy_fn,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let settings = handle::get(settings)?;
        let prepare = prepare.ok_or_else(|| Failure::null("prepare"))?;
        let prepare = Arc::new(CallbackPrepare::new(prepare, user_data, destroy));
        settings.change(|settings| settings.set_prepare(prepare));
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}

/// Frees settings. Clients that were opened with them live on. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_settings_free(settings: *mut d365_settings_t) -> d365_status_t {
    guard(|| handle::remove(settings).map(drop))
}
