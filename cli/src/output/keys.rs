//! What keys may do, and what they can do, for people.

use acme_alias_core::name::DnsName;
use acme_alias_core::rights::{Grade, Policy, Right, Weight};

use super::layout::wrapped;
use super::report::Audited;
use crate::fill::{WIDTH, fill};

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

/// What each key can do: one line if it is only what is needed, unless everything is wanted.
pub(super) fn audited(all: &[Audited], full: bool) -> String {
    let zones = all.iter().map(|audited| {
        if full || audited.grade != Grade::Tight {
            return everything(audited);
        }
        let line = format!(
            "{}: {}; of the {} rights that were checked, only the needed ones are allowed\n",
            whose(audited),
            audited.grade,
            audited.rights.len()
        );
        wrapped(&line)
    });
    zones.collect()
}

fn whose(audited: &Audited) -> String {
    let key = audited.key.as_deref().unwrap_or("the credentials");
    format!("{}, {key}", audited.zone)
}

fn everything(audited: &Audited) -> String {
    let Audited {
        rights,
        grade,
        advice,
        ..
    } = audited;
    let mut text = format!("{}: {grade}\n", whose(audited));
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

/// Whether each right is there and needed, and how that was found.
fn table(rights: &[Right]) -> String {
    let row = |allowed: &str, needed: &str, text: &str| {
        let before = format!("  {allowed:11}  {needed:7}  ");
        fill(text, WIDTH, &before, &" ".repeat(before.len())) + "\n"
    };
    let mut text = row("allowed?", "needed?", "rights, and the evidence");
    let is_needed = |right: &Right| right.weight == Weight::Needed;
    let is_same = |one: &Right, next: &Right| {
        let verdicts = one.verdict == next.verdict && one.evidence == next.evidence;
        verdicts && is_needed(one) == is_needed(next)
    };
    // The same evidence is printed once.
    for group in rights.chunk_by(is_same) {
        let Some(first) = group.first() else { continue };
        let mut allowed = first.verdict.to_string();
        let mut needed = if is_needed(first) { "yes" } else { "no" };
        for right in group {
            text.push_str(&row(&allowed, needed, &right.right));
            (allowed, needed) = (String::new(), "");
        }
        text.push_str(&row("", "", &format!("({})", first.evidence)));
    }
    text
}
