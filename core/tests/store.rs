//! The ledger on disk: what can be a store, and what is on record when.

mod support;

use std::fs;
use std::time::Duration;

use d365_failover_core::{
    Client, Effect, ErrorKind, FaultKind, ItemKind, LedgerEntry, LedgerSelection, Queue, Request,
    Resolution, Verified,
};
use support::serve::{Do, Side, json, serve};
use support::store::{
    Folder, client_of_process, entries, open, process, refused, settings, settings_at, write,
};
use support::until;

#[test]
fn what_is_no_store_is_refused_with_what_to_do_and_left_as_it_is() {
    let folder = Folder::new("refused");
    let file = |name: &str, content: &[u8]| {
        fs::write(folder.file(name), content).unwrap();
        folder.file(name)
    };
    fs::create_dir(folder.file("folder")).unwrap();
    let store = folder.file("store");
    drop(open(&store));
    let made = fs::read(&store).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = made.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let read_only = file("read-only", &made);
    let mut permissions = fs::metadata(&read_only).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&read_only, permissions).unwrap();
    #[cfg(unix)]
    let link = |name: &str, to: &std::path::Path| {
        std::os::unix::fs::symlink(to, folder.file(name)).unwrap();
        folder.file(name)
    };
    let table = [
        (folder.file("folder"), "it is a folder"),
        (folder.file("missing/store"), "its folder does not exist"),
        (
            file("gone-wal", b"writes").with_file_name("gone"),
            "its log (-wal) is there",
        ),
        (file("short", b"SQLite"), "it is too short"),
        (file("text", &[b'x'; 4096]), "it is no database"),
        // `application_id`, and `user_version`.
        (file("foreign", &with(68, &[0; 4])), "of another program"),
        (
            file("future", &with(60, &99_u32.to_be_bytes())),
            "a newer version of this library",
        ),
        // The first table's page.
        (file("corrupt", &with(4096, &[0xFF; 512])), "it is damaged"),
        (read_only, "it is read-only"),
        (":memory:".into(), "in memory where no store is set"),
        ("file:store?mode=memory".into(), "no URL"),
        ("postgresql://host/store".into(), "no URL"),
        #[cfg(unix)]
        (link("link", &folder.file("none")), "leads to no file"),
        #[cfg(unix)]
        (link("loop", &folder.file("loop")), "leads to no file"),
    ];
    for (path, why) in table {
        let before = fs::read(&path).ok();
        let error = Client::open(&settings(&path)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{error}");
        assert!(error.message().contains(why), "{error}");
        assert!(error.message().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(&path).ok(), before, "{}", path.display());
    }
}

/// SQLite's log goes by a file's name.
#[cfg(unix)]
#[test]
fn a_store_has_one_name() {
    let folder = Folder::new("names");
    let names = [folder.file("store"), folder.file("second")];
    drop(open(&names[0]));
    fs::hard_link(&names[0], &names[1]).unwrap();
    for name in &names {
        let error = Client::open(&settings(name)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{error}");
        assert!(error.message().contains("2 names"), "{error}");
    }
    fs::remove_file(&names[1]).unwrap();
    // Who was killed while it made one leaves the name that it had first.
    fs::hard_link(&names[0], folder.file(".d365-left")).unwrap();
    drop(open(&names[0]));
    assert!(!folder.file(".d365-left").exists());
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_a_store() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    let client = open(&folder.file("store"));
    write(&client);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder.0).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["store", "store-lock", "store-shm", "store-wal"]);
    // One that was restored as others may read it is said to be.
    drop(client);
    let store = folder.file("store");
    for (mode, warnings) in [(0o600, 0), (0o640, 0), (0o644, 1)] {
        fs::set_permissions(&store, fs::Permissions::from_mode(mode)).unwrap();
        let queue = Queue::new(0).unwrap();
        let client = Client::open_with_queue(&settings(&store), queue.clone(), 0).unwrap();
        client.subscribe(ItemKind::Log.bit()).unwrap();
        let mut told = 0;
        while let Ok(item) = queue.next(Some(Duration::ZERO)) {
            told += usize::from(item.event().unwrap().message.contains("may read"));
        }
        assert_eq!(told, warnings, "{mode:o}");
    }
}

