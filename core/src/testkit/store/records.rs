//! Rules for accounts, settings, orders and alias names.

use std::collections::BTreeMap;

use futures_util::future::join;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use super::checks::{Outcome, SECRET, Suite, equal, id};
use crate::deploy::{Deployment, Deployments};
use crate::ledger::RunId;
use crate::name::DnsName;
use crate::renewal::{Attempts, Failure, RenewalInfo, Reservation, Spent, Window};
use crate::store::{CaStatus, CertificateStatus};

/// Rounds in which two processes add alias names at once.
const ROUNDS: usize = 10;

/// A target that is not done, of this version.
fn deployments(version: u32, attempts: Option<Attempts>) -> Deployments {
    Deployments {
        version,
        digest: u64::MAX,
        shared: Some(1),
        targets: vec![Deployment {
            target: u64::MAX,
            name: "a target \"\n".to_owned(),
            done: false,
            attempts,
        }],
    }
}

impl Suite<'_> {
    pub(super) async fn accounts_stay_apart(&self) -> Outcome {
        let urls = [
            "https://ca.example/a",
            "https://ca.example/b",
            "https://ca.example/A",
            "http://../../odd path",
        ];
        for url in urls {
            let none = self.ok(self.store.account(url).await)?;
            equal("an account too early", &none.is_none(), &true)?;
            let credentials = format!("{SECRET} {url}").into();
            self.ok(self.store.put_account(url, &credentials).await)?;
        }
        for url in urls {
            let found = self.ok(self.other.account(url).await)?;
            equal(
                "credentials",
                &text(found),
                &Some(format!("{SECRET} {url}")),
            )?;
        }
        let again = format!("{SECRET} again").into();
        self.ok(self.other.put_account(urls[0], &again).await)?;
        let found = self.ok(self.store.account(urls[0]).await)?;
        equal(
            "new credentials",
            &text(found),
            &Some(format!("{SECRET} again")),
        )
    }

    pub(super) async fn settings_and_orders(&self) -> Outcome {
        let id = id("records")?;
        equal("settings", &self.ok(self.store.settings(&id).await)?, &None)?;
        let order = self.ok(self.store.order(&id).await)?;
        equal("an order", &text(order), &None)?;
        self.ok(self.store.remove_order(&id).await)?;
        for round in ["1", "2 \"\n[é"] {
            let order = format!("{SECRET} {round}");
            self.ok(self.store.put_settings(&id, round).await)?;
            self.ok(self.store.put_order(&id, &order.as_str().into()).await)?;
            let found = self.ok(self.other.settings(&id).await)?;
            equal("settings", &found, &Some(round.to_owned()))?;
            let found = self.ok(self.other.order(&id).await)?;
            equal("the order", &text(found), &Some(order))?;
        }
        for store in [&self.other, &self.store] {
            self.ok(store.remove_order(&id).await)?;
        }
        let order = self.ok(self.store.order(&id).await)?;
        equal("a removed order", &text(order), &None)?;
        let settings = self.ok(self.store.settings(&id).await)?;
        equal("settings without an order", &settings.is_some(), &true)
    }

    pub(super) async fn a_status_is_kept_and_indexed(&self) -> Outcome {
        let id = id("status")?;
        let none = self.ok(self.store.status(&id).await)?;
        equal("a status too early", &none, &CertificateStatus::default())?;
        let mut status = CertificateStatus::default();
        for round in 1_u32..=2 {
            let time = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::from(round));
            let error = format!("error {round} \"\n[é");
            let failure = Failure {
                error,
                is_of_ca: true,
                asked: Some(time),
                asked_by: None,
            };
            let attempts = Attempts::after(status.attempts.as_ref(), time, failure);
            status.attempts = Some(attempts);
            status.renewal_info = Some(RenewalInfo {
                version: round,
                window: Some(Window {
                    start: time,
                    end: time,
                    renew_at: time,
                }),
                look_at: time,
                unanswered: round,
                explanation: None,
            });
            status.deployments = Some(deployments(round, status.attempts.clone()));
            status.notified.failing = true;
            self.ok(self.store.put_status(&id, &status).await)?;
            for store in [&self.other, &self.store] {
                equal("the status", &self.ok(store.status(&id).await)?, &status)?;
                let index = self.ok(store.index().await)?.into_iter();
                let mut indexed = index.filter(|entry| entry.id == id);
                let indexed = indexed.next().map(|entry| entry.status);
                equal("its entry in the index", &indexed, &Some((&status).into()))?;
            }
        }
        Ok(())
    }

    pub(super) async fn a_ca_status_is_replaced_if_it_is_as_before(&self) -> Outcome {
        let url = "https://ca.example/status";
        let none = self.ok(self.store.ca_status(url).await)?;
        equal("the status of a CA too early", &none, &CaStatus::default())?;
        let known = CaStatus {
            no_looks_before: Some(Timestamp::UNIX_EPOCH),
            contact: Some(vec!["admin@example.com".to_owned()]),
            caa_issuers: Some(vec!["ca.example".to_owned()]),
            no_orders_before: None,
            orders: vec![Spent {
                at: Timestamp::UNIX_EPOCH,
                count: 7,
                reserved: Some(Reservation {
                    run: RunId::new(Timestamp::UNIX_EPOCH),
                    opened: 3,
                }),
            }],
        };
        for (status, is_replaced) in [(&known, true), (&none, false)] {
            let replaced = self.store.replace_ca_status(url, &none, status).await;
            equal("whether it is replaced", &self.ok(replaced)?, &is_replaced)?;
            equal(
                "the status of a CA",
                &self.ok(self.other.ca_status(url).await)?,
                &known,
            )?;
        }
        let other = self.ok(self.other.ca_status("https://ca.example/Status").await)?;
        equal("the status of another CA", &other, &CaStatus::default())
    }

    pub(super) async fn alias_names_stay(&self) -> Outcome {
        let first = names(&[
            ("_a.example.com", "1.auth.net"),
            ("_b.example.com", "2.auth.net"),
        ])?;
        let held = self.ok(self.store.add_alias_names(&first).await)?;
        equal("fresh alias names", &held, &first)?;
        let second = names(&[
            ("_a.example.com", "3.auth.net"),
            ("_b.example.com", "4.other.net"),
            ("_c.example.com", "5.auth.net"),
        ])?;
        let expected = names(&[
            ("_a.example.com", "1.auth.net"),
            ("_b.example.com", "4.other.net"),
            ("_c.example.com", "5.auth.net"),
        ])?;
        let held = self.ok(self.other.add_alias_names(&second).await)?;
        equal("alias names that hold", &held, &expected)?;
        let nothing = self.ok(self.store.add_alias_names(&BTreeMap::new()).await)?;
        equal("no alias names", &nothing, &BTreeMap::new())?;
        let stored = self.ok(self.store.alias_names().await)?;
        equal("stored alias names", &stored, &expected)
    }

    pub(super) async fn two_writers_of_alias_names(&self) -> Outcome {
        let mut all = self.ok(self.store.alias_names().await)?;
        for round in 0..ROUNDS {
            let one = names(&[(&format!("_one{round}.example.com"), "x.auth.net")])?;
            let other = names(&[(&format!("_other{round}.example.com"), "y.auth.net")])?;
            let (first, second) = join(
                self.store.add_alias_names(&one),
                self.other.add_alias_names(&other),
            )
            .await;
            self.ok(first.and(second))?;
            all.extend(one);
            all.extend(other);
        }
        let stored = self.ok(self.store.alias_names().await)?;
        equal("alias names of two writers", &stored, &all)
    }
}

fn text(secret: Option<SecretString>) -> Option<String> {
    secret.map(|secret| secret.expose_secret().to_owned())
}

fn names(pairs: &[(&str, &str)]) -> Outcome<BTreeMap<DnsName, DnsName>> {
    let parse = |text: &str| -> Outcome<DnsName> {
        text.parse()
            .map_err(|error: crate::name::NameError| error.to_string())
    };
    let pairs = pairs.iter();
    pairs
        .map(|(challenge_name, alias_name)| Ok((parse(challenge_name)?, parse(alias_name)?)))
        .collect()
}
