//! A running bed, and what its servers saw.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::ca::SimulatedCa;
use crate::certificate::Certificate;
use crate::error::{Context, Error, Result};
use crate::far::Far;
use crate::faulty::FaultyServer;
use crate::mirror::Mirror;
use crate::named::{Control, Named, UpdatableZone};
use crate::names::ALIAS_ZONE;
use crate::pebble::Pebble;
use crate::port::Port;
use crate::program::{Outcome, Program};
use crate::query_proxy::QueryProxy;
use crate::settings::{AliasZone, Provider, Settings};
use crate::traffic::BedServer;
use crate::tsig::Key;
use crate::unbound::Unbound;
use crate::updates::{self, Change, Update};
use crate::zone::{FIRST_SERIAL, Zone};
use crate::{dns, nsupdate, process, secret};

/// The ids of the providers in the settings, in the order of the alias zones.
const PROVIDERS: [&str; 3] = ["first", "second", "third"];

/// A CA and its DNS servers, running until this is dropped.
#[derive(Debug)]
pub struct TestBed {
    // The servers come before the folder, so that they end before it is removed.
    pub(crate) main: Named,
    pub(crate) primary: Named,
    pub(crate) secondary: Named,
    pub(crate) faulty: Vec<FaultyServer>,
    pub(crate) ca_resolver: Unbound,
    pub(crate) pebble: Pebble,
    /// The CA that is used in place of Pebble.
    pub(crate) simulated_ca: Option<SimulatedCa>,
    pub(crate) main_zones: Vec<Zone>,
    /// The zones above all others, the root first.
    pub(crate) parent_zones: Vec<Zone>,
    pub(crate) alias_zones: Vec<UpdatableZone>,
    /// The time to live, in seconds, that the settings give the providers.
    pub(crate) ttl: Option<u32>,
    pub(crate) executable: &'static Path,
    pub(crate) folder: TempDir,
}

/// Whoever operates the primary of the alias zones.
#[derive(Debug)]
pub struct Operator(Control);

impl Operator {
    /// Freezes the alias zone: no update is taken, so that its file can be edited.
    pub fn freeze(&self) -> Result {
        self.0.say(&["freeze", ALIAS_ZONE])
    }

    /// Thaws it.
    pub fn thaw(&self) -> Result {
        self.0.say(&["thaw", ALIAS_ZONE])
    }
}

