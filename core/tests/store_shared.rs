//! The ledger on disk between processes, and on disks that do not play along.
#![cfg(unix)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use d365_failover_core::{
    Client, Effect, Error, ErrorKind, FaultKind, LedgerSelection, Queue, Request,
};
use rusqlite::Connection;
use support::serve::{Do, json, serve};
use support::store::{
    Folder, client_of_process, entries, open, process, refused, settings, settings_at, write,
};
use support::until;

/// By then a test has failed.
const LONG: Duration = Duration::from_secs(60);

/// A client of this process, which keeps requests.
fn keeping(port: u16, store: &Path) -> Client {
    let mut settings = settings_at(port, store);
    settings.set("ledger_bodies", "full").unwrap();
    settings.set("service_mark", "any").unwrap();
    Client::open(&settings).unwrap()
}

/// The ids of those in question.
fn suspects(client: &Client) -> Vec<u64> {
    let suspects = client.ledger(LedgerSelection::Suspects).unwrap();
    suspects.iter().map(|entry| entry.id).collect()
}

#[test]
#[ignore = "a process of another test"]
fn process_that_sends_again() {
    let port = std::env::var("STORE_PORT").unwrap().parse().unwrap();
    let store = PathBuf::from(std::env::var_os("STORE_PATH").unwrap());
    let client = keeping(port, &store);
    for id in suspects(&client) {
        // Until nobody need do it any more.
        until("its end", || match client.replay(id, true) {
            Ok(response) => response.effect() == Effect::Executed,
            Err(error) => {
                let is_taken = error.message().contains("being sent again");
                assert!(
                    is_taken || error.message().contains("in question"),
                    "{error}"
                );
                !is_taken
            }
        });
    }
}

#[test]
fn of_several_processes_that_send_a_write_again_one_does() {
    const WRITES: usize = 20;
    let folder = Folder::new("claimed");
    let store = folder.file("store");
    let counts = Arc::new(Mutex::new(HashMap::<String, (usize, usize)>::new()));
    let counting = Arc::clone(&counts);
    let side = serve(move |line, number| {
        if !line.starts_with("POST") {
            return json("200 OK", "{}");
        }
        if number == 1 {
            // It breaks off: in doubt.
            return Do::Close;
        }
        let mut counts = counting.lock().unwrap();
        let count = counts.entry(line.to_owned()).or_default();
        *count = (count.0 + 1, number);
        json("204 No Content", "")
    });
    let client = keeping(side.port, &store);
    for number in 0..WRITES {
        let url = format!("/api/data/v9.2/accounts({number})/Microsoft.Dynamics.CRM.Win");
        let error = client.send(&Request::new("POST", &url).unwrap());
        assert_eq!(error.unwrap_err().effect(), Effect::Unknown);
    }
    assert_eq!(suspects(&client).len(), WRITES);
    let start = || process("process_that_sends_again", side.port, &store, &[]);
    let mut all: Vec<Child> = (0..4).map(|_| start()).collect();
    for process in &mut all {
        assert!(process.wait().unwrap().success());
    }
    let counts = counts.lock().unwrap();
    assert_eq!(counts.len(), WRITES);
    assert!(counts.values().all(|count| *count == (1, 2)), "{counts:?}");
    assert!(suspects(&client).is_empty());
}

#[test]
#[ignore = "a process of another test"]
fn process_that_writes_what_is_forgotten() {
    let port = std::env::var("STORE_PORT").unwrap().parse().unwrap();
    let store = PathBuf::from(std::env::var_os("STORE_PATH").unwrap());
    let client = forgetful(port, &store);
    for _ in 0..1000 {
        let sent = client.send(&Request::new("POST", "/api/data/v9.2/accounts").unwrap());
        assert_eq!(sent.unwrap().effect(), Effect::Executed);
    }
}

fn forgetful(port: u16, store: &Path) -> Client {
    let mut settings = settings_at(port, store);
    for (key, value) in [
        ("service_mark", "any"),
        ("replication_window_ms", "0"),
        ("ledger_retention_ms", "1"),
    ] {
        settings.set(key, value).unwrap();
    }
    Client::open(&settings).unwrap()
}

