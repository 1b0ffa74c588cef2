//! The narrowest IAM policy.

use acme_alias_core::rights::{Grant, Policy, Scope};
use serde_json::{Value, json};

use crate::parameters::HostedZoneId;

/// The policy that allows `grant`. The id of the hosted zone is a placeholder if it is unknown.
pub(crate) fn policy(hosted_zone_id: Option<&HostedZoneId>, grant: &Grant) -> Policy {
    let zone = hosted_zone_id.map_or("THE-ID-OF-THE-HOSTED-ZONE", HostedZoneId::as_str);
    let arn = format!("arn:aws:route53:::hostedzone/{zone}");
    let mut statements = vec![
        json!({
            "Effect": "Allow",
            "Action": "route53:ChangeResourceRecordSets",
            "Resource": arn,
            "Condition": condition(grant),
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
            Scope::Subdomain => Some("this also allows TXT below these names".to_owned()),
            Scope::Zone => {
                Some("this allows TXT at every name of the zone, including its apex".to_owned())
            }
        },
    }
}

/// The condition on names, types and actions. `Null` is needed because `ForAllValues` is also true if
/// the key is absent
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html>).
fn condition(grant: &Grant) -> Value {
    let key = |name: &str| format!("route53:ChangeResourceRecordSets{name}");
    let (names, types, actions) = (
        key("NormalizedRecordNames"),
        key("RecordTypes"),
        key("Actions"),
    );
    let patterns: Vec<String> = match grant.scope {
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
        equal[&names] = json!(patterns);
    } else {
        condition["ForAllValues:StringLike"] = json!({ names.as_str(): patterns });
    }
    condition["ForAllValues:StringEquals"] = equal;
    condition
}