/// A TXT record, as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Txt {
    /// Its owner, without the final dot.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl TestBed {
    /// The bed's temporary folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the main zones are served, and the root and all zones above them.
    pub fn main_server(&self) -> SocketAddr {
        self.main.address()
    }

    /// Where the alias zones can be updated.
    pub fn primary(&self) -> SocketAddr {
        self.primary.address()
    }

    /// Where the alias zones are served as well.
    pub fn secondary(&self) -> SocketAddr {
        self.secondary.address()
    }

    /// The servers of the alias zones of which something is wrong, in the order of their builder.
    pub fn faulty_servers(&self) -> Vec<SocketAddr> {
        self.faulty.iter().map(FaultyServer::address).collect()
    }

    /// Another server of the alias zones, which answers like the secondary and never has a TXT record: a run waits
    /// for it.
    pub fn stuck_server(&self) -> Result<QueryProxy> {
        QueryProxy::start(self.secondary(), |_, mut answer| {
            answer
                .answers
                .retain(|record| record.record_type() != RecordType::TXT);
            vec![answer]
        })
    }

    /// The resolver of the program. It is the secondary, which does not cache what the bed serves.
    pub fn resolver(&self) -> SocketAddr {
        self.secondary()
    }

    /// The resolver of the CA. It caches for up to 60 seconds, and the program does not know it. It asks the
    /// secondary for the alias zones, so that a secondary that lags is what the CA sees.
    pub fn ca_resolver(&self) -> SocketAddr {
        self.ca_resolver.address()
    }

    /// The key of an alias zone.
    pub fn key(&self, alias_zone: &str) -> Result<&Key> {
        let zone = self.alias_zones.iter().find(|z| z.zone.apex == alias_zone);
        Ok(&zone
            .ok_or_else(|| Error::new(format_args!("{alias_zone} is no alias zone of the bed")))?
            .key)
    }

    /// The file with the secret of a key. Besides those of the alias zones there is
    /// `stranger-key`, which the primary knows and grants nothing.
    pub fn secret_file(&self, key: &str) -> PathBuf {
        secret::secret_file(self.folder(), key)
    }

    /// Writes a file that only its owner can read into the bed's folder.
    pub fn write_secret(&self, name: &str, secret: &str) -> Result<PathBuf> {
        let path = self.folder().join(name);
        secret::write_secret(&path, secret)?;
        Ok(path)
    }

    /// Settings under which everything works. No certificate is in them.
    pub fn settings(&self) -> Settings {
        let zones = || PROVIDERS.into_iter().zip(&self.alias_zones);
        let provider = |(id, zone): (&'static str, &UpdatableZone)| Provider {
            id,
            server: self.primary(),
            key: zone.key.name.clone(),
            algorithm: zone.key.algorithm,
            secret: self.secret_file(&zone.key.name),
            ttl: self.ttl,
        };
        let alias_zone = |(provider, zone): (&'static str, &UpdatableZone)| AliasZone {
            zone: zone.zone.apex.clone(),
            provider,
            servers: [
                vec![self.primary(), self.secondary()],
                self.faulty_servers(),
            ]
            .concat(),
        };
        // The program asks the resolver about the root.
        let top = self
            .parent_zones
            .iter()
            .filter(|zone| !zone.apex.is_empty());
        let main_zone = |zone: &Zone| (zone.apex.clone(), vec![self.main_server()]);
        Settings {
            top: String::new(),
            state: self.folder().join("state"),
            directory: self.directory(),
            ca_file: Some(self.ca_file().to_owned()),
            resolver: self.resolver(),
            trust_anchor: None,
            propagation_timeout: "30s",
            dns: String::new(),
            zones: self.main_zones.iter().chain(top).map(main_zone).collect(),
            providers: zones().map(provider).collect(),
            alias_zones: zones().map(alias_zone).collect(),
            more: String::new(),
        }
    }

    /// The settings of another host: the same with a state folder of its own, `second-host`, so that the two
    /// hosts know nothing of each other.
    pub fn second_host(&self) -> Settings {
        Settings {
            state: self.folder().join("second-host"),
            ..self.settings()
        }
    }

    /// The servers of the bed at a distance: a packet to them and back takes `rtt`. Faulty servers, and the
    /// resolver of the CA with what it asks, stay near.
    pub fn far(&self, rtt: Duration) -> Result<Far> {
        self.relay(rtt, self.ca_address(), &self.settings())
    }

    /// Like [`TestBed::far`], with a simulated CA in place of Pebble.
    pub fn far_with(&self, rtt: Duration, ca: &SimulatedCa) -> Result<Far> {
        self.relay(rtt, ca.address(), &self.settings_with(ca))
    }

    fn relay(&self, rtt: Duration, ca: SocketAddr, settings: &Settings) -> Result<Far> {
        let servers = [
            (BedServer::Main, self.main_server()),
            (BedServer::Primary, self.primary()),
            (BedServer::Secondary, self.secondary()),
            (BedServer::Ca, ca),
        ];
        Far::start(rtt, &servers, settings)
    }

    /// The program with these settings.
    pub fn program(&self, settings: Settings) -> Result<Program> {
        Program::new(settings, self.executable, self.folder())
    }

    /// Runs the program once with [`TestBed::settings`].
    pub fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Result<Outcome> {
        self.program(self.settings())?.run(arguments)
    }

    /// A certificate in the state folder of [`TestBed::settings`].
    pub fn certificate(&self, id: &str) -> Result<Certificate> {
        Certificate::read(&self.folder().join("state/certificates").join(id))
    }

    /// A certificate whose key with this public key (PEM) only others have, in the state folder of
    /// [`TestBed::settings`].
    pub fn external_certificate(&self, id: &str, public_key: &str) -> Result<Certificate> {
        let path = self.folder().join("state/certificates").join(id);
        Certificate::read_external(&path, public_key)
    }

    /// A certificate in another state folder, a folder of the bed's.
    pub fn certificate_in(&self, state: &str, id: &str) -> Result<Certificate> {
        let path = self.folder().join(state).join("certificates").join(id);
        Certificate::read(&path)
    }

    /// The TXT records in all alias zones, as the primary has them.
    pub fn txt(&self) -> Result<Vec<Txt>> {
        let mut all = Vec::new();
        for zone in self.alias_zones.iter().filter(|zone| !zone.zone.broken) {
            let records = dns::txt(self.primary(), &zone.zone.apex)?.into_iter();
            all.extend(records.map(|(name, value)| Txt { name, value }));
        }
        all.sort();
        Ok(all)
    }

    /// Adds a TXT record that is none of the program's, by `nsupdate`.
    pub fn add_foreign_txt(&self, alias_zone: &str, name: &str, value: &str) -> Result<Txt> {
        let key = self.key(alias_zone)?;
        nsupdate::add_txt(self.folder(), self.primary(), key, alias_zone, name, value)?;
        Ok(Txt {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }

    /// Changes an alias zone with its key, by these lines for `nsupdate`.
    pub fn update_alias_zone(&self, alias_zone: &str, lines: &str) -> Result {
        let key = self.key(alias_zone)?;
        nsupdate::run(self.folder(), self.primary(), key, alias_zone, lines)
    }

    /// Lets anybody update the main zones from here on, and runs this script there, by `nsupdate`.
    pub fn update_main_zones(&self, script: &str) -> Result {
        self.open_main_zones()?;
        nsupdate::run_script(self.folder(), self.main_server(), script)
    }

    /// Lets anybody update the main zones from here on.
    pub fn open_main_zones(&self) -> Result {
        self.main.reconfigure(|config| {
            // Only a zone that is closed has its file next.
            config.replace(
                "type primary; file",
                "type primary; allow-update { any; }; file",
            )
        })
    }

    /// Another hand that keeps the TXT records of an alias zone as those of a backend are.
    /// Its records get this time to live, in seconds.
    pub fn mirror(&self, alias_zone: &str, ttl: u32) -> Result<Mirror> {
        Ok(Mirror {
            folder: self.folder().to_owned(),
            server: self.primary(),
            key: self.key(alias_zone)?.clone(),
            zone: alias_zone.to_owned(),
            ttl,
        })
    }

    /// The serial number of a main zone or, at the primary, of an alias zone. Every update
    /// message that changes anything raises it by one.
    pub fn serial(&self, zone: &str) -> Result<u32> {
        let is_alias_zone = self.alias_zones.iter().any(|z| z.zone.apex == zone);
        let server = if is_alias_zone {
            self.primary()
        } else {
            self.main_server()
        };
        dns::serial(server, zone)?
            .ok_or_else(|| Error::new(format_args!("{server} does not serve {zone}")))
    }

    /// The updates that each server logged, by the server's name.
    pub fn updates(&self) -> Result<BTreeMap<&'static str, Vec<Update>>> {
        let servers = [
            ("main", &self.main),
            ("primary", &self.primary),
            ("secondary", &self.secondary),
        ];
        servers
            .into_iter()
            .map(|(name, server)| Ok((name, updates::parse(&server.log()?))))
            .collect()
    }

    /// Checks that the servers saw TXT changes in the alias zones and nothing else: the TXT
    /// records that are there are exactly `expected`, no other server took an update, and no
    /// main zone changed.
    #[track_caller]
    pub fn assert_only_txt_was_touched(&self, expected: &[Txt]) -> Result {
        assert_eq!(self.txt()?, expected, "TXT records in the alias zones");
        for zone in self.main_zones.iter().filter(|zone| !zone.broken) {
            let serial = self.serial(&zone.apex)?;
            assert_eq!(serial, FIRST_SERIAL, "{} was changed", zone.apex);
        }
        for (server, updates) in self.updates()? {
            for update in updates {
                assert_eq!(server, "primary", "{update:?}");
                let is_known = !matches!(update.change, Change::Other(_));
                assert!(is_known || update.change.was_in_vain(), "{update:?}");
            }
        }
        Ok(())
    }

    /// Lets the operator freeze and thaw the alias zone, by `rndc`.
    pub fn operator(&self) -> Result<Operator> {
        Ok(Operator(Control::open(&self.primary)?))
    }

    /// Puts another text into the configuration of the alias zones' primary, and lets it take effect.
    pub fn replace_in_primary(&self, from: &str, to: &str) -> Result {
        self.primary.reconfigure(|config| config.replace(from, to))
    }

    /// Lets those who sign with the key of the alias zone see a zone of their own, by a view.
    pub fn separate_views(&self) -> Result {
        let zone = &self.alias_zones[0];
        let (apex, key) = (&zone.zone.apex, &zone.key.name);
        let first = format!("view keyed {{ match-clients {{ key {key}; }};\n");
        // The others see what was there at the beginning.
        let second = format!(
            "}};\nview others {{ match-clients {{ any; }};\nzone \"{apex}\" {{ type primary; file \"others\"; }};\n}};\n"
        );
        self.primary.copy_zone(apex, "others")?;
        self.primary.reconfigure(|config| {
            let zones = config.find("zone \"").unwrap_or_default();
            format!("{}{first}{}{second}", &config[..zones], &config[zones..])
        })
    }

    /// Lets the secondary of the alias zones know the keys, and forward updates to the primary (RFC 2136 §6).
    pub fn forward_updates(&self) -> Result {
        let keys = self.alias_zones.iter().map(|zone| zone.key.to_string());
        let keys: String = keys.collect();
        let forwarding = "type secondary; allow-update-forwarding { any; };";
        self.secondary.reconfigure(|config| {
            format!("{keys}{}", config.replace("type secondary;", forwarding))
        })
    }

    /// Lets the keys of the alias zones write, or not.
    pub fn allow_updates(&self, allow: bool) -> Result {
        let (from, to) = if allow {
            ("deny", "grant")
        } else {
            ("grant", "deny")
        };
        let policy = |word: &str| format!("update-policy {{ {word} ");
        self.primary
            .reconfigure(|config| config.replace(&policy(from), &policy(to)))
    }

    /// Waits until the second is over: for so long the CA's resolver may keep a record with a TTL of 0.
    pub fn wait_for_next_second(&self) -> Result {
        let second = || Timestamp::now().as_second();
        let now = second();
        process::wait_for("the next second", || Ok(second() > now))
    }

    /// Waits until `what` holds.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&TestBed) -> Result<bool>) -> Result {
        process::wait_for(what, || holds(self))
    }

    /// The answer of a server to one query over TCP, each record as a line of a zone file.
    pub fn ask(&self, server: SocketAddr, name: &str, kind: &str) -> Result<Vec<String>> {
        let kind: RecordType = kind.parse().context(kind)?;
        let message = dns::ask(server, name, kind)?;
        Ok(message.answers.iter().map(ToString::to_string).collect())
    }

    /// The same over UDP.
    pub fn ask_over_udp(&self, server: SocketAddr, name: &str, kind: &str) -> Result<Vec<String>> {
        let kind: RecordType = kind.parse().context(kind)?;
        let message = dns::ask_over_udp(server, name, kind)?;
        Ok(message.answers.iter().map(ToString::to_string).collect())
    }

    /// A port at which nothing listens.
    pub fn dead_port(&self) -> Result<Port> {
        Port::claim()
    }
}
