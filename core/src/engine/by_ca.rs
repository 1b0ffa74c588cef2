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
/// Names of a certificate whose settings are not read yet.
const NAMES_USUAL: usize = 10;
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
                let certificate = engine.at_its_ca(&id, given).await.ok();
                let directory =
                    |one: Arc<CertificateConfig>| one.environment.ca().directory().to_owned();
                (certificate.map(directory), id)
            }
        });
        let mut found = stream::iter(found).buffered(AT_ONCE);
        let mut by_ca: BTreeMap<Option<String>, Vec<CertificateId>> = BTreeMap::new();
        while let Some((directory, id)) = found.next().await {
            by_ca.entry(directory).or_default().push(id);
        }
        by_ca.into_values().collect()
    }

    /// How many names a certificate has, or probably has if its settings are not read yet.
    pub(super) fn names_of(&self, id: &CertificateId) -> usize {
        let certificate = self.certificates().get(id);
        certificate.map_or(NAMES_USUAL, |one| one.request.names.len())
    }

    /// The certificate at the CA that it is to be obtained from now. `given` is it, if it is not to be looked up.
    async fn at_its_ca(
        &self,
        id: &CertificateId,
        given: Option<Arc<CertificateConfig>>,
    ) -> Result<Arc<CertificateConfig>, JobError> {
        let certificate = match given {
            Some(certificate) => certificate,
            None => self.certificate(id).await?,
        };
        Ok(self.at_ca_to_ask(certificate).await?)
    }

    /// The certificates at the CAs that they are to be obtained from now. One that cannot be looked up is left out: it is
    /// reported when it is prepared.
    pub(super) async fn at_their_cas(
        &self,
        ids: Vec<CertificateId>,
    ) -> Vec<(CertificateId, Arc<CertificateConfig>)> {
        let found = ids.into_iter().map(|id| {
            let engine = self.clone();
            async move {
                let certificate = engine.at_its_ca(&id, None).await.ok()?;
                Some((id, certificate))
            }
        });
        let found = stream::iter(found).buffered(AT_ONCE);
        found.filter_map(std::future::ready).collect().await
    }
}
