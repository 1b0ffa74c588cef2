//! Snapshots for tests.

use std::collections::BTreeMap;
use std::path::PathBuf;

use acme_alias_core::engine::{CurrentVersion, OrderBudget, Overview, WantedBy};
use acme_alias_core::renewal::{self, Attempts, Limits, Pause, Reason, Why};
use acme_alias_core::store::{IndexedVersion, StoreError};
use jiff::{SignedDuration, Timestamp};

use super::snapshot::{Budget, Snapshot};
use super::status::{LastRun, Phase, Status, Trouble};
use crate::failure::Failure;
use crate::output::{Listed, Listing};

const DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn now() -> Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

/// A certificate of 90 days that has so many left.
pub(super) fn with_left(id: &str, days: i32) -> Listed {
    let not_after = now() + DAY * days;
    let indexed = IndexedVersion {
        version: 1,
        not_before: not_after - DAY * 90,
        not_after,
        deployed: true,
        terms: 0,
        incomplete: false,
        has_external_key: false,
    };
    let due = renewal::due(indexed.validity(), None, None);
    Listed {
        overview: Overview {
            current: Some(Ok(CurrentVersion { indexed, due })),
            why: (due.at <= now()).then_some(Why::Due(Reason::Lifetime)),
            has_targets: true,
            ..Overview::not_obtained(
                id.parse().unwrap(),
                vec![format!("{id}.example.com"), format!("www.{id}.example.com")],
            )
        },
        ca: "letsencrypt".to_owned(),
        unusable: None,
        damage: None,
        stored: None,
    }
}

/// Attempts that failed with this error.
pub(super) fn attempts(error: &str) -> Attempts {
    Attempts {
        failed: 3,
        at_ca: 3,
        pause: Pause {
            failed_at: now() - SignedDuration::from_mins(7),
            until: now() + SignedDuration::from_mins(93),
            asked: None,
            asked_by: None,
        },
        error: error.to_owned(),
    }
}

/// One certificate in each state.
pub(super) fn all_states() -> Vec<Listed> {
    let mut damaged = with_left("damaged", 80);
    damaged.damage = Some(Failure::from(StoreError::Damaged {
        location: "certificates/damaged/current/cert.pem".to_owned(),
        cause: "it is no PEM file".to_owned(),
    }));
    let mut failing = with_left("shop", 4);
    failing.overview.attempts = Some(attempts(
        "the CA could not validate shop.example.com: no TXT record found",
    ));
    failing.overview.next_try = Some(now() + SignedDuration::from_mins(93));
    let mut missing = with_left("intranet", 0);
    missing.overview.current = None;
    missing.overview.why = Some(Why::Missing);
    missing.overview.attempts = Some(attempts(
        "_acme-challenge.intranet.example.com has no CNAME",
    ));
    missing.overview.next_try = Some(now() + SignedDuration::from_mins(12));
    let mut undeployed = with_left("mail", 88);
    if let Some(Ok(current)) = &mut undeployed.overview.current {
        current.indexed.deployed = false;
    }
    let mut forgotten = with_left("old", -3);
    forgotten.overview.wanted_by = WantedBy::Nobody;
    vec![
        damaged,
        failing,
        missing,
        undeployed,
        forgotten,
        with_left("blog", 29),
        with_left("api", 61),
    ]
}

/// So many certificates that are well.
pub(super) fn many(count: i32) -> Vec<Listed> {
    let all = (0..count).map(|number| with_left(&format!("site-{number}"), 31 + number * 37 % 59));
    all.collect()
}

fn status() -> Status {
    let trouble = Trouble {
        message: "_acme-challenge.intranet.example.com has no CNAME".to_owned(),
        remedies: vec![
            "Add this record to the zone of `example.com`:\n_acme-challenge.intranet.example.com. 600 IN CNAME \
             _acme-challenge.auth.example.net."
                .to_owned(),
        ],
    };
    Status {
        phase: Phase::Waiting(now() + SignedDuration::from_mins(12)),
        runs: 41,
        last: Some(LastRun {
            began: now() - SignedDuration::from_secs(428),
            ended: now() - SignedDuration::from_secs(420),
            failed: 2,
            error: None,
        }),
        failures: BTreeMap::from([("intranet".parse().unwrap(), trouble)]),
        ..Status::new(now() - DAY * 12)
    }
}

/// How everything is with these certificates.
pub(super) fn snapshot(all: Vec<Listed>) -> Snapshot {
    let rate = Limits::lets_encrypt().orders;
    let budget = |directory: &str, ca: &str, rate, left| Budget {
        ca: ca.to_owned(),
        orders: OrderBudget {
            directory: directory.to_owned(),
            rate,
            left,
            used: left.map_or(0, |left: u32| 300 - left),
            next: left.map(|_| now() + DAY),
            refused_until: None,
        },
    };
    let line = |sequence: u64, event: &str, action: &str| {
        let line = serde_json::json!({
            "sequence": sequence, "time": now() - SignedDuration::from_secs(420 - i64::try_from(sequence).unwrap()),
            "run": "a", "event": event, "action": action, "certificate": "shop", "order": null,
            "zone": "auth.example.net", "provider": "rfc2136", "key": null,
            "name": "_acme-challenge.auth.example.net", "value": "x".repeat(43), "ttl": 0, "server": null,
            "response": (event == "failed").then_some("REFUSED"), "previous": "",
        });
        serde_json::from_value(line).unwrap()
    };
    let changes = vec![
        line(5, "withdrawn", "remove"),
        line(4, "acknowledged", "remove"),
        line(3, "verified", "add"),
        line(2, "failed", "add"),
        line(1, "intent", "add"),
    ];
    Snapshot {
        at: now(),
        listing: Listing::new(all, now(), PathBuf::from("/var/lib/acme-alias"), None),
        ledger_lines: 5,
        changes,
        open_values: 1,
        budgets: vec![
            budget(
                "https://acme-v02.api.letsencrypt.org/directory",
                "letsencrypt",
                rate,
                Some(214),
            ),
            budget(
                "https://ca.example.net/directory",
                "ca.example.net",
                None,
                None,
            ),
        ],
        status: Some(status()),
        series_max: 1_000,
    }
}