/// SQLite deletes what stands beside a database when the last connection to it is closed.
#[test]
fn a_store_whose_clients_are_gone_is_closed() {
    let folder = Folder::new("closed");
    for _ in 0..20 {
        let client = open(&folder.file("store"));
        write(&client);
        drop((open(&folder.file("store")), client));
        for name in ["store-wal", "store-shm"] {
            assert!(!folder.file(name).exists(), "{name}");
        }
    }
}

/// As another copy of the library that the process has loaded has it, of which this one knows nothing.
#[cfg(target_os = "linux")]
#[test]
fn a_store_that_another_copy_of_the_library_has_open_is_refused() {
    let folder = Folder::new("copies");
    let store = folder.file("store");
    drop(open(&store));
    let other = fs::File::open(folder.file("store-lock")).unwrap();
    let error = Client::open(&settings(&store)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidSetting);
    assert!(
        error.to_string().contains("another copy of this library"),
        "{error}"
    );
    drop(other);
    drop(open(&store));
}

#[test]
fn what_cannot_be_put_on_record_is_not_sent() {
    let folder = Folder::new("gone");
    let client = open(&folder.file("store"));
    for name in ["store", "store-wal", "store-shm"] {
        let _ = fs::remove_file(folder.file(name));
    }
    let error = refused(&client);
    assert_eq!(error.effect(), Effect::NotExecuted);
    assert!(error.attempts().is_empty());
    assert!(error.message().contains("its file is gone"), "{error}");
    let listed = client.ledger(LedgerSelection::All).unwrap_err();
    assert_eq!(listed.kind(), ErrorKind::NoResources);
}

#[test]
fn what_cannot_be_put_on_record_is_sent_where_that_is_asked_for_and_told() {
    let folder = Folder::new("go-on");
    let side = serve(|line, _| match line.split_once(' ') {
        Some(("PATCH", _)) => json("204 No Content", ""),
        _ => Do::Close,
    });
    let mut settings = settings_at(side.port, &folder.file("store"));
    settings.set("store_failure", "go_on").unwrap();
    settings.set("outage_wait_ms", "0").unwrap();
    settings.set("service_mark", "any").unwrap();
    let queue = Queue::new(0).unwrap();
    let client = Client::open_with_queue(&settings, queue.clone(), 0).unwrap();
    let told = ItemKind::StoreFailed.bit() | ItemKind::WriteInDoubt.bit();
    client.subscribe(told).unwrap();
    fs::remove_file(folder.file("store")).unwrap();
    let mut request = Request::new("PATCH", "/api/data/v9.2/accounts(1)").unwrap();
    request.set_tag("order 17").unwrap();
    let mut sent = 0;
    until("a write that is not on record", || {
        let response = client.send(&request).unwrap();
        assert_eq!(response.effect(), Effect::Executed);
        sent += 1;
        response.ledger_id().is_none()
    });
    // Of the last one before that the end alone could not be put there.
    let next = || queue.next(Some(support::contoso::LONG)).unwrap();
    let mut item = next();
    if item.event().unwrap().reason == "end" {
        item = next();
    }
    let event = item.event().unwrap();
    assert_eq!((event.kind, event.reason), (ItemKind::StoreFailed, "begin"));
    assert_eq!(event.tag.as_deref(), Some("order 17"));
    assert_eq!(side.count("PATCH"), sent);

    // What is on no record is in doubt all the same, and told.
    let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    request.set_tag("order 18").unwrap();
    let error = client.send(&request).unwrap_err();
    assert_eq!((error.effect(), error.ledger_id()), (Effect::Unknown, None));
    for (kind, reason) in [
        (ItemKind::StoreFailed, "begin"),
        (ItemKind::WriteInDoubt, "connection_lost"),
    ] {
        let item = next();
        let event = item.event().unwrap();
        assert_eq!((event.kind, event.reason), (kind, reason));
        assert_eq!(event.tag.as_deref(), Some("order 18"));
        assert_eq!(event.ledger_id, None);
    }
    let counted: serde_json::Value = serde_json::from_str(&client.statistics().unwrap()).unwrap();
    let writes = &counted["writes"];
    assert_eq!(
        (&writes["in_doubt"], &writes["suspects"]),
        (&1.into(), &().into())
    );
}

#[test]
#[ignore = "a process of another test"]
fn process_that_writes_until_it_is_killed() {
    let client = client_of_process();
    for _ in 0..3 {
        let client = client.clone();
        std::thread::spawn(move || write_for_ever(&client));
    }
    write_for_ever(&client);
}

