//! Answers that end in the middle, and calls that end before they begin: what is said of the
//! write must be true.

mod support;

use std::sync::Arc;
use std::time::Duration;

use d365_failover_core::{
    Client, Effect, Error, ErrorKind, FaultKind, Phase, Queue, Request, Response, Role, Settings,
};
use support::contoso::{ACCOUNTS, LONG};
use support::script::{Pair, Script, URL};

const CREATED: &str = "HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n";
const NOT_HERE_CUT: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
     Content-Length: 500\r\n\r\n{\"error\":{\"code\":\"0x8004b065\",\"message\":\"not here\"";

fn settings(pair: &Pair) -> Settings {
    let mut settings = Settings::new(URL).unwrap();
    settings.set("preset", "dotnet").unwrap();
    settings.set("connect_to", &pair.connect_to).unwrap();
    settings.set("auto_switch", "on").unwrap();
    settings
}

fn post(url: &str) -> Request {
    let mut request = Request::new("POST", url).unwrap();
    request.set_body("{}");
    request
}

fn send(pair: &Pair, url: &str) -> Result<Response, Error> {
    Client::open(&settings(pair)).unwrap().send(&post(url))
}

#[test]
fn a_front_ends_page_is_no_success_however_it_ends() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n<html>";
    let whole =
        "HTTP/1.1 202 Accepted\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    for page in [Script::Cut(cut), Script::Answer(whole)] {
        for url in [
            ACCOUNTS,
            "/Contoso/api/data/v9.2/accounts",
            "/odata/v4/orders",
            "/orders.svc",
        ] {
            let pair = Pair::start(page.clone(), Script::Answer(CREATED));
            let error = send(&pair, url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Call(FaultKind::ServerUnavailable));
            assert_eq!(error.effect(), Effect::Unknown, "{error}");
            assert_eq!(pair.requests(), (1, 0));
        }
    }
}

#[test]
fn a_success_that_breaks_off_before_it_says_what_it_is() {
    const SOAP: &str = "/XRMServices/2011/Organization.svc/web";
    let (executed, unknown) = (Effect::Executed, Effect::Unknown);
    #[rustfmt::skip]
    let table = [
        (ACCOUNTS, "200 OK", "OData-Version: 4.0\r\nContent-Length: 99\r\n", "{\"er", unknown),
        (ACCOUNTS, "200 OK", "OData-Version: 4.0\r\nContent-Length: 99\r\n", "", executed),
        (ACCOUNTS, "200 OK", "REQ_ID: 1\r\nTransfer-Encoding: chunked\r\n", "1\r\n{\r\n", unknown),
        (ACCOUNTS, "200 OK", "OData-Version: 4.0\r\nContent-Length: 99\r\n", "{\"@odata.context\":\"", executed),
        (ACCOUNTS, "200 OK", "OData-Version: 4.0\r\nContent-Length: 99\r\n", "{\"value\"", executed),
        (ACCOUNTS, "201 Created", "OData-EntityId: http://contoso.crm.script.test/x\r\nContent-Length: 99\r\n", "{", executed),
        (ACCOUNTS, "204 No Content", "OData-Version: 4.0\r\n", "", executed),
        (ACCOUNTS, "200 OK", "OData-Version: 4.0\r\nContent-Length: 0\r\n", "", executed),
        (SOAP, "200 OK", "Content-Type: text/xml\r\nContent-Length: 99\r\n", "<s:Env", unknown),
    ];
    for (url, status, head, body, expected) in table {
        let text = format!("HTTP/1.1 {status}\r\n{head}\r\n{body}");
        let text: &'static str = Box::leak(text.into_boxed_str());
        for is_streaming in [false, true] {
            let pair = Pair::start(Script::Cut(text), Script::Answer(CREATED));
            let client = Client::open(&settings(&pair)).unwrap();
            let mut request = post(url);
            request.set_streaming(is_streaming);
            let effect = match client.send(&request) {
                Ok(response) => response.effect(),
                Err(error) => error.effect(),
            };
            assert_eq!(effect, expected, "{text} {is_streaming}");
        }
    }
}

#[test]
fn a_success_may_call_itself_html() {
    let answer = "HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\
         OData-EntityId: http://contoso.crm.script.test/x\r\n\r\n";
    let pair = Pair::start(Script::Answer(answer), Script::Answer(CREATED));
    assert_eq!(send(&pair, ACCOUNTS).unwrap().effect(), Effect::Executed);
}

