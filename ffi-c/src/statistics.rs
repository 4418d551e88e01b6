//! What a client has counted.

use crate::argument::out;
use crate::client::d365_client_t;
use crate::error::d365_error_t;
use crate::guard::{Failure, guard_with};
use crate::handle;
use crate::status::d365_status_t;
use crate::text::{Text, d365_text_t};

/// What the client has counted since it was opened, as a JSON object. Always on. The numbers are read
/// one after the other, so that a call in flight may be in one and not yet in another. A store (the setting
/// `store`) is asked how many writes are to be verified, else there is no I/O. More members may come in
/// later versions:
///
/// - `active` (`"primary"` or `"alternate"`), `auto_switch`, `switches`, `outages`, `throttled` (how
///   often calls waited for the service);
/// - `calls`: `in_flight`, `answered` (with a response, whatever its status), `failed` (with an error);
/// - `resends`: how often calls were sent again, by the cause (d365_cause_name());
/// - `retries_left`: what the setting `retry_budget` has left; null where it does not hold;
/// - `writes`: `in_doubt` (so many calls ended so), `suspects` (to be verified now; null when the store has
///   failed), `evicted`;
/// - `endpoints`: `primary` and `alternate`, each with `url`, `attempts`, `failed` (attempts with a
///   fault), `bytes_sent` and `bytes_received` (over all its connections, with TLS), `probes` (`serves`,
///   `reachable`, `failed`) and `latency_ms` of attempts: `counts[i]` took at most `bounds[i]`
///   milliseconds and more than the bound before; the last count has no bound.
///
/// `text` is the caller's, freed by d365_text_free(). Works after d365_client_shutdown().
///
/// Errors: D365_FORKED, D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_client_statistics(
    client: *const d365_client_t,
    text: *mut *mut d365_text_t,
    error: *mut *mut d365_error_t,
) -> d365_status_t {
    let body = || {
        let client = handle::get(client)?;
        // SAFETY: NULL or the caller's variable.
        let place = unsafe { out(text, "text") }?;
        let counted = client.core.statistics().map_err(Failure::from)?;
        place.set(handle::insert(Text::new(counted))?);
        Ok(())
    };
    // SAFETY: NULL or the caller's variable.
    unsafe { guard_with(error, body) }
}
