//! The binary: ready line, files, and its ends.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use d365_twin::TwinDescription;
use tempfile::TempDir;

/// Ended with the test, however that ends.
struct Process {
    child: Child,
    described: TwinDescription,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails where it has ended already, which most tests want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(directory: &Path, arguments: &[&str]) -> Process {
    let mut child = Command::new(env!("CARGO_BIN_EXE_d365-twin"))
        .args(arguments)
        .arg("--dir")
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let path = line
        .strip_prefix("ready ")
        .expect("the ready line")
        .trim_end();
    assert_eq!(Path::new(path), directory.join("twin.json"));
    let described = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    Process { child, described }
}

fn state(described: &TwinDescription) -> Result<TwinDescription, reqwest::Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::builder().no_proxy().build()?;
    client
        .get(format!("{}/state", described.control_url))
        .send()?
        .json()
}

fn ended(mut process: Process) -> ExitStatus {
    process.child.wait().unwrap()
}

#[test]
fn it_is_ready_when_it_says_so_and_ends_with_standard_input() {
    let directory = TempDir::new().unwrap();
    let mut process = start(
        directory.path(),
        &["--org", "contoso", "--org", "fabrikam", "--stdin-eof"],
    );
    assert_eq!(state(&process.described).unwrap(), process.described);
    assert_eq!(process.described.connect_to.len(), 4);
    let pem = fs::read_to_string(&process.described.ca_file).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
    drop(process.child.stdin.take());
    assert!(ended(process).success());
}

#[test]
fn it_ends_on_sigterm() {
    let directory = TempDir::new().unwrap();
    let process = start(directory.path(), &["--org", "contoso"]);
    let killed = Command::new("kill")
        .args(["-TERM", &process.child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    assert!(ended(process).success());
}

#[test]
fn it_ends_when_the_control_endpoint_says_so() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("config.json");
    fs::write(
        &config,
        r#"{"organizations": [{"name": "northwind", "authority": "primary"}]}"#,
    )
    .unwrap();
    let process = start(directory.path(), &["--config", config.to_str().unwrap()]);
    assert!(process.described.organizations.contains_key("northwind"));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .build()
        .unwrap();
    client
        .post(format!("{}/shutdown", process.described.control_url))
        .send()
        .unwrap();
    assert!(ended(process).success());
}

#[test]
fn mistakes_are_told_on_standard_error() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("config.json");
    fs::write(&config, r#"{"organisations": []}"#).unwrap();
    let config = config.to_str().unwrap();
    let dir = directory.path().to_str().unwrap();
    for (arguments, word) in [
        (vec!["--org", "contoso"], "--dir"),
        (vec!["--dir", dir], "--org"),
        (vec!["--dir", dir, "--config", config], "organizations"),
        (vec!["--dir", dir, "--org", "no host"], "host name"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_d365-twin"))
            .args(&arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(error.contains(word), "{arguments:?}: {error}");
        assert!(!directory.path().join("twin.json").exists());
    }
}
