//! The story of a round.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use d365_twin::{
    Fault, FaultKind, OrgHandle, OrganizationConfig, Replication, Tokens, Twin, TwinConfig,
    TwinError,
};

use crate::cast::Cast;
use crate::record::{Record, errors, ms_since, rounds};
use crate::report::{ApplicationReport, Evidence, OrganizationReport, Report};
use crate::round::Round;
use crate::timeline::{Entry, entries, sorted};
use crate::verdict::{Rules, judge};

/// Long enough for some acknowledged rows to be caught on the primary when it dies.
const LAG_MS: u64 = 200;
/// What loses its answers: creates over the Web API.
const ACCOUNTS: &str = "/api/data/v9.2/accounts";
/// How often it is looked whether a request is held.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
const BROKEN: &str = "the disaster was not made: an application broke before";

/// One of the applications.
#[derive(Debug)]
pub(crate) struct Language {
    /// `c`, `java`, `python`: also the beginning of its rows' names.
    pub(crate) name: String,
    pub(crate) command: Command,
}

/// How a round is made.
#[derive(Clone, Debug)]
pub(crate) struct Drill {
    pub(crate) round: Round,
    /// Turns, each with one success of each call, that every application makes before anything
    /// happens.
    pub(crate) rounds_before: usize,
    /// Turns that every application must make after its switch.
    pub(crate) rounds_after: usize,
    /// How long each of these, and the end, may take.
    pub(crate) timeout: Duration,
    /// How long what is missing may still come over, where the applications are killed; longer where
    /// they start slowly.
    pub(crate) window: Duration,
    /// Where the twin's CA and what each application wrote (`<language>.log`) are kept; none: a
    /// temporary folder, and nothing is kept.
    pub(crate) dir: Option<PathBuf>,
}

