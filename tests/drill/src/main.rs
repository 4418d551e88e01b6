//! `d365-drill`: makes the disaster drill. Exits 0 for PASS, 1 for FAIL, 2 for INCONCLUSIVE, 3 when
//! it could not begin.

mod application;
mod cast;
mod drill;
mod line;
mod record;
mod report;
mod round;
mod rows;
mod table;
mod timeline;
mod verdict;
mod writes;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::Parser;
use d365_twin::FaultKind;

use crate::drill::{Drill, Language};
use crate::report::{DrillReport, Report};
use crate::round::{PRESETS, Round};
use crate::verdict::Outcome;

/// The disaster drill: a C, a Java and a Python application work against the twin datacenter, answers
/// of creates are lost, then a disaster befalls the primary, and what each was told is compared with
/// what there is. A round for each disaster under each preset, and one in which the applications are
/// killed in the middle of their writes, and started again with their stores.
///
/// Exits 0 for PASS, 1 for FAIL (a write lost in silence, or doubled under a preset that rules that
/// out, or anything else that is wrong), 2 for INCONCLUSIVE, 3 when it could not begin.
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

    /// A further application, run alike: of another system, say. Its rows begin with its name and a
    /// hyphen, and so no name has one. Repeatable.
    #[arg(long, value_name = "NAME=COMMAND LINE", value_parser = named)]
    also: Vec<(String, String)>,

    /// The preset of every client. Repeatable; safe and dotnet if none is given.
    #[arg(long = "preset", value_name = "PRESET")]
    presets: Vec<String>,

    /// What happens to the primary: the kind of one of the twin's faults, or a fault in JSON.
    /// Repeatable; if none is given: refuse, black_hole, a page with 503, datacenter_not_available.
    #[arg(long = "fault", value_name = "FAULT", value_parser = round::fault)]
    faults: Vec<FaultKind>,

    /// A further round with the first of these faults for which the primary is left: as it begins the
    /// applications are killed in the middle of their writes, and started again with their stores. So
    /// it is if no fault is given.
    #[arg(long)]
    killed: bool,

    /// Seconds that a row may lag behind, of the applications in such a round, at least: it has to be
    /// longer than the slowest of them takes from its last acknowledged write to its switch, and its start
    /// is within that, so where they have started slowly it is longer.
    #[arg(long, default_value_t = 10)]
    replication_window: u64,

    /// How many rounds are made at once, each with a twin and applications of its own.
    #[arg(long, default_value_t = 2)]
    at_once: usize,

    /// Turns (each call once) that every application makes before anything happens.
    #[arg(long, default_value_t = 10)]
    rounds_before: usize,

    /// Turns that every application must make after its switch.
    #[arg(long, default_value_t = 10)]
    rounds_after: usize,

    /// Seconds for each of these, and for the end.
    #[arg(long, default_value_t = 60)]
    timeout: u64,

    /// Where the report is written.
    #[arg(long, default_value = "target/drill/report.json")]
    report: PathBuf,

    /// Keeps the twin's CA, and what each application wrote (<LANGUAGE>.log), in a folder for each
    /// round in this one.
    #[arg(long)]
    dir: Option<PathBuf>,
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
    let presets = match arguments.presets.is_empty() {
        true => PRESETS.map(str::to_owned).to_vec(),
        false => arguments.presets.clone(),
    };
    let faults = match arguments.faults.is_empty() {
        true => round::disasters(),
        false => arguments.faults.clone(),
    };
    let killed = arguments.killed || arguments.faults.is_empty();
    let rounds = round::rounds(&presets, &faults, killed);
    let report = DrillReport::new(play(&arguments, &rounds)?);
    write(&report, &arguments.report)
        .map_err(|error| format!("cannot write {}: {error}", arguments.report.display()))?;
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ = write!(io::stdout(), "\n{}", table::show(&report, colour));
    progress("report", &arguments.report.display().to_string());
    Ok(report.verdict)
}

fn progress(who: &str, text: &str) {
    let _ = writeln!(io::stderr(), "drill: {who}: {text}");
}

/// Makes the rounds, some at once; their reports in their order.
fn play(arguments: &Arguments, rounds: &[Round]) -> Result<Vec<Report>, String> {
    let next = AtomicUsize::new(0);
    let made = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..arguments.at_once.clamp(1, rounds.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(round) = rounds.get(number) else {
                        return;
                    };
                    let report = play_one(arguments, round);
                    if report.is_err() {
                        // The others would not begin either.
                        next.store(rounds.len(), Ordering::Relaxed);
                    }
                    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                    made.insert(number, report);
                }
            });
        }
    });
    let made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    made.into_values().collect()
}

fn play_one(arguments: &Arguments, round: &Round) -> Result<Report, String> {
    let language = |name: &str, command| Language {
        name: name.to_owned(),
        command,
    };
    let mut languages = vec![
        language("c", Command::new(&arguments.c)),
        language("java", shell(&arguments.java)),
        language("python", shell(&arguments.python)),
    ];
    let also = arguments.also.iter();
    languages.extend(also.map(|(name, command_line)| language(name, shell(command_line))));
    let name = round.name();
    let drill = Drill {
        round: round.clone(),
        rounds_before: arguments.rounds_before,
        rounds_after: arguments.rounds_after,
        timeout: Duration::from_secs(arguments.timeout),
        window: Duration::from_secs(arguments.replication_window),
        dir: arguments.dir.as_ref().map(|dir| dir.join(&name)),
    };
    let made = drill.run(languages, &|text: &str| progress(&name, text));
    made.map_err(|error| error.to_string())
}

fn named(argument: &str) -> Result<(String, String), String> {
    match argument.split_once('=') {
        Some(("c" | "java" | "python", _)) => Err("there is one of that name".into()),
        Some((name, command_line)) if !name.is_empty() && !name.contains('-') => {
            Ok((name.into(), command_line.into()))
        }
        _ => Err("it is NAME=COMMAND LINE, the name without a hyphen".into()),
    }
}

fn shell(command_line: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("exec {command_line}"));
    command
}

fn write(report: &DrillReport, path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let text = serde_json::to_string_pretty(report).map_err(io::Error::other)?;
    std::fs::write(path, text + "\n")
}
