//! `scenarios`: plays the scenarios with the subjects that are named.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use d365_scenarios::{Run, SubjectKind, lay_out_all, load, write_schema};

/// Plays the scenarios against the twin datacenter. Exits 0 when something was played and nothing
/// failed, 1 when not, 2 when it could not begin.
#[derive(Debug, Parser)]
#[command(name = "scenarios", version)]
struct Arguments {
    /// The folder of the scenarios.
    #[arg(default_value = "tests/scenarios")]
    dir: PathBuf,

    /// Who plays: `rust`, or `<language>=<command line>` of an agent. Without a command line it is
    /// read from `D365_AGENT_<LANGUAGE>`. Repeatable; `rust` alone if none is given.
    #[arg(long = "subject", value_name = "SUBJECT", value_parser = subject)]
    subjects: Vec<SubjectKind>,

    /// Only scenarios whose title (file, preset and name) contains this.
    #[arg(long)]
    filter: Option<String>,

    /// How many are played at once.
    #[arg(long, default_value_t = 1)]
    at_once: usize,

    /// Only lists what would be played.
    #[arg(long)]
    list: bool,

    /// Lays the files out and writes their schema anew, instead of playing them.
    #[arg(long, conflicts_with = "check")]
    write: bool,

    /// Only looks whether `--write` would change something, and names it; exits 1 if so.
    #[arg(long)]
    check: bool,
}

fn subject(text: &str) -> Result<SubjectKind, String> {
    let (name, command) = match text.split_once('=') {
        Some((name, command)) => (name, Some(command.to_owned())),
        None => (text, None),
    };
    if name == "rust" {
        return match command {
            None => Ok(SubjectKind::Rust),
            Some(_) => Err("`rust` runs in this process: it takes no command line".into()),
        };
    }
    let variable = format!("D365_AGENT_{}", name.to_uppercase().replace('-', "_"));
    let command = command
        .or_else(|| std::env::var(&variable).ok())
        .filter(|text| !text.is_empty());
    match command {
        Some(command) => Ok(SubjectKind::Agent {
            name: name.to_owned(),
            command,
        }),
        None => Err(format!(
            "write `{name}=<command line of its agent>`, or set {variable}"
        )),
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(text) => {
            // Nobody is left to tell when standard error is gone, too.
            let _ = writeln!(io::stderr(), "scenarios: {text}");
            ExitCode::from(2)
        }
    }
}

/// Writes what is made from other files, or only looks whether it is as it should be.
fn write(dir: &Path, only_look: bool) -> Result<bool, String> {
    let mut out = io::stdout();
    let mut changed = lay_out_all(dir, only_look).map_err(|error| error.to_string())?;
    if write_schema(dir, only_look).map_err(|error| error.to_string())? {
        changed.push("the schema".to_owned());
    }
    for name in &changed {
        writeln!(out, "{name}").map_err(|error| error.to_string())?;
    }
    Ok(!only_look || changed.is_empty())
}

fn run(arguments: Arguments) -> Result<bool, String> {
    if arguments.write || arguments.check {
        return write(&arguments.dir, arguments.check);
    }
    let mut scenarios = load(&arguments.dir).map_err(|error| error.to_string())?;
    if let Some(filter) = &arguments.filter {
        scenarios.retain(|scenario| scenario.title().contains(filter));
    }
    let mut subjects = arguments.subjects;
    if subjects.is_empty() {
        subjects.push(SubjectKind::Rust);
    }
    let run = Run {
        scenarios,
        subjects,
        at_once: arguments.at_once,
    };
    let mut out = io::stdout();
    if arguments.list {
        let mut listed = false;
        for subject in &run.subjects {
            for scenario in run.of(subject) {
                listed = true;
                writeln!(out, "{}: {}", subject.name(), scenario.title())
                    .map_err(|error| error.to_string())?;
            }
        }
        return Ok(listed);
    }
    let report = run.play(&mut out).map_err(|error| error.to_string())?;
    Ok(report.is_good())
}
