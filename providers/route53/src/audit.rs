//! The narrowest policy, and what the credentials can really do. IAM tells that where it may be asked; where
//! not, Route 53 is asked by batches that can never be carried out: each deletes a value that is not there,
//! beside what is asked about. A batch is carried out wholly or not at all, and whether it may be is looked at
//! first.

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{
    Grant, Policy, ProviderError, Right, Scope, Subject, Verdict, Weight,
};
use aws_sdk_route53::types::{
    Change as BatchChange, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use serde_json::json;

use crate::backend::Route53;
use crate::error::CallError;
use crate::identity::{Change, Simulator};

/// Time to live of what is never made, in seconds.
const TTL: i64 = 60;

/// The policy for IAM. `Null` is there because `ForAllValues` is true as well where the key is absent
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html>).
pub(crate) fn policy(hosted_zone_id: Option<&str>, grant: &Grant) -> Policy {
    let zone = hosted_zone_id.unwrap_or("THE-ID-OF-THE-HOSTED-ZONE");
    let arn = format!("arn:aws:route53:::hostedzone/{zone}");
    let key = |name: &str| format!("route53:ChangeResourceRecordSets{name}");
    let (names, types, actions) = (
        key("NormalizedRecordNames"),
        key("RecordTypes"),
        key("Actions"),
    );
    let of_names: Vec<_> = match grant.scope {
        Scope::Name => grant.names.iter().map(ToString::to_string).collect(),
        Scope::Subdomain => {
            let names = grant.names.iter();
            names
                .flat_map(|name| [name.to_string(), format!("*.{name}")])
                .collect()
        }
        Scope::Zone => vec![grant.zone.to_string(), format!("*.{}", grant.zone)],
    };
    let mut statements = vec![
        json!({
            "Effect": "Allow",
            "Action": "route53:ChangeResourceRecordSets",
            "Resource": arn,
            "Condition": {
                "ForAllValues:StringLike": { names.as_str(): of_names },
                "ForAllValues:StringEquals": {
                    types.as_str(): ["TXT"],
                    actions.as_str(): ["CREATE", "DELETE"],
                },
                "Null": {
                    names.as_str(): "false",
                    types.as_str(): "false",
                    actions.as_str(): "false",
                },
            },
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

/// Something to ask about: a record set, what it is called in the table, and what it is worth.
struct Probe {
    name: DnsName,
    kind: RrType,
    what: &'static str,
    weight: Weight,
}

/// Everything that is asked about an alias zone.
fn probes(subject: &Subject) -> Vec<Probe> {
    let zone = &subject.zone;
    let label = format!("acme-alias-audit-{:08x}", rand::random::<u32>());
    let needed = subject.alias_names.iter().map(|name| Probe {
        name: name.clone(),
        kind: RrType::Txt,
        what: "TXT",
        weight: Weight::Needed,
    });
    let mut probes: Vec<_> = needed.collect();
    let mut add = |name: Option<DnsName>, kind, what, weight| {
        let name = name.filter(|name| weight > Weight::Wide || !subject.alias_names.contains(name));
        probes.extend(name.map(|name| Probe {
            name,
            kind,
            what,
            weight,
        }));
    };
    let (apex, sibling) = (Some(zone.clone()), zone.child(&label).ok());
    let below = subject.alias_names.first();
    let below = below.and_then(|name| name.child(&label).ok());
    add(apex.clone(), RrType::Txt, "TXT at the apex", Weight::Wide);
    add(
        sibling.clone(),
        RrType::Txt,
        "TXT at another name",
        Weight::Wide,
    );
    let own = zone.challenge_name().ok();
    let what = "TXT at the zone's own challenge name";
    add(own, RrType::Txt, what, Weight::Wide);
    add(below, RrType::Txt, "TXT below an alias name", Weight::Wide);
    add(sibling.clone(), RrType::Cname, "CNAME", Weight::Dangerous);
    add(
        sibling.clone(),
        RrType::Ns,
        "NS: a delegation",
        Weight::Dangerous,
    );
    add(apex, RrType::Caa, "CAA at the apex", Weight::Dangerous);
    add(sibling, RrType::A, "A: an address", Weight::Dangerous);
    probes
}

impl Route53 {
    /// Every right that matters, with what IAM or Route 53 said.
    pub(crate) async fn rights(&self, subject: &Subject) -> Result<Vec<Right>, ProviderError> {
        let id = self.zone_id(&subject.zone).await?;
        let Some(alias_name) = subject.alias_names.first() else {
            return Ok(Vec::new());
        };
        let mut simulator = Simulator::new(self.client().sdk().await).await;
        let mut rights = simulator.beyond_the_zone().await;
        for Probe {
            name,
            kind,
            what,
            weight,
        } in probes(subject)
        {
            let change = Change {
                zone: &id,
                name: name.as_str(),
                kind: kind.as_str(),
            };
            let (verdict, mut evidence) = match simulator.ask(&change).await {
                Some(said) => said,
                None => self.may(&id, alias_name, &name, kind).await,
            };
            if weight == Weight::Needed {
                evidence = format!("{evidence}; {}", simulator.identity());
            }
            rights.push(Right {
                right: format!("{what} ({name})"),
                weight,
                verdict,
                evidence,
            });
        }
        Ok(rights)
    }

    async fn may(
        &self,
        id: &str,
        alias_name: &DnsName,
        name: &DnsName,
        kind: RrType,
    ) -> (Verdict, String) {
        let Some(batch) = impossible(alias_name, name, kind) else {
            return (
                Verdict::CannotTell,
                "the batch could not be made".to_owned(),
            );
        };
        let changed = self.change(id, batch).await;
        match changed {
            Err(error) if error.is_batch_refused() => (
                Verdict::Allowed,
                "InvalidChangeBatch: the right is there, what is to be deleted is not".to_owned(),
            ),
            Err(error) if error.is_denied() => (Verdict::Denied, "AccessDenied".to_owned()),
            Err(error) => (Verdict::CannotTell, CallError::to_string(&error)),
            Ok(_) => (Verdict::CannotTell, "a success that cannot be".to_owned()),
        }
    }
}

/// A batch that creates a set, and deletes a value of 128 random bits, which is nobody's.
fn impossible(alias_name: &DnsName, name: &DnsName, kind: RrType) -> Option<ChangeBatch> {
    let nobodys = format!("\"acme-alias-audit-{:032x}\"", rand::random::<u128>());
    let value = match kind {
        RrType::Txt => "\"acme-alias-audit\"".to_owned(),
        RrType::Caa => "0 issue \";\"".to_owned(),
        RrType::A => "192.0.2.1".to_owned(),
        _ => "acme-alias.invalid.".to_owned(),
    };
    let changes = [
        change(ChangeAction::Delete, alias_name, RrType::Txt, &nobodys)?,
        change(ChangeAction::Create, name, kind, &value)?,
    ];
    ChangeBatch::builder()
        .set_changes(Some(changes.to_vec()))
        .build()
        .ok()
}

fn change(action: ChangeAction, name: &DnsName, kind: RrType, value: &str) -> Option<BatchChange> {
    let record = ResourceRecord::builder().value(value).build().ok()?;
    let set = ResourceRecordSet::builder()
        .name(name.fqdn())
        .r#type(kind)
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
