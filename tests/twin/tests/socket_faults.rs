//! Faults made at the socket, seen from the bare socket.

mod support;

use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, UnexpectedEof};
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::thread;

use d365_twin::{Condition, Fault, FaultKind, JournalEntry, SideHandle, Twin};
use socket2::{Domain, Socket, Type};
use support::{ACCOUNTS, LONG, Raw, client, contoso, kind, url};

const ROW: &str = r#"{"name": "a"}"#;

/// A connection on which one request was answered.
fn kept_alive(twin: &Twin, side: &SideHandle) -> Raw {
    let mut raw = Raw::connect(twin, side).unwrap();
    raw.send(
        side,
        "DELETE",
        &format!("{ACCOUNTS}(00000000-0000-0000-0000-000000000001)"),
        "",
    );
    assert!(raw.read_answer().starts_with("HTTP/1.1 404"));
    raw
}

fn post_answers(twin: &Twin, side: &SideHandle) -> bool {
    let request = client(twin).post(url(side, ACCOUNTS)).body(ROW);
    request
        .send()
        .is_ok_and(|response| response.status() == 204)
}

fn last(twin: &Twin) -> JournalEntry {
    twin.journal().pop().expect("an entry")
}

#[test]
fn refuse_refuses_resets_and_heals_on_the_same_port() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let port = side.port();
    let mut existing = kept_alive(&twin, side);
    let mut silent = Raw::tcp(side).unwrap();
    side.wait_for(Condition::connections(2), LONG).unwrap();
    side.fault(FaultKind::Refuse {
        keep_existing: false,
    })
    .unwrap();
    assert_eq!(Raw::tcp(side).unwrap_err().kind(), ConnectionRefused);
    assert_eq!(kind(&existing.read_to_end().1), Some(ConnectionReset));
    assert_eq!(silent.read(&mut [0]).unwrap_err().kind(), ConnectionReset);
    assert_eq!(side.counts().open_connections, 0);
    assert!(post_answers(&twin, &org.alternate));
    side.clear().unwrap();
    assert_eq!(side.port(), port);
    assert!(post_answers(&twin, side));
}

#[test]
fn refuse_can_be_repeated_and_keeps_its_port_from_others() {
    let (twin, org) = contoso();
    let side = &org.primary;
    for _ in 0..20 {
        let fault = side
            .fault(FaultKind::Refuse {
                keep_existing: false,
            })
            .unwrap();
        assert_eq!(Raw::tcp(side).unwrap_err().kind(), ConnectionRefused);
        let other = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], side.port()));
        assert_eq!(
            kind(&other.bind(&address.into())),
            Some(ErrorKind::AddrInUse)
        );
        assert!(side.clear_fault(fault).unwrap());
        Raw::connect(&twin, side).unwrap();
    }
}

#[test]
fn refuse_can_leave_existing_connections() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let mut existing = kept_alive(&twin, side);
    side.fault(FaultKind::Refuse {
        keep_existing: true,
    })
    .unwrap();
    assert_eq!(Raw::tcp(side).unwrap_err().kind(), ConnectionRefused);
    existing.send(side, "POST", ACCOUNTS, ROW);
    assert!(existing.read_answer().starts_with("HTTP/1.1 204"));
}

#[test]
fn a_deaf_listener_lets_connect_and_serves_when_it_thaws() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let mut existing = kept_alive(&twin, side);
    side.fault(FaultKind::ListenNeverAccept).unwrap();
    existing.send(side, "POST", ACCOUNTS, ROW);
    side.wait_for(Condition::in_flight(1), LONG).unwrap();
    let queued = Raw::tcp(side).unwrap();
    assert!(post_answers(&twin, &org.alternate));
    assert_eq!(side.counts().connections, 1);
    side.clear().unwrap();
    let mut thawed = Raw::handshake(&twin, side, queued).unwrap();
    thawed.send(side, "POST", ACCOUNTS, ROW);
    assert!(thawed.read_answer().starts_with("HTTP/1.1 204"));
    assert_eq!(side.counts().committed, 1);
    assert!(existing.is_silent());
}

#[test]
fn a_deaf_listener_hangs_the_connects_that_do_not_fit() {
    let (_twin, org) = contoso();
    org.primary.fault(FaultKind::ListenNeverAccept).unwrap();
    let address = ([127, 0, 0, 1], org.primary.port()).into();
    let patience = std::time::Duration::from_secs(1);
    let connect = |_| std::net::TcpStream::connect_timeout(&address, patience);
    let connects: Vec<_> = (0..3).map(connect).collect();
    assert!(connects[0].is_ok());
    assert_eq!(
        connects[2].as_ref().unwrap_err().kind(),
        ErrorKind::TimedOut
    );
}

