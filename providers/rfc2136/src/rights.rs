//! What the key can really do: everything that is asked about, and what the answers amount to.

use std::net::SocketAddr;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::ProviderError;
use acme_alias_core::rights::{
    Audit, Grant, KeyRights, MainZone, Policy, Probe, Right, Subject, Verdict, Weight,
};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::config::{Config, Host, Server};
use crate::policy::{self, Holder};
use crate::probe::{Prober, Reading, Software};
use crate::provider::{Rfc2136, rejected};

/// Questions that are asked at a time; less than what a server's listen queue holds.
const AT_ONCE: usize = 6;

/// Why the rest was not asked.
const NOT_ASKED: &str =
    "not asked: this server does not keep to prerequisites, and might carry it out";

/// A right, and what would take it away.
struct Asked {
    right: Right,
    about: About,
}

#[derive(Clone, Debug)]
enum About {
    /// The grant in the alias zone.
    Grant,
    /// The alias zone, which takes updates from anybody.
    Anybody,
    /// Who may transfer the alias zone.
    Transfer,
    /// The key itself.
    Key,
    /// The grants in a main zone.
    MainZone(DnsName),
}

impl Asked {
    fn new(about: About, right: String, weight: Weight, reading: Reading) -> Self {
        Asked {
            about,
            right: Right {
                right,
                weight,
                verdict: reading.verdict,
                evidence: reading.evidence,
            },
        }
    }

    /// Whether a server that looks at prerequisites first would be misread.
    fn is_an_update(&self) -> bool {
        !matches!(self.about, About::Transfer | About::Key)
    }
}

/// Every right that matters, with what the servers said, and what would narrow them.
async fn audit(provider: &Rfc2136, subject: &Subject) -> Result<Audit, String> {
    let config = provider.config();
    let Some((prober, software)) = first_that_answers(config).await else {
        return Ok(Audit::default());
    };
    let mut asked = in_alias_zone(prober, subject).await?;
    doubt(&mut asked, software);
    for zone in &subject.main_zones {
        asked.extend(in_main_zone(config, zone).await?);
    }
    let advice = advice(config, software, subject, &asked);
    let rights = asked.into_iter().map(|asked| asked.right).collect();
    Ok(Audit::new(rights, advice))
}

/// The server to ask; where none answers, the first, which will not answer the rest either.
async fn first_that_answers(config: &Config) -> Option<(Prober<'_>, Software)> {
    let prober = |server| Prober {
        server,
        key: &config.key,
        timeout: config.timeout,
    };
    for server in &config.servers {
        if let Ok(software) = prober(server).software().await {
            return Some((prober(server), software));
        }
    }
    let first = config.servers.first()?;
    Some((prober(first), Software::Unknown))
}

async fn in_alias_zone(prober: Prober<'_>, subject: &Subject) -> Result<Vec<Asked>, String> {
    let zone = &subject.zone;
    let probes = subject.probes().map_err(|error| error.to_string())?;
    let mut probes = probes.into_iter();
    let Some(first) = probes.next() else {
        return Ok(Vec::new());
    };
    let ask = async |probe: Probe| {
        let reading = prober.may_add(zone, &probe.name, probe.kind).await?;
        let is_absurd = reading.is_absurd;
        let asked = Asked::new(About::Grant, probe.right, probe.weight, reading);
        Ok::<_, String>((asked, is_absurd))
    };
    // What is needed comes first. Where that was carried out in spite of its prerequisites, so might the
    // rest be.
    let name = first.name.clone();
    let (first, is_absurd) = ask(first).await?;
    let mut asked = vec![first];
    if is_absurd {
        let not_asked = |probe: Probe| {
            let reading = Reading::unknown(NOT_ASKED);
            Asked::new(About::Grant, probe.right, probe.weight, reading)
        };
        asked.extend(probes.map(not_asked));
        return Ok(asked);
    }
    let rest = stream::iter(probes.map(ask)).buffered(AT_ONCE);
    let rest: Vec<_> = rest.try_collect().await?;
    asked.extend(rest.into_iter().map(|(asked, _)| asked));
    for (about, right, weight, reading) in [
        (
            About::Transfer,
            "transfer of the whole zone (AXFR)",
            Weight::Wide,
            prober.may_transfer(zone).await?,
        ),
        (
            About::Anybody,
            "updates without any key",
            Weight::Fatal,
            prober.may_anybody_add(zone, &name).await?,
        ),
        (
            About::Key,
            "signatures with a weak algorithm",
            Weight::Wide,
            prober.may_sign_weakly(zone, &name).await?,
        ),
    ] {
        asked.push(Asked::new(about, right.to_owned(), weight, reading));
    }
    Ok(asked)
}

