//! Obtains a certificate through an alias zone on a server that speaks DNS UPDATE (RFC 2136).
//!
//! ```sh
//! cargo run -p acme-alias-core --example issue -- STATE DOMAIN ALIAS-ZONE SERVER KEY-FILE
//! ```
//!
//! The zone of DOMAIN needs a CNAME from `_acme-challenge.DOMAIN` into ALIAS-ZONE. SERVER is the primary of the
//! alias zone, as an address with a port; KEY-FILE holds its key, as `tsig-keygen` prints it. The CA is
//! the staging environment of Let's Encrypt, unless `ACME_DIRECTORY` has the URL of another one and `ACME_ROOT`
//! the file of its root certificate.
//!
//! DNS lookups start at the name servers of `/etc/resolv.conf`, or at `DNS_RESOLVER`, an address with a port.
//! `DNS_SERVERS` names the servers to query for some zones, instead of their NS records:
//! `example.com=192.0.2.1:53 auth.example.net=192.0.2.2:53,192.0.2.3:53`.
//!
//! If a run is killed, the next one with the same STATE removes its TXT value and resumes its order.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use acme_alias_core::acme::CaConfig;
use acme_alias_core::clock::SystemClock;
use acme_alias_core::dns;
use acme_alias_core::engine::{Engine, JobOutcome, RunOptions, Selection};
use acme_alias_core::issue::CertificateRequest;
use acme_alias_core::ledger::FileLedger;
use acme_alias_core::store::{FileStore, FileStoreOptions};
use acme_alias_rfc2136::{Rfc2136, TsigKey};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [state, domain, zone, server, key_file] = arguments.as_slice() else {
        return Err("usage: issue STATE DOMAIN ALIAS-ZONE SERVER KEY-FILE".into());
    };
    let clock = Arc::new(SystemClock);
    let store = FileStore::open(Path::new(state), FileStoreOptions::default()).await?;
    let ledger = FileLedger::open(&Path::new(state).join("ledger"), clock).await?;

    let mut ca = CaConfig::lets_encrypt_staging().with_agree_tos(true);
    if let (Ok(directory), Ok(root)) = (env::var("ACME_DIRECTORY"), env::var("ACME_ROOT")) {
        ca = CaConfig::new(directory)
            .with_extra_root(fs::read(root)?)
            .with_agree_tos(true);
    }
    let key = TsigKey::from_text(fs::read_to_string(key_file)?)?;
    let certificate = CertificateRequest::new("example".parse()?, [domain.parse()?]);

    let engine = Engine::builder(Arc::new(store), Arc::new(ledger))
        .ca(ca)
        .dns(dns_config()?)
        .alias_zone(zone.parse()?, Rfc2136::new(server.parse()?, key))
        .certificate(certificate)
        .build()?;
    let options = RunOptions {
        selection: Selection::All,
        ..RunOptions::default()
    };
    for job in engine.run(&options).await?.jobs {
        match job.outcome? {
            JobOutcome::Issued { issued, .. } => writeln!(stdout(), "{}", issued.stored.location)?,
            other => writeln!(stdout(), "{}: {other:?}", job.id)?,
        }
    }
    Ok(())
}

/// Reads `DNS_RESOLVER` and `DNS_SERVERS`.
fn dns_config() -> Result<dns::Config, Box<dyn Error>> {
    let mut dns = dns::Config::default();
    if let Ok(resolver) = env::var("DNS_RESOLVER") {
        dns.resolvers.push(resolver.parse()?);
    } else {
        // The library does not read this file by itself.
        for line in fs::read_to_string("/etc/resolv.conf")?.lines() {
            if let Some(server) = line.strip_prefix("nameserver ") {
                let address = SocketAddr::new(server.trim().parse()?, 53);
                dns.resolvers.push(address);
            }
        }
    }
    let zones = env::var("DNS_SERVERS").unwrap_or_default();
    for zone in zones.split_whitespace() {
        let (zone, servers) = zone.split_once('=').ok_or("DNS_SERVERS: no `=`")?;
        let servers: Result<_, _> = servers.split(',').map(str::parse).collect();
        let (zone, servers) = (zone.parse()?, servers?);
        dns.zones.push(dns::ZoneServers { zone, servers });
    }
    Ok(dns)
}
