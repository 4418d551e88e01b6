//! A network, a mount table and a root user that belong to this process alone.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Tells the process that it is the one inside: it names the namespaces outside.
const OUTSIDE: &str = "D365_NETNS_OUTSIDE";
const KINDS: [&str; 3] = ["net", "mnt", "user"];

/// New namespaces of users, with the caller as root, of networks, and of mounts.
const UNSHARE: [&str; 3] = ["--map-root-user", "--net", "--mount"];

/// One of everything that the cases need.
const PROBE: &str = "
    ip link set lo up
    ip route add unreachable 10.0.0.0/8
    nft add table inet probe
    nft 'add chain inet probe input { type filter hook input priority 0; }'
    nft add rule inet probe input tcp dport 1 counter reject with icmpx type host-unreachable
    for file in resolv.conf nsswitch.conf hosts; do mount --bind /etc/$file /etc/$file; done
    cat /proc/sys/net/ipv4/ip_local_port_range > /proc/sys/net/ipv4/ip_local_port_range
";

/// What the system's resolver reads. Two seconds of silence from the name server, and it gives up;
/// the search list is empty, so that a name is asked for once.
const FILES: [(&str, &str); 3] = [
    (
        "resolv.conf",
        "nameserver 127.0.0.1\nsearch .\noptions timeout:2 attempts:1\n",
    ),
    ("nsswitch.conf", "hosts: files dns\n"),
    ("hosts", "127.0.0.1 localhost\n"),
];

/// No route leads there: "network is unreachable".
pub(crate) const NO_ROUTE: &str = "203.0.113.1";
/// The same over IPv6.
pub(crate) const NO_ROUTE_V6: &str = "2001:db8::1";
/// The routing table says so: "no route to host".
pub(crate) const UNREACHABLE: &str = "10.66.1.1";
/// The routing table of this machine forbids it: "permission denied".
pub(crate) const PROHIBITED: &str = "10.66.2.1";

/// Whether this process has left the namespaces that it names as those outside. Nothing less will
/// do: what is done inside would otherwise be done to the machine.
pub(crate) fn is_inside() -> bool {
    let Ok(outside) = std::env::var(OUTSIDE) else {
        return false;
    };
    let outside: Vec<&str> = outside.split(' ').collect();
    outside.len() == KINDS.len()
        && KINDS.iter().zip(outside).all(|(kind, outside)| {
            outside.starts_with(&format!("{kind}:[")) && outside != namespace(kind)
        })
}

fn namespace(kind: &str) -> String {
    let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
    link.to_str().unwrap().to_owned()
}

/// Becomes this program inside of new namespaces. Comes back only where that is not possible, and
/// tells why.
pub(crate) fn enter() -> String {
    match probe().and_then(become_inside) {
        Ok(never) => match never {},
        Err(why) => format!(
            "no namespaces of users, networks and mounts with unshare and mount (Debian: \
             util-linux, mount), ip (iproute2) and nft (nftables): {why}"
        ),
    }
}

fn probe() -> Result<(), String> {
    let output = unshare()
        .args(["sh", "-ec", PROBE])
        .output()
        .map_err(|error| format!("unshare: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.trim().replace('\n', "; "))
}

fn become_inside((): ()) -> Result<std::convert::Infallible, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let error = unshare()
        .arg(this)
        .args(std::env::args_os().skip(1))
        .env(OUTSIDE, KINDS.map(namespace).join(" "))
        .env_remove("LOCALDOMAIN")
        .env_remove("RES_OPTIONS")
        .env_remove("RUST_MIN_STACK")
        .exec();
    Err(format!("unshare: {error}"))
}

fn unshare() -> Command {
    // Where Debian keeps ip and nft; an ordinary user's path leaves it out.
    let mut path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    path.push(":/usr/sbin:/sbin");
    let mut command = Command::new("unshare");
    command.args(UNSHARE).arg("--").env("PATH", path);
    command
}

/// Puts loopback, routes and the resolver's files in their places. Called once, inside.
pub(crate) fn furnish() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        let place = format!("/etc/{name}");
        run("mount", &["--bind", file.to_str().unwrap(), &place]);
    }
    // A name cache of the machine would answer through its socket, from outside.
    if Path::new("/run/nscd").is_dir() {
        run("mount", &["-t", "tmpfs", "none", "/run/nscd"]);
    }
    run("ip", &["link", "set", "lo", "up"]);
    for (kind, address) in [("unreachable", UNREACHABLE), ("prohibit", PROHIBITED)] {
        run("ip", &["route", "add", kind, address]);
    }
}

/// Runs a command of the system to its end.
pub(crate) fn run(command: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(command).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{command} {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
