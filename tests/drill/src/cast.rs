//! The applications of a round, and what they say.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::application::{Application, Heard, Stream};
use crate::drill::{DrillError, Language};
use crate::line::Line;
use crate::record::Record;

pub(crate) struct Member {
    pub(crate) language: String,
    application: Application,
    pub(crate) record: Record,
    open_streams: usize,
    /// Its standard output is open.
    speaks: bool,
    /// How often it was started before.
    life: usize,
    /// Program and arguments, to start it again.
    line: Vec<OsString>,
}

/// The applications, and what they say.
pub(crate) struct Cast {
    started: Instant,
    pub(crate) members: Vec<Member>,
    mouth: Sender<Heard>,
    ear: Receiver<Heard>,
}

impl Cast {
    pub(crate) fn start(
        languages: Vec<Language>,
        equip: impl Fn(&mut Command, &str, &str),
    ) -> Result<Cast, DrillError> {
        let (mouth, ear) = channel();
        let mut members = Vec::new();
        for (number, Language { name, mut command }) in languages.into_iter().enumerate() {
            let line = std::iter::once(command.get_program()).chain(command.get_args());
            let line = line.map(OsString::from).collect();
            equip(&mut command, &name, &name);
            members.push(Member {
                application: started(&name, command, (number, 0), &mouth)?,
                language: name,
                record: Record::default(),
                open_streams: 2,
                speaks: true,
                life: 0,
                line,
            });
        }
        Ok(Cast {
            started: Instant::now(),
            members,
            mouth,
            ear,
        })
    }

    /// Ends all of them where they are, and hears what they had said.
    pub(crate) fn kill(&mut self, timeout: Duration) -> Result<(), DrillError> {
        for member in &mut self.members {
            let language = &member.language;
            member
                .application
                .kill()
                .map_err(|source| DrillError::Kill {
                    language: language.clone(),
                    source,
                })?;
        }
        let deadline = Instant::now() + timeout;
        // What it had started may live on, and holds its standard error.
        while self.members.iter().any(|member| member.speaks) && self.hear(deadline, false) {}
        Ok(())
    }

    /// Starts them again, each under a name that begins with its own: no row has a name twice.
    pub(crate) fn start_again(
        &mut self,
        equip: impl Fn(&mut Command, &str, &str),
    ) -> Result<(), DrillError> {
        for (number, member) in self.members.iter_mut().enumerate() {
            let mut command = Command::new(&member.line[0]);
            command.args(&member.line[1..]);
            let name = &member.language;
            equip(&mut command, name, &format!("{name}-again"));
            member.life += 1;
            member.application = started(name, command, (number, member.life), &self.mouth)?;
            member.open_streams = 2;
            member.speaks = true;
            member.record.begin_again();
        }
        Ok(())
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self
            .members
            .iter()
            .map(|member| member.language.as_str())
            .collect();
        names.join(", ")
    }

    pub(crate) fn any(&self, is: impl Fn(&Record) -> bool) -> bool {
        self.members.iter().any(|member| is(&member.record))
    }

    /// How much each has said.
    pub(crate) fn lines(&self) -> Vec<usize> {
        let members = self.members.iter();
        members.map(|one| one.record.said.len()).collect()
    }

    /// As `all`, with what each has said since then.
    pub(crate) fn all_since(
        &self,
        lines: &[usize],
        are: impl Fn(&Record, &[(Duration, Line)]) -> bool,
    ) -> bool {
        let mut members = self.members.iter().zip(lines);
        members.all(|(member, from)| are(&member.record, &member.record.said[*from..]))
    }

    pub(crate) fn all(&self, are: impl Fn(&Record) -> bool) -> bool {
        self.members.iter().all(|member| are(&member.record))
    }

    /// Listens until the applications have done enough; false when they did not in time.
    pub(crate) fn wait(&mut self, timeout: Duration, enough: impl Fn(&Cast) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        while !enough(self) {
            if !self.hear(deadline, true) {
                return false;
            }
        }
        true
    }

    /// Lets all end, and hears their last words.
    pub(crate) fn end(&mut self, timeout: Duration) {
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
    pub(crate) fn hear(&mut self, deadline: Instant, too_early: bool) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(heard) = self.ear.recv_timeout(left) else {
            return false;
        };
        let member = &mut self.members[heard.application];
        if heard.life != member.life {
            return true;
        }
        match (heard.line, heard.stream) {
            (Some(line), Stream::Out) => {
                let at = heard.at.saturating_duration_since(self.started);
                member.record.hear(at, &line);
            }
            (Some(line), Stream::Err) => member.record.hear_stderr(&line),
            (None, stream) => {
                member.open_streams -= 1;
                member.speaks &= stream != Stream::Out;
                if stream == Stream::Out && too_early {
                    member.record.broken = true;
                    member.record.trouble("ended before it was asked to".into());
                }
            }
        }
        true
    }

    pub(crate) fn keep_transcripts(&self, dir: &Path) -> Result<(), DrillError> {
        for member in &self.members {
            let path = dir.join(format!("{}.log", member.language));
            let text = member.record.transcript.join("\n") + "\n";
            std::fs::write(&path, text).map_err(|source| DrillError::Write { path, source })?;
        }
        Ok(())
    }
}

fn started(
    language: &str,
    command: Command,
    number_and_life: (usize, usize),
    mouth: &Sender<Heard>,
) -> Result<Application, DrillError> {
    Application::start(command, number_and_life, mouth).map_err(|source| DrillError::Start {
        language: language.to_owned(),
        source,
    })
}
