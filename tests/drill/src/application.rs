//! An application: a process that is listened to.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Something that an application did.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Its number in the drill.
    pub(crate) application: usize,
    /// How often it had been started before.
    pub(crate) life: usize,
    pub(crate) at: Instant,
    pub(crate) stream: Stream,
    /// A line; none at the stream's end.
    pub(crate) line: Option<String>,
}

/// A running application. Dropped, it is killed if it has not ended.
#[derive(Debug)]
pub(crate) struct Application {
    child: Child,
    input: Option<ChildStdin>,
}

impl Application {
    /// Starts it; what it says goes to `ear` under this number.
    pub(crate) fn start(
        mut command: Command,
        (number, life): (usize, usize),
        ear: &Sender<Heard>,
    ) -> io::Result<Application> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(out) = child.stdout.take() {
            listen(out, (number, life), Stream::Out, ear.clone());
        }
        if let Some(err) = child.stderr.take() {
            listen(err, (number, life), Stream::Err, ear.clone());
        }
        let input = child.stdin.take();
        Ok(Application { child, input })
    }

    /// Asks it to end.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Ends it where it is, by SIGKILL.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Waits for its end; whether it ended well, or what was wrong.
    pub(crate) fn join(&mut self, deadline: Instant) -> Result<(), String> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("ended with {status}")),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Ok(None) => return Err("had to be killed: it did not end when asked to".into()),
                Err(error) => return Err(format!("cannot be waited for: {error}")),
            }
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(
    from: impl Read + Send + 'static,
    (application, life): (usize, usize),
    stream: Stream,
    to: Sender<Heard>,
) {
    thread::spawn(move || {
        let tell = |line| {
            let heard = Heard {
                application,
                life,
                at: Instant::now(),
                stream,
                line,
            };
            to.send(heard).is_ok()
        };
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if !tell(Some(String::from_utf8_lossy(&line).trim_end().to_owned())) {
                return;
            }
        }
        tell(None);
    });
}
