//! What a bed shall be like, and its start.

use tempfile::TempDir;

use crate::bed::TestBed;
use crate::error::Result;
use crate::named::{Launch, UpdatableZone};
use crate::names::{ALIAS_NAME, ALIAS_ZONE, MAIN_ZONES, SECOND_ALIAS_ZONE, THIRD_ALIAS_ZONE};
use crate::pebble::{Behaviour, Pebble};
use crate::port::Port;
use crate::program::{self, Profile};
use crate::secret::{secret_file, write_secret};
use crate::tsig::{Algorithm, Key};
use crate::zone::Zone;

/// A bed that is described and not yet started: the main zones without any delegation, the
/// alias zones empty, servers that do their best.
#[derive(Clone, Debug)]
pub struct Builder {
    main_zones: Vec<Zone>,
    third_alias_zone: Option<Zone>,
    algorithm: Algorithm,
    notify_delay: u32,
    behaviour: Behaviour,
    blind_ca: bool,
    profile: Profile,
    alias_records: Vec<String>,
    txt_quota: Option<u32>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            main_zones: MAIN_ZONES.map(Zone::new).to_vec(),
            third_alias_zone: None,
            algorithm: Algorithm::Sha256,
            notify_delay: 0,
            behaviour: Behaviour::default(),
            blind_ca: false,
            profile: Profile::Debug,
            alias_records: Vec::new(),
            txt_quota: None,
        }
    }
}

impl TestBed {
    /// A bed to describe.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A bed in which the apex of every main zone is delegated.
    pub fn start() -> Result<TestBed> {
        Builder::default().delegate(&MAIN_ZONES).start()
    }
}

impl Builder {
    /// Delegates the challenge name of each domain to [`ALIAS_NAME`].
    #[must_use]
    pub fn delegate<S: AsRef<str>>(self, domains: &[S]) -> Self {
        domains.iter().fold(self, |builder, domain| {
            let domain = domain.as_ref();
            builder.cname(&format!("_acme-challenge.{domain}"), ALIAS_NAME)
        })
    }

    /// Delegates the challenge name of each domain to an alias name of its own, `DOMAIN.ALIAS_ZONE`.
    ///
    /// Twenty values and more at one name do not fit into one datagram. A CA asks again over TCP;
    /// Pebble, which knows UDP only, cannot.
    #[must_use]
    pub fn delegate_apart<S: AsRef<str>>(self, domains: &[S]) -> Self {
        domains.iter().fold(self, |builder, domain| {
            let domain = domain.as_ref();
            let target = format!("{domain}.{ALIAS_ZONE}");
            builder.cname(&format!("_acme-challenge.{domain}"), &target)
        })
    }

    /// Puts a CNAME from `name` to `target` into the main zone of `name`.
    #[must_use]
    pub fn cname(self, name: &str, target: &str) -> Self {
        self.record(name, &format!("CNAME {target}."))
    }

    /// Puts a record into the main zone of `name`, with type and data as in a zone file.
    #[must_use]
    pub fn record(mut self, name: &str, data: &str) -> Self {
        let zone = self
            .main_zones
            .iter_mut()
            .filter(|zone| zone.contains(name))
            .max_by_key(|zone| zone.apex.len());
        assert!(zone.is_some(), "no main zone of the bed contains {name}");
        if let Some(zone) = zone {
            zone.add(format!("{name}. 600 IN {data}"));
        }
        self
    }

    /// Puts lines of a zone file, with absolute names and a TTL of 600, into the zones that they are for:
    /// the first alias zone or the main zones.
    #[must_use]
    pub fn lines(self, lines: &str) -> Self {
        let lines = lines.lines().filter(|line| !line.starts_with(';'));
        lines.fold(self, |builder, line| {
            let parts = line.split_once(". 600 IN ");
            assert!(parts.is_some(), "no such line: {line}");
            match parts {
                Some((name, data)) if Zone::new(ALIAS_ZONE).contains(name) => {
                    builder.alias_record(name, data)
                }
                Some((name, data)) => builder.record(name, data),
                None => builder,
            }
        })
    }

    /// Adds a main zone whose server cannot load it, and answers SERVFAIL.
    #[must_use]
    pub fn broken_main_zone(mut self, apex: &str) -> Self {
        self.main_zones.push(Zone::broken(apex));
        self
    }

    /// Adds a third alias zone, which the primary cannot load.
    #[must_use]
    pub fn broken_alias_zone(mut self, apex: &str) -> Self {
        self.third_alias_zone = Some(Zone::broken(apex));
        self
    }

