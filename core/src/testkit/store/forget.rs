//! Rules for the versions that are kept, and for certificates that are forgotten.

use super::checks::{Outcome, SECRET, Suite, equal, id, is_key};
use crate::store::{CertificateId, CertificateStatus};

impl Suite<'_> {
    pub(super) async fn versions_are_kept_whole(&self) -> Outcome {
        let id = id("kept-versions")?;
        equal(
            "versions too early",
            &self.ok(self.store.versions(&id).await)?,
            &Vec::new(),
        )?;
        let mut kept = Vec::new();
        for round in 0..=self.fixture.keep_versions() {
            let mark = format!("kept{round}");
            let version = self.version(&mark)?;
            let pem = version.chain.certificate.clone();
            let number = self
                .ok(self.store.put_certificate(&id, version).await)?
                .version;
            kept.push((number, mark, pem));
        }
        let (gone, _, _) = kept.remove(0);
        for store in [&self.store, &self.other] {
            let numbers: Vec<_> = kept.iter().map(|(number, ..)| *number).collect();
            equal(
                "the versions",
                &self.ok(store.versions(&id).await)?,
                &numbers,
            )?;
            for (number, mark, pem) in &kept {
                let chain = self.ok(store.chain(&id, *number).await)?;
                equal("a chain", &chain.as_ref(), &Some(pem))?;
                let pem = self.ok(store.pem(&id, *number).await)?;
                let is_same = is_key(pem.as_ref(), mark);
                equal("whether a key is that of its version", &is_same, &true)?;
            }
            equal(
                "a pruned chain",
                &self.ok(store.chain(&id, gone).await)?,
                &None,
            )?;
        }
        self.fixture.damage(&id).await;
        let count = self.ok(self.store.versions(&id).await)?.len();
        equal(
            "how many versions of a damaged certificate",
            &count,
            &kept.len(),
        )
    }

    pub(super) async fn forgotten_certificates_keep_their_versions(&self) -> Outcome {
        let (id, other) = (id("forgotten")?, id("forgotten-not")?);
        self.ok(self.store.forget(&id, false).await)?;
        let version = self.full(&id).await?;
        self.full(&other).await?;
        let before = self.ok(self.other.certificate(&id).await)?;
        for store in [&self.store, &self.other] {
            self.ok(store.forget(&id, false).await)?;
            self.nothing_beside_versions(&id).await?;
            let after = self.ok(self.other.certificate(&id).await)?;
            equal("the certificate", &after, &before)?;
            let keys = self.fixture.keys(&id).await;
            equal(
                "whether its key is kept",
                &keys.contains_key(&version),
                &true,
            )?;
        }
        let other = self.ok(self.store.settings(&other).await)?;
        equal(
            "whether another one has its settings",
            &other.is_some(),
            &true,
        )
    }

    pub(super) async fn purged_certificates_leave_nothing(&self) -> Outcome {
        let (id, other, bare) = (id("purged")?, id("purged-not")?, id("purged-bare")?);
        self.ok(self.store.forget(&id, true).await)?;
        self.full(&id).await?;
        self.full(&other).await?;
        self.ok(self.store.put_settings(&bare, "x").await)?;
        self.ok(self.store.forget(&bare, false).await)?;
        for store in [&self.store, &self.other] {
            self.ok(store.forget(&id, true).await)?;
            self.nothing_beside_versions(&id).await?;
            equal(
                "the certificate",
                &self.ok(self.other.certificate(&id).await)?,
                &None,
            )?;
            equal(
                "its versions",
                &self.ok(self.other.versions(&id).await)?,
                &Vec::new(),
            )?;
            equal(
                "how many keys are left",
                &self.fixture.keys(&id).await.len(),
                &0,
            )?;
        }
        let index = self.ok(self.other.index().await)?;
        let left = index.iter().any(|entry| entry.id == id || entry.id == bare);
        equal("whether it is in the index", &left, &false)?;
        let current = self.ok(self.store.certificate(&other).await)?;
        equal("whether another one is there", &current.is_some(), &true)?;
        // It can be obtained again, also after damage.
        self.full(&id).await?;
        self.fixture.damage(&id).await;
        self.ok(self.store.forget(&id, true).await)?;
        self.full(&id).await.map(drop)
    }

    /// Stores everything that a certificate can have. Returns the number of its version.
    async fn full(&self, id: &CertificateId) -> Outcome<u32> {
        let stored = self.put(id, "full").await?;
        self.ok(self.store.put_settings(id, "x").await)?;
        self.ok(self.store.put_order(id, &SECRET.into()).await)?;
        let status = CertificateStatus {
            revoked: Some(stored.version),
            ..CertificateStatus::default()
        };
        self.ok(self.store.put_status(id, &status).await)?;
        self.ok(self.store.mark_deployed(id, stored.version).await)?;
        Ok(stored.version)
    }

    async fn nothing_beside_versions(&self, id: &CertificateId) -> Outcome {
        for store in [&self.store, &self.other] {
            equal("the settings", &self.ok(store.settings(id).await)?, &None)?;
            let order = self.ok(store.order(id).await)?;
            equal("whether there is an order", &order.is_some(), &false)?;
            let status = self.ok(store.status(id).await)?;
            equal("the status", &status, &CertificateStatus::default())?;
        }
        Ok(())
    }
}
