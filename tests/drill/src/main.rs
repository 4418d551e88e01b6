//! `d365-drill`: makes the disaster drill. Exits 0 for PASS, 1 for FAIL, 2 for INCONCLUSIVE, 3 when
//! it could not begin.

mod application;
mod drill;
mod line;
mod record;
mod report;
mod rows;
mod table;
mod timeline;
mod verdict;
mod writes;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use d365_twin::FaultKind;

use crate::drill::{Drill, Language};
use crate::report::Report;
use crate::verdict::Outcome;

/// The disaster drill: a C, a Java and a Python application work against the twin datacenter, answers
/// of creates are lost, then the primary dies, and what each was told is compared with what there is.
///
/// Exits 0 for PASS, 1 for FAIL, 2 for INCONCLUSIVE, 3 when it could not begin.
#[derive(Debug, Parser)]
#[command(name = "d365-drill", version, args_override_self = true)]
struct Arguments {
    /// The C application.
    #[arg(long, value_name = "PROGRAM")]
    c: PathBuf,

    /// The Java application, run as `sh -c 'exec COMMAND LINE'`.
    #[arg(long, value_name = "COMMAND LINE")]
    java: String,

    /// The Python application, run alike.
    #[arg(long, value_name = "COMMAND LINE")]
    python: String,

    /// The preset of every client.
    #[arg(long, default_value = "safe")]
    preset: String,

    /// What happens to the primary: a kind of the twin's faults that needs nothing else to be set.
    #[arg(long, default_value = "refuse", value_parser = fault)]
    fault: FaultKind,

    /// Rounds (each call once) that every application makes before anything happens.
    #[arg(long, default_value_t = 10)]
    rounds_before: usize,

    /// Rounds that every application must make after its switch.
    #[arg(long, default_value_t = 10)]
    rounds_after: usize,

    /// Seconds for each of these, and for the end.
    #[arg(long, default_value_t = 60)]
    timeout: u64,

    /// Where the report is written.
    #[arg(long, default_value = "target/drill/report.json")]
    report: PathBuf,

    /// Keeps the twin's CA, and what each application wrote (<LANGUAGE>.log), in this folder.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn fault(kind: &str) -> Result<FaultKind, String> {
    let text = serde_json::json!({ "kind": kind });
    serde_json::from_value(text).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to tell when the terminal is gone, here and below.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 3 } else { 0 });
        }
    };
    match run(arguments) {
        Ok(Outcome::Pass) => ExitCode::SUCCESS,
        Ok(Outcome::Fail) => ExitCode::from(1),
        Ok(Outcome::Inconclusive) => ExitCode::from(2),
        Err(text) => {
            let _ = writeln!(io::stderr(), "d365-drill: {text}");
            ExitCode::from(3)
        }
    }
}

fn run(arguments: Arguments) -> Result<Outcome, String> {
    let language = |name: &str, command| Language {
        name: name.to_owned(),
        command,
    };
    let languages = vec![
        language("c", Command::new(&arguments.c)),
        language("java", shell(&arguments.java)),
        language("python", shell(&arguments.python)),
    ];
    let drill = Drill {
        preset: arguments.preset,
        fault: arguments.fault,
        rounds_before: arguments.rounds_before,
        rounds_after: arguments.rounds_after,
        timeout: Duration::from_secs(arguments.timeout),
        dir: arguments.dir,
    };
    let mut progress = |text: &str| {
        let _ = writeln!(io::stderr(), "drill: {text}");
    };
    let report = drill
        .run(languages, &mut progress)
        .map_err(|error| error.to_string())?;
    write(&report, &arguments.report)
        .map_err(|error| format!("cannot write {}: {error}", arguments.report.display()))?;
    progress(&format!("report: {}", arguments.report.display()));
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ = write!(io::stdout(), "\n{}", table::show(&report, colour));
    Ok(report.verdict.outcome)
}

fn shell(command_line: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("exec {command_line}"));
    command
}

fn write(report: &Report, path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let text = serde_json::to_string_pretty(report).map_err(io::Error::other)?;
    std::fs::write(path, text + "\n")
}
