//! The ledger on disk: what can be a store, and what is on record when.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use d365_failover_core::{
    Client, Effect, ErrorKind, FaultKind, LedgerSelection, Request, Settings,
};

/// A folder of the test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("d365-store-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn settings(store: &Path) -> Settings {
    let mut settings = Settings::new("http://127.0.0.1:9/").unwrap();
    settings
        .set("alternate_url", "http://127.0.0.1:9/alternate/")
        .unwrap();
    settings.set("store", store.to_str().unwrap()).unwrap();
    settings.set("max_attempts", "1").unwrap();
    settings.set("outage_wait_ms", "0").unwrap();
    settings
}

fn open(store: &Path) -> Client {
    Client::open(&settings(store)).unwrap()
}

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
    let table = [
        (folder.file("folder"), "it is a folder"),
        (folder.file("missing/store"), "its folder does not exist"),
        (file("empty", b""), "it is too short"),
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
}

/// A write to where nobody listens: it is not executed.
fn write(client: &Client) {
    let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    request.set_body("{}");
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.effect(), Effect::NotExecuted);
}

#[test]
fn what_cannot_be_put_on_record_is_not_sent() {
    let folder = Folder::new("gone");
    let client = open(&folder.file("store"));
    for name in ["store", "store-wal", "store-shm"] {
        let _ = fs::remove_file(folder.file(name));
    }
    let request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Local));
    assert_eq!(error.effect(), Effect::NotExecuted);
    assert!(error.attempts().is_empty());
    assert!(error.message().contains("its file is gone"), "{error}");
    let listed = client.ledger(LedgerSelection::All).unwrap_err();
    assert_eq!(listed.kind(), ErrorKind::NoResources);
}
