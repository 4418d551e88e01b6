//! Agents that are no good, and the binary.
//!
//! Apart from the other tests, because these start processes: a process that is being started has
//! for a moment the twin's listeners open, and a side that refuses would not refuse.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{folder, play, steps_with};
use d365_scenarios::{Agent, Request, Subject, SubjectKind};
use serde_json::json;

fn agent(command: &str) -> SubjectKind {
    SubjectKind::Agent {
        name: "odd".into(),
        command: command.into(),
    }
}

#[test]
fn a_broken_agent_fails_its_scenario() {
    let hello = r#"read line; echo "{\"ok\":true}""#;
    for (command, said) in [
        ("/no/such/agent", "instead of answering"),
        ("false", "instead of answering"),
        ("cat", "answered"),
        (&*format!("sh -c '{hello}; exit 7'"), "exit status: 7"),
        (
            &*format!("sh -c '{hello}; read line; echo nonsense; read line'"),
            "answered",
        ),
    ] {
        let (failed, out) = play(&steps_with(&json!({"do": "replicate"})), agent(command));
        assert_eq!(failed, 1, "{command}: {out}");
        assert!(out.contains("the subject is broken: "), "{command}: {out}");
        assert!(out.contains(said), "{command}: {out}");
    }
}

#[test]
fn an_agent_that_ends_badly_or_talks_out_of_turn_is_no_good() {
    let hello = r#"read line; echo "{\"ok\":true}""#;
    for (then, said) in [
        ("cat; exit 3", "exit status: 3"),
        ("echo more; cat", "said more"),
    ] {
        let mut agent = Agent::start(&format!("sh -c '{hello}; {then}'")).unwrap();
        let error = agent.finish().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let mut agent = Agent::start(&format!("sh -c '{hello}; cat'")).unwrap();
    agent.finish().unwrap();
    assert!(agent.ask(&Request::Hello).is_err());
}

fn binary(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scenarios"))
        .args(arguments)
        .arg(folder)
        .env_remove("D365_AGENT_C")
        .output()
        .unwrap()
}

#[test]
fn the_binary_tells_by_its_status() {
    let folder = folder(&steps_with(&json!({"do": "replicate"})));
    let good = binary(&[], folder.path());
    assert_eq!(good.status.code(), Some(0));
    assert!(good.stdout.ends_with(b"\n1 passed, 0 failed\n"));

    let listed = binary(&["--list"], folder.path());
    assert_eq!(listed.status.code(), Some(0));
    assert_eq!(listed.stdout, b"rust: group/file [dotnet] the scenario\n");

    let except = fs::read_to_string(folder.path().join("group/file.json")).unwrap();
    let except = except.replace(r#""rule""#, r#""except":["odd"],"rule""#);
    fs::create_dir(folder.path().join("more")).unwrap();
    fs::write(folder.path().join("more/file.json"), except).unwrap();
    let both = binary(
        &[
            "--list",
            "--subject",
            "even=false",
            "--subject",
            "odd=false",
        ],
        folder.path(),
    );
    assert_eq!(
        String::from_utf8(both.stdout).unwrap(),
        "even: group/file [dotnet] the scenario\neven: more/file [dotnet] the scenario\n\
         odd: group/file [dotnet] the scenario\n"
    );
    fs::remove_dir_all(folder.path().join("more")).unwrap();

    let none = binary(&["--filter", "no such scenario"], folder.path());
    assert_eq!(none.status.code(), Some(1), "no scenario ran");
    assert_eq!(none.stdout, b"0 passed, 0 failed\n");

    let broken = binary(
        &["--subject", "rust", "--subject", "odd=false"],
        folder.path(),
    );
    assert_eq!(broken.status.code(), Some(1));
    assert!(broken.stdout.ends_with(b"\n1 passed, 1 failed\n"));

    assert_eq!(
        binary(&["--subject", "c"], folder.path()).status.code(),
        Some(2)
    );
    assert_eq!(
        binary(&[], Path::new("/no/such/folder")).status.code(),
        Some(2)
    );
}