#[test]
fn a_failure_is_judged_by_what_has_come_of_it() {
    let gateway = "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 99\r\n\r\nhalf";
    for primary in [
        Script::Cut(NOT_HERE_CUT),
        Script::Stall(NOT_HERE_CUT),
        Script::Cut(gateway),
        Script::Stall(gateway),
    ] {
        let pair = Pair::start(primary, Script::Answer(CREATED));
        // Far below the attempt's two minutes: no one waits for a body that has said enough.
        let client = Client::open(&settings(&pair)).unwrap();
        let mut request = post(ACCOUNTS);
        request.set_timeout(LONG).unwrap();
        let response = client.send(&request).unwrap();
        let first = &response.attempts()[0];
        assert_eq!(first.phase, Phase::Responded);
        assert!(matches!(first.http_status, Some(503 | 504)));
        assert_eq!(response.attempts()[1].role, Some(Role::Alternate));
    }
}

#[test]
fn a_refused_batch_is_in_doubt() {
    let bad = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let pair = Pair::start(Script::Answer(bad), Script::Answer(CREATED));
    let response = send(&pair, "/api/data/v9.2/$batch").unwrap();
    assert_eq!(response.effect(), Effect::Unknown);
    assert_eq!(send(&pair, ACCOUNTS).unwrap().effect(), Effect::NotExecuted);
}

#[test]
fn a_created_row_keeps_its_head_when_the_body_stalls() {
    let stalled = "HTTP/1.1 201 Created\r\nOData-EntityId: http://contoso.crm.script.test/x\r\n\
         Content-Length: 99\r\n\r\n{";
    let pair = Pair::start(Script::Stall(stalled), Script::Answer(CREATED));
    let mut settings = settings(&pair);
    settings.set("attempt_timeout_ms", "3000").unwrap();
    settings.set("auto_switch", "off").unwrap();
    let error = Client::open(&settings)
        .unwrap()
        .send(&post(ACCOUNTS))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Timeout));
    assert_eq!(error.effect(), Effect::Executed);
    assert_eq!(error.fault().unwrap().http_status, Some(201));
    let head = error.response().unwrap().headers();
    assert!(head.contains_key("odata-entityid"));
}

#[test]
fn a_connection_closed_before_the_request_is_an_endpoint_that_was_not_found() {
    let pair = Pair::start(Script::Close, Script::Close);
    let mut settings = Settings::new(&URL.replace("http:", "https:")).unwrap();
    settings.set("preset", "dotnet").unwrap();
    let connect_to = pair.connect_to.replace("test:80:", "test:443:");
    settings.set("connect_to", &connect_to).unwrap();
    settings.set("auto_switch", "on").unwrap();
    settings.set("tls_verify", "off").unwrap();
    let client = Client::open(&settings).unwrap();
    let error = client.send(&post(ACCOUNTS)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::ConnectionLost));
    assert_eq!(error.attempts().len(), 2, "{error}");
    assert_eq!(error.effect(), Effect::NotExecuted);
}

#[test]
fn what_is_cancelled_or_late_before_it_begins_is_not_sent() {
    let pair = Pair::start(Script::Answer(CREATED), Script::Answer(CREATED));
    let queue = Queue::new(0).unwrap();
    let settings = settings(&pair);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.send(&post(ACCOUNTS)).unwrap();

    let mut late = post(ACCOUNTS);
    late.set_timeout(Duration::from_nanos(1)).unwrap();
    let error = client.send(&late).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Timeout));
    assert_eq!(error.effect(), Effect::NotExecuted);
    assert_eq!(pair.requests(), (1, 0));

    let mut executed = 1;
    for number in 0..100 {
        client.submit(&post(ACCOUNTS), number).unwrap().cancel();
        let mut item = queue.next(Some(LONG)).unwrap();
        match item.take_result().unwrap() {
            // It may have been quicker than the cancelling; then it must say so.
            Ok(_) => executed += 1,
            Err(error) if error.effect() == Effect::Unknown => executed += 1,
            Err(error) => assert_eq!(error.effect(), Effect::NotExecuted),
        }
    }
    assert!(pair.requests().0 <= executed, "{:?}", pair.requests());
}
