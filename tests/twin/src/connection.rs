//! One connection: it is registered with its side, shakes hands, and is served.

use tokio::sync::watch;

use crate::exchange::Door;
use crate::fault::FaultId;
use crate::handshake::Entry;
use crate::socket::{ResetOnDrop, Socket};
use crate::state::{Command, ConnectionState};
use crate::{http1, http2};

/// A connection that was accepted and is registered with its side.
pub(crate) struct Accepted {
    pub(crate) door: Door,
    /// Wrapped from the start, so that a reset that comes before TLS is one as well.
    pub(crate) socket: Socket,
    pub(crate) reset: ResetOnDrop,
    pub(crate) entry: Entry,
    pub(crate) command: watch::Receiver<Command>,
    /// The faults below have judged it when it was accepted.
    pub(crate) judged_below: FaultId,
}

/// Takes the connection off its side when everything of it is dropped.
struct Registered(Door);

impl Drop for Registered {
    fn drop(&mut self) {
        let Door {
            organization,
            role,
            connection,
        } = &self.0;
        organization.update(|state| {
            let side = state.side_mut(*role);
            side.connections.remove(&connection.number);
            side.counts.open_connections -= 1;
        });
    }
}

impl Accepted {
    /// Serves the connection until one side ends it.
    pub(crate) async fn run(self) {
        let _registered = Registered(self.door.clone());
        let reset = self.reset.clone();
        let mut told = self.command.clone();
        let told_to_reset = async {
            // An error means that the side has forgotten the connection, which ends it as well.
            drop(told.wait_for(|command| *command == Command::Reset).await);
            reset.arm();
        };
        tokio::select! {
            biased;
            () = told_to_reset => {}
            () = self.serve() => {}
        }
    }

    async fn serve(self) {
        let Some(wire) = self.entry.shake_hands(self.socket, &self.reset).await else {
            return;
        };
        let (mut door, judged_below) = (self.door, self.judged_below);
        door.connection.client_certificate = wire.has_client_certificate();
        if wire.is_http2() {
            let server = http2::Server {
                door,
                judged_below,
                command: self.command,
                reset: self.reset,
            };
            server.serve(wire).await;
        } else {
            let server = http1::Server::new(door, judged_below, self.command, self.reset);
            server.serve(wire).await;
        }
    }
}

impl Door {
    pub(crate) fn is_idle(&self) -> bool {
        self.organization.read(|state| {
            let connections = &state.side(self.role).connections;
            connections
                .get(&self.connection.number)
                .is_some_and(ConnectionState::is_idle)
        })
    }
}
