//! A server whose answers a closure gives, for sides that are slow, half dead, or of two minds.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) type Seen = Arc<Mutex<Vec<(String, HashMap<String, String>)>>>;

/// What a served side does with a request.
pub(crate) enum Do {
    Answer(&'static str, &'static str, Duration),
    Close,
}

pub(crate) fn json(status: &'static str, body: &'static str) -> Do {
    Do::Answer(status, body, Duration::ZERO)
}

/// One endpoint, and what it has been asked.
pub(crate) struct Side {
    pub(crate) port: u16,
    pub(crate) seen: Seen,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Side {
    /// How many requests came whose line holds this.
    pub(crate) fn count(&self, part: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(line, _)| line.contains(part)).count()
    }
}

/// Starts a side. `answer` is told a request's line, and how often it has come.
pub(crate) fn serve(answer: impl Fn(&str, usize) -> Do + Send + Sync + 'static) -> Side {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (answer, seen, connections) = (
        Arc::new(answer),
        Seen::default(),
        Arc::new(AtomicUsize::new(0)),
    );
    let (log, count) = (Arc::clone(&seen), Arc::clone(&connections));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let (answer, log, count) = (Arc::clone(&answer), Arc::clone(&log), Arc::clone(&count));
            std::thread::spawn(move || {
                play(stream, &*answer, &log);
                count.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    Side {
        port,
        seen,
        connections,
    }
}

fn play(stream: TcpStream, answer: &dyn Fn(&str, usize) -> Do, log: &Seen) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers
            .get("content-length")
            .map_or(0, |text| text.parse().unwrap());
        if reader.read_exact(&mut vec![0; length]).is_err() {
            return;
        }
        let line = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        let number = {
            let mut log = log.lock().unwrap();
            log.push((line.clone(), headers));
            log.iter().filter(|(other, _)| *other == line).count()
        };
        match answer(&line, number) {
            Do::Close => return,
            Do::Answer(status, body, after) => {
                std::thread::sleep(after);
                let text = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nOData-Version: 4.0\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                if reader.get_mut().write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }
}
