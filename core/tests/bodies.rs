//! Bodies that are read while they are sent, and bodies that are read after the call.

mod support;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use d365_failover_core::{
    BodySource, Cause, Client, Effect, ErrorKind, FaultKind, ItemKind, Phase, Queue, Request, Role,
};
use d365_twin::{FaultKind as Twin_, OrganizationConfig, Twin, TwinConfig};
use support::contoso::{ACCOUNTS, LONG, WHO, get, settings, twin};

/// A JSON row in pieces of a few bytes, and what was asked of it.
#[derive(Default)]
struct Asked {
    reads: AtomicUsize,
    rewinds: AtomicUsize,
    threads: Mutex<Vec<std::thread::ThreadId>>,
}

struct Pieces {
    text: Vec<u8>,
    at: usize,
    fails_at: Option<usize>,
    asked: Arc<Asked>,
}

impl BodySource for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.asked.reads.fetch_add(1, Ordering::SeqCst);
        self.asked
            .threads
            .lock()
            .unwrap()
            .push(std::thread::current().id());
        if self.fails_at.is_some_and(|at| self.at >= at) {
            return Err(io::Error::other("the disk is gone"));
        }
        let count = buffer.len().min(5).min(self.text.len() - self.at);
        buffer[..count].copy_from_slice(&self.text[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.asked.rewinds.fetch_add(1, Ordering::SeqCst);
        self.at = 0;
        Ok(())
    }
}

struct Upload {
    length: Option<i64>,
    can_rewind: bool,
    fails_at: Option<usize>,
}

const TEXT: &str = r#"{"name":"in pieces of five bytes"}"#;

fn upload(upload: &Upload) -> (Request, Arc<Asked>) {
    let asked = Arc::new(Asked::default());
    let source = Pieces {
        text: TEXT.into(),
        at: 0,
        fails_at: upload.fails_at,
        asked: Arc::clone(&asked),
    };
    let mut request = Request::new("POST", ACCOUNTS).unwrap();
    request
        .add_header("Content-Type", "application/json")
        .unwrap();
    let length = upload
        .length
        .map(|more| u64::try_from(TEXT.len() as i64 + more).unwrap());
    request.set_body_source(Box::new(source), length, upload.can_rewind);
    (request, asked)
}

const ONE_SHOT: Upload = Upload {
    length: None,
    can_rewind: false,
    fails_at: None,
};

#[test]
fn a_body_is_read_on_the_thread_that_sends() {
    for length in [None, Some(0)] {
        let (twin, org) = twin();
        let client = Client::open(&settings(&twin)).unwrap();
        let (request, asked) = upload(&Upload { length, ..ONE_SHOT });
        let response = client.send(&request).unwrap();
        assert_eq!(response.status(), 204);
        assert_eq!(org.rows().len(), 1);
        let here = std::thread::current().id();
        let threads = asked.threads.lock().unwrap();
        assert!(threads.iter().all(|thread| *thread == here));
        assert!(threads.len() > TEXT.len() / 5);
    }
}

#[test]
fn a_rewindable_body_goes_on_at_the_alternate_and_a_one_shot_body_does_not() {
    for can_rewind in [true, false] {
        let (twin, org) = twin();
        let client = Client::open(&settings(&twin)).unwrap();
        org.primary
            .fault(Twin_::datacenter_not_available())
            .unwrap();
        let (request, asked) = upload(&Upload {
            can_rewind,
            ..ONE_SHOT
        });
        let result = client.send(&request);
        // The endpoint is left in either case.
        assert!(!client.is_primary());
        if can_rewind {
            assert_eq!(result.unwrap().attempts()[1].role, Some(Role::Alternate));
            assert_eq!(asked.rewinds.load(Ordering::SeqCst), 1);
            assert_eq!(org.rows().len(), 1);
        } else {
            let error = result.unwrap_err();
            assert_eq!(error.attempts().len(), 1);
            assert!(error.message().contains("read only once"), "{error}");
            assert_eq!(error.effect(), Effect::NotExecuted);
            assert_eq!(org.rows().len(), 0);
            let again = client.send(&request).unwrap_err();
            assert_eq!(again.kind(), ErrorKind::InvalidArgument, "{again}");
        }
    }
}

