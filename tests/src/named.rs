//! BIND's `named` in the bed's three roles.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::dns;
use crate::error::{Context, Error, Result};
use crate::port::Port;
use crate::process::{self, Server};
use crate::tsig::{Algorithm, Key};
use crate::zone::Zone;

/// A zone that one key may update.
#[derive(Clone, Debug)]
pub(crate) struct UpdatableZone {
    pub(crate) zone: Zone,
    pub(crate) key: Key,
}

/// A running `named`.
#[derive(Debug)]
pub(crate) struct Named {
    server: Server,
    port: Port,
    /// A zone that it answers for, once it answers.
    probe: String,
    // Comes after the server, so that the server ends before it is removed.
    folder: TempDir,
}

impl Named {
    /// Asks for a zone until it answers.
    pub(crate) fn wait_until_ready(&mut self) -> Result {
        let (address, probe) = (self.port.address(), &self.probe);
        self.server
            .wait_until(|| matches!(dns::serial(address, probe), Ok(Some(_))))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(crate) fn log(&self) -> Result<String> {
        self.server.log()
    }

    /// Copies the file of a zone.
    pub(crate) fn copy_zone(&self, apex: &str, to: &str) -> Result {
        let folder = self.folder.path();
        fs::copy(folder.join(format!("{apex}.zone")), folder.join(to))?;
        Ok(())
    }

    /// Changes the configuration, and returns when it holds.
    pub(crate) fn reconfigure(&self, change: impl Fn(&str) -> String) -> Result {
        const DONE: &str = "reloading configuration succeeded";
        let path = self.folder.path().join("named.conf");
        let before = self.log()?.matches(DONE).count();
        fs::write(&path, change(&fs::read_to_string(&path)?))?;
        self.server.hang_up()?;
        process::wait_for(DONE, || Ok(self.log()?.matches(DONE).count() > before))
    }
}

/// What an operator says to a `named`, by `rndc`.
#[derive(Debug)]
pub(crate) struct Control {
    port: Port,
    key: PathBuf,
}

impl Control {
    /// Lets `named` listen to an operator.
    pub(crate) fn open(named: &Named) -> Result<Control> {
        let port = Port::claim()?;
        let key = named.folder.path().join("rndc.key");
        let statement = Key::generate("rndc-key", Algorithm::Sha256).to_string();
        fs::write(&key, &statement)?;
        let controls = format!(
            "{statement}\ncontrols {{ inet 127.0.0.1 port {} allow {{ 127.0.0.1; }} \
             keys {{ rndc-key; }}; }};",
            port.number()
        );
        named.reconfigure(|config| config.replace("controls { };", &controls))?;
        Ok(Control { port, key })
    }

    /// Says it, and waits until it is done.
    pub(crate) fn say(&self, words: &[&str]) -> Result {
        let output = Command::new(process::find("rndc")?)
            .args([
                "-s",
                "127.0.0.1",
                "-p",
                &self.port.number().to_string(),
                "-k",
            ])
            .arg(&self.key)
            .args(words)
            .output()
            .context("rndc")?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::new(format_args!("rndc {}: {said}", words.join(" "))))
    }
}

/// How the servers of the alias zones behave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AliasServers {
    /// Seconds from a change to the NOTIFY.
    pub(crate) notify_delay: u32,
    /// The TXT records that a key may have at a name.
    pub(crate) txt_quota: Option<u32>,
    /// The records of one type that a name may have (`max-records-per-type`), if not as BIND has it.
    pub(crate) records_per_type: Option<u32>,
}

impl AliasServers {
    /// The options that primary and secondary share.
    fn options(&self) -> String {
        self.records_per_type.map_or_else(String::new, |records| {
            format!("max-records-per-type {records};")
        })
    }
}

/// A `named` that is about to start.
pub(crate) struct Launch {
    name: String,
    folder: TempDir,
    program: PathBuf,
    port: Port,
}

