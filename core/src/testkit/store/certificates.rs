//! Rules for the versions of a certificate.

use secrecy::ExposeSecret;

use super::checks::{Outcome, SECRET, Suite, equal, id, is_key};
use crate::store::{CertificateId, SetAside, StoredCertificate};

impl Suite<'_> {
    pub(super) async fn newest_version_is_current(&self) -> Outcome {
        let id = id("versions")?;
        let none = self.ok(self.store.certificate(&id).await)?;
        equal("a certificate too early", &none, &None)?;
        let mut last = 0;
        for mark in ["first", "second", "third"] {
            let version = self.version(mark)?;
            let (info, origin) = (version.chain.info.clone(), version.origin.clone());
            let stored = self.ok(self.store.put_certificate(&id, version).await)?;
            equal("the stored version", &stored.info, &info)?;
            equal("its origin", &stored.origin, &origin)?;
            equal("its id", &stored.id, &id)?;
            if stored.version <= last {
                return Err(format!("version {} after version {last}", stored.version));
            }
            last = stored.version;
            for store in [&self.store, &self.other] {
                let read = self.ok(store.certificate(&id).await)?;
                equal("the current version", &read.as_ref(), &Some(&stored))?;
            }
        }
        Ok(())
    }

    pub(super) async fn old_versions_are_pruned(&self) -> Outcome {
        let id = id("pruned")?;
        let keep = self.fixture.keep_versions();
        let mut stored = Vec::new();
        for round in 0..keep + 2 {
            let mark = format!("round{round}");
            let version = self.version(&mark)?;
            let version = self.ok(self.store.put_certificate(&id, version).await)?;
            stored.push((version.version, format!("{SECRET}-{mark}")));
            let keys = self.fixture.keys(&id).await.into_iter();
            let keys: Vec<_> = keys
                .map(|(version, key)| (version, key.expose_secret().to_owned()))
                .collect();
            let expected = stored[stored.len().saturating_sub(keep)..].to_vec();
            // A secret must not get into the message.
            if keys != expected {
                let versions = |keys: &[(u32, String)]| -> Vec<u32> {
                    keys.iter().map(|(version, _)| *version).collect()
                };
                let (kept, expected) = (versions(&keys), versions(&expected));
                return Err(format!("keys of versions {kept:?} instead of {expected:?}"));
            }
        }
        Ok(())
    }

    pub(super) async fn a_version_has_its_pem(&self) -> Outcome {
        let id = id("pem")?;
        let none = self.ok(self.store.pem(&id, 1).await)?;
        equal("a version too early", &none.is_some(), &false)?;
        for mark in ["first", "second"] {
            let version = self.version(mark)?;
            let certificate = version.chain.certificate.clone();
            let stored = self.ok(self.store.put_certificate(&id, version).await)?;
            let pem = self.ok(self.other.pem(&id, stored.version).await)?;
            let pem = pem.ok_or("a version has no PEM")?;
            // A secret must not get into the message.
            let is_key = is_key(Some(&pem), mark);
            equal("whether the key is that of the version", &is_key, &true)?;
            equal("the certificate", &pem.certificate, &certificate)?;
            let next = self.ok(self.store.pem(&id, stored.version + 1).await)?;
            equal("a version that does not exist", &next.is_some(), &false)?;
        }
        Ok(())
    }

    pub(super) async fn a_version_may_have_no_key(&self) -> Outcome {
        let id = id("external-key")?;
        let mut numbers = Vec::new();
        for mark in ["own", "external", "own-again"] {
            let mut version = self.version(mark)?;
            if mark == "external" {
                version.key = None;
                version.origin.external_key = Some("5e".repeat(32));
            }
            let stored = self.ok(self.store.put_certificate(&id, version).await)?;
            for store in [&self.store, &self.other] {
                let read = self.ok(store.certificate(&id).await)?;
                equal("the current version", &read.as_ref(), &Some(&stored))?;
                let pem = self.ok(store.pem(&id, stored.version).await)?;
                let pem = pem.ok_or("a version has no PEM")?;
                let has_key = is_key(Some(&pem), mark);
                equal("whether a key is there", &has_key, &(mark != "external"))?;
                equal("whether any is", &pem.key.is_some(), &has_key)?;
                let index = self.ok(store.index().await)?;
                let entry = index.into_iter().find(|entry| entry.id == id);
                let current = entry.and_then(|entry| entry.current).transpose();
                let current = self.ok(current)?;
                equal("the entry", &current, &Some((&stored).into()))?;
            }
            numbers.push((mark, stored.version));
        }
        let keys = self.fixture.keys(&id).await;
        let kept: Vec<_> = keys.keys().copied().collect();
        let own = numbers.iter().filter(|(mark, _)| *mark != "external");
        let own: Vec<_> = own.map(|(_, number)| *number).collect();
        let expected = &own[own.len().saturating_sub(kept.len())..];
        equal("the versions with a key", &kept.as_slice(), &expected)
    }

    pub(super) async fn new_version_is_not_deployed(&self) -> Outcome {
        let id = id("deployed")?;
        // Nothing to mark is no error: a person may have deleted the certificate.
        self.ok(self.store.mark_deployed(&id, 1).await)?;
        let first = self.put(&id, "first").await?;
        self.deployed(&id, first.version, false).await?;
        self.ok(self.store.mark_deployed(&id, first.version).await)?;
        self.deployed(&id, first.version, true).await?;
        let second = self.put(&id, "second").await?;
        self.deployed(&id, second.version, false).await?;
        for other in [first.version, second.version + 1] {
            self.ok(self.store.mark_deployed(&id, other).await)?;
            self.deployed(&id, second.version, false).await?;
        }
        for _ in 0..2 {
            self.ok(self.other.mark_deployed(&id, second.version).await)?;
            self.deployed(&id, second.version, true).await?;
        }
        Ok(())
    }

    pub(super) async fn damage_stays_where_it_is(&self) -> Outcome {
        let (bad, good) = (id("damaged")?, id("undamaged")?);
        self.put(&bad, "bad").await?;
        self.put(&good, "good").await?;
        self.ok(self.store.index().await)?;
        self.fixture.damage(&bad).await;
        self.err(self.store.certificate(&bad).await)?;
        let good = self.ok(self.store.certificate(&good).await)?;
        equal("an undamaged certificate", &good.is_some(), &true)?;
        for store in [&self.store, &self.other] {
            let index = self.ok(store.index().await)?;
            let entry = index.into_iter().find(|entry| entry.id == bad);
            match entry.and_then(|entry| entry.current) {
                Some(current) => self.err(current).map(drop)?,
                None => return Err("a damaged certificate is not in the index".to_owned()),
            }
        }
        let renewed = self.put(&bad, "renewed").await?;
        let read = self.ok(self.store.certificate(&bad).await)?;
        equal("a renewed certificate", &read, &Some(renewed))
    }

    pub(super) async fn what_is_set_aside_is_no_version(&self) -> Outcome {
        let id = id("set-aside")?;
        for number in 0..5 {
            let unusable = SetAside {
                order: format!("https://ca.example/order/{number}"),
                reason: "another key".to_owned(),
                chain: "-----BEGIN CERTIFICATE-----".to_owned(),
                key: Some(SECRET.to_owned().into()),
            };
            let location = self.ok(self.store.set_aside(&id, unusable).await)?;
            equal("whether it is somewhere", &location.is_empty(), &false)?;
        }
        let current = self.ok(self.other.certificate(&id).await)?;
        equal("the current version", &current, &None)?;
        let index = self.ok(self.other.index().await)?;
        let is_in_index = index.iter().any(|entry| entry.id == id);
        equal("whether it is in the index", &is_in_index, &false)
    }

    /// Stores a version.
    pub(super) async fn put(&self, id: &CertificateId, mark: &str) -> Outcome<StoredCertificate> {
        let version = self.version(mark)?;
        self.ok(self.store.put_certificate(id, version).await)
    }

    /// Whether the current version has this number and was deployed or not.
    async fn deployed(&self, id: &CertificateId, version: u32, deployed: bool) -> Outcome {
        for store in [&self.store, &self.other] {
            let read = self.ok(store.certificate(id).await)?;
            let read = read.map(|stored| (stored.version, stored.deployed));
            equal(
                "the current version, and whether it was deployed",
                &read,
                &Some((version, deployed)),
            )?;
        }
        Ok(())
    }
}
