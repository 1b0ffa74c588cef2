//! The narrowest policy, and what the credentials can really do. IAM tells that where it may be asked; where
//! not, Route 53 is asked by batches that can never be carried out: each deletes a value that is not there,
//! beside what is asked about. A batch is carried out wholly or not at all, and whether it may be is looked at
//! first.

use acme_alias_core::dns::Server;
use acme_alias_core::provider::{Failure, ProviderError};
use acme_alias_core::rights::{
    Audit, Grant, KeyRights, MainZone, Policy, Probe, ProbeKind, Right, Scope, Subject, Verdict,
    Weight,
};
use async_trait::async_trait;
use aws_sdk_route53::types::{
    Change as BatchChange, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use serde_json::json;

use crate::error::CallError;
use crate::identity::{Change, Simulator};
use crate::provider::Route53;

/// Time to live of what is never made, in seconds.
const TTL: i64 = 60;
/// Why the rest was not asked.
const NOT_ASKED: &str = "not asked: what answers did not refuse to delete what is not there, as \
                         Route 53 does, and might carry it out";

/// The policy for IAM. `Null` is there because `ForAllValues` is true as well where the key is absent
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html>).
fn policy(hosted_zone_id: Option<&str>, grant: &Grant) -> Policy {
    let zone = hosted_zone_id.unwrap_or("THE-ID-OF-THE-HOSTED-ZONE");
    let arn = format!("arn:aws:route53:::hostedzone/{zone}");
    let key = |name: &str| format!("route53:ChangeResourceRecordSets{name}");
    let (names, types, actions) = (
        key("NormalizedRecordNames"),
        key("RecordTypes"),
        key("Actions"),
    );
    let of_names: Vec<String> = match grant.scope {
        Scope::Name => grant.names.iter().map(ToString::to_string).collect(),
        Scope::Subdomain => {
            let names = grant.names.iter();
            names
                .flat_map(|name| [name.to_string(), format!("*.{name}")])
                .collect()
        }
        Scope::Zone => vec![grant.zone.to_string(), format!("*.{}", grant.zone)],
    };
    let mut equal = json!({
        types.as_str(): ["TXT"],
        actions.as_str(): ["CREATE", "DELETE"],
    });
    let mut condition = json!({
        "Null": {
            names.as_str(): "false",
            types.as_str(): "false",
            actions.as_str(): "false",
        },
    });
    if grant.scope == Scope::Name {
        equal[&names] = json!(of_names);
    } else {
        condition["ForAllValues:StringLike"] = json!({ names.as_str(): of_names });
    }
    condition["ForAllValues:StringEquals"] = equal;
    let mut statements = vec![
        json!({
            "Effect": "Allow",
            "Action": "route53:ChangeResourceRecordSets",
            "Resource": arn,
            "Condition": condition,
        }),
        json!({ "Effect": "Allow", "Action": "route53:ListResourceRecordSets", "Resource": arn }),
        json!({ "Effect": "Allow", "Action": "route53:GetChange", "Resource": "arn:aws:route53:::change/*" }),
    ];
    if hosted_zone_id.is_none() {
        let action = "route53:ListHostedZonesByName";
        statements.push(json!({ "Effect": "Allow", "Action": action, "Resource": "*" }));
    }
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    Policy {
        title: "AWS, an IAM policy".to_owned(),
        text: format!("{policy:#}\n"),
        limits: match grant.scope {
            Scope::Name => None,
            Scope::Subdomain => Some("it allows TXT below these names as well".to_owned()),
            Scope::Zone => Some("it allows TXT at every name of the zone, its apex too".to_owned()),
        },
    }
}

