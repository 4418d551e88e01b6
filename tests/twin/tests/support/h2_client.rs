//! A client that sees HTTP/2's frames.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use d365_twin::{SideHandle, Twin};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{Method, Request};
use rustls::pki_types::ServerName;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::support::{ACCOUNTS, LONG, client_config};

const ROW: &str = r#"{"name": "a"}"#;

/// An HTTP/2 connection, driven by threads of its own.
pub(crate) struct H2 {
    pub(crate) runtime: Runtime,
    pub(crate) host: String,
    pub(crate) send: SendRequest<Bytes>,
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl H2 {
    pub(crate) fn connect(twin: &Twin, side: &SideHandle) -> H2 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut config = client_config(twin);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, side.port()));
        let name = ServerName::try_from(side.host()).unwrap();
        let (send, connection) = runtime.block_on(async {
            let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
            let stream = connector.connect(name, tcp).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let (send, connection) = h2::client::handshake(stream).await.unwrap();
            (send, tokio::spawn(connection))
        });
        H2 {
            runtime,
            host: side.host(),
            send,
            connection,
        }
    }

    pub(crate) fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { tokio::time::timeout(LONG, what).await })
            .expect("in time")
    }

    /// A request to the host of the connection.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request<()> {
        let uri = format!("https://{}{path}", self.host);
        Request::builder().method(method).uri(uri).body(()).unwrap()
    }

    /// Sends a head.
    pub(crate) fn begin(
        &self,
        request: Request<()>,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let ready = self.send.clone().ready();
        let mut ready = self.wait(ready).expect("the connection lives");
        ready.send_request(request, ends).unwrap()
    }

    /// Sends a request, and waits for nothing.
    pub(crate) fn send(&self, method: Method, path: &str, body: &'static str) -> ResponseFuture {
        let request = self.request(method, path);
        let (response, mut stream) = self.begin(request, body.is_empty());
        if !body.is_empty() {
            // A fault may have ended the connection at the head.
            let _ = stream.send_data(Bytes::from_static(body.as_bytes()), true);
        }
        response
    }

    pub(crate) fn post(&self) -> ResponseFuture {
        self.send(Method::POST, ACCOUNTS, ROW)
    }

    /// The whole answer, or what ended it.
    pub(crate) fn answer(&self, response: ResponseFuture) -> Result<Answer, h2::Error> {
        self.wait(async {
            let response = response.await?;
            let status = response.status().as_u16();
            let mut body = response.into_body();
            let mut read = Vec::new();
            while let Some(data) = body.data().await {
                read.extend(take(&mut body, data?));
            }
            let body = String::from_utf8(read).unwrap();
            Ok(Answer { status, body })
        })
    }

    /// How the connection ended.
    pub(crate) fn end(self) -> Result<(), h2::Error> {
        let H2 {
            runtime,
            send,
            connection,
            ..
        } = self;
        drop(send);
        runtime
            .block_on(async { tokio::time::timeout(LONG, connection).await })
            .expect("in time")
            .unwrap()
    }
}

pub(crate) fn take(body: &mut RecvStream, data: Bytes) -> Bytes {
    body.flow_control().release_capacity(data.len()).unwrap();
    data
}
