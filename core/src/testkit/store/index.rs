//! Rules for the index.

use super::checks::{Outcome, SECRET, Suite, equal, id};
use crate::store::{CertificateId, IndexedVersion};

/// An entry of the index: whether there are settings, whether there is an order, and the current
/// version.
type Entry = (bool, bool, Option<IndexedVersion>);

impl Suite<'_> {
    pub(super) async fn index_agrees(&self) -> Outcome {
        let (one, two, three) = (id("index-1")?, id("index-2")?, id("index-3")?);
        self.indexed(&one, None).await?;
        self.ok(self.store.put_settings(&one, "x").await)?;
        self.ok(self.store.put_order(&two, &SECRET.into()).await)?;
        self.indexed(&one, Some((true, false, None))).await?;
        self.indexed(&two, Some((false, true, None))).await?;
        self.ok(self.other.remove_order(&two).await)?;
        self.indexed(&two, None).await?;
        let mut current = IndexedVersion::from(&self.put(&three, "first").await?);
        self.indexed(&three, Some((false, false, Some(current))))
            .await?;
        self.ok(self.other.mark_deployed(&three, current.version).await)?;
        current.deployed = true;
        self.indexed(&three, Some((false, false, Some(current))))
            .await?;
        let renewed = IndexedVersion::from(&self.put(&three, "second").await?);
        self.ok(self.other.put_settings(&three, "y").await)?;
        self.indexed(&three, Some((true, false, Some(renewed))))
            .await?;
        let index = self.ok(self.store.index().await)?;
        let ids: Vec<_> = index.into_iter().map(|entry| entry.id).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        sorted.dedup();
        equal("the order of the index", &ids, &sorted)
    }

    /// Both processes have this entry, however often they ask.
    async fn indexed(&self, id: &CertificateId, expected: Option<Entry>) -> Outcome {
        for store in [&self.store, &self.other, &self.store] {
            let index = self.ok(store.index().await)?;
            let found = index.into_iter().find(|entry| entry.id == *id);
            let found = match found {
                None => None,
                Some(entry) => {
                    let current = entry.current.transpose();
                    Some((entry.has_settings, entry.has_order, self.ok(current)?))
                }
            };
            equal(&format!("the entry of {id}"), &found, &expected)?;
        }
        Ok(())
    }
}
