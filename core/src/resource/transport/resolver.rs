//! From names to addresses, by the system's resolver.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Socket, Type};

use crate::resource::engine::Engine;
use crate::resource::settled::{Awaited, pair, settled};
use crate::{Cause, Fault, Resolve};

type Found = Result<Arc<[IpAddr]>, Fault>;

/// Asks for each name once at a time: a resolver that hangs costs one thread a name, however
/// many calls wait for it. Nothing is kept: the system's resolver has a cache, or has none for a
/// reason.
pub(super) struct Resolver {
    /// Who is asked instead of the system.
    own: Option<Arc<dyn Resolve>>,
    asked: Arc<Mutex<HashMap<String, Awaited<Found>>>>,
}

impl Resolver {
    pub(super) fn new(own: Option<Arc<dyn Resolve>>) -> Resolver {
        Resolver {
            own,
            asked: Arc::default(),
        }
    }

    /// The addresses of a host; an address in text is its own.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found = settled(self.ask(host)?).await.unwrap_or_else(|| {
            Err(Fault::new(
                Cause::LocalFailure,
                format!("resolve {host}: the resolver's thread has ended"),
            ))
        })?;
        Ok(found
            .iter()
            .map(|address| SocketAddr::new(*address, port))
            .collect())
    }

    fn ask(&self, host: &str) -> Result<Awaited<Found>, Fault> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(awaited) = asked.get(host) {
            return Ok(awaited.clone());
        }
        let (maker, awaited) = pair();
        asked.insert(host.to_owned(), awaited.clone());
        // Without a thread the question is dropped at once, and takes itself off.
        drop(asked);
        let question = Question {
            asked: Arc::clone(&self.asked),
            host: host.to_owned(),
        };
        let own = self.own.clone();
        let answer = move || {
            let found = match &own {
                Some(own) => own
                    .resolve(&question.host)
                    .map(Arc::from)
                    .map_err(|error| super::failure::of_resolver(&question.host, &error)),
                None => look_up(&question.host),
            };
            // Before the answer is there: who has had it and asks again is to get another one.
            drop(question);
            maker.send_replace(Some(found));
        };
        Engine::spawn_blocking(answer).map_err(|error| {
            Fault::new(
                Cause::NoResources,
                format!("resolve {host}: no thread for it: {error}"),
            )
        })?;
        Ok(awaited)
    }
}

/// A name that is being looked up. Answered or not, it makes place for the next question.
struct Question {
    asked: Arc<Mutex<HashMap<String, Awaited<Found>>>>,
    host: String,
}

impl Drop for Question {
    fn drop(&mut self) {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.host);
    }
}

fn look_up(host: &str) -> Found {
    /// SOCK_STREAM: without it every address comes once for each kind of socket.
    const STREAM: i32 = 1;
    let hints = dns_lookup::AddrInfoHints {
        socktype: STREAM,
        ..Default::default()
    };
    let found = dns_lookup::getaddrinfo(Some(host), None, Some(hints)).map_err(|error| {
        // glibc says "no such name" also where it had no descriptor to ask with.
        if let Err(error) = Socket::new(Domain::IPV4, Type::DGRAM, None) {
            return Fault::new(Cause::NoResources, format!("resolve {host}: {error}"));
        }
        let kind = error.kind();
        super::failure::of_lookup(host, kind, &io::Error::from(error))
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for entry in found.flatten() {
        let address = entry.sockaddr.ip();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses.into())
}
