//! Unbound, the resolver of the CA: it caches as that of Let's Encrypt does.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::dns;
use crate::error::{Context, Result};
use crate::port::{self, ResolverAddress};
use crate::process::{self, Server};

/// A zone that it knows by its own configuration, which answers at once.
const BUILT_IN_ZONE: &str = "localhost";
/// Connections at once. Pebble asks three times for each challenge, and again over TCP if there are many values.
const CONNECTIONS: u32 = 1_000;

/// A running Unbound.
#[derive(Debug)]
pub(crate) struct Unbound {
    server: Server,
    address: ResolverAddress,
    folder: PathBuf,
}

/// A zone, and the servers to ask about it and what lies below.
pub(crate) struct StubZone<'a> {
    /// Its name, without the final dot: the root has an empty one.
    pub(crate) apex: &'a str,
    pub(crate) servers: Vec<SocketAddr>,
}

impl Unbound {
    /// Starts it. It asks the servers of the stub zones, and no others.
    pub(crate) fn start(root: &Path, zones: &[StubZone<'_>]) -> Result<Unbound> {
        let folder = root.join("resolver");
        fs::create_dir(&folder).context(folder.display())?;
        let address = ResolverAddress::claim()?;
        let config = config(&folder, address.address(), zones)?;
        fs::write(folder.join("unbound.conf"), config)?;
        // Three tries of three seconds, in place of two of five.
        let resolv_conf = format!(
            "nameserver {}\nsearch .\noptions timeout:3 attempts:3\n",
            address.address().ip()
        );
        fs::write(folder.join("resolv.conf"), resolv_conf)?;
        let mut command = process::command(process::unconfined(root, "unbound")?)?;
        command.args(["-d", "-c", "unbound.conf"]);
        Ok(Unbound {
            server: Server::start("unbound", command, &folder)?,
            address,
            folder,
        })
    }

    pub(crate) fn wait_until_ready(&mut self) -> Result {
        let address = self.address();
        self.server
            .wait_until(|| matches!(dns::serial(address, BUILT_IN_ZONE), Ok(Some(_))))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.address()
    }

    /// A file that names it, for use in place of `/etc/resolv.conf`.
    pub(crate) fn resolv_conf(&self) -> PathBuf {
        self.folder.join("resolv.conf")
    }
}

/// The configuration. What is not here is as Unbound has it by default. It does not validate: the zones of
/// the bed are not signed. The buffer holds the questions about some hundred challenges that come at once;
/// without it, Pebble would wait five seconds before it repeats what was lost.
fn config(folder: &Path, address: SocketAddr, zones: &[StubZone<'_>]) -> Result<String> {
    let (folder, ip, port) = (folder.display(), address.ip(), address.port());
    // It chooses among all ports otherwise, also those on which servers of beds are about to listen.
    let avoided = format!("{}-{}", port::RANGE.start, port::RANGE.end);
    let mut config = format!(
        "server:
    interface: {ip}
    port: {port}
    outgoing-port-avoid: {avoided}
    do-ip6: no
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    username: \"\"
    chroot: \"\"
    directory: \"{folder}\"
    pidfile: \"\"
    use-syslog: no
    log-servfail: yes
    module-config: \"iterator\"
    cache-min-ttl: 0
    cache-max-ttl: 60
    cache-max-negative-ttl: 60
    so-rcvbuf: 4m
    incoming-num-tcp: {CONNECTIONS}
    outgoing-num-tcp: {CONNECTIONS}
remote-control:
    control-enable: no
"
    );
    for StubZone { apex, servers } in zones {
        writeln!(config, "stub-zone:\n    name: \"{apex}.\"")?;
        for server in servers {
            writeln!(config, "    stub-addr: {}@{}", server.ip(), server.port())?;
        }
    }
    Ok(config)
}
