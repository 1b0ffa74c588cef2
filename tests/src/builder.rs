//! What a bed shall be like, and its start.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::bed::TestBed;
use crate::ca::{SimulatedCa, Validation};
use crate::error::Result;
use crate::faulty::{Fault, FaultyServer};
use crate::named::{AliasServers, Launch, UpdatableZone};
use crate::names::{ALIAS_NAME, ALIAS_ZONE, MAIN_ZONES, SECOND_ALIAS_ZONE, THIRD_ALIAS_ZONE};
use crate::parents;
use crate::pebble::{Behaviour, Pebble};
use crate::port::Port;
use crate::program::{self, Profile};
use crate::secret::{secret_file, write_secret};
use crate::tsig::{Algorithm, Key};
use crate::unbound::{StubZone, Unbound};
use crate::zone::Zone;

/// A bed that is described and not yet started: the main zones without any delegation, the
/// alias zones empty, servers that do their best.
#[derive(Clone, Debug)]
pub struct Builder {
    main_zones: Vec<Zone>,
    third_alias_zone: Option<Zone>,
    negative_ttl: Option<u32>,
    algorithm: Algorithm,
    alias_servers: AliasServers,
    faults: Vec<Fault>,
    ttl: Option<u32>,
    behaviour: Behaviour,
    validates_each_time: bool,
    ca_view: CaView,
    profile: Profile,
    alias_records: Vec<String>,
    alias_server: Option<SocketAddr>,
}

