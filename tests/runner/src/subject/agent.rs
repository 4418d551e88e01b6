//! An agent process, spoken to over its standard input and output.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Broken, Subject};
use crate::protocol::{Answer, Request};

/// Far longer than any call of a scenario may take: an agent that is silent for so long hangs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A running agent. Dropped, it is killed if it has not been finished.
#[derive(Debug)]
pub struct Agent {
    command: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Agent {
    /// Starts the command, as a shell reads it, and greets it.
    pub fn start(command: &str) -> Result<Agent, Broken> {
        Agent::start_with(command, &BTreeMap::new())
    }

    fn start_with(command: &str, environment: &BTreeMap<String, String>) -> Result<Agent, Broken> {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {command}"))
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Broken(format!("`{command}`: {error}")))?;
        let input = child.stdin.take();
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let mut agent = Agent {
            command: command.to_owned(),
            child,
            input,
            lines,
        };
        agent.ask(&Request::Hello)?;
        Ok(agent)
    }

    fn line(&mut self, timeout: Duration) -> Result<Option<String>, Broken> {
        match self.lines.recv_timeout(timeout) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                Err(Broken(format!("silent for {} s", timeout.as_secs())))
            }
        }
    }

    /// The status of an agent that has closed its output, and so is about to end.
    fn exit_status(&mut self) -> Result<ExitStatus, Broken> {
        let end = Instant::now() + EXIT_TIMEOUT;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
                Ok(None) => return Err(Broken("closed its output and goes on".into())),
                Err(error) => return Err(Broken(error.to_string())),
            }
        }
    }
}

impl Subject for Agent {
    fn ask(&mut self, request: &Request) -> Result<Answer, Broken> {
        let request = serde_json::to_string(request).map_err(|error| Broken(error.to_string()))?;
        let input = self
            .input
            .as_mut()
            .ok_or_else(|| Broken("finished".into()))?;
        // An agent that does not read has ended, and its status says more than the pipe's error.
        let line = match writeln!(input, "{request}").and_then(|()| input.flush()) {
            Ok(()) => self.line(ANSWER_TIMEOUT)?,
            Err(_) => None,
        };
        let Some(line) = line else {
            let status = self.exit_status()?;
            return Err(Broken(format!(
                "ended ({status}) instead of answering {request}"
            )));
        };
        serde_json::from_str(&line)
            .map_err(|error| Broken(format!("answered {request} with {line}: {error}")))
    }

    fn restart(&mut self, environment: &BTreeMap<String, String>) -> Result<(), Broken> {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        ended.map_err(|error| Broken(error.to_string()))?;
        *self = Agent::start_with(&self.command, environment)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Broken> {
        self.input = None;
        if let Some(line) = self.line(EXIT_TIMEOUT)? {
            return Err(Broken(format!("said {line} though nothing was asked")));
        }
        let status = self.exit_status()?;
        if status.success() {
            Ok(())
        } else {
            Err(Broken(format!("ended with {status}")))
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
