//! The files that scenarios stand in.

use std::fs;
use std::path::{Path, PathBuf};

use d365_twin::TwinConfig;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::part::Part;
use crate::request::ScenarioRequest;
use crate::step::Step;
use crate::words::write_out;

/// Which subjects a scenario is played with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Runs {
    /// Rust alone.
    Core,
    /// Every subject.
    Crossing,
}

/// A scenario, ready to be played.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file, relative to the scenarios' folder, without its extension.
    pub file: String,
    /// Names it, for the rule that it shows.
    pub name: String,
    /// The variant of it, where its file has variants.
    pub variant: Option<String>,
    /// The rule.
    pub rule: String,
    /// The row of the table that its file shows.
    pub row: Option<String>,
    /// With which subjects it is played.
    pub runs: Runs,
    /// Subjects that have no such thing, and are left out.
    pub except: Vec<String>,
    /// The preset of its clients.
    pub preset: String,
    /// What the twin plays.
    pub twin: TwinConfig,
    steps: Vec<Value>,
}

impl Scenario {
    /// What is played, with what stands before and after it, and every word written out.
    pub fn steps(&self) -> &[Value] {
        &self.steps
    }

    /// File, preset, variant and name: unique.
    pub fn title(&self) -> String {
        let variant = self.variant.as_ref();
        let variant = variant.map_or(String::new(), |variant| format!(", {variant}"));
        format!("{} [{}{variant}] {}", self.file, self.preset, self.name)
    }
}

/// A folder of scenarios that cannot be used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Reading a file or a folder.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is no scenario file.
    #[error("{path}: {text}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and where.
        text: String,
    },
}

/// Reads every `*.json` in the folders below `root`, in the order of their names; files in `root`
/// itself, such as the schema, are no scenarios.
pub fn load(root: &Path) -> Result<Vec<Scenario>, LoadError> {
    let mut scenarios = Vec::new();
    for path in files(root)? {
        read(root, &path, &mut scenarios)?;
    }
    Ok(scenarios)
}

/// The files of scenarios below `root`.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    for folder in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        collect(&folder, &mut files)?;
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let io = |source| LoadError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut paths = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(io)?;
    paths.sort();
    Ok(paths)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    for path in entries(folder)? {
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    Ok(())
}

fn read(root: &Path, path: &Path, scenarios: &mut Vec<Scenario>) -> Result<(), LoadError> {
    let malformed = |text: String| LoadError::Malformed {
        path: path.to_owned(),
        text,
    };
    let text = fs::read_to_string(path).map_err(|source| LoadError::Io {
        path: path.to_owned(),
        source,
    })?;
    let part: Part = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if part.schema.is_none() || part.about.is_none() {
        return Err(malformed("a file has `$schema` and `about`".to_owned()));
    }
    let name = path.strip_prefix(root).unwrap_or(path).with_extension("");
    let name = name.to_string_lossy().into_owned();
    for whole in part.wholes().map_err(malformed)? {
        let mut steps = Vec::new();
        for (index, step) in whole.steps.into_iter().enumerate() {
            let step = write_out(step).and_then(|step| check(&step).map(|()| step));
            steps.push(step.map_err(|text| {
                malformed(format!("`{}`, step {}: {text}", whole.name, index + 1))
            })?);
        }
        for preset in whole.presets {
            scenarios.push(Scenario {
                file: name.clone(),
                name: whole.name.clone(),
                variant: whole.variant.clone(),
                rule: whole.rule.clone(),
                row: whole.row.clone(),
                runs: whole.runs,
                except: whole.except.clone(),
                preset,
                twin: TwinConfig {
                    organizations: whole.organizations.clone(),
                    proxies: whole.proxies.clone(),
                    ..TwinConfig::default()
                },
                steps: steps.clone(),
            });
        }
    }
    Ok(())
}

/// A step is read when it is played, with its variables; what is wrong in it is wrong before.
fn check(step: &Value) -> Result<(), String> {
    let step: Step = serde_json::from_value(step.clone()).map_err(|error| error.to_string())?;
    match step {
        Step::Burst(burst) => {
            serde_json::from_value::<ScenarioRequest>(burst.request)
                .map_err(|error| error.to_string())?;
            Ok(())
        }
        Step::Repeat { steps, .. } | Step::Eventually { steps, .. } => {
            steps.iter().try_for_each(check)
        }
        _ => Ok(()),
    }
}
