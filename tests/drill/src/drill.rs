//! The story of a round.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use d365_twin::{
    Fault, FaultKind, OrgHandle, OrganizationConfig, Replication, Tokens, Twin, TwinConfig,
    TwinError,
};

use crate::application::{Application, Heard, Stream};
use crate::line::Line;
use crate::record::{Record, errors, ms_since, rounds};
use crate::report::{ApplicationReport, Evidence, OrganizationReport, Report};
use crate::round::Round;
use crate::timeline::{Entry, entries, sorted};
use crate::verdict::{Rules, judge};

/// Long enough for some acknowledged rows to be caught on the primary when it dies.
const LAG_MS: u64 = 200;
/// What loses its answers: creates over the Web API.
const ACCOUNTS: &str = "/api/data/v9.2/accounts";
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
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What the twin did, before all times count from the fault.
type Timeline = Vec<(Duration, &'static str, &'static str, String)>;

struct Member {
    language: String,
    application: Application,
    record: Record,
    open_streams: usize,
}

/// The applications, and what they say.
struct Cast {
    started: Instant,
    members: Vec<Member>,
    ear: Receiver<Heard>,
}

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

        let mut cast = Cast::start(languages, |command, name| {
            self.equip(command, name, &twin, &org)
        })?;
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
        if undone.is_none() && !cast.any(broken) {
            lost_answers = Some(cast.now());
            undone = self.lose_answers(&mut cast, &org, &mut timeline, progress)?;
        }
        if cast.any(broken) {
            undone = Some(BROKEN.to_owned());
        }
        let undone = undone;
        let zero = if undone.is_some() {
            cast.now()
        } else {
            progress(&format!("DISASTER: {}", self.round.words()));
            self.make_disaster(&mut cast, &org, &mut timeline, progress)?
        };
        progress("closing the applications' standard input");
        cast.end(self.timeout);

        if undone.is_some() || !self.round.is_left() {
            // Nothing has parted the sides.
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
    /// the primary, has met it and goes on after it; when it was made.
    fn make_disaster(
        &self,
        cast: &mut Cast,
        org: &OrgHandle,
        timeline: &mut Timeline,
        progress: &dyn Fn(&str),
    ) -> Result<Duration, TwinError> {
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
            progress(&format!(
                "waiting for {wanted} rounds of each at the alternate"
            ));
            let enough = |record: &Record| rounds(record.after_switch()) >= wanted;
            cast.wait(self.timeout, |cast| {
                cast.all(|record| record.broken || enough(record))
            });
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

    fn equip(&self, command: &mut Command, name: &str, twin: &Twin, org: &OrgHandle) {
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

impl Cast {
    fn start(
        languages: Vec<Language>,
        equip: impl Fn(&mut Command, &str),
    ) -> Result<Cast, DrillError> {
        let (mouth, ear) = channel();
        let mut members = Vec::new();
        for (number, Language { name, mut command }) in languages.into_iter().enumerate() {
            equip(&mut command, &name);
            let application = Application::start(command, number, &mouth).map_err(|source| {
                let language = name.clone();
                DrillError::Start { language, source }
            })?;
            members.push(Member {
                language: name,
                application,
                record: Record::default(),
                open_streams: 2,
            });
        }
        Ok(Cast {
            started: Instant::now(),
            members,
            ear,
        })
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self
            .members
            .iter()
            .map(|member| member.language.as_str())
            .collect();
        names.join(", ")
    }

    fn any(&self, is: impl Fn(&Record) -> bool) -> bool {
        self.members.iter().any(|member| is(&member.record))
    }

    /// How much each has said.
    fn lines(&self) -> Vec<usize> {
        let members = self.members.iter();
        members.map(|one| one.record.said.len()).collect()
    }

    /// As `all`, with what each has said since then.
    fn all_since(
        &self,
        lines: &[usize],
        are: impl Fn(&Record, &[(Duration, Line)]) -> bool,
    ) -> bool {
        let mut members = self.members.iter().zip(lines);
        members.all(|(member, from)| are(&member.record, &member.record.said[*from..]))
    }

    fn all(&self, are: impl Fn(&Record) -> bool) -> bool {
        self.members.iter().all(|member| are(&member.record))
    }

    /// Listens until the applications have done enough; false when they did not in time.
    fn wait(&mut self, timeout: Duration, enough: impl Fn(&Cast) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        while !enough(self) {
            if !self.hear(deadline, true) {
                return false;
            }
        }
        true
    }

    /// Lets all end, and hears their last words.
    fn end(&mut self, timeout: Duration) {
        for member in &mut self.members {
            member.application.close_input();
        }
        let deadline = Instant::now() + timeout;
        while self.members.iter().any(|member| member.open_streams > 0)
            && self.hear(deadline, false)
        {}
        for member in &mut self.members {
            if let Err(why) = member.application.join(deadline) {
                member.record.trouble(why);
            }
            if member.record.done().is_none() {
                member.record.trouble("ended without `done`".into());
            }
        }
    }

    /// Takes in one thing that an application did; false when nothing came in time.
    fn hear(&mut self, deadline: Instant, too_early: bool) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(heard) = self.ear.recv_timeout(left) else {
            return false;
        };
        let member = &mut self.members[heard.application];
        match (heard.line, heard.stream) {
            (Some(line), Stream::Out) => {
                let at = heard.at.saturating_duration_since(self.started);
                member.record.hear(at, &line);
            }
            (Some(line), Stream::Err) => member.record.hear_stderr(&line),
            (None, stream) => {
                member.open_streams -= 1;
                if stream == Stream::Out && too_early {
                    member.record.broken = true;
                    member.record.trouble("ended before it was asked to".into());
                }
            }
        }
        true
    }

    fn keep_transcripts(&self, dir: &Path) -> Result<(), DrillError> {
        for member in &self.members {
            let path = dir.join(format!("{}.log", member.language));
            let text = member.record.transcript.join("\n") + "\n";
            std::fs::write(&path, text).map_err(|source| DrillError::Write { path, source })?;
        }
        Ok(())
    }
}
