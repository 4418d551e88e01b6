//! `d365-history`: random histories, one after the other, and the story of what is not so.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use d365_failover_core::Rule;
use d365_history::{Plan, Preset, judge, live, run, run_killing, summary, tell, tell_all};

/// How many stories are told of one history; the others are counted.
const STORIES: usize = 5;

/// Runs many clients against the twin datacenter, and checks every claim. Exits 0 when every claim
/// was so, 1 when not, 2 when a history could not be made.
#[derive(Debug, Parser)]
#[command(name = "d365-history", version)]
struct Arguments {
    /// What the history is drawn from; random if not given.
    #[arg(long)]
    seed: Option<u64>,

    /// Calls of the storm in one history; each client makes some more when everything is healed.
    #[arg(long, default_value_t = 400)]
    calls: u32,

    /// Clients in one history.
    #[arg(long, default_value_t = 4)]
    clients: usize,

    /// Whose rules the clients follow.
    #[arg(long, value_enum, default_value_t = Rules::Safe)]
    preset: Rules,

    /// Goes on with the next seeds for so many seconds; 0: one history.
    #[arg(long, default_value_t = 0)]
    seconds: u64,

    /// A rule of the preset `safe` that the clients do not follow, to see what it is for.
    /// Repeatable.
    #[arg(long, value_parser = rule)]
    off: Vec<Rule>,

    /// The clients are processes with one store, and so often one of them is killed in the middle of its
    /// calls and started again: what the store then says of each write is checked.
    #[arg(long, default_value_t = 0)]
    kills: usize,

    /// What such a process is.
    #[arg(long, hide = true)]
    live: bool,

    /// Tells everything that happened, not only what is not so.
    #[arg(long)]
    replay: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rules {
    Safe,
    Dotnet,
}

/// The rules whose lack a history can show.
const RULES: [Rule; 15] = [
    Rule::ResendNotSent,
    Rule::ResendUnprocessed,
    Rule::ResendThrottled,
    Rule::ResendNotHere,
    Rule::ResendExecuted,
    Rule::ResendLost,
    Rule::ResendTimedOut,
    Rule::ResendFrontEnd,
    Rule::ProbeOther,
    Rule::ConfirmDead,
    Rule::RefusalHolds,
    Rule::WriteGrace,
    Rule::FreshConnection,
    Rule::UpdateGuard,
    Rule::ReadBack,
];

fn rule(text: &str) -> Result<Rule, String> {
    let found = RULES.iter().find(|rule| format!("{rule:?}") == text);
    found
        .copied()
        .ok_or_else(|| format!("there are: {RULES:?}"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let played = match (arguments.live, arguments.kills) {
        (true, _) => live().map(|()| true),
        (false, 0) => play(&arguments),
        (false, _) => play_killing(&arguments),
    };
    match played {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(text) => {
            // Nobody is left to tell when standard error is gone, too.
            let _ = writeln!(io::stderr(), "d365-history: {text}");
            ExitCode::from(2)
        }
    }
}

impl Rules {
    fn preset(self) -> Preset {
        match self {
            Rules::Safe => Preset::Safe,
            Rules::Dotnet => Preset::Dotnet,
        }
    }
}

/// Histories in which processes are killed.
fn play_killing(arguments: &Arguments) -> Result<bool, String> {
    let preset = arguments.preset.preset();
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let until = Instant::now() + Duration::from_secs(arguments.seconds);
    let mut seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 48));
    let mut out = io::stdout().lock();
    let mut say = |text: String| writeln!(out, "{text}").map_err(|error| error.to_string());
    let (mut histories, mut kills, mut violations) = (0_u64, 0, 0);
    loop {
        let (calls, clients) = (arguments.calls, arguments.clients);
        say(format!(
            "seed {seed}, {calls} calls, {clients} clients, {preset:?}, {} kills",
            arguments.kills
        ))?;
        let plan = Plan::draw(seed, calls, clients);
        let killing = run_killing(&program, &plan, calls, preset, arguments.kills)
            .map_err(|error| format!("seed {seed}: {error}"))?;
        say(format!(
            "  {} violations: {}",
            killing.violations.len(),
            killing.summary()
        ))?;
        for text in &killing.violations {
            say(format!("  {text}"))?;
        }
        histories += 1;
        kills += killing.kills;
        violations += killing.violations.len();
        seed += 1;
        if Instant::now() >= until {
            break;
        }
    }
    say(format!(
        "{histories} histories, {kills} kills, {violations} violations"
    ))?;
    Ok(violations == 0)
}

fn play(arguments: &Arguments) -> Result<bool, String> {
    let preset = arguments.preset.preset();
    let until = Instant::now() + Duration::from_secs(arguments.seconds);
    let mut seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 48));
    let mut out = io::stdout().lock();
    let mut say = |text: String| writeln!(out, "{text}").map_err(|error| error.to_string());
    let mut broken = BTreeMap::new();
    let (mut histories, mut calls) = (0_u64, 0_usize);
    loop {
        say(format!(
            "seed {seed}, {} calls, {} clients, {preset:?}, without {:?}",
            arguments.calls, arguments.clients, arguments.off
        ))?;
        let plan = Plan::draw(seed, arguments.calls, arguments.clients);
        let history =
            run(&plan, preset, &arguments.off).map_err(|error| format!("seed {seed}: {error}"))?;
        histories += 1;
        calls += history.calls.len();
        if arguments.replay {
            say(tell_all(&history))?;
        }
        let violations = judge(&history);
        say(format!(
            "  {}: {}",
            match violations.len() {
                0 => "every claim is so".to_owned(),
                count => format!("{count} VIOLATIONS"),
            },
            summary(&history)
        ))?;
        for violation in violations.iter().take(STORIES) {
            say(tell(&history, violation))?;
        }
        for violation in &violations {
            let of_rule: &mut (u64, Vec<u64>) = broken
                .entry(format!("{:?}", violation.rule))
                .or_insert_with(|| (0, Vec::new()));
            of_rule.0 += 1;
            if of_rule.1.last() != Some(&seed) {
                of_rule.1.push(seed);
            }
        }
        seed += 1;
        if Instant::now() >= until {
            break;
        }
    }
    say(format!("{histories} histories, {calls} calls"))?;
    for (rule, (count, seeds)) in &broken {
        say(format!("  {rule}: {count} violations, seeds {seeds:?}"))?;
    }
    Ok(broken.is_empty())
}
