//! How a connection is entered: plain, through TLS, or through a handshake that fails.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::fault_kind::Broken;
use crate::socket::{ResetOnDrop, Socket, Wire};

/// The way into a connection.
pub(crate) enum Entry {
    Plain,
    Tls(TlsAcceptor),
    Broken(Broken),
}

/// A fatal `handshake_failure` (RFC 8446, 6.2) in a record of its own; before the ServerHello
/// alerts are not encrypted.
const HANDSHAKE_FAILURE: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28];

impl Entry {
    /// The connection as HTTP sees it; none where it has ended.
    pub(crate) async fn shake_hands(self, socket: Socket, reset: &ResetOnDrop) -> Option<Wire> {
        match self {
            Entry::Plain => Some(Wire::Plain(socket)),
            Entry::Tls(tls) => {
                let stream = tls.accept(socket).await.ok()?;
                Some(Wire::Tls(Box::new(stream)))
            }
            Entry::Broken(how) => {
                // A client that leaves in between has ended the connection by itself.
                let _ = refuse(how, socket, reset).await;
                None
            }
        }
    }
}

/// Reads the ClientHello first: a close with unread bytes would be a reset.
async fn refuse(how: Broken, mut socket: Socket, reset: &ResetOnDrop) -> std::io::Result<()> {
    let mut header = [0; 5];
    socket.read_exact(&mut header).await?;
    let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    socket.read_exact(&mut hello).await?;
    match how {
        Broken::Alert => {
            socket.write_all(&HANDSHAKE_FAILURE).await?;
            socket.shutdown().await?;
        }
        Broken::Eof => socket.shutdown().await?,
        Broken::Reset => reset.arm(),
    }
    Ok(())
}