#[test]
fn a_black_hole_silences_what_runs_and_a_thaw_lets_it_go_on() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let mut unread = kept_alive(&twin, side);
    let mut unanswered = kept_alive(&twin, side);
    let held = side.fault(FaultKind::Stall { ms: None }).unwrap();
    unanswered.send(side, "POST", ACCOUNTS, ROW);
    side.wait_for(Condition::committed(1), LONG).unwrap();
    side.fault(FaultKind::BlackHole).unwrap();
    side.clear_fault(held).unwrap();
    let received = side.counts().received;
    unread.send(side, "POST", ACCOUNTS, ROW);
    let queued = Raw::tcp(side).unwrap();
    let patience = std::time::Duration::from_secs(1);
    let address = ([127, 0, 0, 1], side.port()).into();
    let hanging = std::net::TcpStream::connect_timeout(&address, patience)
        .and_then(|_| std::net::TcpStream::connect_timeout(&address, patience));
    assert_eq!(kind(&hanging.map(drop)), Some(ErrorKind::TimedOut));
    assert!(post_answers(&twin, &org.alternate));
    assert!(unread.is_silent() && unanswered.is_silent());
    assert_eq!(side.counts().received, received);
    assert_eq!(side.counts().open_connections, 2);
    side.clear().unwrap();
    assert!(unanswered.read_answer().starts_with("HTTP/1.1 204"));
    assert!(unread.read_answer().starts_with("HTTP/1.1 204"));
    let mut thawed = Raw::handshake(&twin, side, queued).unwrap();
    thawed.send(side, "POST", ACCOUNTS, ROW);
    assert!(thawed.read_answer().starts_with("HTTP/1.1 204"));
    assert_eq!(side.counts().committed, 3);
}

#[test]
fn a_fault_of_reused_connections_meets_the_second_request() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(Fault::from(FaultKind::CommitThenReset).reused(true))
        .unwrap();
    side.fault(
        Fault::from(FaultKind::ResetBeforeRequest)
            .reused(true)
            .method("GET"),
    )
    .unwrap();
    let mut first = Raw::connect(&twin, side).unwrap();
    first.send(side, "POST", ACCOUNTS, ROW);
    assert!(first.read_answer().starts_with("HTTP/1.1 204"));
    first.send(side, "POST", ACCOUNTS, ROW);
    assert_eq!(kind(&first.read_to_end().1), Some(ConnectionReset));
    assert_eq!(side.counts().committed, 2);
    let mut second = Raw::connect(&twin, side).unwrap();
    second.send(side, "GET", ACCOUNTS, "");
    assert!(second.read_answer().starts_with("HTTP/1.1 200"));
    second.send(side, "GET", ACCOUNTS, "");
    assert_eq!(kind(&second.read_to_end().1), Some(ConnectionReset));
    assert_eq!(side.counts().received, 3);
}

#[test]
fn accept_never_answer_swallows_and_does_not_execute() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(Fault::from(FaultKind::AcceptNeverAnswer).times(1))
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "POST", ACCOUNTS, ROW);
    side.wait_for(Condition::in_flight(1), LONG).unwrap();
    side.clear().unwrap();
    assert!(post_answers(&twin, side));
    assert!(raw.is_silent());
    drop(raw);
    side.wait_for(Condition::idle(), LONG).unwrap();
    let entry = &twin.journal()[0];
    assert_eq!((entry.committed, entry.answered), (false, false));
    assert_eq!(entry.fault.as_deref(), Some("accept_never_answer"));
}

/// Sends one POST under a fault; returns how the connection ended, and what the journal says.
fn post_under(fault: FaultKind) -> (Option<ErrorKind>, JournalEntry, u64) {
    let (twin, org) = contoso();
    let side = &org.primary;
    let name = fault.name();
    side.fault(Fault::from(fault).method("POST").times(1))
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "POST", ACCOUNTS, ROW);
    let (bytes, end) = raw.read_to_end();
    assert_eq!(String::from_utf8_lossy(&bytes), "");
    side.wait_for(Condition::idle(), LONG).unwrap();
    let counts = side.counts();
    assert_eq!(
        (counts.received, counts.answered, counts.faults[name]),
        (1, 0, 1)
    );
    let rows = org.rows();
    let entry = last(&twin);
    assert_eq!(rows.len() as u64, counts.committed);
    assert_eq!(rows.first().map(|row| row.id), entry.id);
    assert_eq!((entry.name.as_deref(), entry.answered), (Some("a"), false));
    assert!(post_answers(&twin, side), "the fault is spent");
    (kind(&end), entry, counts.committed)
}

#[test]
fn commit_then_close_leaves_one_row_and_no_byte() {
    let (end, entry, committed) = post_under(FaultKind::CommitThenClose {
        close_notify: false,
    });
    assert_eq!(
        (end, entry.committed, committed),
        (Some(UnexpectedEof), true, 1)
    );
    let (end, entry, committed) = post_under(FaultKind::CommitThenClose { close_notify: true });
    assert_eq!((end, entry.committed, committed), (None, true, 1));
}