#[test]
fn what_is_over_goes_while_several_write() {
    let folder = Folder::new("forgotten");
    let store = folder.file("store");
    let side = serve(|_, _| json("204 No Content", ""));
    let write = "process_that_writes_what_is_forgotten";
    let mut all: Vec<Child> = (0..2)
        .map(|_| process(write, side.port, &store, &[]))
        .collect();
    for process in &mut all {
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(side.count("POST"), 2000);
    // Each 250 writes of a process what had ended 250 writes before goes.
    let left = entries(&forgetful(side.port, &store)).len();
    assert!(left <= 1200, "{left} are left");
}

#[test]
#[ignore = "a process of another test"]
fn process_that_holds_the_store() {
    let store = std::env::var_os("STORE_PATH").unwrap();
    let connection = Connection::open(&store).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    fs::write(Path::new(&store).with_extension("held"), "").unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn while_another_process_holds_the_store_it_is_read_and_a_write_is_refused_after_five_seconds() {
    let folder = Folder::new("held");
    let store = folder.file("store");
    let side = serve(|_, _| json("204 No Content", ""));
    let queue = Queue::new(0).unwrap();
    let settings = settings_at(side.port, &store);
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    let sent = client.send(&Request::new("POST", "/api/data/v9.2/accounts").unwrap());
    assert_eq!(sent.unwrap().effect(), Effect::Executed);
    let mut holds = process("process_that_holds_the_store", 9, &store, &[]);
    until("the hold", || store.with_extension("held").exists());
    assert_eq!(entries(&client).len(), 1);
    let error = refused(&client);
    assert!(error.message().contains("holds it for too long"), "{error}");
    // Nor does a call wait longer than it may, or is wanted.
    let mut short = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    short.set_timeout(Duration::from_secs(1)).unwrap();
    let long = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    let submit = |request: &Request, is_cancelled: bool| {
        let pending = client.submit(request, 0).unwrap();
        if is_cancelled {
            pending.cancel();
        }
        queue.next(Some(LONG)).unwrap().take_result().unwrap()
    };
    let ends = [
        (client.send(&short), FaultKind::Timeout),
        (submit(&short, false), FaultKind::Timeout),
        (
            client.send_with_check(&long, &mut || true),
            FaultKind::Cancelled,
        ),
        (submit(&long, true), FaultKind::Cancelled),
    ];
    for (end, kind) in ends {
        let error = end.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Call(kind), "{error}");
        assert_eq!(error.effect(), Effect::NotExecuted, "{error}");
    }
    assert_eq!(side.count("POST"), 1);
    holds.kill().unwrap();
    holds.wait().unwrap();
    let after = client.send(&Request::new("POST", "/api/data/v9.2/accounts").unwrap());
    assert_eq!(after.unwrap().effect(), Effect::Executed);
    assert_eq!(entries(&client).len(), 2);
}

/// What frees a client may be a collector of garbage, with a lock that the whole program waits for.
#[test]
fn who_lets_the_last_client_go_waits_for_no_other_process() {
    let folder = Folder::new("let-go");
    let [held, mine] = ["held", "mine"].map(|name| folder.file(name));
    let clients = [open(&held), open(&mine), open(&folder.file("other"))];
    let mut holds = process("process_that_holds_the_store", 9, &held, &[]);
    until("the hold", || held.with_extension("held").exists());
    let [in_held, in_mine, in_other] = clients;
    let begin = Instant::now();
    drop(in_held);
    // It waits for that process, and whoever frees others meanwhile does not.
    let opening = std::thread::spawn({
        let held = held.clone();
        move || Client::open(&settings(&held)).map(drop)
    });
    drop((in_mine, in_other));
    assert!(begin.elapsed() < Duration::from_secs(3));
    holds.kill().unwrap();
    holds.wait().unwrap();
    opening.join().unwrap().unwrap();
    drop(open(&mine));
}

/// Before it opens the store it waits until the last client of before has let go, which waits as well.
#[test]
fn an_opening_waits_for_another_process_once_and_who_opens_another_store_not_at_all() {
    let folder = Folder::new("opening");
    let [held, other] = ["held", "other"].map(|name| folder.file(name));
    let client = open(&held);
    let mut holds = process("process_that_holds_the_store", 9, &held, &[]);
    until("the hold", || held.with_extension("held").exists());
    drop(client);
    let timed = |store: &Path| {
        let begin = Instant::now();
        (Client::open(&settings(store)).map(drop), begin.elapsed())
    };
    let is_refused = |(opened, took): (Result<(), Error>, Duration)| {
        let error = opened.unwrap_err();
        assert!(error.message().contains("another process h"), "{error}");
        assert!(took < Duration::from_secs(8), "{took:?}");
    };
    std::thread::scope(|scope| {
        let openings = [(); 2].map(|()| scope.spawn(|| timed(&held)));
        for opening in openings {
            is_refused(opening.join().unwrap());
        }
        let opening = scope.spawn(|| timed(&held));
        while !opening.is_finished() {
            let (opened, took) = timed(&other);
            opened.unwrap();
            assert!(took < Duration::from_secs(3), "{took:?}");
        }
        is_refused(opening.join().unwrap());
    });
    holds.kill().unwrap();
    holds.wait().unwrap();
}

#[test]
#[ignore = "a process of another test"]
fn process_that_would_have_the_store_alone() {
    let store = std::env::var_os("STORE_PATH").unwrap();
    let connection = Connection::open(&store).unwrap();
    let alone =
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; SELECT count(*) FROM processes");
    let code = alone.unwrap_err().sqlite_error_code();
    assert_eq!(code, Some(rusqlite::ErrorCode::DatabaseBusy));
}

/// Whoever closes a file loses all locks that its process has on it, and an SQLite that finds none takes the
/// log for its own.
#[test]
fn a_second_client_of_a_process_leaves_the_locks_of_the_first() {
    let folder = Folder::new("locks");
    let store = folder.file("store");
    let clients = [open(&store), open(&store)];
    let mut alone = process("process_that_would_have_the_store_alone", 9, &store, &[]);
    assert!(alone.wait().unwrap().success());
    drop(clients);
}

#[test]
fn what_takes_the_place_of_an_open_store_is_noticed() {
    let folder = Folder::new("restored");
    let store = folder.file("store");
    let client = open(&store);
    write(&client);
    let backup = folder.file("backup");
    let copying = Connection::open(&store).unwrap();
    copying
        .execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
        .unwrap();
    fs::rename(&backup, &store).unwrap();
    let error = refused(&client);
    assert!(
        error.message().contains("another one is in its place"),
        "{error}"
    );
    // Nor is another client of this process given what is gone.
    let error = Client::open(&settings(&store)).err().unwrap();
    assert!(error.message().contains("close them first"), "{error}");
    drop((client, copying));
    // What stands beside it is the other's, and SQLite leaves it: without it the copy is a store like any.
    for name in ["store-wal", "store-shm"] {
        let _ = fs::remove_file(folder.file(name));
    }
    write(&open(&store));
}

#[test]
fn a_folder_that_is_removed_is_noticed() {
    let folder = Folder::new("removed");
    let inner = folder.file("inner");
    fs::create_dir(&inner).unwrap();
    let client = open(&inner.join("store"));
    write(&client);
    fs::remove_dir_all(&inner).unwrap();
    assert!(refused(&client).message().contains("its file is gone"));
    let listed = client.ledger(LedgerSelection::All).unwrap_err();
    assert_eq!(listed.kind(), ErrorKind::NoResources);
    drop(client);
    let error = Client::open(&settings(&inner.join("store"))).err().unwrap();
    assert!(
        error.message().contains("its folder does not exist"),
        "{error}"
    );
}

/// Runs a test of this program in a mount namespace of its own, after `setup`. `None` where that is not
/// allowed.
#[expect(clippy::print_stderr, reason = "why nothing was tried")]
fn mounted(test: &str, port: u16, store: &Path, setup: &str) -> Option<Child> {
    let may = Command::new("unshare").args(["-m", "true"]).output();
    if !may.is_ok_and(|may| may.status.success()) {
        eprintln!("skipped: no mount namespace can be made; it takes root");
        return None;
    }
    let setup = format!("{setup} && exec \"$@\"");
    let prefix = ["unshare", "-m", "sh", "-c", &setup, "sh"];
    Some(process(test, port, store, &prefix))
}

#[test]
#[ignore = "a process of another test"]
fn process_that_fills_its_disk() {
    let client = client_of_process();
    let store = PathBuf::from(std::env::var_os("STORE_PATH").unwrap());
    let filler = store.with_extension("filler");
    fs::write(&filler, vec![1; 256 << 10]).unwrap();
    let full = (0..100_000).find_map(|_| {
        let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
        request.set_tag(&"x".repeat(200)).unwrap();
        let error = client.send(&request).err()?;
        (error.effect() != Effect::Unknown).then_some(error)
    });
    let full = full.unwrap();
    assert_eq!(full.kind(), ErrorKind::Call(FaultKind::Local), "{full}");
    assert_eq!(full.effect(), Effect::NotExecuted);
    // What is on record can be read, and with room again it goes on.
    let before = entries(&client).len();
    assert!(before > 100, "{before}");
    fs::remove_file(&filler).unwrap();
    let again = client.send(&Request::new("POST", "/api/data/v9.2/accounts").unwrap());
    assert_eq!(again.unwrap().effect(), Effect::Executed);
    assert_eq!(entries(&client).len(), before + 1);
    drop(client);
    assert_eq!(entries(&client_of_process()).len(), before + 1);
}

#[test]
fn a_small_disk_is_full_and_has_room_again() {
    let folder = Folder::new("small");
    let side = serve(|_, _| json("204 No Content", ""));
    let setup = format!("mount -t tmpfs -o size=2m none {}", folder.0.display());
    let store = folder.file("store");
    if let Some(mut process) = mounted("process_that_fills_its_disk", side.port, &store, &setup) {
        assert!(process.wait().unwrap().success());
        assert!(side.count("POST") > 100);
    }
}

#[test]
#[ignore = "a process of another test"]
fn process_whose_disk_becomes_read_only() {
    let store = PathBuf::from(std::env::var_os("STORE_PATH").unwrap());
    let client = client_of_process();
    let folder = store.parent().unwrap();
    let remount = |how: &str| {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]).arg(folder);
        mount.status().unwrap().success()
    };
    // With files open for writing it cannot become so; what can is a disk that fails.
    assert!(!remount("ro"));
    drop(client);
    assert!(remount("ro"));
    let error = Client::open(&settings(&store)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidSetting);
    assert!(error.message().contains("Read-only"), "{error}");
    let error = Client::open(&settings(&folder.join("new"))).err().unwrap();
    assert!(error.message().contains("it cannot be made"), "{error}");
    assert!(remount("rw"));
    write(&client_of_process());
}

