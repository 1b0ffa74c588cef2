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

/// The lines of the HTTP API. The port is replaced by a free one.
const API: &str = "webserver=yes\nwebserver-address=127.0.0.1\nwebserver-port=8081\n\
                   webserver-allow-from=127.0.0.1\napi=yes\n";
/// The port of the API in configurations.
const API_PORT: &str = "8081";

/// A running `pdns_server` with [`ALIAS_ZONE`], in which one key may update. It has the HTTP API.
#[derive(Debug)]
pub struct PowerDns {
    // The server comes before the folder, so that it ends before that is removed.
    _server: Server,
    port: Port,
    api: Port,
    key: Key,
    folder: TempDir,
}

/// How a `pdns_server` is to be started.
#[derive(Clone, Debug, Default)]
pub struct PowerDnsLaunch {
    config: String,
    policy: Option<String>,
    commands: Vec<String>,
}

impl PowerDnsLaunch {
    /// Adds lines to `pdns.conf`. The port 8081 in them is replaced by that of the API.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// A policy of updates, a script in Lua.
    #[must_use]
    pub fn policy(mut self, script: &str) -> Self {
        self.policy = Some(script.to_owned());
        self
    }

    /// Runs `pdnsutil` with these arguments before the server starts. Without any, the zone is loaded as that of
    /// other servers is.
    #[must_use]
    pub fn command(mut self, arguments: &str) -> Self {
        self.commands.push(arguments.to_owned());
        self
    }

    /// Starts it, and returns when it answers.
    pub fn start(self) -> Result<PowerDns> {
        let folder = TempDir::with_prefix("acme-alias-pdns-")?;
        let path = folder.path();
        let (port, api) = (Port::claim()?, Port::claim()?);
        let key = Key::generate("acme-key", Algorithm::Sha256);
        let mut config = format!(
            "launch=gsqlite3\ngsqlite3-database={database}\nlocal-address=127.0.0.1\n\
             local-port={port}\ndnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\nsocket-dir={path}\n\
             daemon=no\nguardian=no\nwrite-pid=no\ndisable-syslog=yes\nsecurity-poll-suffix=\n{more}",
            database = path.join("pdns.sqlite3").display(),
            port = port.number(),
            path = path.display(),
            more = self.config.replace(API_PORT, &api.number().to_string()),
        );
        if let Some(policy) = self.policy {
            let script = path.join("policy.lua");
            fs::write(&script, policy)?;
            config += &format!("lua-dnsupdate-policy-script={}\n", script.display());
        }
        fs::write(path.join("pdns.conf"), config)?;
        fs::write(path.join("zone"), Zone::new(ALIAS_ZONE).to_string())?;
        let schema = fs::read_to_string(SCHEMA)?;
        run(path, "sqlite3", &["pdns.sqlite3"], &schema)?;
        let util = |arguments: &[&str]| util(path, arguments);
        if self.commands.is_empty() {
            util(&["load-zone", ALIAS_ZONE, "zone"])?;
            util(&["set-meta", ALIAS_ZONE, "SOA-EDIT-API", "DEFAULT"])?;
        }
        for command in &self.commands {
            util(&command.split_whitespace().collect::<Vec<_>>())?;
        }
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
            api,
            key,
            folder,
        })
    }
}

impl PowerDns {
    /// Starts it, and returns when it answers.
    pub fn start() -> Result<PowerDns> {
        PowerDnsLaunch::default().start()
    }

    /// The same with the HTTP API and this API key.
    pub fn start_with_api(key: &str) -> Result<PowerDns> {
        PowerDns::launch_with_api(key).start()
    }

    /// To be started with the HTTP API and this API key.
    pub fn launch_with_api(key: &str) -> PowerDnsLaunch {
        let api_key = format!("api-key={key}");
        PowerDnsLaunch::default().config(API).config(&api_key)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where its web server listens, if it has one.
    pub fn api(&self) -> SocketAddr {
        self.api.address()
    }

    /// The key that may update.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The serial of the zone.
    pub fn serial(&self) -> Result<Option<u32>> {
        dns::serial(self.address(), ALIAS_ZONE)
    }

    /// The TXT records of the zone: owners and values.
    pub fn txt(&self) -> Result<Vec<(String, String)>> {
        dns::txt(self.address(), ALIAS_ZONE)
    }

    /// Runs `pdnsutil` with these arguments.
    pub fn util(&self, arguments: &[&str]) -> Result<String> {
        util(self.folder.path(), arguments)
    }

    /// Runs these statements of SQL in its database; returns what they print.
    pub fn sql(&self, statements: &str) -> Result<String> {
        let arguments = ["-cmd", ".timeout 5000", "pdns.sqlite3"];
        run(self.folder.path(), "sqlite3", &arguments, statements)
    }
}

fn util(folder: &Path, arguments: &[&str]) -> Result<String> {
    run(
        folder,
        "pdnsutil",
        &[&["--config-dir=."], arguments].concat(),
        "",
    )
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

/// Runs a program in `folder`, which must succeed; returns what it prints.
fn run(folder: &Path, program: &str, arguments: &[&str], input: &str) -> Result<String> {
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
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format_args!("{program}: {said}")))
}
