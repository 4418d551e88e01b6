//! The tables of the preset `safe` that scenarios show, row by row: none is missing, and none is
//! unknown.
//!
//! A row's scenario names it by its key `row`.

mod common;

use common::{Rows, assert_shown, scenarios};

/// What says under `safe` that the endpoint does not serve, by its cause; with the other side alive,
/// and with both dead.
const STRONG: &Rows = &[
    (
        "no such name, refused, unreachable, connect timeout",
        &[
            "no_such_name",
            "no_such_name_both",
            "refused",
            "refused_both",
            "unreachable",
            "unreachable_both",
            "connect_timeout",
            "connect_timeout_both",
        ],
    ),
    (
        "0x8004B065",
        &["datacenter_not_available", "datacenter_not_available_both"],
    ),
];

/// What says under `safe` that the endpoint may be dead, by its cause.
const WEAK: &Rows = &[
    (
        "404 and 410 without a mark, and their like",
        &[
            "not_found",
            "gone",
            "invalid_hostname",
            "destination_unreachable",
        ],
    ),
    (
        "no answer in time; 504",
        &["attempt_timeout", "gateway_timeout"],
    ),
    (
        "502, 503; HTML; the organization is off",
        &[
            "bad_gateway",
            "unavailable",
            "html_page",
            "organization_off",
        ],
    ),
    (
        "reset, EOF, GOAWAY after sending",
        &["reset", "closed", "closed_unsent", "unprocessed"],
    ),
    ("nobody can say where its name leads", &["name_try_again"]),
];

/// Weak as well; but it can be told of a write alone.
const WEAK_OF_WRITES: &Rows = &[("a 2xx without a mark", &["no_service_mark"])];

/// Weak as well; but a call whose deadline is over goes nowhere.
const WEAK_AT_THE_END: &Rows = &[("the call's deadline", &["deadline"])];

/// What is no evidence under `safe`, by its cause.
const NEVER: &Rows = &[
    ("local", &["local_failure"]),
    (
        "tls, authentication, protocol, cancelled",
        &[
            "tls",
            "unauthorized",
            "forbidden",
            "no_token",
            "bad_message",
            "cancelled",
        ],
    ),
    ("throttled", &["throttled"]),
    ("any other fault or status", &["service_fault"]),
];

/// What is sent again under `safe`, for each class of request, by what failed.
const MATRIX: &Rows = &[
    (
        "DNS, connect, proxy, TLS handshake: no byte of the request left",
        &["dns", "connect", "proxy", "tls_handshake"],
    ),
    ("the request is handed back unsent", &["handed_back"]),
    (
        "HTTP/1, reused connection, EOF or RST, not one byte of an answer",
        &["reused_eof", "reused_rst"],
    ),
    (
        "a new connection, and no whole head",
        &["first_eof", "cut_head"],
    ),
    ("an answer that is no HTTP", &["malformed"]),
    ("REFUSED_STREAM", &["refused_stream"]),
    (
        "GOAWAY below our stream, any code",
        &["goaway_below", "goaway_below_error"],
    ),
    (
        "GOAWAY that covers our stream, then the end",
        &["goaway_covers"],
    ),
    (
        "any other RST_STREAM, and a lost connection",
        &["rst_stream", "rst_stream_cancel", "lost_http2"],
    ),
    (
        "timeout after the last byte, or a partly written body",
        &["timeout", "partly_written"],
    ),
    (
        "documented as not processed",
        &["throttled_429", "throttled_503", "not_here"],
    ),
    (
        "bare 503, 500, 502, 504, SQL codes",
        &["bare_500", "bare_502", "bare_503", "bare_504", "sql"],
    ),
    ("a database that moves", &["database"]),
    ("a 2xx without a mark", &["unmarked_2xx"]),
    ("a refusal", &["refused_400"]),
    ("a 2xx whose body is cut", &["cut_2xx"]),
    (
        "the same where the endpoint is dead",
        &["lost_dead", "timeout_dead", "unavailable_dead"],
    ),
];

#[test]
fn the_evidence_is_whole() {
    let scenarios = scenarios();
    for (file, tables) in [
        ("safe/evidence_strong", &[STRONG][..]),
        ("safe/evidence_weak_alive", &[WEAK, WEAK_AT_THE_END]),
        (
            "safe/evidence_weak_unsafe",
            &[WEAK, WEAK_OF_WRITES, WEAK_AT_THE_END],
        ),
        ("safe/evidence_weak_dead", &[WEAK, WEAK_OF_WRITES]),
        ("safe/evidence_never", &[NEVER]),
    ] {
        assert_shown(&scenarios, &[file], None, tables);
    }
}

#[test]
fn the_matrix_is_whole() {
    let scenarios = scenarios();
    for class in ["read", "idempotent", "guarded", "unsafe"] {
        let files = ["safe/matrix_connections", "safe/matrix_answers"];
        assert_shown(&scenarios, &files, Some(class), &[MATRIX]);
    }
}
