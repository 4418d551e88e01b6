//! What this machine runs out of, as long as a guard lives.

use std::net::{Ipv4Addr, TcpStream, UdpSocket};

use rustix::param::page_size;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The process may have no further descriptor. Those that it has go on to work.
pub(crate) struct NoDescriptors(Rlimit);

impl NoDescriptors {
    pub(crate) fn new() -> NoDescriptors {
        let before = getrlimit(Resource::Nofile);
        let lowered = Rlimit {
            // Standard input, output and error. What else is closed meanwhile, by whichever
            // thread, makes no room.
            current: Some(3),
            ..before
        };
        setrlimit(Resource::Nofile, lowered).unwrap();
        NoDescriptors(before)
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}

/// The process has no room for the stack of a further thread, and enough for all else.
pub(crate) struct NoThreads(Rlimit);

impl NoThreads {
    /// Before any thread has ended: the stacks of those are used again.
    pub(crate) fn new() -> NoThreads {
        let before = getrlimit(Resource::As);
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
        let lowered = Rlimit {
            current: Some(pages * page_size() as u64 + (1 << 20)),
            ..before
        };
        setrlimit(Resource::As, lowered).unwrap();
        NoThreads(before)
    }
}

impl Drop for NoThreads {
    fn drop(&mut self) {
        setrlimit(Resource::As, self.0).unwrap();
    }
}

const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// The one port that is left, outside of the usual range.
const PORT: u16 = 61_001;

/// The machine has no port of its own left to send from. (It has one, and that is in use.)
pub(crate) struct NoPorts<T> {
    _taken: T,
    before: String,
}

impl<T> NoPorts<T> {
    fn new(take: impl FnOnce() -> std::io::Result<T>) -> NoPorts<T> {
        let before = std::fs::read_to_string(RANGE).unwrap();
        std::fs::write(RANGE, format!("{PORT} {PORT}")).unwrap();
        NoPorts {
            _taken: take().unwrap(),
            before,
        }
    }
}

impl NoPorts<TcpStream> {
    /// For a connection to this port of 127.0.0.1.
    pub(crate) fn to(port: u16) -> NoPorts<TcpStream> {
        NoPorts::new(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)))
    }
}

impl NoPorts<UdpSocket> {
    /// For a question to a name server.
    pub(crate) fn to_ask_from() -> NoPorts<UdpSocket> {
        NoPorts::new(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)))
    }
}

impl<T> Drop for NoPorts<T> {
    fn drop(&mut self) {
        std::fs::write(RANGE, &self.before).unwrap();
    }
}

/// Loopback, which is all the network that there is, is down.
pub(crate) struct NoNetwork(());

impl NoNetwork {
    pub(crate) fn new() -> NoNetwork {
        crate::namespace::run("ip", &["link", "set", "lo", "down"]);
        NoNetwork(())
    }
}

impl Drop for NoNetwork {
    fn drop(&mut self) {
        crate::namespace::run("ip", &["link", "set", "lo", "up"]);
    }
}
