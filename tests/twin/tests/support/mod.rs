//! Clients of the twin: an ordinary one, and one that sees the bare socket.

// Each test binary uses a part of it.
#![allow(dead_code)]

pub(crate) mod h2_client;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use d365_twin::{OrgHandle, OrganizationConfig, SideHandle, Twin, TwinConfig};
use reqwest::blocking::Client;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Long beyond any real wait: only a hang reaches it.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn twin(config: OrganizationConfig) -> (Twin, OrgHandle) {
    let name = config.name.clone();
    let twin = Twin::start(TwinConfig::new([config])).expect("the twin starts");
    let org = twin.org(&name).expect("the organization is there");
    (twin, org)
}

pub(crate) fn contoso() -> (Twin, OrgHandle) {
    twin(OrganizationConfig::new("contoso"))
}

/// An HTTP client that trusts the twin and finds its hosts on this machine.
pub(crate) fn client(twin: &Twin) -> Client {
    // The first of the process's tests installs it; the others find it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(twin.ca_file()).expect("ca.pem is written");
    let ca = reqwest::Certificate::from_pem(&pem).expect("ca.pem is a certificate");
    let mut builder = Client::builder()
        .tls_certs_only([ca])
        .timeout(LONG)
        .no_proxy();
    for (name, _) in twin.connect_to() {
        let (host, _) = name.rsplit_once(':').expect("host:port");
        builder = builder.resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    }
    builder.build().expect("client")
}

/// A side's URL with the port that it really has.
pub(crate) fn url(side: &SideHandle, path: &str) -> String {
    format!("{}:{}{path}", side.url(), side.port())
}

pub(crate) const WHO_AM_I: &str = "/api/data/v9.2/WhoAmI";
pub(crate) const ACCOUNTS: &str = "/api/data/v9.2/accounts";
pub(crate) const SOAP: &str = "/XRMServices/2011/Organization.svc/web";
pub(crate) const WSDL: &str = "/XRMServices/2011/Organization.svc?wsdl";

/// TLS settings that trust the twin.
pub(crate) fn client_config(twin: &Twin) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(twin.ca_file()).expect("ca.pem") {
        roots.add(certificate.expect("PEM")).expect("a CA");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A blocking TLS connection whose errors are those of the socket.
pub(crate) struct Raw(StreamOwned<ClientConnection, TcpStream>);

impl Raw {
    pub(crate) fn tcp(side: &SideHandle) -> io::Result<TcpStream> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, side.port()));
        let tcp = TcpStream::connect_timeout(&address, LONG)?;
        tcp.set_read_timeout(Some(LONG))?;
        Ok(tcp)
    }

    /// Connects and shakes hands.
    pub(crate) fn connect(twin: &Twin, side: &SideHandle) -> io::Result<Raw> {
        Raw::handshake(twin, side, Raw::tcp(side)?)
    }

    /// Shakes hands on a connected socket.
    pub(crate) fn handshake(twin: &Twin, side: &SideHandle, tcp: TcpStream) -> io::Result<Raw> {
        Raw::shake_hands(client_config(twin), side, tcp)
    }

    /// The same with settings of one's own.
    pub(crate) fn shake_hands(
        config: ClientConfig,
        side: &SideHandle,
        tcp: TcpStream,
    ) -> io::Result<Raw> {
        let name = ServerName::try_from(side.host()).expect("a host");
        let session = ClientConnection::new(Arc::new(config), name).expect("a session");
        let mut stream = StreamOwned::new(session, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Raw(stream))
    }

    /// Sends a request whole.
    pub(crate) fn send(&mut self, side: &SideHandle, method: &str, path: &str, body: &str) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            side.host(),
            body.len()
        );
        self.0
            .write_all(head.as_bytes())
            .expect("the request leaves");
        self.0.flush().expect("the request leaves");
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).expect("bytes leave");
        self.0.flush().expect("bytes leave");
    }

    /// The same where the other end may be gone.
    pub(crate) fn try_send(&mut self, bytes: &str) -> io::Result<()> {
        self.0.write_all(bytes.as_bytes())?;
        self.0.flush()
    }

    /// Reads that many bytes.
    pub(crate) fn read_bytes(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("bytes");
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// The head of an answer, with the empty line.
    pub(crate) fn read_head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head += &self.read_bytes(1);
        }
        head
    }

    /// Everything until the end, and how it ended.
    pub(crate) fn read_to_end(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut bytes = Vec::new();
        let end = self.0.read_to_end(&mut bytes).map(drop);
        (bytes, end)
    }

    /// Reads so many bytes, of any kind.
    pub(crate) fn read_raw(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("bytes");
        bytes
    }

    /// One answer: head and body.
    pub(crate) fn read_answer(&mut self) -> String {
        let head = self.read_head();
        let body = self.read_bytes(content_length(&head));
        head + &body
    }

    /// Whether the connection is open and nothing has come.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.0.sock.set_nonblocking(true).expect("a socket");
        let read = self.0.read(&mut [0]).map(drop);
        self.0.sock.set_nonblocking(false).expect("a socket");
        kind(&read) == Some(io::ErrorKind::WouldBlock)
    }
}

/// The length that a head claims for its body; 0 where it claims none.
pub(crate) fn content_length(head: &str) -> usize {
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.parse().expect("a length"))
}

/// What ended a connection.
pub(crate) fn kind(end: &io::Result<()>) -> Option<io::ErrorKind> {
    end.as_ref().err().map(io::Error::kind)
}
