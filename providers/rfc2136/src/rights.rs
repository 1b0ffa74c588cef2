//! What the key can really do: all probes of an audit, and what their results amount to.

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::ProviderError;
use acme_alias_core::rights::{
    Audit, Grant, KeyRights, MainZone, Policy, Probe, Right, Subject, Verdict, Weight,
};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::error::invalid_request;
use crate::policy::{self, Grantee};
use crate::probe::{ProbeResult, Prober};
use crate::provider::Rfc2136;
use crate::server::ServerAddress;
use crate::software::Software;

/// Probes that are pending at a time; fewer than a server's listen queue holds.
const PENDING_PROBES: usize = 6;

/// Why the other probes were not sent.
const NOT_PROBED: &str =
    "not probed: this server ignores prerequisites, and might carry out the test update";

/// A right, and what grants it.
struct Finding {
    right: Right,
    granted_by: GrantedBy,
}

/// What has to change to take a right away.
#[derive(Clone, Debug)]
enum GrantedBy {
    /// The policy of the alias zone, for the key.
    AliasZone,
    /// The policy of the alias zone, for everyone.
    UnsignedUpdates,
    /// The transfers of the alias zone.
    Transfers,
    /// The key itself.
    Key,
    /// The policy of a main zone.
    MainZone(DnsName),
}

impl Finding {
    fn new(granted_by: GrantedBy, right: String, weight: Weight, result: ProbeResult) -> Self {
        Finding {
            granted_by,
            right: Right {
                right,
                weight,
                verdict: result.verdict,
                evidence: result.evidence,
            },
        }
    }

    /// Whether the probe was an update, so that a server which checks prerequisites first would
    /// mislead.
    fn is_of_update(&self) -> bool {
        !matches!(self.granted_by, GrantedBy::Transfers | GrantedBy::Key)
    }
}

/// Every right that matters, with the servers' answers, and what would narrow them.
async fn audit(provider: &Rfc2136, subject: &Subject) -> Result<Audit, String> {
    let Some((prober, software)) = first_server_that_answers(provider).await else {
        return Ok(Audit::default());
    };
    let mut findings = alias_zone_findings(prober, subject).await?;
    doubt_misleading(&mut findings, software);
    for zone in &subject.main_zones {
        findings.extend(main_zone_findings(provider, zone).await?);
    }
    let advice = advice(provider, software, subject, &findings);
    let rights = findings.into_iter().map(|finding| finding.right).collect();
    Ok(Audit::new(rights, advice))
}

/// The server to probe. If none answers, the first one, which will not answer the other probes either.
async fn first_server_that_answers(provider: &Rfc2136) -> Option<(Prober<'_>, Software)> {
    let client = provider.client();
    let servers = &provider.config().servers;
    for server in servers {
        let prober = Prober { client, server };
        if let Ok(software) = prober.software().await {
            return Some((prober, software));
        }
    }
    let server = servers.first()?;
    Some((Prober { client, server }, Software::Unknown))
}

async fn alias_zone_findings(
    prober: Prober<'_>,
    subject: &Subject,
) -> Result<Vec<Finding>, String> {
    let zone = &subject.zone;
    let probes = subject.probes().map_err(|error| error.to_string())?;
    let mut probes = probes.into_iter();
    let Some(first) = probes.next() else {
        return Ok(Vec::new());
    };
    let finding = |probe: Probe, result| {
        Finding::new(GrantedBy::AliasZone, probe.right, probe.weight, result)
    };
    // The needed right comes first. A server that carries this out in spite of its prerequisites might
    // carry out the others.
    let name = first.name.clone();
    let result = prober.may_add(zone, &name, first.kind).await?;
    let ignores_prerequisites = result.ignores_prerequisites;
    let mut findings = vec![finding(first, result)];
    if ignores_prerequisites {
        findings.extend(probes.map(|probe| finding(probe, ProbeResult::unknown(NOT_PROBED))));
        return Ok(findings);
    }
    let others = probes.map(async |probe: Probe| {
        let result = prober.may_add(zone, &probe.name, probe.kind).await?;
        Ok::<_, String>(finding(probe, result))
    });
    let others: Vec<_> = stream::iter(others)
        .buffered(PENDING_PROBES)
        .try_collect()
        .await?;
    findings.extend(others);
    for (granted_by, right, weight, result) in [
        (
            GrantedBy::Transfers,
            "transfer of the whole zone (AXFR)",
            Weight::Wide,
            prober.may_transfer(zone).await?,
        ),
        (
            GrantedBy::UnsignedUpdates,
            "updates without any key",
            Weight::Fatal,
            prober.may_anyone_add(zone, &name).await?,
        ),
        (
            GrantedBy::Key,
            "signatures with a weak algorithm",
            Weight::Wide,
            prober.may_sign_weakly(zone, &name).await?,
        ),
    ] {
        findings.push(Finding::new(granted_by, right.to_owned(), weight, result));
    }
    Ok(findings)
}