#[test]
fn a_body_that_is_used_up_is_not_sent_as_nothing() {
    struct Once(bool);
    impl BodySource for Once {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = if std::mem::take(&mut self.0) {
                TEXT.len()
            } else {
                0
            };
            buffer[..count].copy_from_slice(&TEXT.as_bytes()[..count]);
            Ok(count)
        }

        fn rewind(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    org.primary
        .fault(Twin_::datacenter_not_available())
        .unwrap();
    let mut request = Request::new("POST", ACCOUNTS).unwrap();
    request.set_body_source(Box::new(Once(true)), None, true);
    let error = client.send(&request).unwrap_err();
    assert!(error.message().contains("gave a body before"), "{error}");
    assert_eq!(error.attempts().len(), 2);
    let received = org.alternate.counts().received_by;
    assert!(!received.contains_key("POST web_api"), "{received:?}");
}

#[test]
fn a_one_shot_body_that_was_not_begun_goes_on_at_the_alternate() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    org.primary
        .fault(Twin_::Refuse {
            keep_existing: false,
        })
        .unwrap();
    let (request, asked) = upload(&ONE_SHOT);
    let response = client.send(&request).unwrap();
    assert_eq!(response.attempts().len(), 2);
    assert_eq!(asked.rewinds.load(Ordering::SeqCst), 0);
    assert_eq!(org.rows().len(), 1);
}

#[test]
fn a_body_that_fails_is_the_applications_fault() {
    for (wrong, says) in [
        (
            Upload {
                fails_at: Some(10),
                ..ONE_SHOT
            },
            "the disk is gone",
        ),
        (
            Upload {
                length: Some(3),
                ..ONE_SHOT
            },
            "ended 3 bytes before the length",
        ),
        (
            Upload {
                length: Some(-4),
                ..ONE_SHOT
            },
            "more than the length",
        ),
    ] {
        let (twin, org) = twin();
        let client = Client::open(&settings(&twin)).unwrap();
        let (request, _) = upload(&wrong);
        let error = client.send(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local), "{error:?}");
        assert!(error.message().contains(says), "{error}");
        assert!(client.is_primary());
        assert_eq!(org.rows().len(), 0, "{says}");
    }
}

