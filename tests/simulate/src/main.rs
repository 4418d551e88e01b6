//! `d365-simulate`: plays all disasters under all rule sets, and tells the figures.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Parser;
use d365_simulate::chart;
use d365_simulate::disaster::disasters;
use d365_simulate::figures::Figures;
use d365_simulate::rules::RuleSet;
use d365_simulate::run::run_all;
use d365_simulate::table::table;

/// Plays disasters with many clients in virtual time, under the rules of this library and of others.
#[derive(Debug, Parser)]
#[command(name = "d365-simulate", version)]
struct Arguments {
    /// What calls and chances are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many clients.
    #[arg(long, default_value_t = 10_000)]
    clients: u32,

    /// Only this disaster; repeatable.
    #[arg(long)]
    disaster: Vec<String>,

    /// Only these rules; repeatable.
    #[arg(long)]
    rules: Vec<String>,

    /// Where table, figures and pictures go.
    #[arg(long, default_value = "target/simulate")]
    dir: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let (seed, clients) = (arguments.seed, arguments.clients);
    let wanted =
        |names: &[String], name: &str| names.is_empty() || names.iter().any(|one| one == name);
    let all = disasters();
    let chosen: Vec<_> = all
        .iter()
        .filter(|disaster| wanted(&arguments.disaster, disaster.name))
        .cloned()
        .collect();
    let rules: Vec<_> = RuleSet::ALL
        .into_iter()
        .filter(|rules| wanted(&arguments.rules, rules.name()))
        .collect();
    if chosen.is_empty() || rules.is_empty() {
        return Err("there is no disaster, or there are no rules, of that name".into());
    }
    let mut out = io::stdout();
    writeln!(out, "seed {seed}, {clients} clients\n")?;
    let figures = run_all(&chosen, &rules, clients, seed);
    let about = |name: &str| {
        let disaster = all.iter().find(|disaster| disaster.name == name);
        disaster.map_or("", |disaster| disaster.about)
    };
    let text = table(&figures, about);
    write!(out, "{text}")?;
    fs::create_dir_all(&arguments.dir)?;
    fs::write(arguments.dir.join("table.md"), &text)?;
    let report = serde_json::json!({ "seed": seed, "clients": clients, "figures": figures });
    fs::write(
        arguments.dir.join("figures.json"),
        serde_json::to_vec_pretty(&report)?,
    )?;
    for group in figures.chunk_by(|one, other| one.disaster == other.disaster) {
        let name = group[0].disaster;
        let group: Vec<&Figures> = group.iter().collect();
        let file = arguments
            .dir
            .join(format!("{}.svg", name.replace(' ', "-")));
        chart::draw(
            &file,
            &format!("{name}, {clients} clients, seed {seed}"),
            &group,
        )?;
    }
    writeln!(out, "written to {}", arguments.dir.display())?;
    Ok(())
}
