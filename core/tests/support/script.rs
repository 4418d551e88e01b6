//! A server that answers with scripted bytes, for what no well-meant server does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_rustls::TlsAcceptor;

/// What a scripted server does after a request was read whole.
#[derive(Clone)]
pub(crate) enum Script {
    /// Answers with these bytes and reads on.
    Answer(&'static str),
    /// Answers with these bytes and closes.
    Cut(&'static str),
    /// Takes whatever comes first, and says no more.
    Close,
    /// Answers with these bytes and is silent until the peer closes.
    Stall(&'static str),
}

/// Both endpoints of an organization, each with its script.
pub(crate) struct Pair {
    pub(crate) connect_to: String,
    pub(crate) primary: Arc<AtomicUsize>,
    pub(crate) alternate: Arc<AtomicUsize>,
}

pub(crate) const URL: &str = "http://contoso.crm.script.test";
pub(crate) const HTTPS: &str = "https://contoso.crm.script.test";

/// TLS by a certificate that nobody has issued, for peers that are not verified.
pub(crate) fn certified(protocols: &[&[u8]]) -> TlsAcceptor {
    let key =
        rcgen::generate_simple_self_signed(vec!["contoso.crm.script.test".to_owned()]).unwrap();
    let der = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], der)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

impl Pair {
    /// Starts the two. Their threads end with the test's process.
    pub(crate) fn start(primary: Script, alternate: Script) -> Pair {
        let (first, primary) = serve(primary);
        let (second, alternate) = serve(alternate);
        Pair {
            connect_to: format!(
                "contoso.crm.script.test:80:127.0.0.1:{first},\
                 contoso--s.crm.script.test:80:127.0.0.1:{second}"
            ),
            primary,
            alternate,
        }
    }

    pub(crate) fn requests(&self) -> (usize, usize) {
        (
            self.primary.load(Ordering::SeqCst),
            self.alternate.load(Ordering::SeqCst),
        )
    }
}

fn serve(script: Script) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (script, counted) = (script.clone(), Arc::clone(&counted));
            std::thread::spawn(move || play(stream, &script, &counted));
        }
    });
    (port, count)
}

fn play(stream: TcpStream, script: &Script, count: &AtomicUsize) {
    let mut reader = BufReader::new(stream);
    if matches!(script, Script::Close) {
        // Taken before the closing: what is left unread would turn it into a reset.
        let _ = reader.fill_buf();
        let _ = reader.get_ref().shutdown(Shutdown::Write);
        let _ = std::io::copy(reader.get_mut(), &mut std::io::sink());
        return;
    }
    while read_request(&mut reader).is_some() {
        count.fetch_add(1, Ordering::SeqCst);
        let (bytes, goes_on) = match script {
            Script::Answer(bytes) => (bytes, true),
            Script::Cut(bytes) | Script::Stall(bytes) => (bytes, false),
            Script::Close => return,
        };
        if reader.get_mut().write_all(bytes.as_bytes()).is_err() {
            return;
        }
        if !goes_on {
            if matches!(script, Script::Stall(_)) {
                let _ = reader.read(&mut [0]);
            }
            return;
        }
    }
}

/// Reads one request whole. `None`: the peer has closed.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()
}
