//! The programs that this one is compared with.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use acme_alias_tests::{ALIAS_ZONE, Error, Result, Settings, TestBed, Usage, measure};

use super::case::{Case, Contender};

/// Where `cargo xtask bench` installs certbot.
const CERTBOT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/tools/certbot/bin/certbot"
);

/// What a peer needs to know of the servers.
struct Servers {
    directory: String,
    resolver: SocketAddr,
    primary: SocketAddr,
}

impl Servers {
    fn of(bed: &TestBed, settings: &Settings) -> Self {
        Servers {
            directory: settings.directory.clone(),
            resolver: settings.resolver,
            primary: settings
                .providers
                .first()
                .map_or(bed.primary(), |provider| provider.server),
        }
    }

    /// A folder of its own in the bed.
    fn folder(&self, bed: &TestBed, peer: &str) -> PathBuf {
        bed.folder().join(format!("{peer}-{}", self.primary.port()))
    }
}

/// Debian's `lego` with the least waiting that works: its pauses are whole seconds, and without
/// any it asks the CA before the secondary has the value.
pub(super) struct Lego {
    servers: Servers,
    folder: PathBuf,
}

impl Lego {
    pub(super) fn new(bed: &TestBed, settings: &Settings) -> Self {
        let servers = Servers::of(bed, settings);
        Lego {
            folder: servers.folder(bed, "lego"),
            servers,
        }
    }

    fn obtain_one(&self, bed: &TestBed, names: &[String]) -> Result<Usage> {
        let key = bed.key(ALIAS_ZONE)?;
        measure("lego", |command| {
            command
                .args(["--accept-tos", "--email", "admin@example.com"])
                .args(["--server", &self.servers.directory])
                .arg("--path")
                .arg(&self.folder)
                .args(["--dns", "rfc2136", "--dns.disable-cp"])
                .args(["--dns.resolvers", &self.servers.resolver.to_string()])
                .args(names.iter().flat_map(|name| ["--domains", name]))
                .arg("run")
                .env("LEGO_CA_CERTIFICATES", bed.ca_file())
                .env("LEGO_EXPERIMENTAL_CNAME_SUPPORT", "true")
                .env("RFC2136_NAMESERVER", self.servers.primary.to_string())
                .env("RFC2136_TSIG_KEY", &key.name)
                .env("RFC2136_TSIG_SECRET", &key.secret)
                .env("RFC2136_TSIG_ALGORITHM", format!("{}.", key.algorithm))
                // Else the CA has cached the values of the run before.
                .env("RFC2136_TTL", "0")
                .env("RFC2136_POLLING_INTERVAL", "1")
                .env("RFC2136_SEQUENCE_INTERVAL", "0")
        })
    }
}

impl Contender for Lego {
    fn title(&self) -> &'static str {
        "lego"
    }

    fn obtain(&self, bed: &TestBed, case: &Case) -> Result<Usage> {
        let started = Instant::now();
        let usages: Vec<_> = thread::scope(|scope| {
            let runs: Vec<_> = case
                .certificates
                .iter()
                .map(|names| scope.spawn(|| self.obtain_one(bed, names)))
                .collect();
            runs.into_iter().map(ScopedJoinHandle::join).collect()
        });
        let mut total = Usage::default();
        for usage in usages {
            let usage = usage.map_err(|_| Error::new("a thread that ran lego panicked"))??;
            add(&mut total, usage);
        }
        total.wall = started.elapsed();
        Ok(total)
    }
}

/// `certbot` with a hook that runs `nsupdate`, without any waiting. Its own plugin for RFC 2136 does not
/// follow CNAMEs.
pub(super) struct Certbot {
    servers: Servers,
    folder: PathBuf,
}

impl Certbot {
    /// Writes the hooks.
    pub(super) fn new(bed: &TestBed, settings: &Settings) -> Result<Self> {
        let servers = Servers::of(bed, settings);
        let folder = servers.folder(bed, "certbot");
        fs::create_dir_all(&folder)?;
        let key = bed.key(ALIAS_ZONE)?;
        let (ip, port) = (servers.primary.ip(), servers.primary.port());
        for (hook, change) in [("auth", "add $name 0"), ("cleanup", "delete $name")] {
            let script = format!(
                "#!/bin/sh\nname=$CERTBOT_DOMAIN.{ALIAS_ZONE}.\nnsupdate -v -y '{}:{}:{}' <<END\nserver {ip} {port}\n\
                 zone {ALIAS_ZONE}\nupdate {change} TXT \"$CERTBOT_VALIDATION\"\nsend\nEND\n",
                key.algorithm, key.name, key.secret,
            );
            let path = folder.join(hook);
            fs::write(&path, script)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        }
        Ok(Certbot { servers, folder })
    }

    fn obtain_one(&self, bed: &TestBed, names: &[String]) -> Result<Usage> {
        measure(CERTBOT, |command| {
            command
                .args(["certonly", "--manual", "--preferred-challenges", "dns"])
                .args(["--non-interactive", "--agree-tos", "--force-renewal"])
                .args(["--email", "admin@example.com"])
                .args(["--server", &self.servers.directory])
                .arg("--manual-auth-hook")
                .arg(self.folder.join("auth"))
                .arg("--manual-cleanup-hook")
                .arg(self.folder.join("cleanup"))
                .arg("--config-dir")
                .arg(self.folder.join("config"))
                .arg("--work-dir")
                .arg(self.folder.join("work"))
                .arg("--logs-dir")
                .arg(self.folder.join("logs"))
                .args(["--cert-name", &format!("{}-{}", names[0], names.len())])
                .args(names.iter().flat_map(|name| ["--domain", name]))
                .env("REQUESTS_CA_BUNDLE", bed.ca_file())
        })
    }
}

impl Contender for Certbot {
    fn title(&self) -> &'static str {
        "certbot"
    }

    fn obtain(&self, bed: &TestBed, case: &Case) -> Result<Usage> {
        let started = Instant::now();
        let mut total = Usage::default();
        for names in &case.certificates {
            add(&mut total, self.obtain_one(bed, names)?);
        }
        total.wall = started.elapsed();
        Ok(total)
    }
}

fn add(total: &mut Usage, usage: Usage) {
    total.cpu += usage.cpu;
    total.peak_memory += usage.peak_memory;
}