#[test]
fn a_request_with_a_reader_serves_one_call_at_a_time() {
    struct Slow(std::sync::mpsc::Receiver<()>, Arc<AtomicUsize>);
    impl BodySource for Slow {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.recv().map(|()| 0).map_err(io::Error::other)
        }
        fn rewind(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (twin, _org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    let (go, wait) = std::sync::mpsc::channel();
    let begun = Arc::new(AtomicUsize::new(0));
    let mut request = Request::new("POST", ACCOUNTS).unwrap();
    request.set_body_source(Box::new(Slow(wait, Arc::clone(&begun))), None, true);
    let (other, same) = (client.clone(), request.clone());
    let thread = std::thread::spawn(move || other.send(&same).map(|response| response.status()));
    while begun.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    go.send(()).unwrap();
    assert_eq!(thread.join().unwrap().unwrap(), 400);
}

#[test]
fn a_submitted_call_reads_its_body_on_a_thread_of_its_own() {
    let (twin, org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    let (request, asked) = upload(&ONE_SHOT);
    client.submit(&request, 7).unwrap();
    let mut item = queue.next(Some(LONG)).unwrap();
    assert_eq!(item.user_data(), Some(7));
    assert_eq!(item.take_result().unwrap().unwrap().status(), 204);
    assert_eq!(org.rows().len(), 1);
    let here = std::thread::current().id();
    assert!(!asked.threads.lock().unwrap().contains(&here));
}

#[test]
fn a_body_with_expect_waits_for_the_servers_word() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    let (mut request, _) = upload(&ONE_SHOT);
    request.add_header("Expect", "100-continue").unwrap();
    let response = client.send(&request).unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(org.rows().len(), 1);
}

#[test]
fn an_answer_is_read_by_and_by() {
    let (twin, _org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    let whole = client.send(&get(WHO)).unwrap();
    let mut request = get(WHO);
    request.set_streaming(true);
    let response = client.send(&request).unwrap();
    assert!(response.is_streaming());
    assert!(response.body().is_empty());
    let mut body = Vec::new();
    let mut buffer = [0; 7];
    loop {
        match response.read(&mut buffer).unwrap() {
            0 => break,
            count => body.extend_from_slice(&buffer[..count]),
        }
    }
    assert_eq!(response.read(&mut buffer).unwrap(), 0);
    assert_eq!(body, whole.body().as_ref());
    // A collected body can be read the same way.
    let mut again = Vec::new();
    loop {
        match whole.read(&mut buffer).unwrap() {
            0 => break,
            count => again.extend_from_slice(&buffer[..count]),
        }
    }
    assert_eq!(again, body);
    let error = response.read(&mut []).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn an_answer_read_to_its_end_gives_its_connection_back() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    let mut request = get(WHO);
    request.set_streaming(true);
    for _ in 0..3 {
        let response = client.send(&request).unwrap();
        while response.read(&mut [0; 1000]).unwrap() > 0 {}
    }
    assert_eq!(org.primary.counts().connections, 1);
    // One that is dropped before closes it, unless all of it has come with the head.
    let mut large = get("/bulk/10000000");
    large.set_streaming(true);
    drop(client.send(&large).unwrap());
    client.send(&get(WHO)).unwrap();
    assert_eq!(org.primary.counts().connections, 2);
}

#[test]
fn a_streamed_failure_is_judged_by_its_beginning() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    org.primary
        .fault(Twin_::datacenter_not_available())
        .unwrap();
    let mut request = get(WHO);
    request.set_streaming(true);
    let response = client.send(&request).unwrap();
    assert_eq!(response.attempts().len(), 2);
    assert!(response.switched());
    // A service's own fault is a response, whole.
    let mut request = get(&format!("{ACCOUNTS}(00000000-0000-0000-0000-00000000dead)"));
    request.set_streaming(true);
    let response = client.send(&request).unwrap();
    assert_eq!(response.status(), 404);
    let mut body = Vec::new();
    let mut buffer = [0; 10];
    loop {
        match response.read(&mut buffer).unwrap() {
            0 => break,
            count => body.extend_from_slice(&buffer[..count]),
        }
    }
    assert!(String::from_utf8(body).unwrap().contains("\"error\""));
}

#[test]
fn a_streamed_body_that_breaks_off_says_so_each_time() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    org.primary.fault(Twin_::cut_body()).unwrap();
    let mut request = support::contoso::create("row");
    request
        .add_header("Prefer", "return=representation")
        .unwrap();
    request.set_streaming(true);
    let response = client.send(&request).unwrap();
    assert_eq!(response.status(), 201);
    // What keeps a read from being begun knows of the write as well.
    for (kind, error) in [
        (ErrorKind::InvalidArgument, response.read(&mut []).err()),
        (
            ErrorKind::InvalidArgument,
            response.read_ready(&mut []).err(),
        ),
        (ErrorKind::NoQueue, response.submit_read(1, 0).err()),
    ] {
        let error = error.unwrap();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::Executed));
        assert_eq!(error.attempts().len(), 1);
    }
    let error = loop {
        match response.read(&mut [0; 16]) {
            Ok(0) => panic!("the body was whole"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::ConnectionLost));
    assert_eq!(error.effect(), Effect::Executed);
    assert_eq!(error.attempts()[0].phase, Phase::Responded);
    assert!(error.attempts()[0].fault.is_some());
    let again = response.read(&mut [0; 16]).unwrap_err();
    assert_eq!(again.message(), error.message());
    assert!(client.is_primary());
}

#[test]
fn submitted_reads_come_in_the_queue() {
    let (twin, _org) = twin();
    let queue = Queue::new(0).unwrap();
    let settings = settings(&twin);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    let whole = client.send(&get(WHO)).unwrap();
    let mut request = get(WHO);
    request.set_streaming(true);
    client.submit(&request, 1).unwrap();
    let response = queue
        .next(Some(LONG))
        .unwrap()
        .take_result()
        .unwrap()
        .unwrap();
    let mut body = Vec::new();
    for number in 2.. {
        response.submit_read(10, number).unwrap();
        let item = queue.next(Some(LONG)).unwrap();
        assert_eq!(item.kind(), ItemKind::Body);
        assert_eq!(item.user_data(), Some(number));
        let piece = item.body().unwrap().as_ref().unwrap();
        assert!(piece.len() <= 10);
        if piece.is_empty() {
            break;
        }
        body.extend_from_slice(piece);
    }
    assert_eq!(body, whole.body().as_ref());
    let error = whole.submit_read(10, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAvailable);
}

#[test]
fn a_closed_client_ends_its_bodies() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    org.primary
        .fault(Twin_::StallBody {
            ms: None,
            answer: None,
        })
        .unwrap();
    let mut request = get(WHO);
    request.set_streaming(true);
    let response = client.send(&request).unwrap();
    let reading = std::thread::spawn(move || {
        loop {
            match response.read(&mut [0; 16]) {
                Ok(0) => panic!("the body was whole"),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    });
    client.shutdown(Duration::ZERO).unwrap();
    let error = reading.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Cancelled));
}

