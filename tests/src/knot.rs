//! Knot DNS, another real server that takes updates.

use std::fs;
use std::net::SocketAddr;

use tempfile::TempDir;

use crate::dns;
use crate::error::{Error, Result};
use crate::names::ALIAS_ZONE;
use crate::nsupdate;
use crate::port::Port;
use crate::process::{self, Server};
use crate::tsig::{Algorithm, Key};
use crate::zone::Zone;

/// A running `knotd` with [`ALIAS_ZONE`], in which one key may update TXT records.
#[derive(Debug)]
pub struct Knot {
    // The server comes before the folder, so that it ends before that is removed.
    server: Server,
    port: Port,
    key: Key,
    folder: TempDir,
}

impl Knot {
    /// Starts it with a key that may update TXT records, and returns when it answers.
    pub fn start() -> Result<Knot> {
        Knot::start_with(
            "acl:\n  - id: acme-alias\n    key: acme-key\n    action: update\n    update-type: [TXT]\n",
        )
    }

    /// Starts it with this `acl` section.
    pub fn start_with(acl: &str) -> Result<Knot> {
        let id = acl
            .split("id: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let id = id.ok_or_else(|| Error::new("an acl without an id"))?;
        let folder = TempDir::with_prefix("acme-alias-knot-")?;
        let port = Port::claim()?;
        let key = Key::generate("acme-key", Algorithm::Sha256);
        let zone = Zone::new(ALIAS_ZONE).to_string();
        fs::write(folder.path().join(format!("{ALIAS_ZONE}.zone")), zone)?;
        // Without the folders of its sockets and journals it starts, and fails later.
        for name in ["run", "db"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let path = folder.path().display();
        let config = format!(
            "server:
    rundir: {path}/run
    listen: {address}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: {path}/db
key:
  - id: {name}
    algorithm: {algorithm}
    secret: {secret}
{acl}zone:
  - domain: {ALIAS_ZONE}
    storage: {path}
    file: {ALIAS_ZONE}.zone
    acl: {id}
",
            address = port.address().to_string().replace(':', "@"),
            name = key.name,
            algorithm = key.algorithm,
            secret = key.secret,
        );
        fs::write(folder.path().join("knot.conf"), config)?;
        let mut command = process::command(process::find("knotd")?)?;
        command.args(["--config", "knot.conf"]);
        let mut server = Server::start("knot", command, folder.path())?;
        let address = port.address();
        server.wait_until(|| matches!(dns::serial(address, ALIAS_ZONE), Ok(Some(_))))?;
        Ok(Knot {
            server,
            port,
            key,
            folder,
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

    /// What it logged.
    pub fn log(&self) -> Result<String> {
        self.server.log()
    }

    /// Adds a TXT record by `nsupdate`.
    pub fn add_foreign_txt(&self, name: &str, value: &str) -> Result {
        let folder = self.folder.path();
        nsupdate::add_txt(folder, self.address(), &self.key, ALIAS_ZONE, name, value)
    }
}
