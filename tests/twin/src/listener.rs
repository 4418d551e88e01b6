//! A side's listener: open, deaf, or closed, always on the same port.

use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc as sync_mpsc;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::armed::Listening;
use crate::connection::Accepted;
use crate::error::TwinError;
use crate::exchange::Door;
use crate::fault_kind::FaultKind;
use crate::handshake::Entry;
use crate::organization::{Organization, Peer};
use crate::role::Role;
use crate::socket::{self, ResetOnDrop};
use crate::state::{Command, ConnectionState};
use crate::tls::Identities;

const BACKLOG: i32 = 4096;
/// The smallest; Linux still lets one connection in.
const DEAF_BACKLOG: i32 = 0;

type Acknowledge = sync_mpsc::SyncSender<Result<(), TwinError>>;

/// A side's listener.
pub(crate) struct Listener {
    port: u16,
    orders: mpsc::UnboundedSender<Acknowledge>,
    /// Bound and never listening: it keeps the port for this side while the listener is closed,
    /// also against the system's choice of ports for outgoing connections.
    _reservation: Socket,
}

fn bound(address: SocketAddr) -> Result<Socket, TwinError> {
    let open = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    };
    open().map_err(TwinError::io(format!("bind {address}")))
}

fn listening(address: SocketAddr) -> Result<TcpListener, TwinError> {
    let socket = bound(address)?;
    socket
        .listen(BACKLOG)
        .and_then(|()| TcpListener::from_std(socket.into()))
        .map_err(TwinError::io(format!("listen on {address}")))
}

impl Listener {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) fn open(
        runtime: &Handle,
        organization: &Arc<Organization>,
        role: Role,
        tls: Option<Identities>,
    ) -> Result<Listener, TwinError> {
        let _context = runtime.enter();
        let reservation = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = reservation
            .local_addr()
            .map_err(TwinError::io("local address"))?
            .as_socket()
            .ok_or_else(|| TwinError::invalid("the listener got no IP address"))?;
        let (orders, received) = mpsc::unbounded_channel();
        let entrance = Entrance {
            address,
            organization: organization.clone(),
            role,
            tls,
            listener: Some(listening(address)?),
            accepting: true,
        };
        runtime.spawn(entrance.run(received));
        Ok(Listener {
            port: address.port(),
            orders,
            _reservation: reservation,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Makes the listener what the side's faults want, and returns when it is.
    pub(crate) fn reconcile(&self) -> Result<(), TwinError> {
        let (acknowledge, done) = sync_mpsc::sync_channel(1);
        self.orders
            .send(acknowledge)
            .map_err(|_| TwinError::Stopped)?;
        done.recv().map_err(|_| TwinError::Stopped)?
    }
}

/// The accepting end, in its task.
struct Entrance {
    address: SocketAddr,
    organization: Arc<Organization>,
    role: Role,
    tls: Option<Identities>,
    listener: Option<TcpListener>,
    accepting: bool,
}

impl Entrance {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Acknowledge>) {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    // The caller may have given up waiting.
                    Some(acknowledge) => drop(acknowledge.send(self.reconcile())),
                    None => return,
                },
                accepted = accept(self.listener.as_ref()), if self.accepting => match accepted {
                    Ok(tcp) => self.admit(tcp),
                    // Out of descriptors: those in use will be given back.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                },
            }
        }
    }

    fn reconcile(&mut self) -> Result<(), TwinError> {
        let wanted = self.organization.listening(self.role);
        self.accepting = wanted == Listening::Accepting;
        let backlog = match wanted {
            Listening::Closed => {
                if let Some(listener) = self.listener.take() {
                    // Closing is not enough while a child that is just being made holds a copy.
                    let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
                }
                return Ok(());
            }
            Listening::Deaf => DEAF_BACKLOG,
            Listening::Accepting => BACKLOG,
        };
        let listener = match self.listener.take() {
            Some(listener) => listener,
            None => listening(self.address)?,
        };
        // A second listen() changes the backlog of the same queue, so that nothing in it is lost.
        SockRef::from(&*self.listener.insert(listener))
            .listen(backlog)
            .map_err(TwinError::io(format!("listen on {}", self.address)))
    }

    fn admit(&self, tcp: TcpStream) {
        // Fails only where the peer has ended the connection already.
        let _ = tcp.set_nodelay(true);
        let (command, commands) = watch::channel(Command::Serve);
        let (connection, met, judged_below, freeze) = self.organization.update(|state| {
            let judged_below = self.organization.common.faults_so_far();
            let side = state.side_mut(self.role);
            let freeze = side.freeze.clone();
            side.counts.connections += 1;
            let met = side.faults.strike_accept();
            if let Some(met) = &met {
                side.count_fault(met.name());
            }
            if met == Some(FaultKind::ResetBeforeRequest) {
                return (None, met, judged_below, freeze);
            }
            side.counts.open_connections += 1;
            let connection = side.counts.connections;
            side.connections.insert(
                connection,
                ConnectionState {
                    command,
                    requests: 0,
                    has_served: false,
                },
            );
            (Some(connection), met, judged_below, freeze)
        });
        let reset = ResetOnDrop::default();
        let socket = socket::Socket::new(tcp, reset.clone(), freeze);
        let Some(connection) = connection else {
            return reset.arm();
        };
        let door = Door {
            organization: self.organization.clone(),
            role: self.role,
            connection: Peer {
                number: connection,
                client_certificate: false,
            },
        };
        let accepted = Accepted {
            door,
            socket,
            reset,
            entry: self.entry(met.as_ref()),
            command: commands,
            judged_below,
        };
        tokio::spawn(accepted.run());
    }

    fn entry(&self, met: Option<&FaultKind>) -> Entry {
        match (&self.tls, met) {
            (None, _) => Entry::Plain,
            (Some(_), Some(FaultKind::BreakHandshake { how })) => Entry::Broken(*how),
            (Some(tls), Some(FaultKind::Certificate { which })) => {
                Entry::Tls(tls.shown_instead(*which))
            }
            (Some(tls), _) => Entry::Tls(tls.own()),
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(tcp, _)| tcp),
        None => std::future::pending().await,
    }
}