#[test]
fn a_reader_that_takes_all_the_time_is_no_reason_to_leave_the_endpoint() {
    struct Slow;
    impl BodySource for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // Longer than the attempt may take.
            std::thread::sleep(Duration::from_millis(3000));
            buffer[0] = b' ';
            Ok(1)
        }
        fn rewind(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (twin, org) = twin();
    let mut settings = settings(&twin);
    settings.set("attempt_timeout_ms", "2000").unwrap();
    let client = Client::open(&settings).unwrap();
    let mut request = Request::new("POST", ACCOUNTS).unwrap();
    request.set_body_source(Box::new(Slow), None, true);
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local), "{error}");
    assert!(client.is_primary());
    assert_eq!(org.rows().len(), 0);
}

/// By a blocking call, and by one that leaves the reader to a thread; on a connection of its own, and
/// on a shared one, where only what comes is a sign of life, and nothing comes before the body's end.
#[test]
fn a_read_timeout_is_no_time_for_the_reader() {
    const MOST: Duration = Duration::from_secs(2);
    struct Slow(usize);
    impl BodySource for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // Longer than the call may stand still.
            std::thread::sleep(MOST * 5 / 4);
            let piece = [&b"{\"name\":\"x\"}"[..], b""][self.0];
            self.0 += 1;
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
        fn rewind(&mut self) -> io::Result<()> {
            unreachable!("it is read once")
        }
    }
    let call = |http2, is_submitted| {
        let mut organization = OrganizationConfig::new("contoso");
        organization.http2 = http2;
        let twin = Twin::start(TwinConfig::new([organization])).unwrap();
        let mut settings = settings(&twin);
        for (key, value) in [
            ("auto_switch", "off"),
            ("probe_after_ms", "0"),
            ("outage_wait_ms", "0"),
        ] {
            settings.set(key, value).unwrap();
        }
        let queue = Queue::new(0).unwrap();
        let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
        for is_silent in [false, true] {
            if is_silent {
                let org = twin.org("contoso").unwrap();
                org.primary.fault(Twin_::AcceptNeverAnswer).unwrap();
            }
            let mut request = Request::new("POST", ACCOUNTS).unwrap();
            request.set_read_timeout(MOST).unwrap();
            request
                .add_header("Content-Type", "application/json")
                .unwrap();
            request.set_body_source(Box::new(Slow(0)), None, false);
            let end = if is_submitted {
                client.submit(&request, 1).unwrap();
                queue.next(Some(LONG)).unwrap().take_result().unwrap()
            } else {
                client.send(&request)
            };
            if is_silent {
                let error = end.unwrap_err();
                let cause = error.fault().unwrap().cause;
                assert_eq!(cause, Cause::AttemptTimeout, "{error}");
            } else {
                assert_eq!(end.unwrap().status(), 204);
            }
        }
    };
    std::thread::scope(|scope| {
        for http2 in [false, true] {
            for is_submitted in [false, true] {
                scope.spawn(move || call(http2, is_submitted));
            }
        }
    });
}

#[test]
fn a_body_longer_than_its_length_is_refused_wherever_its_reads_end() {
    // The reads are of five bytes: one ends exactly there. And none is asked for.
    for told in [5, 0] {
        let (twin, org) = twin();
        let client = Client::open(&settings(&twin)).unwrap();
        let more = told - TEXT.len() as i64;
        let (request, _) = upload(&Upload {
            length: Some(more),
            ..ONE_SHOT
        });
        let error = client.send(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local), "{error:?}");
        assert!(error.message().contains("more than the length"), "{error}");
        assert_eq!(org.rows().len(), 0);
    }
}

#[test]
fn a_read_that_waits_can_be_cancelled() {
    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    org.primary
        .fault(Twin_::StallBody {
            ms: None,
            answer: None,
        })
        .unwrap();
    let mut request = get(WHO);
    request.set_streaming(true);
    let response = client.send(&request).unwrap();
    let other = response.clone();
    let reading = std::thread::spawn(move || {
        loop {
            match other.read(&mut [0; 16]) {
                Ok(0) => panic!("the body was whole"),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    });
    response.cancel();
    let error = reading.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Cancelled));
}

