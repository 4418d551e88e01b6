//! An HTTP/2 server that holds its client to SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113, 5.1.2), and as
//! some do to its first limit from the beginning: a stream above it ends the connection.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::script::{HTTPS, certified};
use d365_failover_core::Settings;

const PREFACE: usize = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const PROTOCOL_ERROR: u32 = 1;
const HTTP_1_1_REQUIRED: u32 = 13;

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    /// Connections that the client has ended.
    pub(crate) closed: usize,
    /// Requests that came whole, and were so executed.
    pub(crate) executed: usize,
    /// Streams above the limit.
    pub(crate) excesses: usize,
    /// Limits that were acknowledged, the first ones of connections left out.
    pub(crate) acknowledged: usize,
}

pub(crate) struct Strict {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    limit: watch::Sender<u32>,
    latency: Arc<Mutex<Duration>>,
    covered: watch::Sender<Option<usize>>,
}

impl Strict {
    /// Begins with a limit; answers what came whole after so long.
    pub(crate) fn start(limit: u32, latency: Duration) -> Strict {
        let (limit, limits) = watch::channel(limit);
        let (covered, turned_down) = watch::channel(None);
        let seen = Arc::<Mutex<Seen>>::default();
        let latency = Arc::new(Mutex::new(latency));
        let (noted, wait) = (Arc::clone(&seen), Arc::clone(&latency));
        let (told, port) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap().port()).unwrap();
                let acceptor = certified(&[b"h2"]);
                loop {
                    let (tcp, _) = listener.accept().await.unwrap();
                    let (acceptor, limits) = (acceptor.clone(), limits.clone());
                    let turned_down = turned_down.clone();
                    let (seen, wait) = (Arc::clone(&noted), Arc::clone(&wait));
                    tokio::spawn(async move {
                        // However it ends, the client is told by it.
                        let _ = serve(tcp, acceptor, limits, turned_down, &wait, &seen).await;
                    });
                }
            });
        });
        let port = port.recv().unwrap();
        Strict {
            port,
            seen,
            limit,
            latency,
            covered,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let port = self.port;
        let mut settings = Settings::new(HTTPS).unwrap();
        let hosts = ["contoso", "contoso--s"];
        let rules = hosts.map(|host| format!("{host}.crm.script.test:443:127.0.0.1:{port}"));
        for (key, value) in [
            ("connect_to", rules.join(",").as_str()),
            ("tls_verify", "off"),
            ("auto_switch", "off"),
            // Which sends no probes.
            ("preset", "dotnet"),
        ] {
            settings.set(key, value).unwrap();
        }
        settings
    }

    /// Tells all connections another limit.
    pub(crate) fn limit(&self, limit: u32) {
        self.limit.send_replace(limit);
    }

    /// Answers what comes from now on after so long.
    pub(crate) fn latency(&self, latency: Duration) {
        *self.latency.lock().unwrap() = latency;
    }

    /// Ends all connections: HTTP/1.1 is wanted. So many streams of each are named as begun.
    pub(crate) fn turn_down(&self, covered: usize) {
        self.covered.send_replace(Some(covered));
    }

    /// Waits until it has seen what is wanted.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&Seen) -> bool) {
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while !wanted(&self.seen()) {
            assert!(std::time::Instant::now() < end, "{:?}", self.seen());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    tcp: TcpStream,
    acceptor: TlsAcceptor,
    mut limits: watch::Receiver<u32>,
    mut turned_down: watch::Receiver<Option<usize>>,
    latency: &Mutex<Duration>,
    seen: &Mutex<Seen>,
) -> io::Result<()> {
    let mut stream = acceptor.accept(tcp).await?;
    seen.lock().unwrap().connections += 1;
    stream.read_exact(&mut [0; PREFACE]).await?;
    let limit = *limits.borrow_and_update();
    let mut told = VecDeque::from([limit]);
    let mut acknowledged = limit;
    let mut acknowledgements = 0;
    let mut settings = setting(MAX_CONCURRENT_STREAMS, limit);
    settings.extend(setting(INITIAL_WINDOW_SIZE, 1 << 20));
    send(&mut stream, SETTINGS, 0, 0, &settings).await?;
    send(&mut stream, WINDOW_UPDATE, 0, 0, &u32::to_be_bytes(1 << 30)).await?;
    let mut open = BTreeSet::new();
    let mut due: VecDeque<(Instant, u32)> = VecDeque::new();
    let mut buffer = Vec::new();
    loop {
        while let Some((kind, flags, id, payload)) = frame(&mut buffer) {
            match kind {
                SETTINGS if flags & ACK != 0 => {
                    acknowledged = told.pop_front().unwrap_or(acknowledged);
                    acknowledgements += 1;
                    seen.lock().unwrap().acknowledged += usize::from(acknowledgements > 1);
                }
                SETTINGS => send(&mut stream, SETTINGS, ACK, 0, &[]).await?,
                PING if flags & ACK == 0 => send(&mut stream, PING, ACK, 0, &payload).await?,
                HEADERS => {
                    open.insert(id);
                    // A stream that was begun before the first word came is no fault.
                    let most = acknowledged.max(u32::from(acknowledgements == 0));
                    if open.len() > most as usize {
                        seen.lock().unwrap().excesses += 1;
                        let mut goaway = id.to_be_bytes().to_vec();
                        goaway.extend(PROTOCOL_ERROR.to_be_bytes());
                        send(&mut stream, GOAWAY, 0, 0, &goaway).await?;
                        return stream.shutdown().await;
                    }
                }
                RST_STREAM => {
                    open.remove(&id);
                    due.retain(|(_, due)| *due != id);
                }
                _ => {}
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                seen.lock().unwrap().executed += 1;
                due.push_back((Instant::now() + *latency.lock().unwrap(), id));
            }
        }
        let next = due.front().copied();
        tokio::select! {
            read = stream.read_buf(&mut buffer) => match read {
                Ok(1..) => {}
                ended => {
                    seen.lock().unwrap().closed += 1;
                    return ended.map(drop);
                }
            },
            () = sleep_until(next.map_or_else(Instant::now, |(at, _)| at)), if next.is_some() => {
                due.pop_front();
                let id = next.map_or(0, |(_, id)| id);
                open.remove(&id);
                let head = head();
                send(&mut stream, HEADERS, END_STREAM | END_HEADERS, id, &head).await?;
            }
            changed = turned_down.changed() => {
                changed.map_err(io::Error::other)?;
                let covered = turned_down.borrow_and_update().unwrap_or_default() as u32;
                let goaway = [(2 * covered - 1).to_be_bytes(), HTTP_1_1_REQUIRED.to_be_bytes()];
                send(&mut stream, GOAWAY, 0, 0, &goaway.concat()).await?;
                return stream.shutdown().await;
            }
            changed = limits.changed() => {
                changed.map_err(io::Error::other)?;
                let limit = *limits.borrow_and_update();
                told.push_back(limit);
                send(&mut stream, SETTINGS, 0, 0, &setting(MAX_CONCURRENT_STREAMS, limit)).await?;
            }
        }
    }
}

/// 204 with the mark of the Web API, without HPACK's table but for the status.
fn head() -> Vec<u8> {
    let mut head = vec![0x89, 0];
    for text in ["odata-version", "4.0"] {
        head.push(text.len() as u8);
        head.extend(text.as_bytes());
    }
    head
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// The next whole frame: its kind, flags, stream and payload.
fn frame(buffer: &mut Vec<u8>) -> Option<(u8, u8, u32, Vec<u8>)> {
    let head = buffer.first_chunk::<9>()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let (kind, flags) = (head[3], head[4]);
    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let payload = buffer.get(9..9 + length)?.to_vec();
    buffer.drain(..9 + length);
    Some((kind, flags, id, payload))
}

async fn send(
    stream: &mut TlsStream<TcpStream>,
    kind: u8,
    flags: u8,
    id: u32,
    payload: &[u8],
) -> io::Result<()> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    stream.write_all(&bytes).await
}