/// Which servers of the alias zones the resolver of the CA asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum CaView {
    /// The secondary and the faulty ones.
    #[default]
    Secondary,
    /// All of them.
    All,
    /// None: the zone above does not delegate the alias zones.
    None,
    /// The secondary, although the zone above does not delegate the alias zones.
    Undelegated,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            main_zones: MAIN_ZONES.map(Zone::new).to_vec(),
            third_alias_zone: None,
            negative_ttl: None,
            algorithm: Algorithm::Sha256,
            alias_servers: AliasServers::default(),
            faults: Vec::new(),
            ttl: None,
            behaviour: Behaviour::default(),
            validates_each_time: false,
            ca_view: CaView::default(),
            profile: Profile::Debug,
            alias_records: Vec::new(),
            alias_server: None,
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

    /// Makes the challenge name of `domain` a zone of its own, as the third alias zone, and delegates it by an NS
    /// record in the main zone of `domain`.
    #[must_use]
    pub fn challenge_zone(mut self, domain: &str) -> Self {
        let apex = format!("_acme-challenge.{domain}");
        self.third_alias_zone = Some(Zone::new(&apex));
        self.record(&apex, &format!("NS ns1.{domain}."))
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
        self.alias_servers.txt_quota = Some(records);
        self
    }

    /// The records of one type that a name may have (`max-records-per-type`) in place of BIND's 100: an update
    /// that would exceed it gets SERVFAIL. 0 is no limit.
    #[must_use]
    pub fn records_per_type(mut self, records: u32) -> Self {
        self.alias_servers.records_per_type = Some(records);
        self
    }

    /// The time to live, in seconds, that the settings give the providers in place of their default.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = Some(seconds);
        self
    }

    /// How long resolvers may cache, in seconds, that there are no records in the first alias zone.
    #[must_use]
    pub fn negative_ttl(mut self, seconds: u32) -> Self {
        self.negative_ttl = Some(seconds);
        self
    }

    /// Adds a name server of the alias zones of which something is wrong. The settings name it, and the CA's
    /// resolver asks it, too.
    #[must_use]
    pub fn faulty_server(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
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
        self.alias_servers.notify_delay = seconds;
        self
    }

    /// Nonces that the CA refuses, in percent.
    #[must_use]
    pub fn nonce_reject_rate(mut self, percent: u8) -> Self {
        self.behaviour.nonce_reject_rate = percent;
        self
    }

    /// Lets the CA use every valid authorization again.
    #[must_use]
    pub fn authorization_reuse(mut self) -> Self {
        self.behaviour.authorization_reuse = 100;
        self
    }

    /// Lets the CA validate each order. It is a simulated one: Pebble cannot be told to use no authorization again.
    #[must_use]
    pub fn validates_each_time(mut self) -> Self {
        self.validates_each_time = true;
        self
    }

    /// Lets the CA take accounts only that are bound to [`crate::EXTERNAL_ACCOUNT`].
    #[must_use]
    pub fn external_account(mut self) -> Self {
        self.behaviour.external_account = true;
        self
    }

    /// Lets the CA take every challenge as answered.
    #[must_use]
    pub fn always_valid(mut self) -> Self {
        self.behaviour.always_valid = true;
        self
    }

    /// Lets the CA offer so many chains beside the usual one.
    #[must_use]
    pub fn alternate_chains(mut self, chains: u8) -> Self {
        self.behaviour.alternate_chains = chains;
        self
    }

    /// Lets the CA find no alias zone.
    #[must_use]
    pub fn blind_ca(mut self) -> Self {
        self.ca_view = CaView::None;
        self
    }

    /// Lets the zone above not delegate the alias zones, which the resolver of the CA knows all the same.
    #[must_use]
    pub fn undelegated(mut self) -> Self {
        self.ca_view = CaView::Undelegated;
        self
    }

    /// Lets the CA's resolver ask the primary as well as the secondary. By default, a secondary that lags is
    /// what the CA sees.
    #[must_use]
    pub fn ca_asks_all_servers(mut self) -> Self {
        self.ca_view = CaView::All;
        self
    }

    /// Lets the CA's resolver ask this server about [`ALIAS_ZONE`], and no other.
    #[must_use]
    pub fn alias_server(mut self, server: SocketAddr) -> Self {
        self.alias_server = Some(server);
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
        first.negative_ttl = self.negative_ttl.unwrap_or(first.negative_ttl);
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
        let parent_zones = self.parent_zones(&alias_zones);
        let at_main = [&self.main_zones[..], &parent_zones].concat();

        let (primary_port, secondary_port) = (Port::claim()?, Port::claim()?);
        let secondary_address = secondary_port.address();
        let mut main = Launch::new("main", root, Port::claim()?)?.main(&at_main)?;
        let mut primary = Launch::new("primary", root, primary_port)?.primary(
            &alias_zones,
            std::slice::from_ref(&stranger),
            self.alias_servers,
            secondary_address,
        )?;
        let mut secondary = Launch::new("secondary", root, secondary_port)?.secondary(
            &alias_zones,
            self.alias_servers,
            primary.address(),
            &self.main_zones,
            main.address(),
        )?;
        let mut faulty = self.start_faulty_servers(root, &alias_zones)?;
        let mut seen_by_ca: Vec<_> = faulty.iter().map(FaultyServer::address).collect();
        seen_by_ca.push(secondary.address());
        if self.ca_view == CaView::All {
            seen_by_ca.push(primary.address());
        }
        let stub_zones = self.stub_zones(&at_main, main.address(), &alias_zones, &seen_by_ca);
        let mut ca_resolver = Unbound::start(root, &stub_zones)?;
        let mut pebble = Pebble::start(root, &ca_resolver.resolv_conf(), self.behaviour)?;

        let simulated_ca = self.simulated_ca(ca_resolver.address())?;

        main.wait_until_ready()?;
        primary.wait_until_ready()?;
        secondary.wait_until_ready()?;
        faulty
            .iter_mut()
            .try_for_each(FaultyServer::wait_until_ready)?;
        ca_resolver.wait_until_ready()?;
        pebble.wait_until_ready()?;

        for key in alias_zones.iter().map(|zone| &zone.key).chain([&stranger]) {
            write_secret(&secret_file(root, &key.name), &key.secret)?;
        }
        Ok(TestBed {
            main_zones: self.main_zones,
            parent_zones,
            alias_zones,
            ttl: self.ttl,
            main,
            primary,
            secondary,
            faulty,
            ca_resolver,
            pebble,
            simulated_ca,
            executable,
            folder,
        })
    }

    fn simulated_ca(&self, resolver: SocketAddr) -> Result<Option<SimulatedCa>> {
        let start = || SimulatedCa::start(Validation::At(resolver));
        self.validates_each_time.then(start).transpose()
    }

    /// The zones above all others, which the server of the main zones has.
    fn parent_zones(&self, alias_zones: &[UpdatableZone]) -> Vec<Zone> {
        let alias_zones = alias_zones.iter().map(|zone| zone.zone.apex.as_str());
        let known = alias_zones.clone().filter(|_| self.ca_view != CaView::None);
        let main_zones = self.main_zones.iter().map(|zone| zone.apex.as_str());
        let mut above = parents::above(main_zones.chain(known));
        if self.ca_view == CaView::Undelegated {
            for zone in &mut above {
                alias_zones.clone().for_each(|child| zone.undelegate(child));
            }
        }
        above
    }

    fn start_faulty_servers(
        &self,
        root: &Path,
        alias_zones: &[UpdatableZone],
    ) -> Result<Vec<FaultyServer>> {
        let zones: Vec<_> = alias_zones.iter().map(|zone| zone.zone.clone()).collect();
        let faults = self.faults.iter().enumerate();
        faults
            .map(|(number, fault)| FaultyServer::start(*fault, number, root, &zones))
            .collect()
    }

    /// What the resolver of the CA knows of the servers, which do not listen at port 53.
    fn stub_zones<'a>(
        &self,
        at_main: &'a [Zone],
        main: SocketAddr,
        alias_zones: &'a [UpdatableZone],
        seen_by_ca: &[SocketAddr],
    ) -> Vec<StubZone<'a>> {
        let at_main = at_main.iter().map(|zone| StubZone {
            apex: &zone.apex,
            servers: vec![main],
        });
        let seen = |_: &&UpdatableZone| self.ca_view != CaView::None;
        let servers = |apex: &str| match self.alias_server {
            Some(server) if apex == ALIAS_ZONE => vec![server],
            _ => seen_by_ca.to_vec(),
        };
        let alias_zones = alias_zones.iter().filter(seen).map(|zone| StubZone {
            apex: &zone.zone.apex,
            servers: servers(&zone.zone.apex),
        });
        at_main.chain(alias_zones).collect()
    }
}