    /// Adds a third alias zone, [`THIRD_ALIAS_ZONE`].
    #[must_use]
    pub fn third_alias_zone(mut self) -> Self {
        self.third_alias_zone = Some(Zone::new(THIRD_ALIAS_ZONE));
        self
    }

    /// Puts a record into the first alias zone, with type and data as in a zone file.
    #[must_use]
    pub fn alias_record(mut self, name: &str, data: &str) -> Self {
        self.alias_records.push(format!("{name}. 600 IN {data}"));
        self
    }

    /// Lets the keys have at most this many TXT records at a name (`TXT(n)`): BIND drops what is
    /// more, and says nothing.
    #[must_use]
    pub fn txt_quota(mut self, records: u32) -> Self {
        self.txt_quota = Some(records);
        self
    }

    /// The algorithm of the first key.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Seconds that the primary lets pass before it tells the secondary of a change.
    #[must_use]
    pub fn notify_delay(mut self, seconds: u32) -> Self {
        self.notify_delay = seconds;
        self
    }

    /// Nonces that the CA refuses, in percent.
    #[must_use]
    pub fn nonce_reject_rate(mut self, percent: u8) -> Self {
        self.behaviour.nonce_reject_rate = percent;
        self
    }

    /// Valid authorizations that the CA uses again, in percent.
    #[must_use]
    pub fn authorization_reuse(mut self, percent: u8) -> Self {
        self.behaviour.authorization_reuse = percent;
        self
    }

    /// Lets the CA take accounts only that are bound to [`crate::EXTERNAL_ACCOUNT`].
    #[must_use]
    pub fn external_account(mut self) -> Self {
        self.behaviour.external_account = true;
        self
    }

    /// Lets the CA offer so many chains beside the usual one.
    #[must_use]
    pub fn alternate_chains(mut self, chains: u8) -> Self {
        self.behaviour.alternate_chains = chains;
        self
    }

    /// Lets the CA look challenges up at a server that does not have the alias zones.
    #[must_use]
    pub fn blind_ca(mut self) -> Self {
        self.blind_ca = true;
        self
    }

    /// How the program is built.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The alias zones, each with a fresh key.
    fn updatable_zones(&self) -> Vec<UpdatableZone> {
        let mut first = Zone::new(ALIAS_ZONE);
        for line in &self.alias_records {
            first.add(line.clone());
        }
        let second = Zone::new(SECOND_ALIAS_ZONE);
        let zones = [
            (first, "acme-key", self.algorithm),
            (second, "second-key", Algorithm::Sha512),
        ];
        let third = self.third_alias_zone.clone();
        let third = third.map(|zone| (zone, "third-key", Algorithm::Sha256));
        let zones = zones.into_iter().chain(third);
        let zones = zones.map(|(zone, key, algorithm)| UpdatableZone {
            zone,
            key: Key::generate(key, algorithm),
        });
        zones.collect()
    }

    /// Starts all servers, and returns when they answer.
    pub fn start(self) -> Result<TestBed> {
        let executable = program::build(self.profile)?;
        let folder = TempDir::with_prefix("acme-alias-bed-")?;
        let root = folder.path();

        let alias_zones = self.updatable_zones();
        let stranger = Key::generate("stranger-key", Algorithm::Sha256);

        let (primary_port, secondary_port) = (Port::claim()?, Port::claim()?);
        let secondary_address = secondary_port.address();
        let mut main = Launch::new("main", root, Port::claim()?)?.main(&self.main_zones)?;
        let mut primary = Launch::new("primary", root, primary_port)?.primary(
            &alias_zones,
            std::slice::from_ref(&stranger),
            self.notify_delay,
            self.txt_quota,
            secondary_address,
        )?;
        let mut secondary = Launch::new("secondary", root, secondary_port)?.secondary(
            &alias_zones,
            primary.address(),
            &self.main_zones,
            main.address(),
        )?;
        let eyes = if self.blind_ca { &main } else { &secondary };
        let mut pebble = Pebble::start(root, eyes.address(), self.behaviour)?;

        main.wait_until_ready()?;
        primary.wait_until_ready()?;
        secondary.wait_until_ready()?;
        pebble.wait_until_ready()?;

        for key in alias_zones.iter().map(|zone| &zone.key).chain([&stranger]) {
            write_secret(&secret_file(root, &key.name), &key.secret)?;
        }
        Ok(TestBed {
            main_zones: self.main_zones,
            alias_zones,
            main,
            primary,
            secondary,
            pebble,
            executable,
            folder,
        })
    }
}
