//! The files that scenarios stand in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use d365_twin::{OrganizationConfig, ProxyConfig, TwinConfig};
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::request::ScenarioRequest;
use crate::step::Step;
use crate::template::{fill, places_of};

/// Which subjects a scenario is played with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
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
    pub(crate) twin: TwinConfig,
    steps: Vec<Value>,
}

impl Scenario {
    /// What is played, with what stands before and after it.
    pub fn steps(&self) -> &[Value] {
        &self.steps
    }

    /// File, preset and name: unique.
    pub fn title(&self) -> String {
        format!("{} [{}] {}", self.file, self.preset, self.name)
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "$schema")]
    _schema: String,
    #[serde(rename = "about")]
    _about: String,
    #[serde(default = "presets")]
    presets: Vec<String>,
    #[serde(default = "organizations")]
    organizations: Vec<OrganizationConfig>,
    #[serde(default)]
    proxies: Vec<ProxyConfig>,
    #[serde(default)]
    before: Vec<Value>,
    #[serde(default)]
    after: Vec<Value>,
    /// Of scenarios that have none of their own.
    #[serde(default)]
    steps: Vec<Value>,
    /// What `${name}` stands for in steps, unless the scenario says otherwise.
    #[serde(default)]
    with: Map<String, Value>,
    scenarios: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    rule: String,
    row: Option<String>,
    runs: Runs,
    #[serde(default)]
    except: Vec<String>,
    presets: Option<Vec<String>>,
    organizations: Option<Vec<OrganizationConfig>>,
    proxies: Option<Vec<ProxyConfig>>,
    /// Instead of the file's.
    before: Option<Vec<Value>>,
    /// Likewise.
    after: Option<Vec<Value>>,
    /// Likewise.
    steps: Option<Vec<Value>>,
    #[serde(default)]
    with: Map<String, Value>,
}

fn presets() -> Vec<String> {
    vec!["dotnet".to_owned()]
}

fn organizations() -> Vec<OrganizationConfig> {
    vec![OrganizationConfig::new("contoso")]
}

/// Reads every `*.json` in the folders below `root`, in the order of their names; files in `root`
/// itself, such as the schema, are no scenarios.
pub fn load(root: &Path) -> Result<Vec<Scenario>, LoadError> {
    let mut files = Vec::new();
    for folder in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        collect(&folder, &mut files)?;
    }
    let mut scenarios = Vec::new();
    for path in files {
        read(root, &path, &mut scenarios)?;
    }
    Ok(scenarios)
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
    let file: File = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    let name = path.strip_prefix(root).unwrap_or(path).with_extension("");
    let name = name.to_string_lossy().into_owned();
    let mut names = BTreeSet::new();
    for entry in file.scenarios {
        if !names.insert(entry.name.clone()) {
            return Err(malformed(format!(
                "two scenarios are named `{}`",
                entry.name
            )));
        }
        let parts = [
            (&entry.before, &file.before),
            (&entry.steps, &file.steps),
            (&entry.after, &file.after),
        ];
        let form: Vec<&Value> = parts
            .into_iter()
            .flat_map(|(own, files)| own.as_ref().unwrap_or(files))
            .collect();
        if form.is_empty() {
            return Err(malformed(format!("`{}` has no steps", entry.name)));
        }
        let mut places = BTreeSet::new();
        form.iter().for_each(|step| places_of(step, &mut places));
        if let Some(name) = entry
            .with
            .keys()
            .find(|name| !places.contains(name.as_str()))
        {
            let text = format!("`{}`: no step has a place for `{name}`", entry.name);
            return Err(malformed(text));
        }
        let mut with = file.with.clone();
        with.extend(entry.with);
        let steps: Vec<Value> = form.into_iter().map(|step| fill(step, &with)).collect();
        for (index, step) in steps.iter().enumerate() {
            check(step).map_err(|text| {
                malformed(format!("`{}`, step {}: {text}", entry.name, index + 1))
            })?;
        }
        for preset in entry.presets.as_ref().unwrap_or(&file.presets) {
            scenarios.push(Scenario {
                file: name.clone(),
                name: entry.name.clone(),
                rule: entry.rule.clone(),
                row: entry.row.clone(),
                runs: entry.runs,
                except: entry.except.clone(),
                preset: preset.clone(),
                twin: TwinConfig {
                    organizations: own_or(&entry.organizations, &file.organizations),
                    proxies: own_or(&entry.proxies, &file.proxies),
                    ..TwinConfig::default()
                },
                steps: steps.clone(),
            });
        }
    }
    Ok(())
}

/// What a scenario has of its own instead of what its file has.
fn own_or<T: Clone>(own: &Option<Vec<T>>, files: &[T]) -> Vec<T> {
    own.clone().unwrap_or_else(|| files.to_owned())
}

/// A step is read when it is played, with its variables; what is wrong in it is wrong before.
fn check(step: &Value) -> Result<(), String> {
    let step: Step = serde_json::from_value(step.clone()).map_err(|error| error.to_string())?;
    match step {
        Step::Burst { request, .. } => {
            serde_json::from_value::<ScenarioRequest>(request)
                .map_err(|error| error.to_string())?;
            Ok(())
        }
        Step::Repeat { steps, .. } | Step::Eventually { steps, .. } => {
            steps.iter().try_for_each(check)
        }
        _ => Ok(()),
    }
}