#[test]
fn commit_then_reset_leaves_one_row_and_a_reset() {
    let (end, entry, committed) = post_under(FaultKind::CommitThenReset);
    assert_eq!(
        (end, entry.committed, committed),
        (Some(ConnectionReset), true, 1)
    );
}

#[test]
fn reset_after_request_executes_nothing() {
    let (end, entry, committed) = post_under(FaultKind::ResetAfterRequest);
    assert_eq!(
        (end, entry.committed, committed),
        (Some(ConnectionReset), false, 0)
    );
}

#[test]
fn close_after_request_executes_nothing() {
    let (end, entry, committed) = post_under(FaultKind::CloseAfterRequest {
        close_notify: false,
    });
    assert_eq!(
        (end, entry.committed, committed),
        (Some(UnexpectedEof), false, 0)
    );
    let (end, entry, committed) = post_under(FaultKind::CloseAfterRequest { close_notify: true });
    assert_eq!((end, entry.committed, committed), (None, false, 0));
}

#[test]
fn reset_before_request_resets_accepts_and_kept_alive_connections() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let mut existing = kept_alive(&twin, side);
    side.fault(FaultKind::ResetBeforeRequest).unwrap();
    let new = Raw::connect(&twin, side).map(drop);
    assert_eq!(kind(&new), Some(ConnectionReset));
    existing.send(side, "POST", ACCOUNTS, ROW);
    assert_eq!(kind(&existing.read_to_end().1), Some(ConnectionReset));
    let counts = side.counts();
    assert_eq!((counts.received, counts.committed), (1, 0));
    assert_eq!(counts.faults["reset_before_request"], 2);
    side.clear().unwrap();
    assert!(post_answers(&twin, side));
}

#[test]
fn reset_before_request_counts_a_new_connection_once() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(Fault::from(FaultKind::ResetBeforeRequest).skip(1))
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "POST", ACCOUNTS, ROW);
    assert!(raw.read_answer().starts_with("HTTP/1.1 204"));
    raw.send(side, "POST", ACCOUNTS, ROW);
    assert_eq!(kind(&raw.read_to_end().1), Some(ConnectionReset));
    assert_eq!(side.counts().committed, 1);
}

#[test]
fn reset_before_request_with_a_matcher_looks_at_heads() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(Fault::from(FaultKind::ResetBeforeRequest).method("POST"))
        .unwrap();
    let mut raw = kept_alive(&twin, side);
    raw.send(side, "POST", ACCOUNTS, ROW);
    assert_eq!(kind(&raw.read_to_end().1), Some(ConnectionReset));
}

#[test]
fn stall_executes_at_once_and_answers_when_cleared() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(Fault::from(FaultKind::Stall { ms: None }).times(1))
        .unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| post_answers(&twin, side));
        side.wait_for(Condition::committed(1), LONG).unwrap();
        let counts = side.counts();
        assert_eq!((counts.in_flight, counts.answered), (1, 0));
        assert!(
            post_answers(&twin, side),
            "the fault is spent, and still holds what it held"
        );
        assert_eq!(side.counts().in_flight, 1);
        side.clear().unwrap();
        assert!(call.join().unwrap());
    });
    assert!(twin.journal().iter().all(|entry| entry.answered));
}

#[test]
fn stall_before_commit_executes_when_cleared() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let fault = side
        .fault(FaultKind::StallBeforeCommit { ms: None })
        .unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| post_answers(&twin, side));
        side.wait_for(Condition::in_flight(1), LONG).unwrap();
        assert!(org.rows().is_empty());
        assert!(twin.clear_fault(fault).unwrap());
        assert!(call.join().unwrap());
    });
    assert_eq!(org.rows().len(), 1);
}

#[test]
fn a_stall_with_a_time_ends_by_itself() {
    let (twin, org) = contoso();
    org.primary
        .fault(FaultKind::Stall { ms: Some(20) })
        .unwrap();
    org.primary
        .fault(FaultKind::StallBeforeCommit { ms: Some(20) })
        .unwrap();
    assert!(post_answers(&twin, &org.primary));
}

#[test]
fn a_client_that_leaves_does_not_undo_a_stalled_commit() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(FaultKind::StallBeforeCommit { ms: None })
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "POST", ACCOUNTS, ROW);
    side.wait_for(Condition::in_flight(1), LONG).unwrap();
    drop(raw);
    side.wait_for(Condition::idle(), LONG).unwrap();
    assert!(org.rows().is_empty());
    side.clear().unwrap();
    side.wait_for(Condition::committed(1), LONG).unwrap();
    let entry = last(&twin);
    assert_eq!((entry.committed, entry.answered), (true, false));
}