impl Launch {
    /// `named` as `name`.
    pub(crate) fn new(name: &str, root: &Path, port: Port) -> Result<Launch> {
        Ok(Launch {
            name: name.to_owned(),
            folder: in_memory(name)?,
            program: process::unconfined(root, "named")?,
            port,
        })
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The authoritative server of zones, each by its apex, whose files are there already.
    pub(crate) fn served(self, zones: impl Iterator<Item = (String, String)>) -> Result<Named> {
        let mut statements = String::new();
        let mut probe = String::new();
        for (apex, file) in zones {
            writeln!(
                statements,
                "zone \"{apex}\" {{ type primary; file \"{file}\"; }};"
            )?;
            if probe.is_empty() {
                probe.push_str(apex.trim_end_matches('.'));
            }
        }
        self.start("recursion no;", &statements, probe)
    }

    /// The authoritative server of zones that nobody may update.
    pub(crate) fn main(self, zones: &[Zone]) -> Result<Named> {
        let mut statements = String::new();
        for zone in zones {
            let file = self.write(zone)?;
            let apex = &zone.apex;
            writeln!(
                statements,
                "zone \"{apex}.\" {{ type primary; file \"{file}\"; }};"
            )?;
        }
        self.start("recursion no;", &statements, probe(zones))
    }

    /// The primary of the alias zones. `idle` keys are known to it and granted nothing.
    pub(crate) fn primary(
        self,
        zones: &[UpdatableZone],
        idle: &[Key],
        behaviour: AliasServers,
        secondary: SocketAddr,
    ) -> Result<Named> {
        let mut statements = String::new();
        for key in zones.iter().map(|zone| &zone.key).chain(idle) {
            write!(statements, "{key}")?;
        }
        let AliasServers {
            notify_delay,
            txt_quota,
            ..
        } = behaviour;
        let quota = txt_quota.map_or_else(String::new, |records| format!("({records})"));
        for UpdatableZone { zone, key } in zones {
            let file = self.write(zone)?;
            let (apex, key) = (&zone.apex, &key.name);
            writeln!(
                statements,
                "zone \"{apex}\" {{ type primary; file \"{file}\"; \
                 update-policy {{ grant {key} zonesub TXT{quota}; }}; }};"
            )?;
        }
        let options = format!(
            "recursion no; notify explicit; notify-delay {notify_delay}; also-notify {{ {}; }}; {}",
            in_bind(secondary),
            behaviour.options()
        );
        self.start(&options, &statements, probe(zones.iter().map(|z| &z.zone)))
    }

    /// A secondary that begins with the same zones as the primary, and follows its NOTIFYs.
    ///
    /// It is the program's resolver as well. For that it has the main zones, too, and recursion is on:
    /// a server without recursion answers a CNAME into another of its zones with the CNAME alone.
    pub(crate) fn secondary(
        self,
        zones: &[UpdatableZone],
        behaviour: AliasServers,
        primary: SocketAddr,
        main_zones: &[Zone],
        main: SocketAddr,
    ) -> Result<Named> {
        let alias_zones = zones.iter().map(|zone| (&zone.zone, in_bind(primary)));
        let main_zones = main_zones.iter().map(|zone| (zone, in_bind(main)));
        let mut statements = String::new();
        for (zone, primary) in alias_zones
            .chain(main_zones)
            .filter(|(zone, _)| !zone.broken)
        {
            let file = self.write(zone)?;
            let apex = &zone.apex;
            writeln!(
                statements,
                "zone \"{apex}\" {{ type secondary; file \"{file}\"; masterfile-format text; \
                 primaries {{ {primary}; }}; }};"
            )?;
        }
        let options = format!(
            "notify no; recursion yes; allow-recursion {{ any; }}; \
             forward only; forwarders {{ {}; }}; {}",
            in_bind(main),
            behaviour.options()
        );
        self.start(&options, &statements, probe(zones.iter().map(|z| &z.zone)))
    }

    /// Writes the zone's file; returns its name.
    fn write(&self, zone: &Zone) -> Result<String> {
        let apex = match zone.apex.as_str() {
            "" => "root",
            apex => apex,
        };
        let file = format!("{apex}.zone");
        fs::write(self.folder().join(&file), zone.to_string())?;
        Ok(file)
    }

    fn start(self, options: &str, statements: &str, probe: String) -> Result<Named> {
        let port = self.port.number();
        let config = format!(
            "controls {{ }};
options {{
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    pid-file none; lock-file none; session-keyfile none;
    dnssec-validation no; allow-transfer {{ any; }};
    notify-rate 1000; startup-notify-rate 1000; serial-query-rate 1000;
    {options}
}};
{statements}"
        );
        fs::write(self.folder().join("named.conf"), config)?;
        let mut command = process::command(&self.program)?;
        command.args(["-g", "-n", "1", "-U", "1", "-c", "named.conf"]);
        Ok(Named {
            server: Server::start(&self.name, command, self.folder.path())?,
            port: self.port,
            probe,
            folder: self.folder,
        })
    }
}

/// A folder whose files are in memory where that can be. `named` waits until its journal is on the disk before it
/// answers anybody: a disk that is busy for seconds must not look like a silent server.
fn in_memory(name: &str) -> Result<TempDir> {
    let prefix = format!("acme-alias-{name}-");
    TempDir::with_prefix_in(&prefix, "/dev/shm")
        .or_else(|_| TempDir::with_prefix(&prefix))
        .context("a folder for named")
}

/// A zone that the server will answer for.
fn probe<'a>(zones: impl IntoIterator<Item = &'a Zone>) -> String {
    zones
        .into_iter()
        .find(|zone| !zone.broken)
        .map(|zone| zone.apex.clone())
        .unwrap_or_default()
}

fn in_bind(address: SocketAddr) -> String {
    format!("{} port {}", address.ip(), address.port())
}
