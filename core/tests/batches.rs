//! What is told of requests that hold several: by their parts, and never by the head alone.

mod support;

use std::sync::Arc;

use d365_failover_core::{
    Client, Effect, Error, ErrorKind, FaultKind, ItemKind, LedgerSelection, Queue, Request,
    Response, Settings,
};
use support::contoso::LONG;
use support::script::{Pair, Script, URL};

use Effect::{Executed, NotExecuted, Unknown};

const BATCH: &str = "/api/data/v9.2/$batch";
const SOAP: &str = "/XRMServices/2011/Organization.svc/web";
const NOT_HERE: &str = r#"{"error":{"code":"0x8004B065","message":"not here"}}"#;
const THROTTLED: &str = r#"{"error":{"code":"0x80072322","message":"less"}}"#;
const REFUSED: &str = r#"{"error":{"code":"0x80040265","message":"no"}}"#;
const FAULT: &str = r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode></s:Fault></s:Body></s:Envelope>"#;
const POST: &str =
    "POST /api/data/v9.2/accounts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}";
const GET: &str = "GET /api/data/v9.2/accounts HTTP/1.1\r\n\r\n";

/// A part of a batch.
enum Is<'a> {
    One(&'a str),
    Set(&'a [&'a str]),
}
use Is::{One, Set};

fn part(boundary: &str, http: &str) -> String {
    format!(
        "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{http}\r\n"
    )
}