fn write_for_ever(client: &Client) {
    loop {
        let _ = client.send(&Request::new("POST", "/api/data/v9.2/accounts").unwrap());
    }
}

/// A side that never answers in time.
fn silent() -> Side {
    serve(|_, _| Do::Answer("204 No Content", "", support::contoso::LONG * 10))
}

#[test]
fn what_a_killed_process_has_begun_is_in_doubt_for_who_looks_and_who_opens_next() {
    let folder = Folder::new("killed");
    let store = folder.file("store");
    let side = silent();
    let running = open(&store);
    let write = "process_that_writes_until_it_is_killed";
    let mut killed = [(); 3].map(|()| process(write, side.port, &store, &[]));
    let other = Client::open(&settings_at(side.port, &store)).unwrap();
    until("twelve writes", || side.count("POST") == 12);
    let in_flight = entries(&other);
    assert_eq!(in_flight.len(), 12);
    assert!(in_flight.iter().all(|entry| entry.effect.is_none()));
    // Of another organization.
    assert!(entries(&running).is_empty());
    assert!(other.ledger(LedgerSelection::Mine).unwrap().is_empty());
    let mut kill = |number: usize| {
        killed[number].kill().unwrap();
        killed[number].wait().unwrap();
    };
    kill(0);
    let in_doubt = |entry: &&LedgerEntry| entry.effect == Some(Effect::Unknown) && entry.is_suspect;
    assert_eq!(entries(&other).iter().filter(in_doubt).count(), 4);
    // Whatever they ask for first.
    kill(1);
    let resolved = |entry: &&LedgerEntry| other.resolve(entry.id, Resolution::Lost).is_ok();
    assert_eq!(in_flight.iter().filter(resolved).count(), 8);
    kill(2);
    for entry in &in_flight {
        let found = other.verify(entry.id).unwrap();
        assert_eq!(found.verdict, Verified::Unverifiable);
    }
    drop((running, other));
    let next = Client::open(&settings_at(side.port, &store)).unwrap();
    assert_eq!(entries(&next).iter().filter(in_doubt).count(), 4);
    // A copy is nobody's.
    let copy = folder.file("copy");
    fs::copy(&store, &copy).unwrap();
    let copied = Client::open(&settings_at(side.port, &copy)).unwrap();
    assert!(entries(&copied).iter().all(|entry| entry.effect.is_some()));
}

#[test]
#[ignore = "a process of another test"]
fn process_that_opens_and_writes() {
    let client = client_of_process();
    for _ in 0..50 {
        write(&client);
    }
}

#[test]
fn processes_that_make_a_store_at_once_share_it() {
    let folder = Folder::new("at-once");
    let store = folder.file("store");
    let mut all: Vec<_> = (0..6)
        .map(|_| process("process_that_opens_and_writes", 9, &store, &[]))
        .collect();
    for process in &mut all {
        assert!(process.wait().unwrap().success());
    }
    assert!(entries(&open(&store)).is_empty());
    let names = fs::read_dir(&folder.0).unwrap().count();
    assert!(names <= 4, "{names} files");
}

#[test]
#[ignore = "a process of another test"]
fn process_that_writes_until_the_disk_is_full() {
    let client = client_of_process();
    let error = (0..10_000).find_map(|_| {
        let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
        request.set_tag(&"x".repeat(200)).unwrap();
        let error = client.send(&request).err()?;
        (error.effect() != Effect::Unknown).then_some(error)
    });
    let error = error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local), "{error}");
    assert_eq!(error.effect(), Effect::NotExecuted);
    assert!(error.attempts().is_empty());
}

/// By the limit of a file's size, which needs no rights as a full file system does.
#[cfg(unix)]
#[test]
fn what_finds_the_disk_full_is_not_sent() {
    let folder = Folder::new("full");
    let store = folder.file("store");
    drop(open(&store));
    // 204 without a mark: in doubt, and on record.
    let side = serve(|_, _| json("204 No Content", ""));
    let limit = "trap '' XFSZ; ulimit -f 400; exec \"$@\"";
    let full = ["sh", "-c", limit, "sh"];
    let mut process = process(
        "process_that_writes_until_the_disk_is_full",
        side.port,
        &store,
        &full,
    );
    assert!(process.wait().unwrap().success());
    // What was sent is on record, and nothing else.
    let client = Client::open(&settings_at(side.port, &store)).unwrap();
    assert_eq!(entries(&client).len(), side.count("POST"));
    assert!(side.count("POST") > 10);
}