/// What the key can write in a zone that it must not touch, at each server that the zone has.
async fn in_main_zone(config: &Config, of: &MainZone) -> Result<Vec<Asked>, String> {
    let zone = &of.zone;
    let open = |what: String, why: String| {
        let reading = Reading::unknown(why);
        Asked::new(About::MainZone(zone.clone()), what, Weight::Fatal, reading)
    };
    let right = format!("TXT in the main zone {zone}");
    let servers = match &of.servers {
        Ok(servers) => servers,
        Err(error) => return Ok(vec![open(right, error.to_string())]),
    };
    let mut asked = Vec::new();
    for server in servers {
        let Some(address) = server.addresses.first() else {
            asked.push(open(
                format!("{right}, at {server}"),
                "it has no address".into(),
            ));
            continue;
        };
        let server = at(*address);
        let prober = Prober {
            server: &server,
            key: &config.key,
            timeout: config.timeout,
        };
        let software = match prober.software().await {
            Ok(software) => software,
            Err(cause) => {
                asked.push(open(format!("{right}, at {address}"), cause));
                continue;
            }
        };
        let probes: Vec<_> = of.challenge_names.iter().map(Probe::main_zone).collect();
        let names = probes.into_iter().map(async |probe| {
            let reading = prober.may_add(zone, &probe.name, probe.kind).await?;
            let right = format!("{}, at {address}", probe.right);
            let about = About::MainZone(zone.clone());
            Ok::<_, String>(Asked::new(about, right, probe.weight, reading))
        });
        let names = stream::iter(names).buffered(AT_ONCE);
        let mut names: Vec<_> = names.try_collect().await?;
        // The control of `doubt`: what a server that looks at prerequisites first would say of anybody.
        if let Some(name) = of.challenge_names.first() {
            let reading = prober.may_anybody_add(zone, name).await?;
            let right = format!("updates without any key in a main zone ({name}), at {address}");
            let about = About::MainZone(zone.clone());
            names.push(Asked::new(about, right, Weight::Fatal, reading));
        }
        doubt(&mut names, software);
        asked.extend(names);
    }
    Ok(asked)
}

/// Takes back what servers that look at prerequisites first seem to allow.
fn doubt(asked: &mut [Asked], software: Software) {
    let reason = if software == Software::PowerDns {
        "this is PowerDNS, whose `lua-dnsupdate-policy-script`, if there is one, has its say after that, and \
         drops in silence"
    } else {
        let mut updates = asked.iter().filter(|asked| asked.is_an_update());
        let differ = updates.any(|asked| asked.right.verdict != Verdict::Allowed);
        if differ || software.looks_at_rights_first() {
            return;
        }
        "it says so of everything, unsigned updates too, as servers do that look at prerequisites first"
    };
    for asked in asked.iter_mut().filter(|asked| asked.is_an_update()) {
        asked.right.doubt(Verdict::Allowed, reason);
    }
}

/// What would take away all that is too much, each thing once.
fn advice(config: &Config, software: Software, subject: &Subject, asked: &[Asked]) -> Vec<Policy> {
    let holder = Holder::of(&config.key);
    let mut advice: Vec<Policy> = Vec::new();
    for asked in asked.iter().filter(|asked| asked.right.is_too_much()) {
        let policy = match &asked.about {
            About::Grant | About::Anybody => policy::narrowest(software, &holder, subject),
            About::Transfer => policy::without_transfers(software, &subject.zone),
            About::Key => policy::another_key(&holder),
            About::MainZone(zone) => policy::without_the_key(&holder, zone),
        };
        if !advice.contains(&policy) {
            advice.push(policy);
        }
    }
    advice
}

fn at(address: SocketAddr) -> Server {
    Server {
        host: Host::Address(address.ip()),
        port: address.port(),
    }
}

#[async_trait]
impl KeyRights for Rfc2136 {
    fn policies(&self, grant: &Grant) -> Vec<Policy> {
        policy::policies(&self.config().key, grant)
    }

    async fn audit(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        audit(self, subject).await.map_err(rejected)
    }
}
