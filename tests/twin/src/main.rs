//! The twin as a process of its own: it is ready when `twin.json` is there, and steered by its
//! control endpoint.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::Parser;
use d365_twin::{OrganizationConfig, Twin, TwinConfig};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

/// A twin datacenter that plays the primary and the alternate of Dynamics 365 organizations.
#[derive(Parser)]
#[command(version, after_help = control_help())]
struct Arguments {
    /// JSON file with a `TwinConfig`: {"organizations": [{"name": "contoso", ...}], ...}.
    #[arg(long)]
    config: Option<PathBuf>,
    /// An organization with every default, beside those of the file; may be repeated.
    #[arg(long)]
    org: Vec<String>,
    /// Where ca.pem and twin.json are written; wins over the file's `directory`.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// End when standard input ends, so that no twin outlives the process that started it.
    #[arg(long)]
    stdin_eof: bool,
}

/// What follows the options in `--help`.
fn control_help() -> String {
    format!(
        "Control endpoint, JSON over plain HTTP; its address is `control_url` in twin.json:\n{}",
        d365_twin::control_routes()
    )
}

#[derive(Debug, Error)]
enum Failure {
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
    #[error("{path}: {source}")]
    Config {
        path: String,
        source: serde_json::Error,
    },
    #[error("say where: --dir DIR, or `directory` in the configuration file")]
    NoDirectory,
    #[error("say which organizations: --org NAME, or `organizations` in the configuration file")]
    NoOrganization,
    #[error(transparent)]
    Twin(#[from] d365_twin::TwinError),
    #[error("{0}")]
    System(#[from] io::Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be gone; the exit code still tells.
            let _ = writeln!(io::stderr(), "d365-twin: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = configuration(&arguments)?;
    let directory = config.directory.clone().ok_or(Failure::NoDirectory)?;
    let twin = Arc::new(Twin::start(config)?);
    end_on_sigterm(&twin)?;
    if arguments.stdin_eof {
        end_on_stdin_eof(&twin);
    }
    let ready = directory.join("twin.json");
    write_atomically(&ready, &serde_json::to_vec_pretty(&twin.describe())?)?;
    writeln!(io::stdout(), "ready {}", ready.display())?;
    io::stdout().flush()?;
    twin.wait_for_shutdown_request();
    Ok(())
}

fn configuration(arguments: &Arguments) -> Result<TwinConfig, Failure> {
    let mut config = match &arguments.config {
        None => TwinConfig::default(),
        Some(path) => {
            let path = path.display().to_string();
            let text = fs::read(&path).map_err(|source| Failure::File {
                path: path.clone(),
                source,
            })?;
            serde_json::from_slice(&text).map_err(|source| Failure::Config { path, source })?
        }
    };
    config.organizations.extend(
        arguments
            .org
            .iter()
            .map(|name| OrganizationConfig::new(name)),
    );
    if config.organizations.is_empty() {
        return Err(Failure::NoOrganization);
    }
    config.directory = arguments.dir.clone().or(config.directory);
    Ok(config)
}

/// A reader sees the whole file or none.
fn write_atomically(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let part = path.with_extension("json.part");
    fs::write(&part, content)
        .and_then(|()| fs::rename(&part, path))
        .map_err(|source| Failure::File {
            path: path.display().to_string(),
            source,
        })
}

fn end_on_sigterm(twin: &Arc<Twin>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut terminate = {
        let _context = runtime.enter();
        signal(SignalKind::terminate())?
    };
    let twin = twin.clone();
    thread::spawn(move || {
        runtime.block_on(terminate.recv());
        twin.request_shutdown();
    });
    Ok(())
}

fn end_on_stdin_eof(twin: &Arc<Twin>) {
    let twin = twin.clone();
    thread::spawn(move || {
        let mut scrap = [0; 256];
        while io::stdin().read(&mut scrap).is_ok_and(|bytes| bytes > 0) {}
        twin.request_shutdown();
    });
}
