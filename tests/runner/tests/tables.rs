//! The tables that folders of scenarios show, row by row: none is missing, and none is unknown.
//!
//! A row's scenario names it by its key `row`.

mod common;

use common::{Rows, assert_shown, scenarios};

/// The results that start failover under `dotnet`, of both kinds of service.
const SWITCHES: &Rows = &[
    ("DNS failure", &["dns_no_such_name", "dns_try_again"]),
    (
        "connect refused, unreachable, connect timeout",
        &["connect_refused", "connect_unreachable", "connect_timeout"],
    ),
    ("404", &["404_page", "404_bare"]),
    (
        "400 with http.sys's Invalid Hostname page",
        &["400_invalid_hostname"],
    ),
    ("504", &["504_page", "504_bare", "504_cut"]),
    (
        "client timeout, also while the reply is read",
        &[
            "timeout_before_head",
            "timeout_in_head",
            "timeout_in_body",
            "timeout_in_error_body",
        ],
    ),
    (
        "any other failure while the request is being sent",
        &["not_sent"],
    ),
    (
        "connection aborted with no time left",
        &["aborted_without_time"],
    ),
];

const SOAP_SWITCHES: &Rows = &[
    ("404, whatever its body", &["404_fault"]),
    (
        "WS-Addressing DestinationUnreachable",
        &["destination_unreachable_1_1", "destination_unreachable_1_2"],
    ),
    (
        "the fault 0x8004B065",
        &[
            "code_1_1",
            "code_1_2",
            "code_in_200_1_1",
            "code_in_200_1_2",
            "code_utf_16",
        ],
    ),
];

const WEB_API_SWITCHES: &Rows = &[
    ("404 without a mark of the service", &["404_foreign_json"]),
    (
        "the code 0x8004B065",
        &[
            "code_hex",
            "code_capitals",
            "code_decimal",
            "code_odata_v2",
            "code_then_silence",
            "code_in_200",
            "code_utf_16",
        ],
    ),
];

/// Those that start nothing.
const STAYS: &Rows = &[
    ("503", &["503_bare", "503_page"]),
    ("401, 403", &["401", "401_page", "403_bare", "403_page"]),
    (
        "502, 429, 408",
        &["502_bare", "502_page", "429", "throttled", "408"],
    ),
    ("other 3xx", &["302", "307", "308"]),
    (
        "other 4xx",
        &["400", "400_page", "405", "410_bare", "412", "413", "415"],
    ),
    ("other 5xx", &["500_bare", "501", "505"]),
    (
        "200 or 500 with text/html",
        &["200_page", "200_page_cut", "500_page"],
    ),
    (
        "another success with a page, and a page by another name",
        &["200_xhtml", "200_page_untyped", "201_page"],
    ),
    (
        "a success without a mark of the service",
        &["200_plain", "200_bare", "202_bare"],
    ),
    ("this machine cannot ask for a name", &["dns_failed"]),
    (
        "TLS failure",
        &[
            "tls_alert",
            "tls_unknown_authority",
            "tls_other_host",
            "tls_expired",
        ],
    ),
    (
        "reset or closed connection",
        &[
            "reset_in_handshake",
            "reset_before_sending",
            "reset_after_sending",
            "reset_after_execution",
            "reset_while_waiting",
            "reset_in_body",
            "closed_after_sending",
            "closed_with_goodbye",
            "closed_after_execution",
            "closed_in_head",
            "closed_in_body",
        ],
    ),
    (
        "any other fault code",
        &[
            "code_unexpected",
            "code_8004b044",
            "code_8004b066",
            "code_8004b067",
            "code_8004b068",
            "code_8004a001",
            "code_8004a104",
            "code_8004a107",
            "code_80044150",
            "code_80044151",
            "code_80072321",
            "code_80072322",
            "code_80072324",
            "code_80072326",
            "code_80073000",
            "code_inner",
        ],
    ),
    (
        "500 with reason ServiceActivationException",
        &["service_activation"],
    ),
];

const SOAP_STAYS: &Rows = &[
    ("503, whatever its body", &["503_code"]),
    (
        "WS-Addressing EndpointUnavailable",
        &["endpoint_unavailable_1_1", "endpoint_unavailable_1_2"],
    ),
    (
        "another's DestinationUnreachable",
        &["addressing_of_another_namespace"],
    ),
];

const WEB_API_STAYS: &Rows = &[
    (
        "404 with a mark of the service",
        &[
            "404_odata_error",
            "404_odata_empty_code",
            "404_odata_version",
            "404_odata_v2",
            "404_row",
        ],
    ),
    ("410 with a mark of the service", &["410_odata_error"]),
    ("the code elsewhere than in its place", &["code_in_message"]),
];