#[test]
fn a_body_that_fails_over_http2_says_why() {
    let mut organization = OrganizationConfig::new("contoso");
    organization.http2 = true;
    let twin = Twin::start(TwinConfig::new([organization])).unwrap();
    let client = Client::open(&settings(&twin)).unwrap();
    let (request, _) = upload(&Upload {
        fails_at: Some(10),
        ..ONE_SHOT
    });
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local), "{error:?}");
    assert!(error.message().contains("the disk is gone"), "{error}");
    assert!(client.is_primary());
}

#[test]
fn of_a_body_that_is_too_large_by_its_own_word_nothing_is_kept() {
    let large = "x".repeat(200_000);
    let (twin, org) = twin();
    let mut settings = settings(&twin);
    settings.set("max_response_body", "100000").unwrap();
    let client = Client::open(&settings).unwrap();
    let fault = serde_json::json!({"kind": "status", "status": 200, "body": large});
    org.primary
        .fault(serde_json::from_value::<d365_twin::Fault>(fault).unwrap())
        .unwrap();
    let error = client.send(&get(WHO)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Protocol));
    assert!(error.message().contains("max_response_body"), "{error}");
    assert_eq!(error.response().unwrap().body().len(), 0);
}

/// What a server reads of a request, head in small letters.
fn as_sent(request: &Request) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut piece = [0; 4096];
        while !seen.ends_with(b"\r\n\r\n") && !seen.ends_with(b"}") {
            let count = stream.read(&mut piece).unwrap();
            seen.extend_from_slice(&piece[..count]);
        }
        let answer = b"HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n";
        stream.write_all(answer).unwrap();
        String::from_utf8(seen).unwrap().to_ascii_lowercase()
    });
    let mut settings = d365_failover_core::Settings::new("http://contoso.crm.script.test").unwrap();
    let rule = format!("contoso.crm.script.test:80:127.0.0.1:{port}");
    settings.set("connect_to", &rule).unwrap();
    settings.set("auto_switch", "off").unwrap();
    let client = Client::open(&settings).unwrap();
    assert_eq!(client.send(request).unwrap().status(), 204);
    server.join().unwrap()
}

#[test]
fn a_write_without_a_body_says_so() {
    for (method, says) in [
        ("POST", true),
        ("PUT", true),
        ("PATCH", true),
        ("MERGE", true),
        ("GET", false),
        ("HEAD", false),
        ("DELETE", false),
    ] {
        let head = as_sent(&Request::new(method, ACCOUNTS).unwrap());
        assert_eq!(head.contains("content-length: 0\r\n"), says, "{head}");
        assert_eq!(head.contains("content-length"), says, "{head}");
    }
    let source = Pieces {
        text: Vec::new(),
        at: 0,
        fails_at: None,
        asked: Arc::default(),
    };
    let mut request = Request::new("POST", ACCOUNTS).unwrap();
    request.set_body_source(Box::new(source), Some(0), true);
    assert!(as_sent(&request).contains("content-length: 0\r\n"));
}

#[test]
fn a_length_of_the_applications_is_no_error_where_it_is_right() {
    let told = TEXT.len().to_string();
    let mut request = Request::new("POST", ACCOUNTS).unwrap();
    request.add_header("Content-Length", &told).unwrap();
    request.set_body(TEXT);
    let head = as_sent(&request);
    assert_eq!(head.matches("content-length").count(), 1, "{head}");
    assert!(
        head.contains(&format!("content-length: {told}\r\n")),
        "{head}"
    );

    // It tells the length of a source that does not know it.
    for length in [None, Some(0)] {
        let (mut request, _) = upload(&Upload { length, ..ONE_SHOT });
        request.add_header("content-length", &told).unwrap();
        let head = as_sent(&request);
        assert!(
            head.contains(&format!("content-length: {told}\r\n")),
            "{head}"
        );
        assert!(!head.contains("chunked"), "{head}");
    }

    let (twin, org) = twin();
    let client = Client::open(&settings(&twin)).unwrap();
    let mut request = support::contoso::create("row");
    request.add_header("Content-Length", "3").unwrap();
    let (mut read, _) = upload(&Upload {
        length: Some(0),
        ..ONE_SHOT
    });
    read.add_header("Content-Length", "3").unwrap();
    for wrong in [request, read] {
        let error = client.send(&wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.message().contains("Content-Length says 3"), "{error}");
    }
    let (mut short, _) = upload(&ONE_SHOT);
    short.add_header("Content-Length", "5").unwrap();
    let error = client.send(&short).unwrap_err();
    assert!(error.message().contains("more than the length"), "{error}");
    assert_eq!(org.rows().len(), 0);
}