#[test]
fn refuse_resets_stalled_requests_too() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(FaultKind::Stall { ms: None }).unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "POST", ACCOUNTS, ROW);
    side.wait_for(Condition::committed(1), LONG).unwrap();
    side.fault(FaultKind::Refuse {
        keep_existing: false,
    })
    .unwrap();
    assert_eq!(kind(&raw.read_to_end().1), Some(ConnectionReset));
    assert_eq!(side.counts().in_flight, 0);
}

#[test]
fn cut_body_sends_head_and_half() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(FaultKind::cut_body()).unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "GET", "/api/data/v9.2/WhoAmI", "");
    let (bytes, end) = raw.read_to_end();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    assert_eq!(body.len(), length.parse::<usize>().unwrap() / 2);
    assert_eq!(kind(&end), Some(UnexpectedEof));
    raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "POST", ACCOUNTS, ROW);
    assert!(raw.read_answer().starts_with("HTTP/1.1 204"));
}

#[test]
fn close_idle_closes_those_that_wait_and_leaves_those_at_work() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let mut idle = kept_alive(&twin, side);
    let mut busy = kept_alive(&twin, side);
    side.fault(FaultKind::Stall { ms: None }).unwrap();
    busy.send(side, "POST", ACCOUNTS, ROW);
    side.wait_for(Condition::in_flight(1), LONG).unwrap();
    side.fault(FaultKind::CloseIdle).unwrap();
    assert_eq!(side.counts().open_connections, 1);
    let (bytes, end) = idle.read_to_end();
    assert_eq!((bytes.len(), kind(&end)), (0, None));
    side.clear().unwrap();
    assert!(busy.read_answer().starts_with("HTTP/1.1 204"));
    side.fault(FaultKind::CloseIdle).unwrap();
    assert_eq!(side.counts().open_connections, 0);
    assert_eq!(side.counts().faults["close_idle"], 2);
}

#[test]
fn an_answered_connection_ends_before_its_next_request() {
    let (twin, org) = contoso();
    let side = &org.primary;
    for (reset, close_notify, expected) in [
        (false, false, Some(UnexpectedEof)),
        (false, true, None),
        (true, false, Some(ConnectionReset)),
    ] {
        let fault = FaultKind::CloseAfterAnswer {
            reset,
            close_notify,
            answer: None,
        };
        side.fault(Fault::from(fault).skip(1).times(1)).unwrap();
        let mut raw = kept_alive(&twin, side);
        raw.send(side, "POST", ACCOUNTS, ROW);
        let answer = raw.read_answer();
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
        let (rest, end) = raw.read_to_end();
        assert_eq!((rest.len(), kind(&end)), (0, expected));
        assert!(last(&twin).answered);
    }
    assert_eq!(side.counts().committed, 3);
}

#[test]
fn the_journal_tells_connections_apart() {
    let (twin, org) = contoso();
    let mut first = kept_alive(&twin, &org.primary);
    kept_alive(&twin, &org.primary);
    first.send(&org.primary, "POST", ACCOUNTS, ROW);
    first.read_answer();
    let journal = twin.journal();
    let connections: Vec<_> = journal.iter().map(|entry| entry.connection).collect();
    assert_eq!(connections, [1, 2, 1]);
    assert!(journal.iter().map(|entry| entry.seq).eq(1..=3));
}

#[test]
fn many_requests_wait_and_all_are_answered() {
    const CALLS: u64 = 200;
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(FaultKind::StallBeforeCommit { ms: None })
        .unwrap();
    let mut calls: Vec<_> = (0..CALLS)
        .map(|call| {
            let mut raw = Raw::connect(&twin, side).unwrap();
            raw.send(side, "POST", ACCOUNTS, &format!(r#"{{"name": "{call}"}}"#));
            raw
        })
        .collect();
    side.wait_for(Condition::in_flight(CALLS), LONG).unwrap();
    side.clear().unwrap();
    for raw in &mut calls {
        assert!(raw.read_answer().starts_with("HTTP/1.1 204"));
    }
    assert_eq!(side.counts().answered, CALLS);
    assert_eq!(org.rows().len() as u64, CALLS);
    assert!(org.duplicates().is_empty());
}

#[test]
fn a_stopped_twin_ends_its_connections_and_says_so() {
    let (twin, org) = contoso();
    let mut raw = kept_alive(&twin, &org.primary);
    drop(twin);
    assert!(raw.read_to_end().0.is_empty());
    assert!(Raw::tcp(&org.primary).is_err());
    let error = org
        .primary
        .fault(FaultKind::cut_body())
        .unwrap_err()
        .to_string();
    assert!(error.contains("stopped"), "{error}");
}
