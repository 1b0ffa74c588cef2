//! The list of certificates in JSON.

use acme_alias_core::engine::WantedBy;
use acme_alias_core::renewal::Why;
use serde_json::{Value, json};

use super::json_parts::{certificate, error};
use super::listing::{Listed, Listing};

pub(super) fn listing(listing: &Listing) -> Value {
    let mut all: Vec<_> = listing.all.iter().collect();
    all.sort_by(|one, other| one.overview.id.cmp(&other.overview.id));
    let (mut certificates, mut damaged, mut not_obtained) = (Vec::new(), Vec::new(), Vec::new());
    for listed in all {
        let id = &listed.overview.id;
        if let Some(damage) = &listed.damage {
            damaged.push(json!({ "certificate": id, "error": error(damage) }));
        } else if let (Some(stored), Some(current)) = (&listed.stored, listed.current()) {
            let mut value = certificate(stored, current.due);
            value["deployed"] = json!(current.indexed.deployed);
            value["expired"] = json!(current.indexed.not_after <= listing.now);
            certificates.push(with_overview(value, listed));
        } else {
            not_obtained.push(with_overview(json!({ "certificate": id }), listed));
        }
    }
    let mut value = json!({
        "certificates": certificates,
        "damaged": damaged,
        "not_obtained": not_obtained,
    });
    if listing.check.is_some() {
        let problems = listing.alarms().map(
            |(listed, problem)| json!({ "certificate": listed.overview.id, "problem": problem }),
        );
        value["problems"] = problems.collect();
    }
    value
}

/// Adds what is known beside the version.
fn with_overview(mut value: Value, listed: &Listed) -> Value {
    let overview = &listed.overview;
    let (changes, lacking) = match &overview.other {
        Some(Why::Changed(changes)) => (
            changes.iter().map(ToString::to_string).collect(),
            Vec::new(),
        ),
        Some(Why::Incomplete(names)) => (Vec::new(), names.clone()),
        _ => (Vec::new(), Vec::new()),
    };
    let attempts = overview.attempts.as_ref().map(|attempts| {
        json!({
            "failed": attempts.failed,
            "last": attempts.pause.failed_at,
            "error": attempts.error,
        })
    });
    let undeployed = overview.undeployed.iter().map(|target| {
        let attempts = target.attempts.as_ref();
        json!({
            "target": target.name,
            "error": attempts.map(|attempts| &attempts.error),
            "until": attempts.map(|attempts| attempts.pause.until),
        })
    });
    value["undeployed"] = undeployed.collect();
    value["domains"] = json!(overview.names);
    value["ca"] = json!(overview.directory);
    value["wanted_by"] = match overview.wanted_by {
        WantedBy::Configuration => json!("settings"),
        WantedBy::StoredSettings => json!("flags"),
        WantedBy::Nobody => json!(null),
    };
    value["why"] = json!(overview.why.as_ref().map(ToString::to_string));
    value["changes"] = json!(changes);
    value["lacking"] = json!(lacking);
    value["attempts"] = json!(attempts);
    value["next_try"] = json!(overview.next_try);
    value["in_progress"] = json!(overview.is_busy);
    value["unusable"] = json!(listed.unusable.as_ref().map(error));
    value
}
