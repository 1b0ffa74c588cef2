//! What the credentials can really do: simulated by IAM if it may be asked, else probed at Route 53.

use acme_alias_core::dns::Server;
use acme_alias_core::provider::{Failure, ProviderError};
use acme_alias_core::rights::{
    Audit, Grant, KeyRights, MainZone, Policy, Probe, Right, Scope, Subject, Verdict, Weight,
};
use async_trait::async_trait;

use crate::client::Client;
use crate::iam::{SimulatedChange, Simulator};
use crate::parameters::HostedZoneId;
use crate::policy::policy;
use crate::probe;
use crate::provider::Route53;

/// Why the other rights were not probed.
const NOT_PROBED: &str = "not probed: this service did not refuse to delete a value that does not \
                          exist, unlike Route 53, and might carry out the batch";

/// Finds out rights in the way that is available.
struct Prober<'a> {
    client: &'a Client,
    simulator: Simulator<'a>,
    /// A right of the alias zone that the credentials need; none if there is no alias name.
    control: Option<(HostedZoneId, Probe)>,
    /// Whether batches can be probed without being carried out; unknown before the first batch.
    batches_are_safe: Option<bool>,
}

impl Prober<'_> {
    /// Whether the credentials may make this record.
    async fn may_write(&mut self, zone: &HostedZoneId, probe: &Probe) -> (Verdict, String) {
        if let Some(result) = self.simulated(zone, probe).await {
            return result;
        }
        if self.batches_are_safe().await {
            return probe::may_write(self.client, zone, probe).await;
        }
        (Verdict::CannotTell, NOT_PROBED.to_owned())
    }

    async fn batches_are_safe(&mut self) -> bool {
        if let Some(known) = self.batches_are_safe {
            return known;
        }
        let safe = match &self.control {
            Some((zone, probe)) => probe::refuses_missing_values(self.client, zone, probe).await,
            None => true,
        };
        *self.batches_are_safe.insert(safe)
    }

    async fn simulated(&mut self, zone: &HostedZoneId, probe: &Probe) -> Option<(Verdict, String)> {
        let kind = probe::rr_type(probe.kind);
        let (zone, name, kind) = (zone.as_str(), probe.name.as_str(), kind.as_str());
        if probe.weight != Weight::Needed {
            return self.simulator.any_action(zone, name, kind).await;
        }
        // What is written must also be removed.
        let change = SimulatedChange {
            zone,
            name,
            kind,
            actions: &["CREATE", "DELETE"],
        };
        self.simulator.verdict(change).await
    }
}

impl Route53 {
    /// Every right that matters, with the answers of IAM or Route 53, and what would narrow them.
    async fn audit_credentials(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        let id = self.zone_id(&subject.zone).await?;
        let probes = subject.probes().map_err(|error| {
            let remedy = "correct the name of the alias zone";
            ProviderError::new(Failure::Rejected, error.to_string(), remedy)
        })?;
        let mut simulator = Simulator::new(self.client().sdk().await).await;
        let mut rights = simulator.rights_outside_the_zone().await;
        let mut prober = Prober {
            client: self.client(),
            simulator,
            control: probes.first().map(|probe| (id.clone(), probe.clone())),
            batches_are_safe: None,
        };
        for probe in probes {
            let (verdict, mut evidence) = prober.may_write(&id, &probe).await;
            if probe.weight == Weight::Needed {
                evidence = format!("{evidence}; {}", prober.simulator.identity());
            }
            rights.push(Right {
                right: probe.right,
                weight: probe.weight,
                verdict,
                evidence,
            });
        }
        for zone in &subject.main_zones {
            rights.extend(main_zone_rights(&mut prober, zone).await);
        }
        let advice = if rights.iter().any(Right::is_too_much) {
            let grant = Grant {
                zone: subject.zone.clone(),
                names: subject.alias_names.clone(),
                scope: Scope::Name,
                key: None,
            };
            vec![policy(Some(&id), &grant)]
        } else {
            Vec::new()
        };
        Ok(Audit::new(rights, advice))
    }
}

/// What the credentials can write in a main zone that is served by Route 53.
async fn main_zone_rights(prober: &mut Prober<'_>, of: &MainZone) -> Vec<Right> {
    let zone = &of.zone;
    let fatal = |right, (verdict, evidence)| Right {
        right,
        weight: Weight::Fatal,
        verdict,
        evidence,
    };
    let unknown = |why: String| {
        let right = format!("TXT in the main zone {zone}");
        vec![fatal(right, (Verdict::CannotTell, why))]
    };
    match &of.servers {
        Err(error) => return unknown(error.to_string()),
        Ok(servers) if !servers.iter().any(is_route_53) => return Vec::new(),
        Ok(_) => {}
    }
    // The list is empty if the zone belongs to another account.
    let zones = match prober.client.hosted_zones(zone).await {
        Ok(zones) => zones.public,
        Err(error) => return unknown(error.into_provider_error(zone).of_reading().what),
    };
    let mut rights = Vec::new();
    for id in &zones {
        for name in &of.challenge_names {
            let probe = Probe::main_zone(name);
            let result = prober.may_write(id, &probe).await;
            rights.push(fatal(probe.right, result));
        }
    }
    rights
}

/// Whether the server is one of Route 53
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html>).
fn is_route_53(server: &Server) -> bool {
    let name = server.name.as_ref();
    name.is_some_and(|name| name.labels().any(|label| label.starts_with("awsdns-")))
}

#[async_trait]
impl KeyRights for Route53 {
    fn policies(&self, grant: &Grant) -> Vec<Policy> {
        let id = self.client().config().hosted_zone_id.as_ref();
        vec![policy(id, grant)]
    }

    async fn audit(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        self.audit_credentials(subject).await
    }
}