/// Why a drill could not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrillError {
    #[error("the twin: {0}")]
    Twin(#[from] TwinError),
    #[error("cannot start the {language} application: {source}")]
    Start { language: String, source: io::Error },
    #[error("cannot kill the {language} application: {source}")]
    Kill { language: String, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What the twin did, before all times count from the fault.
type Timeline = Vec<(Duration, &'static str, &'static str, String)>;

impl Drill {
    /// Makes it. `progress` gets a line for each thing that is done.
    pub(crate) fn run(
        &self,
        languages: Vec<Language>,
        progress: &dyn Fn(&str),
    ) -> Result<Report, DrillError> {
        let mut config = TwinConfig::new([OrganizationConfig {
            tokens: Tokens::Check,
            replication: Replication::lag(LAG_MS),
            ..OrganizationConfig::new("contoso")
        }]);
        config.directory.clone_from(&self.dir);
        let twin = Twin::start(config)?;
        let org = twin.org("contoso")?;
        progress(&format!(
            "twin: primary {}, alternate {}",
            org.primary.url(),
            org.alternate.url()
        ));

        let equip = |command: &mut Command, language: &str, name: &str| {
            self.equip(command, language, name, &twin, &org);
        };
        self.remove_stores(&languages, &twin)?;
        let mut cast = Cast::start(languages, equip)?;
        progress(&format!(
            "started: {}; waiting for {} rounds of each at the primary",
            cast.names(),
            self.rounds_before
        ));
        let ready =
            |record: &Record| record.is_ready() && rounds(&record.said) >= self.rounds_before;
        let broken = |record: &Record| record.broken;
        let met = cast.wait(self.timeout, |cast| cast.any(broken) || cast.all(ready));
        let mut timeline = Timeline::new();
        let mut lost_answers = None;
        let mut undone = (!met).then(|| self.too_slow(&cast));
        let mut held = Vec::new();
        let calm = cast.now();
        if undone.is_none() && !cast.any(broken) {
            if self.round.killed {
                match self.hold_writes(&mut cast, &twin, &org, &mut timeline, progress)? {
                    Ok(names) => held = names,
                    Err(why) => undone = Some(why),
                }
            } else {
                lost_answers = Some(cast.now());
                undone = self.lose_answers(&mut cast, &org, &mut timeline, progress)?;
            }
        }
        if cast.any(broken) {
            undone = Some(BROKEN.to_owned());
        }
        let undone = undone;
        let zero = if undone.is_some() {
            cast.now()
        } else {
            progress(&format!("DISASTER: {}", self.round.words()));
            if self.round.killed {
                timeline.push((cast.now(), "drill", "kills all of them", held.join(", ")));
                cast.kill(self.timeout)?;
            }
            self.make_disaster(&mut cast, &org, &equip, calm, &mut timeline, progress)?
        };
        if undone.is_some() {
            // What was begun of it.
            org.primary.clear()?;
            org.set_replication(Replication::lag(LAG_MS));
        }
        progress("closing the applications' standard input");
        cast.end(self.timeout);

        if undone.is_some() || !self.round.is_left() {
            // Nothing parts the sides.
            org.replicate()?;
        }
        let parted = org.rows();
        org.set_replication(Replication::lag(LAG_MS));
        org.replicate()?;
        timeline.push((cast.now(), "twin", "replication goes on", String::new()));
        progress("comparing what they were told with the rows of both sides");
        let evidence = Evidence {
            zero,
            lost_answers,
            parted,
            healed: org.rows(),
            journal: twin.journal(),
            held,
        };
        if let Some(dir) = &self.dir {
            cast.keep_transcripts(dir)?;
        }
        let timeline = timeline.into_iter();
        let timeline = timeline
            .map(|(at, who, what, detail)| Entry::new(ms_since(zero, at), who, what, detail));
        Ok(self.report(
            &cast,
            &org,
            timeline.collect(),
            &evidence,
            undone.as_deref(),
        ))
    }

    /// Makes it, and waits until every application has got over it, or, where the preset stays at
    /// the primary, has met it and goes on after it; when it was made. All was well until `calm`.
    fn make_disaster(
        &self,
        cast: &mut Cast,
        org: &OrgHandle,
        equip: &dyn Fn(&mut Command, &str, &str),
        calm: Duration,
        timeline: &mut Timeline,
        progress: &dyn Fn(&str),
    ) -> Result<Duration, DrillError> {
        let fault = &self.round.fault;
        let wanted = self.rounds_after;
        // Whatever is lacking when the time is over, the verdict finds and names.
        if self.round.is_left() {
            // What has not crossed now stays on the primary: it is dead.
            org.set_replication(Replication::lag(LAG_MS).partitioned());
            let made = cast.now();
            org.primary.fault(fault.clone())?;
            let detail = format!("{}, replication stops", org.primary.url());
            timeline.push((made, "primary", fault.name(), detail));
            let window = self.window_of(cast, calm);
            if self.round.killed {
                cast.start_again(|command, language, name| {
                    equip(command, language, name);
                    set_window(command, window);
                })?;
                timeline.push((cast.now(), "drill", "starts them again", String::new()));
            }
            progress(&format!(
                "waiting for {wanted} rounds of each at the alternate"
            ));
            let enough = |record: &Record| rounds(record.after_switch()) >= wanted;
            cast.wait(self.timeout, |cast| {
                cast.all(|record| record.broken || enough(record))
            });
            if self.round.killed && !cast.any(|record| record.broken) {
                progress("waiting until what is missing is so for good");
                cast.wait(window, |cast| cast.any(|record| record.broken));
            }
            return Ok(made);
        }
        let lines = cast.lines();
        let made = cast.now();
        let fault_id = org.primary.fault(fault.clone())?;
        timeline.push((made, "primary", fault.name(), org.primary.url()));
        progress(&format!(
            "waiting for {wanted} errors of each: {} stays",
            self.round.preset
        ));
        cast.wait(self.timeout, |cast| {
            cast.all_since(&lines, |record, said| {
                record.broken || !record.after_switch().is_empty() || errors(said) >= wanted
            })
        });
        org.primary.clear_fault(fault_id)?;
        timeline.push((cast.now(), "primary", "answers again", String::new()));
        let lines = cast.lines();
        cast.wait(self.timeout, |cast| {
            cast.all_since(&lines, |record, said| {
                record.broken || rounds(said) >= wanted
            })
        });
        Ok(made)
    }

    /// Lets creates be executed whose answers do not arrive: the connection is cut, then a gateway
    /// gives up waiting where the round says so. Each until every application has met it; why not, if
    /// not.
    fn lose_answers(
        &self,
        cast: &mut Cast,
        org: &OrgHandle,
        timeline: &mut Timeline,
        progress: &dyn Fn(&str),
    ) -> Result<Option<String>, TwinError> {
        let given_up = FaultKind::Status {
            status: 504,
            headers: Default::default(),
            body: String::new(),
            commit: true,
        };
        let losses = [
            ("commit, then reset", FaultKind::CommitThenReset),
            ("commit, then 504", given_up),
        ];
        for (what, kind) in losses.into_iter().take(1 + usize::from(self.round.gateway)) {
            progress(&format!("creates at the primary: {what}"));
            let lines = cast.lines();
            timeline.push((cast.now(), "primary", what, format!("POST {ACCOUNTS}")));
            let fault = Fault::from(kind).method("POST").path(ACCOUNTS);
            let fault = org.primary.fault(fault)?;
            let met = cast.wait(self.timeout, |cast| {
                let mut members = cast.members.iter().zip(&lines);
                cast.any(|record| record.broken)
                    || members.all(|(member, lines)| member.record.has_met_fault_since(*lines))
            });
            org.primary.clear_fault(fault)?;
            timeline.push((cast.now(), "primary", "answers again", String::new()));
            if !met {
                return Ok(Some(format!(
                    "the disaster was not made: not all met `{what}` in {} s",
                    self.timeout.as_secs()
                )));
            }
            if cast.any(|record| record.broken) {
                break;
            }
        }
        Ok(None)
    }

    /// Lets each application make a round of which nothing crosses, then holds a create of each: one
    /// before it is executed, the others after that. The names of their rows, or why not.
    fn hold_writes(
        &self,
        cast: &mut Cast,
        twin: &Twin,
        org: &OrgHandle,
        timeline: &mut Timeline,
        progress: &dyn Fn(&str),
    ) -> Result<Result<Vec<String>, String>, TwinError> {
        progress("replication stops; a create of each is held");
        org.set_replication(Replication::lag(LAG_MS).partitioned());
        let stopped = (cast.now(), "twin", "replication stops", String::new());
        timeline.push(stopped);
        let lines = cast.lines();
        let mut met = cast.wait(self.timeout, |cast| {
            cast.all_since(&lines, |record, said| record.broken || rounds(said) > 0)
        });
        let holds = [
            Fault::from(FaultKind::StallBeforeCommit { ms: None }).times(1),
            FaultKind::Stall { ms: None }.into(),
        ];
        for hold in holds {
            let hold = hold.method("PATCH").path(ACCOUNTS);
            org.primary.fault(hold)?;
        }
        timeline.push((cast.now(), "primary", "holds", format!("PATCH {ACCOUNTS}")));
        let deadline = Instant::now() + self.timeout;
        let mut names = Vec::new();
        while met && names.len() < cast.members.len() && !cast.any(|record| record.broken) {
            // The twin's journal tells nobody of what is new in it.
            cast.wait(BETWEEN_LOOKS, |cast| cast.any(|record| record.broken));
            let held = twin.journal().into_iter();
            let held = held.filter(|entry| entry.fault.is_some() && !entry.answered);
            names = held.filter_map(|entry| entry.name).collect();
            met = Instant::now() < deadline;
        }
        Ok(match met {
            true => Ok(names),
            false => Err(format!(
                "the disaster was not made: not all were in the middle of a create in {} s ({})",
                self.timeout.as_secs(),
                match names.is_empty() {
                    true => "none was".to_owned(),
                    false => names.join(", "),
                }
            )),
        })
    }

    /// What is kept of an earlier drill would tell the applications where to begin.
    fn remove_stores(&self, languages: &[Language], twin: &Twin) -> Result<(), DrillError> {
        for language in languages {
            for beside in ["", "-wal", "-shm", "-lock"] {
                let mut path = store_of(&language.name, twin).into_os_string();
                path.push(beside);
                match fs::remove_file(&path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        let path = path.into();
                        return Err(DrillError::Write { path, source });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// `name` begins the names of its rows.
    fn equip(
        &self,
        command: &mut Command,
        language: &str,
        name: &str,
        twin: &Twin,
        org: &OrgHandle,
    ) {
        let ways = org.connect_to();
        let ways: Vec<String> = ways
            .iter()
            .map(|(from, to)| format!("{from}:{to}"))
            .collect();
        command
            // An operator's override would take the decision from the library.
            .env_remove("D365_FAILOVER")
            .env("D365_URL", org.primary.url())
            .env("D365_CA_BUNDLE", twin.ca_file())
            .env("D365_CONNECT_TO", ways.join(","))
            .env("D365_PRESET", &self.round.preset)
            .envs(self.round.settings())
            .env("D365_TOKEN_PREFIX", "twin-token-for-")
            .env("D365_APP", name);
        if self.round.killed {
            let store = store_of(language, twin);
            set_window(command.env("D365_STORE", store), self.window);
        }
    }

    /// What has not crossed is suspected only by who leaves the primary within this time. A busy machine has
    /// needed more than twice the slowest first start for the second one and the switch.
    fn window_of(&self, cast: &Cast, calm: Duration) -> Duration {
        let starts = cast.members.iter();
        let slowest = starts.filter_map(|member| member.record.ready_at()).max();
        let again = cast.now().saturating_sub(calm) + 4 * slowest.unwrap_or_default();
        self.window.max(again)
    }

    fn too_slow(&self, cast: &Cast) -> String {
        let made = cast.members.iter().map(|member| {
            let ready = if member.record.is_ready() {
                ""
            } else {
                ", not ready"
            };
            format!("{} {}{ready}", member.language, rounds(&member.record.said))
        });
        format!(
            "the disaster was not made: not all made {} rounds in {} s ({})",
            self.rounds_before,
            self.timeout.as_secs(),
            made.collect::<Vec<_>>().join("; ")
        )
    }

    fn report(
        &self,
        cast: &Cast,
        org: &OrgHandle,
        mut timeline: Vec<Entry>,
        evidence: &Evidence,
        undone: Option<&str>,
    ) -> Report {
        let organization = OrganizationReport {
            primary_url: org.primary.url(),
            alternate_url: org.alternate.url(),
        };
        for member in &cast.members {
            timeline.extend(entries(&member.language, &member.record, evidence.zero));
        }
        let members = cast.members.iter();
        let applications: Vec<ApplicationReport> = members
            .map(|member| ApplicationReport::new(&member.language, &member.record, evidence))
            .collect();
        let lost_answers_ms = evidence.lost_answers.map(|at| ms_since(evidence.zero, at));
        let rules = Rules {
            organization: &organization,
            rounds_after: self.rounds_after,
            is_blind: self.round.is_blind(),
            is_left: self.round.is_left(),
            is_killed: self.round.killed,
            // Before that nobody may switch.
            earliest_ms: match self.round.is_blind() && self.round.gateway {
                true => lost_answers_ms.unwrap_or(0.0),
                false => 0.0,
            },
        };
        Report {
            verdict: judge(&applications, rules, undone),
            round: self.round.name(),
            words: self.round.words(),
            preset: self.round.preset.clone(),
            fault: self.round.fault.name().to_owned(),
            disaster: undone.is_none(),
            lost_answers_ms,
            organization,
            replication_lag_ms: LAG_MS,
            timeline: sorted(timeline),
            applications,
        }
    }
}

fn set_window(command: &mut Command, window: Duration) {
    command.env("D365_REPLICATION_WINDOW_MS", window.as_millis().to_string());
}

fn store_of(language: &str, twin: &Twin) -> PathBuf {
    twin.ca_file().with_file_name(format!("{language}.store"))
}
