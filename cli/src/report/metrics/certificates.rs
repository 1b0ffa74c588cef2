//! The metrics of certificates.

use acme_alias_core::engine::WantedBy;
use acme_alias_core::renewal::Why;
use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;

use super::super::snapshot::Snapshot;
use super::metric::{Kind, Metric, Sample, count, seconds};
use crate::output::{Listed, State, Warn};

const DAY: f64 = 86_400.0;
/// The upper bounds of the histogram, in days.
const DAYS: [f64; 9] = [0.0, 1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 90.0, 200.0];
const STATES: [(State, &str); 6] = [
    (State::Damaged, "damaged"),
    (State::Expired, "expired"),
    (State::Failed, "failed"),
    (State::Undeployed, "undeployed"),
    (State::Due, "due"),
    (State::Good, "good"),
];

pub(super) fn metrics(snapshot: &Snapshot) -> Vec<Metric> {
    let mut metrics = of_all(snapshot);
    metrics.extend(of_each(snapshot));
    metrics
}

fn of_all(snapshot: &Snapshot) -> Vec<Metric> {
    let (all, now) = (&snapshot.listing.all, snapshot.at);
    let number =
        |holds: &dyn Fn(&Listed) -> bool| count(all.iter().filter(|one| holds(one)).count());
    let states = STATES.into_iter().map(|(state, word)| Sample {
        labels: vec![("state", word.to_owned())],
        value: number(&|one| one.state(now) == state),
    });
    let remaining = Histogram::new(DAYS.map(|days| days * DAY));
    for left in all.iter().filter_map(|listed| listed.left(now)) {
        remaining.observe(left.as_secs_f64());
    }
    vec![
        Metric::family("certificates", "Certificates by state", states),
        Metric::gauge(
            "certificates_alarming",
            "Certificates that `acme-alias list --check` reports",
            number(&|one| one.alarm(now, Warn::default()).is_some()),
        ),
        Metric::gauge(
            "certificates_failing",
            "Certificates whose last attempt failed",
            number(&|one| one.attempts().is_some()),
        ),
        Metric::gauge(
            "certificates_undeployed",
            "Certificates that are stored and not deployed",
            number(&Listed::is_undeployed),
        ),
        Metric::gauge(
            "consecutive_failures_max",
            "Attempts in a row that failed, of the certificate with the most",
            all.iter().map(failures).fold(0.0, f64::max),
        ),
        Metric::gauge(
            "first_not_after_timestamp_seconds",
            "When the first of all certificates ends that are wanted",
            (all.iter().filter(|one| is_wanted(one)))
                .filter_map(not_after)
                .min()
                .map(seconds),
        ),
        Metric::gauge(
            "first_renewal_timestamp_seconds",
            "From when on the first certificate is due that is wanted",
            all.iter()
                .filter_map(|one| renewal(one, now))
                .min()
                .map(seconds),
        ),
        Metric {
            name: "certificate_remaining_seconds",
            help: "How long certificates are still valid, when this was written",
            kind: Kind::Histogram(remaining),
        },
    ]
}

/// Those of the worst ones, if there are many: a series for each of 100,000 is too much for most servers.
fn of_each(snapshot: &Snapshot) -> Vec<Metric> {
    let now = snapshot.at;
    let mut worst = snapshot.listing.obtained_first();
    worst.truncate(snapshot.series_max);
    let of = |name, help, value: &dyn Fn(&Listed) -> Option<f64>| {
        let samples = worst.iter().filter_map(|listed| {
            let id = listed.overview.id.to_string();
            Some(Sample {
                labels: vec![("certificate", id)],
                value: value(listed)?,
            })
        });
        Metric::family(name, help, samples)
    };
    vec![
        of(
            "certificate_not_before_timestamp_seconds",
            "When the certificate begins to be valid",
            &|one| {
                one.current()
                    .map(|current| seconds(current.indexed.not_before))
            },
        ),
        of(
            "certificate_not_after_timestamp_seconds",
            "When the certificate ends",
            &|one| not_after(one).map(seconds),
        ),
        of(
            "certificate_renewal_timestamp_seconds",
            "From when on the certificate is due",
            &|one| renewal(one, now).map(seconds),
        ),
        of(
            "certificate_consecutive_failures",
            "Attempts in a row that failed since the certificate was obtained",
            &|one| Some(failures(one)),
        ),
        of(
            "certificate_undeployed_targets",
            "Targets of the certificate that are not done",
            &|one| Some(undeployed(one)),
        ),
    ]
}

fn is_wanted(listed: &Listed) -> bool {
    listed.overview.wanted_by != WantedBy::Nobody
}

fn not_after(listed: &Listed) -> Option<Timestamp> {
    listed.current().map(|current| current.indexed.not_after)
}

/// From when on it is due; now if it is due for another reason than its age. None if nobody wants it.
fn renewal(listed: &Listed, now: Timestamp) -> Option<Timestamp> {
    if !is_wanted(listed) {
        return None;
    }
    match (&listed.overview.why, listed.current()) {
        (None | Some(Why::Due(_)), Some(current)) => Some(current.due.at),
        (Some(_), _) => Some(now),
        (None, None) => None,
    }
}

fn failures(listed: &Listed) -> f64 {
    listed
        .attempts()
        .map_or(0.0, |attempts| f64::from(attempts.failed))
}

/// Targets that were not tried yet are one.
fn undeployed(listed: &Listed) -> f64 {
    if listed.is_undeployed() {
        count(listed.overview.undeployed.len().max(1))
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_state_has_a_word_of_its_own() {
        let words: BTreeSet<_> = STATES.iter().map(|(_, word)| word).collect();
        assert_eq!(words.len(), STATES.len());
        assert!(DAYS.is_sorted());
    }
}