/// How far an attempt got, by what failed: over any version of HTTP.
const PHASES: &Rows = &[
    (
        "DNS, proxy: no byte of the request left",
        &[
            "dns_no_such_name",
            "dns_try_again",
            "dns_failed",
            "proxy_refused",
        ],
    ),
    (
        "connect, TLS handshake: no byte of the request left",
        &[
            "connect_refused",
            "connect_unreachable",
            "connect_timeout",
            "tls_alert",
            "tls_eof",
            "tls_reset",
            "tls_certificate",
            "tls_silence",
        ],
    ),
    (
        "a connection that ended while it was idle",
        &["idle_closed", "idle_reset"],
    ),
    (
        "a partly written request",
        &["reset_at_head", "reset_in_request"],
    ),
    (
        "the connection ends after the request",
        &[
            "reset_after_request",
            "reset_after_request_executed",
            "closed_after_request",
            "closed_after_request_executed",
        ],
    ),
    (
        "timeout after the last byte of the request",
        &["timeout_after_request", "timeout_after_request_executed"],
    ),
    (
        "429, or a code that is documented as not processed",
        &["429_bare", "429_code", "503_throttled", "503_code"],
    ),
    (
        "the same to several operations in one request",
        &["429_batch", "batch_code", "execute_multiple_code"],
    ),
    (
        "bare 503, 500, 502, 504",
        &[
            "503_bare",
            "503_bare_executed",
            "500_bare",
            "502_bare",
            "504_bare",
        ],
    ),
    (
        "SQL codes",
        &[
            "sql_80044150",
            "sql_80044151",
            "sql_80073000",
            "sql_executed",
        ],
    ),
    (
        "a refusal by the service",
        &["400_service", "404_service", "412_service"],
    ),
    (
        "given up by a front end",
        &["304_bare", "408_bare", "444_bare", "499_bare"],
    ),
    (
        "a 2xx whose body is cut",
        &["2xx_closed", "2xx_reset", "2xx_timeout"],
    ),
    (
        "cancelled",
        &["cancelled_while_waiting", "cancelled_in_body"],
    ),
    (
        "the call's deadline",
        &[
            "deadline_before_sending",
            "deadline_while_waiting",
            "deadline_in_body",
        ],
    ),
];

/// What HTTP/1.1 alone has.
const PHASES_OF_HTTP1: &Rows = &[
    (
        "a reused connection that ends without a byte of an answer",
        &[
            "reused_closed",
            "reused_closed_executed",
            "reused_reset",
            "reused_reset_executed",
            "reused_reset_at_head",
        ],
    ),
    ("a partly written request", &["timeout_in_request"]),
    (
        "the connection ends in the head of the answer",
        &["closed_in_head", "reset_in_head", "timeout_in_head"],
    ),
    ("a 2xx whose body is cut", &["2xx_short"]),
    ("cancelled", &["cancelled_before_sending"]),
    ("nothing failed", &["answered"]),
];

/// What HTTP/2 alone has.
const PHASES_OF_HTTP2: &Rows = &[
    (
        "REFUSED_STREAM",
        &[
            "refused_stream",
            "refused_stream_soap",
            "refused_stream_twice",
            "refused_stream_then_lost",
        ],
    ),
    (
        "GOAWAY below our stream, any code",
        &[
            "goaway_below",
            "goaway_below_reused",
            "goaway_below_2",
            "goaway_below_2_reused",
            "goaway_below_11",
            "goaway_below_11_reused",
            "goaway_below_twice",
        ],
    ),
    (
        "GOAWAY that covers our stream, then the end",
        &[
            "goaway_ours",
            "goaway_ours_executed",
            "goaway_ours_error",
            "goaway_max",
        ],
    ),
    (
        "GOAWAY that covers our stream, then its answer",
        &["goaway_ours_answered"],
    ),
    (
        "any other RST_STREAM",
        &[
            "rst_stream_0",
            "rst_stream_2",
            "rst_stream_8",
            "rst_stream_11",
            "rst_stream_executed",
        ],
    ),
    ("HTTP_1_1_REQUIRED", &["rst_stream_13"]),
    ("a 2xx whose body is cut", &["2xx_rst_stream"]),
    ("a connection of several calls", &["shared_reset"]),
    (
        "which version is spoken",
        &["not_offered", "switched_off", "plain_http"],
    ),
];

#[test]
fn the_oracle_is_whole() {
    let scenarios = scenarios();
    for (variant, switches, stays) in [
        ("soap", SOAP_SWITCHES, SOAP_STAYS),
        ("web_api", WEB_API_SWITCHES, WEB_API_STAYS),
    ] {
        assert_shown(
            &scenarios,
            &["oracle/switches_connections", "oracle/switches_answers"],
            Some(variant),
            &[SWITCHES, switches],
        );
        assert_shown(
            &scenarios,
            &[
                "oracle/errors_connections",
                "oracle/errors_answers",
                "oracle/responses",
            ],
            Some(variant),
            &[STAYS, stays],
        );
    }
}

#[test]
fn the_phases_are_whole() {
    for (variant, rows) in [("http1", PHASES_OF_HTTP1), ("http2", PHASES_OF_HTTP2)] {
        assert_shown(
            &scenarios(),
            &[
                "phases/unsent",
                "phases/errors_no_answer",
                "phases/errors_answer",
                "phases/responses",
            ],
            Some(variant),
            &[PHASES, rows],
        );
    }
}
