//! Stores of the tests, and processes that share them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use d365_failover_core::{
    Client, Effect, Error, ErrorKind, FaultKind, LedgerEntry, LedgerSelection, Request, Settings,
};

use super::until;

/// A folder of the test's own.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let name = format!("d365-store-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A client of a server that is not there, on the port for what is thrown away.
pub(crate) fn settings(store: &Path) -> Settings {
    settings_at(9, store)
}

pub(crate) fn settings_at(port: u16, store: &Path) -> Settings {
    let base = format!("http://127.0.0.1:{port}");
    let mut settings = Settings::new(&base).unwrap();
    settings
        .set("alternate_url", &format!("{base}/alternate"))
        .unwrap();
    settings.set("store", store.to_str().unwrap()).unwrap();
    settings.set("max_attempts", "1").unwrap();
    settings.set("outage_wait_ms", "0").unwrap();
    settings
}

pub(crate) fn open(store: &Path) -> Client {
    Client::open(&settings(store)).unwrap()
}

/// A write to where nobody listens: it is not executed.
pub(crate) fn write(client: &Client) {
    let mut request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    request.set_body("{}");
    let error = client.send(&request).unwrap_err();
    assert_eq!(error.effect(), Effect::NotExecuted);
}

/// Why a write is not sent: a file that is gone is noticed within a second.
pub(crate) fn refused(client: &Client) -> Error {
    let request = Request::new("POST", "/api/data/v9.2/accounts").unwrap();
    let mut refused = None;
    until("a write that is refused", || {
        let error = client.send(&request).unwrap_err();
        let is_refused = error.kind() == ErrorKind::Call(FaultKind::Local);
        refused = is_refused.then_some(error);
        is_refused
    });
    refused.unwrap()
}

/// Runs a test of this program as a process of its own.
pub(crate) fn process(test: &str, port: u16, store: &Path, prefix: &[&str]) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = match prefix {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("STORE_PORT", port.to_string())
        .env("STORE_PATH", store)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn client_of_process() -> Client {
    let port = std::env::var("STORE_PORT").unwrap().parse().unwrap();
    let store = PathBuf::from(std::env::var_os("STORE_PATH").unwrap());
    Client::open(&settings_at(port, &store)).unwrap()
}

pub(crate) fn entries(client: &Client) -> Vec<LedgerEntry> {
    client.ledger(LedgerSelection::All).unwrap()
}