/// What the key can write in a main zone, at each server of that zone.
async fn main_zone_findings(provider: &Rfc2136, of: &MainZone) -> Result<Vec<Finding>, String> {
    let zone = &of.zone;
    let unknown = |right: String, why: String| {
        let result = ProbeResult::unknown(why);
        Finding::new(
            GrantedBy::MainZone(zone.clone()),
            right,
            Weight::Fatal,
            result,
        )
    };
    let right = format!("TXT in the main zone {zone}");
    let servers = match &of.servers {
        Ok(servers) => servers,
        Err(error) => return Ok(vec![unknown(right, error.to_string())]),
    };
    let mut findings = Vec::new();
    for server in servers {
        let Some(address) = server.addresses.first() else {
            let right = format!("{right}, at {server}");
            findings.push(unknown(right, "it has no address".to_owned()));
            continue;
        };
        let server = ServerAddress::from(*address);
        let prober = Prober {
            client: provider.client(),
            server: &server,
        };
        match prober.software().await {
            Ok(software) => {
                let mut of_server = main_zone_findings_at(prober, of).await?;
                doubt_misleading(&mut of_server, software);
                findings.extend(of_server);
            }
            Err(error) => {
                let why = ProbeResult::of_error(&error).evidence;
                findings.push(unknown(format!("{right}, at {address}"), why));
            }
        }
    }
    Ok(findings)
}

async fn main_zone_findings_at(prober: Prober<'_>, of: &MainZone) -> Result<Vec<Finding>, String> {
    let (zone, server) = (&of.zone, prober.server);
    let finding = |right, result| {
        let granted_by = GrantedBy::MainZone(zone.clone());
        Finding::new(granted_by, right, Weight::Fatal, result)
    };
    let probes: Vec<_> = of.challenge_names.iter().map(Probe::main_zone).collect();
    let findings = probes.into_iter().map(async |probe| {
        let result = prober.may_add(zone, &probe.name, probe.kind).await?;
        Ok::<_, String>(finding(format!("{}, at {server}", probe.right), result))
    });
    let mut findings: Vec<_> = stream::iter(findings)
        .buffered(PENDING_PROBES)
        .try_collect()
        .await?;
    // The control for `doubt_misleading`: what a server that checks prerequisites first answers anyone.
    if let Some(name) = of.challenge_names.first() {
        let result = prober.may_anyone_add(zone, name).await?;
        let right = format!("updates without any key in a main zone ({name}), at {server}");
        findings.push(finding(right, result));
    }
    Ok(findings)
}

/// Doubts what a server seems to allow, if it may check prerequisites before permissions.
fn doubt_misleading(findings: &mut [Finding], software: Software) {
    let reason = if software == Software::PowerDns {
        "PowerDNS checks prerequisites before a `lua-dnsupdate-policy-script`, which drops updates \
         silently"
    } else {
        let mut updates = findings.iter().filter(|finding| finding.is_of_update());
        let differ = updates.any(|finding| finding.right.verdict != Verdict::Allowed);
        if differ || software.checks_policy_first() {
            return;
        }
        "it answers so to everything, even to unsigned updates, like servers that check prerequisites \
         first"
    };
    for finding in findings.iter_mut().filter(|finding| finding.is_of_update()) {
        finding.right.doubt(Verdict::Allowed, reason);
    }
}

/// What would take away all rights that are too much, each change once.
fn advice(
    provider: &Rfc2136,
    software: Software,
    subject: &Subject,
    findings: &[Finding],
) -> Vec<Policy> {
    let grantee = Grantee::from(&provider.config().key);
    let mut advice: Vec<Policy> = Vec::new();
    for finding in findings
        .iter()
        .filter(|finding| finding.right.is_too_much())
    {
        let policy = match &finding.granted_by {
            GrantedBy::AliasZone | GrantedBy::UnsignedUpdates => {
                policy::narrowest(software, &grantee, subject)
            }
            GrantedBy::Transfers => policy::without_transfers(software, &subject.zone),
            GrantedBy::Key => policy::another_key(&grantee),
            GrantedBy::MainZone(zone) => policy::without_the_key(&grantee, zone),
        };
        if !advice.contains(&policy) {
            advice.push(policy);
        }
    }
    advice
}

#[async_trait]
impl KeyRights for Rfc2136 {
    fn policies(&self, grant: &Grant) -> Vec<Policy> {
        policy::policies(&self.config().key, grant)
    }

    async fn audit(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        audit(self, subject).await.map_err(invalid_request)
    }
}
