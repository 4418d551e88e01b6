//! The routes of the control endpoint: router, `--help` and page are made of one table.

use crate::control::{Answer, Call};

type Handler = fn(&Call<'_>) -> Answer;

/// Method, path (a last `{...}` stands for anything), who answers, and what it is for.
const ROUTES: &[(&str, &str, Handler, &str)] = &[
    (
        "GET",
        "/state",
        |call| call.state(),
        "the whole twin: hosts, ports, counts, faults",
    ),
    (
        "GET",
        "/journal",
        |call| call.journal(),
        "every request that came; ?org=NAME&after=SEQ",
    ),
    (
        "GET",
        "/rows",
        |call| call.rows(),
        "the rows of both sides; ?org=NAME",
    ),
    (
        "GET",
        "/duplicates",
        |call| call.duplicates(),
        "names that stand in more than one row; ?org=NAME",
    ),
    (
        "GET",
        "/wait",
        |call| call.wait(),
        "waits for counts; ?org=NAME&side=SIDE&timeout_ms=10000&received_at_least=1 and the like",
    ),
    (
        "POST",
        "/faults",
        |call| call.set_fault(),
        "sets a fault: {org, side, kind, ...}; answers fault_id",
    ),
    (
        "DELETE",
        "/faults/{fault_id}",
        |call| call.clear_fault(),
        "takes that fault away",
    ),
    (
        "POST",
        "/clear",
        |call| call.clear(),
        "takes every fault away; {org, side} for some",
    ),
    (
        "POST",
        "/authority",
        |call| call.set_authority(),
        "which sides serve: {org, active, passive}; active is primary, alternate, both or neither",
    ),
    (
        "POST",
        "/replication",
        |call| call.set_replication(),
        "how commits cross: {org, mode, lag_ms, partition}; mode is off, lag or manual",
    ),
    (
        "POST",
        "/replicate",
        |call| call.replicate(),
        "lets what waits cross now: {org}",
    ),
    (
        "POST",
        "/tokens",
        |call| call.set_tokens(),
        "whether tokens are checked: {org, tokens}; off or check",
    ),
    (
        "POST",
        "/wsdl",
        |call| call.set_wsdl(),
        "what the WSDL says: {org, wsdl}",
    ),
    (
        "POST",
        "/orgs",
        |call| call.add_organization(),
        "adds an organization: {name, ...}",
    ),
    (
        "POST",
        "/proxies",
        |call| call.add_proxy(),
        "adds a forward proxy: {name, ...}",
    ),
    (
        "GET",
        "/proxy_journal",
        |call| call.proxy_journal(),
        "what a proxy was asked; ?proxy=NAME",
    ),
    (
        "GET",
        "/proxy_wait",
        |call| call.proxy_wait(),
        "waits for a proxy's counts; ?proxy=NAME&timeout_ms=10000 and a condition",
    ),
    (
        "POST",
        "/proxy_faults",
        |call| call.set_proxy_fault(),
        "sets a proxy's fault: {proxy, kind, ...}",
    ),
    (
        "POST",
        "/proxy_clear",
        |call| call.clear_proxy(),
        "takes a proxy's faults away: {proxy}",
    ),
    (
        "POST",
        "/shutdown",
        |call| call.shut_down(),
        "ends the twin",
    ),
];

/// Who answers.
pub(crate) fn find(method: &str, path: &str) -> Option<Handler> {
    let matches = |pattern: &str| match pattern.split_once('{') {
        Some((fixed, _)) => path.starts_with(fixed),
        None => path == pattern,
    };
    let mut routes = ROUTES.iter();
    let (.., handler, _) =
        routes.find(|(asked, pattern, ..)| *asked == method && matches(pattern))?;
    Some(*handler)
}

/// All of them, for who asked for another.
pub(crate) fn names() -> String {
    let names = ROUTES
        .iter()
        .map(|(method, path, ..)| format!("{method} {path}"));
    names.collect::<Vec<_>>().join(", ")
}

/// Every route of the control endpoint with what it is for, a line each, as `--help` shows it.
pub fn control_routes() -> String {
    let lines = ROUTES
        .iter()
        .map(|(method, path, _, about)| format!("{method:<6} {path:<18} {about}\n"));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_them_all() {
        let page = include_str!("../README.md");
        assert!(page.contains(&control_routes()), "{}", control_routes());
    }
}