#[test]
fn on_a_file_system_that_is_read_only_no_store_is_opened() {
    let folder = Folder::new("read-only");
    let setup = format!("mount -t tmpfs none {}", folder.0.display());
    let store = folder.file("store");
    let test = "process_whose_disk_becomes_read_only";
    if let Some(mut process) = mounted(test, 9, &store, &setup) {
        assert!(process.wait().unwrap().success());
    }
}

#[test]
#[ignore = "a process of another test"]
fn process_that_writes_fifty_times() {
    let mut settings = settings(&PathBuf::from(std::env::var_os("STORE_PATH").unwrap()));
    let clients = std::env::var("STORE_DURABILITY").unwrap();
    let clients: Vec<Client> = clients
        .split('-')
        .map(|durability| {
            settings.set("store_durability", durability).unwrap();
            Client::open(&settings).unwrap()
        })
        .collect();
    for _ in 0..50 {
        write(clients.last().unwrap());
    }
}

/// Whether a disk keeps what it has said to have written only a loss of power shows. That it is asked to
/// shows the system's trace.
#[test]
#[expect(clippy::print_stderr, reason = "why nothing was tried")]
fn each_write_waits_for_the_disk_twice_with_power_and_not_at_all_without() {
    let folder = Folder::new("power");
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: no strace");
        return;
    }
    // Of several clients of a process, the one that asks for more gets it.
    for (durability, range) in [
        ("power", 100..200),
        ("process", 0..50),
        ("process-power", 100..200),
        ("power-process", 100..200),
    ] {
        let (store, trace) = (folder.file(durability), folder.file("trace"));
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"])
            .arg(&trace)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "process_that_writes_fifty_times", "--ignored"])
            .env("STORE_PATH", &store)
            .env("STORE_DURABILITY", durability);
        if !command.output().unwrap().status.success() {
            eprintln!("skipped: strace may not trace");
            return;
        }
        let trace = fs::read_to_string(&trace).unwrap();
        let syncs = trace.lines().filter(|line| line.contains("sync(")).count();
        assert!(range.contains(&syncs), "{durability}: {syncs}");
    }
}