impl Route53 {
    /// Every right that matters, with what IAM or Route 53 said, and what would narrow them.
    pub(crate) async fn audit_credentials(
        &self,
        subject: &Subject,
    ) -> Result<Audit, ProviderError> {
        let id = self.zone_id(&subject.zone).await?;
        let probes = subject.probes().map_err(|error| {
            let remedy = "correct the zone under `[[alias-zones]]`";
            ProviderError::new(Failure::Rejected, error.to_string(), remedy)
        })?;
        let mut simulator = Simulator::new(self.client().sdk().await).await;
        let mut rights = simulator.beyond_the_zone().await;
        let keeps_to_batches = match probes.first() {
            Some(probe) => self.refuses_what_is_not_there(&id, probe).await,
            None => true,
        };
        for probe in probes {
            let (verdict, mut evidence) = match self.simulated(&mut simulator, &id, &probe).await {
                Some(said) => said,
                None if keeps_to_batches => self.may(&id, &probe).await,
                None => (Verdict::CannotTell, NOT_ASKED.to_owned()),
            };
            if probe.weight == Weight::Needed {
                evidence = format!("{evidence}; {}", simulator.identity());
            }
            rights.push(Right {
                right: probe.right,
                weight: probe.weight,
                verdict,
                evidence,
            });
        }
        for zone in &subject.main_zones {
            rights.extend(
                self.in_main_zone(&mut simulator, zone, keeps_to_batches)
                    .await,
            );
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

    async fn simulated(
        &self,
        simulator: &mut Simulator<'_>,
        id: &str,
        probe: &Probe,
    ) -> Option<(Verdict, String)> {
        let (name, kind) = (probe.name.as_str(), rr_type(probe.kind));
        if probe.weight != Weight::Needed {
            return simulator.ask_each(id, name, kind.as_str()).await;
        }
        // What is written has to be withdrawn.
        let change = Change {
            zone: id,
            name,
            kind: kind.as_str(),
            actions: &["CREATE", "DELETE"],
        };
        simulator.ask(change).await
    }

    /// What the credentials can write in a zone that they must not touch, where that is one of Route 53's.
    async fn in_main_zone(
        &self,
        simulator: &mut Simulator<'_>,
        of: &MainZone,
        keeps_to_batches: bool,
    ) -> Vec<Right> {
        let zone = &of.zone;
        let right = |what, (verdict, evidence)| Right {
            right: what,
            weight: Weight::Fatal,
            verdict,
            evidence,
        };
        let all = format!("TXT in the main zone {zone}");
        match &of.servers {
            Err(error) => return vec![right(all, (Verdict::CannotTell, error.to_string()))],
            Ok(servers) if !servers.iter().any(is_route_53) => return Vec::new(),
            Ok(_) => {}
        }
        // None, where it is another account's.
        let ids = match self.hosted_zones(zone).await {
            Ok((public, _)) => public,
            Err(error) => return vec![right(all, (Verdict::CannotTell, error.what))],
        };
        let mut rights = Vec::new();
        for id in &ids {
            for name in &of.challenge_names {
                let probe = Probe::main_zone(name);
                let said = match simulator.ask_each(id, name.as_str(), "TXT").await {
                    Some(said) => said,
                    None if keeps_to_batches => self.may(id, &probe).await,
                    None => (Verdict::CannotTell, NOT_ASKED.to_owned()),
                };
                rights.push(right(probe.right, said));
            }
        }
        rights
    }

    /// Whether deleting what is not there is refused, as Route 53 does; a service that only looks like it
    /// might carry out the rest of a batch.
    async fn refuses_what_is_not_there(&self, id: &str, probe: &Probe) -> bool {
        let Some(batch) = batch(probe, None) else {
            return false;
        };
        let changed = self.change(id, batch).await;
        changed.is_err_and(|error| error.is_batch_refused() || error.is_denied())
    }

    /// Asks Route 53 itself. CREATE and UPSERT cannot be asked about alone: they would be carried out.
    async fn may(&self, id: &str, probe: &Probe) -> (Verdict, String) {
        let allowed = || {
            let evidence = "InvalidChangeBatch: the right is there, what is to be deleted is not";
            (Verdict::Allowed, evidence.to_owned())
        };
        for action in [ChangeAction::Create, ChangeAction::Upsert] {
            let Some(batch) = batch(probe, Some(action)) else {
                let evidence = "the batch could not be made".to_owned();
                return (Verdict::CannotTell, evidence);
            };
            match self.change(id, batch).await {
                Err(error) if error.is_batch_refused() => return allowed(),
                Err(error) if error.is_denied() => {}
                Err(error) => return (Verdict::CannotTell, CallError::to_string(&error)),
                Ok(_) => return (Verdict::CannotTell, "a success that cannot be".to_owned()),
            }
        }
        let evidence = "AccessDenied to CREATE and to UPSERT, each beside a DELETE";
        (Verdict::Denied, evidence.to_owned())
    }
}

/// Whether the server is one of Route 53's
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html>).
fn is_route_53(server: &Server) -> bool {
    let name = server.name.as_ref();
    name.is_some_and(|name| name.labels().any(|label| label.starts_with("awsdns-")))
}

fn rr_type(kind: ProbeKind) -> RrType {
    match kind {
        ProbeKind::Txt => RrType::Txt,
        ProbeKind::Cname => RrType::Cname,
        ProbeKind::Ns => RrType::Ns,
        ProbeKind::Caa => RrType::Caa,
        ProbeKind::A => RrType::A,
    }
}

/// A batch that deletes a value of 128 random bits, which is nobody's, and creates one beside it. Both are of
/// one name and type, so that a policy that allows the one allows the batch.
fn batch(probe: &Probe, action: Option<ChangeAction>) -> Option<ChangeBatch> {
    let nobodys = format!("acme-alias-audit-{:032x}", rand::random::<u128>());
    let values = match probe.kind {
        ProbeKind::Txt => [format!("\"{nobodys}\""), "\"acme-alias-audit\"".to_owned()],
        ProbeKind::Caa => [format!("0 issue \"{nobodys}\""), "0 issue \";\"".to_owned()],
        // Of documentation (RFC 5737), at a name of random bits.
        ProbeKind::A => ["192.0.2.1".to_owned(), "192.0.2.2".to_owned()],
        ProbeKind::Cname | ProbeKind::Ns => [
            format!("{nobodys}.invalid."),
            "acme-alias.invalid.".to_owned(),
        ],
    };
    let [nobodys, created] = values;
    let mut changes = vec![change(ChangeAction::Delete, probe, &nobodys)?];
    if let Some(action) = action {
        changes.push(change(action, probe, &created)?);
    }
    ChangeBatch::builder()
        .set_changes(Some(changes))
        .build()
        .ok()
}

fn change(action: ChangeAction, probe: &Probe, value: &str) -> Option<BatchChange> {
    let record = ResourceRecord::builder().value(value).build().ok()?;
    let set = ResourceRecordSet::builder()
        .name(probe.name.fqdn())
        .r#type(rr_type(probe.kind))
        .ttl(TTL)
        .resource_records(record)
        .build()
        .ok()?;
    BatchChange::builder()
        .action(action)
        .resource_record_set(set)
        .build()
        .ok()
}

#[async_trait]
impl KeyRights for Route53 {
    fn policies(&self, grant: &Grant) -> Vec<Policy> {
        let id = self.client().config().hosted_zone_id.as_deref();
        vec![policy(id, grant)]
    }

    async fn audit(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        self.audit_credentials(subject).await
    }
}
