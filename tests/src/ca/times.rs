//! What of the CA depends on the time: lifetimes by profile, renewal information, and its limits.

use std::time::Duration;

use acme_alias_core::certificate::inspect;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::problem::Problem;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// The profiles, with the lifetimes that Let's Encrypt gives them.
const PROFILES: [(&str, Duration); 3] = [
    ("classic", Duration::from_hours(90 * 24)),
    ("tlsserver", Duration::from_hours(45 * 24)),
    ("shortlived", Duration::from_hours(160)),
];
/// Certificates for one set of names in [`IDENTICAL_IN`], without those that replace others in their window.
const IDENTICAL_MAX: usize = 5;
const IDENTICAL_IN: Duration = Duration::from_hours(7 * 24);
/// Orders of an account in [`ORDERS_IN`].
const ORDERS_MAX: usize = 300;
const ORDERS_IN: Duration = Duration::from_hours(3);

/// An order that was opened, and the certificate that came of it.
#[derive(Debug)]
pub(super) struct Dated {
    pub(super) names: Vec<String>,
    pub(super) opened: Timestamp,
    pub(super) profile: Option<String>,
    /// Whether it replaces another one in its window.
    pub(super) is_exempt: bool,
    pub(super) issued: Option<Issued>,
}

/// A certificate that was issued.
#[derive(Debug)]
pub(super) struct Issued {
    renewal_id: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    is_replaced: bool,
}

/// The profiles as a directory has them.
pub(super) fn profiles() -> Value {
    let names = PROFILES
        .iter()
        .map(|(name, _)| ((*name).to_owned(), Value::from("for tests")));
    Value::Object(names.collect())
}

/// From when to when a certificate of this profile is valid.
pub(super) fn validity(now: Timestamp, profile: Option<&str>) -> (Timestamp, Timestamp) {
    let known = PROFILES.iter().find(|(name, _)| Some(*name) == profile);
    let (_, lifetime) = known.unwrap_or(&PROFILES[0]);
    (now - HOUR, now - HOUR + *lifetime)
}

/// An order for these names, which may replace another one.
pub(super) fn dated(
    all: &mut [Dated],
    opened: Timestamp,
    payload: &Value,
    names: Vec<String>,
) -> Result<Dated, Problem> {
    let profile = payload["profile"].as_str().map(str::to_owned);
    if let Some(profile) = &profile
        && !PROFILES.iter().any(|(name, _)| name == profile)
    {
        return Err(Problem::new(400, "invalidProfile", profile));
    }
    let mut is_exempt = false;
    if let Some(replaces) = payload["replaces"].as_str() {
        let mut issued = all.iter_mut().filter_map(|dated| dated.issued.as_mut());
        let replaced = issued.find(|issued| issued.renewal_id == replaces);
        let replaced = replaced.ok_or_else(|| Problem::malformed("replaces nothing"))?;
        if replaced.is_replaced {
            return Err(Problem::new(409, "alreadyReplaced", "it is replaced"));
        }
        replaced.is_replaced = true;
        let (start, end) = window(replaced);
        is_exempt = start <= opened && opened < end;
    }
    Ok(Dated {
        names,
        opened,
        profile,
        is_exempt,
        issued: None,
    })
}

/// Fails if one more order is too many.
pub(super) fn check_limits(all: &[Dated], new: &Dated) -> Result<(), Problem> {
    if new.is_exempt {
        return Ok(());
    }
    let since = |period: Duration| move |dated: &&Dated| dated.opened > new.opened - period;
    let recent = all.iter().filter(since(ORDERS_IN)).count();
    let identical = all.iter().filter(since(IDENTICAL_IN));
    let identical = identical.filter(|dated| dated.names == new.names && !dated.is_exempt);
    if recent >= ORDERS_MAX || identical.count() >= IDENTICAL_MAX {
        return Err(Problem::new(429, "rateLimited", "too many orders"));
    }
    Ok(())
}

impl Dated {
    /// Notes the certificate (PEM).
    pub(super) fn issue(&mut self, leaf: &str) {
        self.issued = inspect(leaf.as_bytes()).ok().map(|info| Issued {
            renewal_id: info.renewal_id.unwrap_or_default(),
            not_before: info.not_before,
            not_after: info.not_after,
            is_replaced: false,
        });
    }
}

/// Two hundredths of the lifetime around two thirds of it, or around half of one below ten days.
fn window(issued: &Issued) -> (Timestamp, Timestamp) {
    let lifetime = issued.not_after.duration_since(issued.not_before);
    let short = SignedDuration::try_from(DAY * 10).unwrap_or(SignedDuration::MAX);
    let middle = if lifetime < short {
        issued.not_before + lifetime / 2
    } else {
        issued.not_before + lifetime / 3 * 2
    };
    (middle - lifetime / 100, middle + lifetime / 100)
}

/// The answer to a look (RFC 9773 §4.2).
pub(super) fn renewal_info(all: &[Dated], renewal_id: &str) -> Option<Value> {
    let issued = all.iter().filter_map(|dated| dated.issued.as_ref());
    let mut known = issued.filter(|issued| issued.renewal_id == renewal_id);
    let (start, end) = window(known.next()?);
    Some(json!({ "suggestedWindow": { "start": start, "end": end } }))
}
