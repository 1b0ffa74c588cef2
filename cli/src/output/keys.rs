//! What keys may do, and what they can do, for people.

use acme_alias_core::name::DnsName;
use acme_alias_core::rights::{Policy, Right, Weight};

use super::report::Audited;

/// The policies of each alias zone.
pub(super) fn policies(zones: &[(DnsName, Vec<Policy>)]) -> String {
    let all = zones
        .iter()
        .flat_map(|(zone, policies)| policies.iter().map(move |policy| (zone, policy)));
    all.map(|(zone, policy)| self::policy(zone, policy))
        .collect()
}

fn policy(zone: &DnsName, policy: &Policy) -> String {
    let mut text = format!("# {zone}: {}\n", policy.title);
    if let Some(limits) = &policy.limits {
        text.push_str(&format!("# {limits}\n"));
    }
    format!("{text}\n{}\n", policy.text)
}

pub(super) fn audited(audited: &Audited) -> String {
    let Audited {
        zone,
        key,
        rights,
        grade,
        advice,
    } = audited;
    let key = key.as_deref().unwrap_or("the credentials");
    let mut text = format!("{zone}, {key}: {grade}\n");
    if rights.is_empty() {
        text.push_str("  what these credentials can do cannot be asked\n");
    } else {
        text.push_str(&table(rights));
    }
    if !advice.is_empty() {
        text.push_str("help: this would narrow it\n");
    }
    for policy in advice {
        text.push_str(&format!("\n      # {}\n", policy.title));
        text.extend(
            policy
                .limits
                .iter()
                .map(|limits| format!("      # {limits}\n")),
        );
        text.extend(policy.text.lines().map(|line| format!("      {line}\n")));
    }
    text + "\n"
}

/// A line for each right.
fn table(rights: &[Right]) -> String {
    let head = ["right", "needed?", "allowed?", "evidence"].map(str::to_owned);
    let rows = rights.iter().map(|right| {
        let is_needed = right.weight == Weight::Needed;
        [
            right.right.clone(),
            if is_needed { "yes" } else { "no" }.to_owned(),
            right.verdict.to_string(),
            right.evidence.clone(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = rows.iter().map(|[right, ..]| right.chars().count()).max();
    let width = width.unwrap_or_default();
    let lines = rows.iter().map(|[right, needed, allowed, evidence]| {
        format!("  {right:width$}  {needed:7}  {allowed:11}  {evidence}\n")
    });
    lines.collect()
}