#[test]
fn an_empty_file_becomes_a_store_of_its_owners_alone_whoever_comes_first() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("empty");
    let store = folder.file("store");
    fs::write(&store, b"").unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o644)).unwrap();
    let mut all: Vec<Child> = (0..6)
        .map(|_| process("process_that_opens_and_writes_once", 9, &store, &[]))
        .collect();
    for process in &mut all {
        assert!(process.wait().unwrap().success());
    }
    let mode = fs::metadata(&store).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(entries(&open(&store)).is_empty());
}

#[test]
#[ignore = "a process of another test"]
fn process_that_opens_and_writes_once() {
    write(&client_of_process());
}

fn ask<T: rusqlite::types::FromSql>(store: &Path, what: &str) -> T {
    let connection = Connection::open(store).unwrap();
    connection.query_row(what, [], |row| row.get(0)).unwrap()
}

/// Versions 1 to 3 of the schema, as they were made.
#[test]
fn a_store_of_an_earlier_version_is_brought_up_to_date_with_what_is_in_it() {
    let folder = Folder::new("old");
    let scripts = [
        include_str!("../src/resource/store/schema_1.sql"),
        include_str!("../src/resource/store/schema_2.sql"),
        include_str!("../src/resource/store/schema_3.sql"),
    ];
    let model = folder.file("model");
    drop(open(&model));
    let pair: String = ask(&model, "SELECT pair FROM organizations");
    for version in 1..=3 {
        let store = folder.file(&format!("version-{version}"));
        let old = Connection::open(&store).unwrap();
        old.pragma_update(None, "application_id", i32::from_be_bytes(*b"D365"))
            .unwrap();
        for script in &scripts[..version] {
            old.execute_batch(script).unwrap();
        }
        old.pragma_update(None, "user_version", version as u32)
            .unwrap();
        old.pragma_update(None, "journal_mode", "WAL").unwrap();
        // One that ended, and one of a process that has died with it.
        let made = "INSERT INTO organizations (id, pair, on_record_since) VALUES (1, ?1, 0)";
        old.execute(made, [&pair]).unwrap();
        old.execute_batch(
            "INSERT INTO processes VALUES (7, 'x', 1, 0);
             INSERT INTO writes (id, organization, process, method, url, operation, started, ended,
                 role, epoch, effect, proof)
                 VALUES (3, 1, 7, 'POST', '/x', 'unsafe', 1, 2, 'primary', 0, 'executed', '\"Nothing\"');
             INSERT INTO writes (id, organization, process, method, url, operation, started, epoch, proof)
                 VALUES (4, 1, 7, 'POST', '/x', 'unsafe', 1, 0, '\"Nothing\"');",
        )
        .unwrap();
        drop(old);
        let client = open(&store);
        let effects: Vec<_> = entries(&client).iter().map(|entry| entry.effect).collect();
        assert_eq!(effects, [Some(Effect::Executed), Some(Effect::Unknown)]);
        write(&client);
        assert_eq!(ask::<u32>(&store, "PRAGMA user_version"), 4);
    }
}
