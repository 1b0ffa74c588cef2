//! Dividing certificates by their CAs, so that a CA that is slow holds up those of no other one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::report::JobError;
use crate::store::CertificateId;

/// Certificates that are looked up at a time.
const AT_ONCE: usize = 20;
/// How long what was obtained waits for certificates of other CAs, and for looks at CAs, so that identical commands run once
/// for all.
pub(super) const DEPLOYED_TOGETHER: Duration = Duration::from_secs(10);

impl Engine {
    /// Divides certificates by the CAs that they are to be obtained from. `given` is the only one, if it is not to be
    /// looked up.
    pub(super) async fn by_ca(
        &self,
        ids: Vec<CertificateId>,
        given: Option<&Arc<CertificateConfig>>,
    ) -> Vec<Vec<CertificateId>> {
        let found = ids.into_iter().map(|id| {
            let engine = self.clone();
            let given = given.cloned();
            async move {
                // One that cannot be looked up is reported when it is prepared.
                let directory = engine.directory_of(&id, given).await.ok();
                (directory, id)
            }
        });
        let mut found = stream::iter(found).buffered(AT_ONCE);
        let mut by_ca: BTreeMap<Option<String>, Vec<CertificateId>> = BTreeMap::new();
        while let Some((directory, id)) = found.next().await {
            by_ca.entry(directory).or_default().push(id);
        }
        by_ca.into_values().collect()
    }

    async fn directory_of(
        &self,
        id: &CertificateId,
        given: Option<Arc<CertificateConfig>>,
    ) -> Result<String, JobError> {
        let certificate = match given {
            Some(certificate) => certificate,
            None => self.certificate(id).await?,
        };
        let certificate = self.at_ca_to_ask(certificate).await?;
        Ok(certificate.environment.ca().directory().to_owned())
    }
}