fn multipart(parts: &[Is<'_>]) -> String {
    let mut text = String::new();
    for is in parts {
        match is {
            One(http) => text += &part("b", http),
            Set(set) => {
                text += "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n";
                set.iter().for_each(|http| text += &part("c", http));
                text += "--c--\r\n";
            }
        }
    }
    text + "--b--\r\n"
}

/// A part of an answer.
fn says(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n\r\n{body}")
}

fn answer(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nOData-Version: 4.0\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn multiparts(status: &str, parts: &[Is<'_>]) -> String {
    answer(status, "multipart/mixed; boundary=b", &multipart(parts))
}

fn script(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn settings(pair: &Pair) -> Settings {
    let mut settings = Settings::new(URL).unwrap();
    settings.set("connect_to", &pair.connect_to).unwrap();
    settings.set("auto_switch", "on").unwrap();
    settings.set("retry_budget", "0").unwrap();
    // Neither side answers probes, and what a call gets meanwhile is what counts here.
    settings.set("outage_wait_ms", "0").unwrap();
    settings
}

fn batch(parts: &[Is<'_>]) -> Request {
    let mut request = Request::new("POST", BATCH).unwrap();
    request
        .add_header("Content-Type", "multipart/mixed; boundary=b")
        .unwrap();
    request.set_body(multipart(parts));
    request.set_timeout(LONG).unwrap();
    request
}

fn response(result: Result<Response, Error>) -> (Effect, Option<Response>) {
    match result {
        Ok(response) => (response.effect(), Some(response)),
        Err(error) => (error.effect(), error.response().cloned()),
    }
}

/// What becomes of a request at a server that always says the same.
fn effect(request: &Request, says: String) -> Effect {
    let pair = Pair::start(Script::Answer(script(says)), Script::Close);
    let client = Client::open(&settings(&pair)).unwrap();
    let (effect, _) = response(client.send(request));
    let ledger = client.ledger(LedgerSelection::All).unwrap();
    let on_record = ledger.last().and_then(|entry| entry.effect);
    let expected = Some(effect).filter(|effect| matches!(effect, Executed | Unknown));
    assert_eq!(on_record, expected);
    effect
}

#[test]
fn a_batch_is_what_its_parts_are() {
    let (made, gone) = (says(204, ""), says(412, "{}"));
    let (busy, down) = (says(429, THROTTLED), says(503, ""));
    let (not_here, read) = (says(503, NOT_HERE), says(200, "{}"));
    let set: &[&str] = &[POST, POST];
    let two = &[One(POST), One(POST)][..];
    #[rustfmt::skip]
    let table: &[(&str, &[Is<'_>], bool, String, Effect)] = &[
        ("all done", two, false, multiparts("200 OK", &[One(&made), One(&made)]), Executed),
        ("of OData 2", two, false, multiparts("202 Accepted", &[One(&made), One(&made)]), Executed),
        ("the first refused, and stopped", two, false, multiparts("200 OK", &[One(&gone)]), NotExecuted),
        ("with its status", two, false, multiparts("412 Precondition Failed", &[One(&gone)]), NotExecuted),
        ("throttled", two, false, multiparts("200 OK", &[One(&busy)]), NotExecuted),
        ("unavailable", two, false, multiparts("200 OK", &[One(&down)]), Unknown),
        ("not here", two, false, multiparts("200 OK", &[One(&not_here)]), NotExecuted),
        ("not here, with its status", two, false, multiparts("503 Service Unavailable", &[One(&not_here)]), NotExecuted),
        ("one done, one refused", two, false, multiparts("200 OK", &[One(&made), One(&gone)]), Executed),
        ("one done, one unclear", two, false, multiparts("200 OK", &[One(&made), One(&down)]), Unknown),
        ("one done, none said of the other", two, false, multiparts("200 OK", &[One(&made)]), Unknown),
        ("refused, and should have gone on", two, true, multiparts("200 OK", &[One(&gone)]), Unknown),
        ("refused, and gone on", two, true, multiparts("200 OK", &[One(&gone), One(&made)]), Executed),
        ("both refused", two, true, multiparts("200 OK", &[One(&gone), One(&busy)]), NotExecuted),
        ("more answers than requests", two, false, multiparts("200 OK", &[One(&made), One(&made), One(&made)]), Unknown),
        ("none", two, false, multiparts("200 OK", &[]), Unknown),
        ("a read failed", &[One(GET), One(POST)], true, multiparts("200 OK", &[One(&down), One(&made)]), Executed),
        ("only the read done", &[One(GET), One(POST)], false, multiparts("200 OK", &[One(&read), One(&gone)]), NotExecuted),
        ("the read refused, and stopped", &[One(GET), One(POST)], false, multiparts("200 OK", &[One(&gone)]), NotExecuted),
        ("a change set", &[Set(set)], false, multiparts("200 OK", &[Set(&[&made, &made])]), Executed),
        ("a change set undone", &[Set(set)], false, multiparts("200 OK", &[One(&gone)]), NotExecuted),
        ("a change set undone, told inside of it", &[Set(set)], false, multiparts("200 OK", &[Set(&[&gone])]), NotExecuted),
        ("a change set half told", &[Set(set)], false, multiparts("200 OK", &[Set(&[&made])]), Unknown),
        ("a change set that is unclear", &[Set(set)], false, multiparts("200 OK", &[One(&down)]), Unknown),
        ("a change set after another", &[Set(set), Set(set)], false, multiparts("200 OK", &[Set(&[&made, &made]), One(&gone)]), Executed),
        ("no parts", two, false, answer("200 OK", "application/json", "{}"), Unknown),
        ("nothing", two, false, answer("200 OK", "multipart/mixed; boundary=b", ""), Unknown),
        ("another boundary", two, false, answer("200 OK", "multipart/mixed; boundary=x", &multipart(&[One(&made), One(&made)])), Unknown),
        ("not closed", two, false, answer("200 OK", "multipart/mixed; boundary=b", multipart(&[One(&made), One(&made)]).trim_end_matches("--b--\r\n")), Unknown),
        ("no status", two, false, multiparts("200 OK", &[One(&made), One("made")]), Unknown),
        ("an error under a success", two, false, multiparts("200 OK", &[One(&made), One(&says(200, REFUSED))]), Unknown),
        ("only its name", two, false, multiparts("200 OK", &[One(&says(201, r#"{"error":"blocked"}"#)), One(&made)]), Unknown),
        ("not here under a success", two, false, multiparts("200 OK", &[One(&says(200, NOT_HERE))]), NotExecuted),
        ("throttled under a success", two, false, multiparts("200 OK", &[One(&made), One(&says(200, THROTTLED))]), Executed),
        ("a SOAP fault under a success", two, false, multiparts("200 OK", &[One(&made), One(&says(200, FAULT))]), Unknown),
        ("a change set that is an error under a success", &[Set(set)], false, multiparts("200 OK", &[One(&says(200, REFUSED))]), Unknown),
        ("not modified", two, false, multiparts("200 OK", &[One(&made), One(&says(304, ""))]), Unknown),
        ("not modified, a read", &[One(GET), One(POST)], false, multiparts("200 OK", &[One(&says(304, "")), One(&made)]), Executed),
        ("one change set, refused as a whole", &[Set(set)], false, answer("503 Service Unavailable", "application/json", NOT_HERE), NotExecuted),
        ("one change set, throttled as a whole", &[Set(set)], false, answer("429 Too Many Requests", "application/json", THROTTLED), NotExecuted),
        ("one change set, unavailable as a whole", &[Set(set)], false, answer("503 Service Unavailable", "application/json", "{}"), Unknown),
        ("two change sets, refused as a whole", &[Set(set), Set(set)], false, answer("503 Service Unavailable", "application/json", NOT_HERE), Unknown),
        ("no change set, refused as a whole", two, false, answer("503 Service Unavailable", "application/json", NOT_HERE), Unknown),
        ("not let in", two, false, answer("401 Unauthorized", "application/json", "{}"), NotExecuted),
        ("refused as a whole", two, false, answer("400 Bad Request", "application/json", "{}"), Unknown),
    ];
    for (what, parts, goes_on, says, expected) in table {
        let mut request = batch(parts);
        if *goes_on {
            let prefer = "return=minimal, odata.continue-on-error";
            request.add_header("Prefer", prefer).unwrap();
        }
        assert_eq!(effect(&request, says.clone()), *expected, "{what}");
    }
}

#[test]
fn a_batch_that_cannot_be_read_is_told_by_its_answer() {
    let (made, gone, read) = (says(204, ""), says(412, "{}"), says(200, "{}"));
    #[rustfmt::skip]
    let table: &[(&str, &[Is<'_>], Effect)] = &[
        ("all done", &[One(&made), One(&read)], Executed),
        ("none done", &[One(&gone)], NotExecuted),
        ("some done", &[One(&made), One(&gone)], Executed),
        ("some done, perhaps reads", &[One(&read), One(&gone)], Unknown),
        ("nothing said", &[], Unknown),
    ];
    for (what, parts, expected) in table {
        let mut request = batch(&[]);
        request.add_header("Content-Encoding", "gzip").unwrap();
        request.set_body("as it is coded");
        let says = multiparts("200 OK", parts);
        assert_eq!(effect(&request, says), *expected, "{what}");
    }
}

#[test]
fn a_batch_in_json_is_what_its_parts_are() {
    const TWO: &str = r#"{"requests":[{"id":"1","method":"POST","url":"accounts","body":{}},
        {"id":"2","method":"post","url":"accounts","body":{}}]}"#;
    const SET: &str = r#"{"requests":[{"id":"1","method":"POST","url":"accounts","atomicityGroup":"g","body":{}},
        {"id":"2","method":"POST","url":"accounts","atomicityGroup":"g","body":{}}]}"#;
    let said = |id: &str, status: u16, body: &str| {
        format!(r#"{{"id":"{id}","status":{status},"headers":{{}},"body":{body}}}"#)
    };
    let (first, second) = (said("1", 201, "{}"), said("2", 204, "null"));
    let responses = |list: &[&str]| format!(r#"{{"responses":[{}]}}"#, list.join(","));
    #[rustfmt::skip]
    let table = [
        ("all done", TWO, responses(&[&second, &first]), Executed),
        ("numbers", TWO, responses(&[&first.replace("\"1\"", "1"), &second]), Executed),
        ("one missing", TWO, responses(&[&first]), Unknown),
        ("one told twice", TWO, responses(&[&first, &first]), Unknown),
        ("another one", TWO, responses(&[&first, &said("3", 204, "null")]), Unknown),
        ("the first refused, and stopped", TWO, responses(&[&said("1", 412, "{}")]), NotExecuted),
        ("not here", TWO, responses(&[&said("1", 500, NOT_HERE)]), NotExecuted),
        ("unclear", TWO, responses(&[&first, &said("2", 500, "{}")]), Unknown),
        ("a group undone", SET, responses(&[&said("1", 424, "{}"), &said("2", 400, "{}")]), NotExecuted),
        ("a group undone, one told", SET, responses(&[&said("2", 400, "{}")]), NotExecuted),
        ("half a group", SET, responses(&[&first, &said("2", 400, "{}")]), Unknown),
        ("cut", TWO, responses(&[&first, &second]).trim_end_matches('}').to_owned(), Unknown),
        ("an error under a success", TWO, responses(&[&first, &said("2", 200, REFUSED)]), Unknown),
        ("not here under a success", TWO, responses(&[&said("1", 200, NOT_HERE)]), NotExecuted),
        ("not modified", TWO, responses(&[&first, &said("2", 304, "null")]), Unknown),
        ("no status", TWO, responses(&[r#"{"id":"1"}"#, &second]), Unknown),
    ];
    for (what, asks, says, expected) in table {
        let mut request = Request::new("POST", BATCH).unwrap();
        request
            .add_header("Content-Type", "application/json; charset=utf-8")
            .unwrap();
        request.set_body(asks);
        let says = answer("200 OK", "application/json", &says);
        assert_eq!(effect(&request, says), expected, "{what}");
    }
}

const SERVICES: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";

fn soap(namespace: &str, body: &str) -> String {
    format!(
        r#"<s:Envelope xmlns:s="{namespace}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"
        xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts"
        xmlns:m="http://schemas.microsoft.com/xrm/2012/Contracts"
        xmlns:b="http://schemas.datacontract.org/2004/07/System.Collections.Generic"><s:Body>{body}</s:Body></s:Envelope>"#
    )
}

fn pair(key: &str, value: &str) -> String {
    format!(
        "<a:KeyValuePairOfstringanyType><b:key>{key}</b:key>{value}</a:KeyValuePairOfstringanyType>"
    )
}

fn execute_multiple(names: &[&str], goes_on: bool, tells_all: bool) -> String {
    let requests: String = names
        .iter()
        .map(|name| {
            format!(r#"<a:OrganizationRequest i:type="a:{name}Request"><a:RequestName>{name}</a:RequestName></a:OrganizationRequest>"#)
        })
        .collect();
    let settings = format!(
        "<b:value><m:ContinueOnError>{goes_on}</m:ContinueOnError><m:ReturnResponses>{tells_all}</m:ReturnResponses></b:value>"
    );
    let parameters =
        pair("Requests", &format!("<b:value>{requests}</b:value>")) + &pair("Settings", &settings);
    format!(
        r#"<Execute xmlns="{SERVICES}"><request i:type="a:ExecuteMultipleRequest"><a:Parameters>{parameters}</a:Parameters><a:RequestName>ExecuteMultiple</a:RequestName></request></Execute>"#
    )
}

fn item(index: usize, code: Option<i32>) -> String {
    let fault = match code {
        None => r#"<m:Fault i:nil="true"/>"#.to_owned(),
        Some(code) => format!(
            "<m:Fault><a:ErrorCode>{code}</a:ErrorCode><a:Message>no</a:Message><a:InnerFault><a:ErrorCode>1</a:ErrorCode></a:InnerFault></m:Fault>"
        ),
    };
    format!(
        "<m:ExecuteMultipleResponseItem>{fault}<m:RequestIndex>{index}</m:RequestIndex></m:ExecuteMultipleResponseItem>"
    )
}

fn multiple_response(items: &[String]) -> String {
    let faulted = items.iter().any(|item| item.contains("ErrorCode"));
    let results = pair("IsFaulted", &format!("<b:value>{faulted}</b:value>"))
        + &pair(
            "Responses",
            &format!("<b:value>{}</b:value>", items.concat()),
        );
    format!(
        r#"<ExecuteResponse xmlns="{SERVICES}"><ExecuteResult i:type="m:ExecuteMultipleResponse"><a:ResponseName>ExecuteMultiple</a:ResponseName><a:Results>{results}</a:Results></ExecuteResult></ExecuteResponse>"#
    )
}

#[test]
fn an_execute_multiple_is_what_its_items_are() {
    const NOT_HERE: i32 = -2_147_176_347;
    const TIMED_OUT: i32 = -2_147_204_783;
    const DUPLICATE: i32 = -2_147_220_937;
    let two: &[&str] = &["Create", "Create"];
    #[rustfmt::skip]
    #[allow(clippy::type_complexity)]
    let table: &[(&str, &[&str], bool, bool, Vec<String>, Effect)] = &[
        ("all done", two, false, true, vec![item(0, None), item(1, None)], Executed),
        ("all done, and silent", two, false, false, vec![], Executed),
        ("not all told", two, false, true, vec![item(0, None)], Unknown),
        ("the first refused, and stopped", two, false, true, vec![item(0, Some(DUPLICATE))], NotExecuted),
        ("the first refused, and silent", two, false, false, vec![item(0, Some(DUPLICATE))], NotExecuted),
        ("the second refused, and silent", two, false, false, vec![item(1, Some(DUPLICATE))], Executed),
        ("the first refused, gone on in silence", two, true, false, vec![item(0, Some(DUPLICATE))], Executed),
        ("both refused", two, true, true, vec![item(0, Some(DUPLICATE)), item(1, Some(NOT_HERE))], NotExecuted),
        ("not here", two, true, true, vec![item(0, Some(NOT_HERE)), item(1, Some(NOT_HERE))], NotExecuted),
        ("unclear", two, true, true, vec![item(0, None), item(1, Some(TIMED_OUT))], Unknown),
        ("told twice", two, true, true, vec![item(0, None), item(0, None)], Unknown),
        ("too many", two, true, true, vec![item(0, None), item(2, None)], Unknown),
        ("an index beyond all", two, true, true, vec![item(0, None), item(usize::MAX, None)], Unknown),
        ("only the read done", &["Retrieve", "Create"], false, true, vec![item(0, None), item(1, Some(DUPLICATE))], NotExecuted),
    ];
    let versions = [
        ("http://schemas.xmlsoap.org/soap/envelope/", "text/xml"),
        (
            "http://www.w3.org/2003/05/soap-envelope",
            "application/soap+xml",
        ),
    ];
    for (namespace, content_type) in versions {
        for (what, names, goes_on, tells_all, items, expected) in table {
            let mut request = Request::new("POST", SOAP).unwrap();
            request.add_header("Content-Type", content_type).unwrap();
            request.set_body(soap(
                namespace,
                &execute_multiple(names, *goes_on, *tells_all),
            ));
            let whole = soap(namespace, &multiple_response(items));
            let says = answer("200 OK", content_type, &whole);
            assert_eq!(effect(&request, says), *expected, "{what}");
            let says = answer(
                "200 OK",
                content_type,
                whole.trim_end_matches("</s:Envelope>"),
            );
            assert_eq!(effect(&request, says), Unknown, "{what}, cut");
        }
    }
}

#[test]
fn a_refused_group_is_not_executed_and_others_are_in_doubt() {
    let json = |groups: [&str; 2]| {
        let [one, two] = groups;
        format!(
            r#"{{"requests":[{{"id":"1","method":"POST","url":"accounts"{one}}},{{"id":"2","method":"POST","url":"accounts"{two}}}]}}"#
        )
    };
    let (a, b) = (r#","atomicityGroup":"a""#, r#","atomicityGroup":"b""#);
    let multiple = soap(
        "http://schemas.xmlsoap.org/soap/envelope/",
        &execute_multiple(&["Create"], false, true),
    );
    let transaction = multiple.replace("ExecuteMultiple", "ExecuteTransaction");
    let refused = answer("503 Service Unavailable", "application/json", NOT_HERE);
    for (url, content_type, body, expected) in [
        (BATCH, "application/json", json([a, a]), NotExecuted),
        (BATCH, "application/json", json([a, b]), Unknown),
        (BATCH, "application/json", json([a, ""]), Unknown),
        (BATCH, "application/json", json(["", ""]), Unknown),
        (SOAP, "text/xml", multiple, Unknown),
        (SOAP, "text/xml", transaction, NotExecuted),
    ] {
        let mut request = Request::new("POST", url).unwrap();
        request.add_header("Content-Type", content_type).unwrap();
        request.set_body(body.clone());
        assert_eq!(effect(&request, refused.clone()), expected, "{body}");
    }
}

#[test]
fn what_a_part_says_holds_no_token_and_is_no_error_of_those_that_were_done() {
    const OPAQUE: &str = "opaque-and-secret";
    let made = says(204, "");
    for before in [0, 190, 400] {
        let text = NOT_HERE.replace("not here", &format!("{}{OPAQUE}", "x".repeat(before)));
        let (json, refused) = (says(503, &text), "503 Service Unavailable");
        for (parts, is_response) in [
            ([One(&made), One(&json)], true),
            ([One(&json), One(&json)], false),
        ] {
            let says = script(multiparts(refused, &parts));
            let pair = Pair::start(Script::Answer(says), Script::Close);
            let client = Client::open(&settings(&pair)).unwrap();
            for is_streaming in [false, true] {
                let mut request = batch(&[One(POST), One(POST)]);
                let authorization = format!("Bearer {OPAQUE}");
                request.add_header("Authorization", &authorization).unwrap();
                request.set_streaming(is_streaming);
                let result = client.send(&request);
                assert_eq!(result.is_ok(), is_response, "{result:?}");
                let shown = match &result {
                    Ok(response) => format!("{:?}", response.attempts()),
                    Err(error) => format!("{error:?} {error}"),
                };
                assert!(!shown.contains("opaq"), "{shown}");
            }
        }
    }
}

#[test]
fn a_batch_whose_answer_breaks_off_is_in_doubt() {
    let all: Vec<String> = (0..400).map(|_| says(204, "")).collect();
    let requests: Vec<Is<'_>> = (0..400).map(|_| One(POST)).collect();
    let says = multiparts(
        "200 OK",
        &all.iter().map(|said| One(said)).collect::<Vec<_>>(),
    );
    let cut = script(says[..says.find("--b\r\n").unwrap() + 200].to_owned());
    let pair = Pair::start(Script::Cut(cut), Script::Close);
    let settings = settings(&pair);
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(ItemKind::WriteInDoubt.bit()).unwrap();
    let error = client.send(&batch(&requests)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::ConnectionLost));
    assert_eq!(error.effect(), Unknown);
    let suspects = client.ledger(LedgerSelection::Suspects).unwrap();
    assert_eq!(suspects.len(), 1);
    let event = queue.next(Some(LONG)).unwrap();
    assert_eq!(event.kind(), ItemKind::WriteInDoubt);
    let parts = error.response().unwrap().parts();
    assert_eq!(parts.len(), 1);
    assert_eq!(
        (parts[0].index, parts[0].status, parts[0].code),
        (0, Some(204), None)
    );
}

/// An answer of which the application reads `most` bytes, and then the rest if it says so.
fn stream(primary: Script, most: usize, to_the_end: bool) -> (Response, Client, Result<(), Error>) {
    let pair = Pair::start(primary, Script::Close);
    let client = Client::open(&settings(&pair)).unwrap();
    let mut request = batch(&[One(POST), One(POST)]);
    request.set_streaming(true);
    let response = client.send(&request).unwrap();
    // Its head says nothing of its parts.
    assert_eq!(response.effect(), Unknown);
    assert!(response.parts().is_empty());
    let ledger = client.ledger(LedgerSelection::All).unwrap();
    assert_eq!(ledger[0].effect, None);
    let mut buffer = vec![0; most];
    let read = loop {
        match response.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(_) if to_the_end => {}
            Ok(_) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    (response, client, read)
}

fn on_record(client: &Client) -> Option<Effect> {
    let ledger = client.ledger(LedgerSelection::All).unwrap();
    ledger.first().and_then(|entry| entry.effect)
}

#[test]
fn a_streamed_answer_is_told_at_its_end() {
    let (made, gone) = (says(204, ""), says(412, "{}"));
    for (parts, expected, kept) in [
        ([One(&made), One(&made)], Executed, Some(Executed)),
        ([One(&made), One("?")], Unknown, Some(Unknown)),
        ([One(&gone), One(&gone)], NotExecuted, None),
    ] {
        let says = script(multiparts("200 OK", &parts));
        let (response, client, read) = stream(Script::Answer(says), 7, true);
        read.unwrap();
        assert_eq!(response.effect(), expected);
        assert_eq!(on_record(&client), kept);
    }
    let says = script(multiparts("200 OK", &[One(&made), One(&gone)]));
    let (response, client, read) = stream(Script::Answer(says), 50, true);
    read.unwrap();
    assert_eq!(
        (response.effect(), on_record(&client)),
        (Executed, Some(Executed))
    );
    let told: Vec<_> = response
        .parts()
        .iter()
        .map(|part| (part.index, part.status))
        .collect();
    assert_eq!(told, [(0, Some(204)), (1, Some(412))]);

    let (response, client, read) = stream(Script::Cut(&says[..says.len() - 100]), 50, true);
    let error = read.unwrap_err();
    assert_eq!((error.effect(), response.effect()), (Unknown, Unknown));
    assert_eq!(on_record(&client), Some(Unknown));

    let (response, client, read) = stream(Script::Stall(&says[..says.len() - 100]), 50, false);
    read.unwrap();
    assert_eq!(on_record(&client), None);
    drop(response);
    assert_eq!(on_record(&client), Some(Unknown));
}

#[test]
fn a_coded_answer_is_read_on_a_copy() {
    let made = says(204, "");
    let body = multipart(&[One(&made), One(&made)]);
    let long = format!(
        "{}{}",
        "x".repeat(17 << 20),
        multipart(&[One(&made), One(&made)])
    );
    for (coding, body, expected) in [
        ("identity", body.clone(), Executed),
        // Not what it says.
        ("gzip", body, Unknown),
        // Beyond what is looked through.
        ("identity", long, Unknown),
    ] {
        let says = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Encoding: {coding}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut request = batch(&[One(POST), One(POST)]);
        // The application has asked for it, and decodes it.
        request.add_header("Accept-Encoding", "gzip").unwrap();
        assert_eq!(effect(&request, says), expected, "{coding}");
    }
}
