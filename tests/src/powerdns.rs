//! `PowerDNS`, whose rights know neither types nor names; and NSD, which takes no updates at all.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::dns;
use crate::error::{Context, Error, Result};
use crate::names::ALIAS_ZONE;
use crate::port::Port;
use crate::process::{self, Server};
use crate::tsig::{Algorithm, Key};
use crate::zone::Zone;

/// Where Debian puts the tables.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// A running `pdns_server` with [`ALIAS_ZONE`], in which one key may update.
#[derive(Debug)]
pub struct PowerDns {
    // The server comes before the folder, so that it ends before that is removed.
    _server: Server,
    port: Port,
    key: Key,
    _folder: TempDir,
}

impl PowerDns {
    /// Starts it, and returns when it answers.
    pub fn start() -> Result<PowerDns> {
        PowerDns::start_with(None)
    }

    /// The same with a policy of updates, a script in Lua.
    pub fn start_with(policy: Option<&str>) -> Result<PowerDns> {
        let folder = TempDir::with_prefix("acme-alias-pdns-")?;
        let path = folder.path();
        let (port, key) = (Port::claim()?, Key::generate("acme-key", Algorithm::Sha256));
        let mut config = format!(
            "launch=gsqlite3\ngsqlite3-database={database}\nlocal-address=127.0.0.1\n\
             local-port={port}\ndnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\nsocket-dir={path}\n\
             daemon=no\nguardian=no\nwrite-pid=no\ndisable-syslog=yes\nsecurity-poll-suffix=\n",
            database = path.join("pdns.sqlite3").display(),
            port = port.number(),
            path = path.display(),
        );
        if let Some(policy) = policy {
            let script = path.join("policy.lua");
            fs::write(&script, policy)?;
            config += &format!("lua-dnsupdate-policy-script={}\n", script.display());
        }
        fs::write(path.join("pdns.conf"), config)?;
        let zone = path.join("zone");
        fs::write(&zone, Zone::new(ALIAS_ZONE).to_string())?;
        run(
            path,
            "sqlite3",
            &["pdns.sqlite3"],
            &fs::read_to_string(SCHEMA)?,
        )?;
        let util = |arguments: &[&str]| {
            run(
                path,
                "pdnsutil",
                &[&["--config-dir=."], arguments].concat(),
                "",
            )
        };
        util(&["load-zone", ALIAS_ZONE, "zone"])?;
        util(&["import-tsig-key", &key.name, "hmac-sha256", &key.secret])?;
        util(&["set-meta", ALIAS_ZONE, "TSIG-ALLOW-DNSUPDATE", &key.name])?;
        let mut command = process::command(process::find("pdns_server")?)?;
        command.arg("--config-dir=.");
        let mut server = Server::start("pdns", command, path)?;
        let address = port.address();
        server.wait_until(|| matches!(dns::serial(address, ALIAS_ZONE), Ok(Some(_))))?;
        Ok(PowerDns {
            _server: server,
            port,
            key,
            _folder: folder,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The key that may update.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The serial of the zone.
    pub fn serial(&self) -> Result<Option<u32>> {
        dns::serial(self.address(), ALIAS_ZONE)
    }
}

/// A running `nsd` with [`ALIAS_ZONE`].
#[derive(Debug)]
pub struct Nsd {
    // The server comes before the folder, so that it ends before that is removed.
    _server: Server,
    port: Port,
    _folder: TempDir,
}

impl Nsd {
    /// Starts it with a key that it knows, and returns when it answers.
    pub fn start(key: &Key) -> Result<Nsd> {
        let folder = TempDir::with_prefix("acme-alias-nsd-")?;
        let path = folder.path();
        let port = Port::claim()?;
        let here = path.display();
        let config = format!(
            "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  \
             zonesdir: \"{here}\"\n  database: \"\"\n  pidfile: \"{here}/nsd.pid\"\n  \
             xfrdfile: \"{here}/xfrd.state\"\n  zonelistfile: \"{here}/zone.list\"\n  \
             xfrdir: \"{here}\"\nremote-control:\n  control-enable: no\nkey:\n  name: {name}\n  \
             algorithm: {algorithm}\n  secret: \"{secret}\"\nzone:\n  name: {ALIAS_ZONE}\n  \
             zonefile: zone\n",
            port = port.number(),
            name = key.name,
            algorithm = key.algorithm,
            secret = key.secret,
        );
        fs::write(path.join("nsd.conf"), config)?;
        fs::write(path.join("zone"), Zone::new(ALIAS_ZONE).to_string())?;
        let mut command = process::command(process::find("nsd")?)?;
        command.args(["-d", "-c", "nsd.conf"]);
        let mut server = Server::start("nsd", command, path)?;
        let address = port.address();
        server.wait_until(|| matches!(dns::serial(address, ALIAS_ZONE), Ok(Some(_))))?;
        Ok(Nsd {
            _server: server,
            port,
            _folder: folder,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

/// Runs a program in `folder`, which must succeed.
fn run(folder: &Path, program: &str, arguments: &[&str], input: &str) -> Result {
    let mut child = Command::new(process::find(program)?)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(program)?;
    if let Some(mut stdin) = child.stdin.take() {
        std::io::Write::write_all(&mut stdin, input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format_args!("{program}: {said}")))
}
