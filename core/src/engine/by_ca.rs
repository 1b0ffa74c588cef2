//! Dividing certificates by their CAs, so that a CA that is slow holds up those of no other one.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::report::JobError;
use crate::store::CertificateId;

/// Certificates that are looked up at a time.
const AT_ONCE: usize = 20;

impl Engine {
    /// Divides certificates by the CAs that they are to be obtained from. `given` is the only one, if it is not to be
    /// looked up.
    pub(super) async fn by_ca(
        &self,
        ids: Vec<CertificateId>,
        given: Option<&Arc<CertificateConfig>>,
    ) -> Vec<Vec<CertificateId>> {
        let mut by_ca: BTreeMap<Option<String>, Vec<CertificateId>> = BTreeMap::new();
        for (id, certificate) in self.at_their_cas(ids, given).await {
            let ca = certificate.as_ref().map(|one| one.environment.ca());
            let directory = ca.map(|ca| ca.directory().to_owned());
            by_ca.entry(directory).or_default().push(id);
        }
        by_ca.into_values().collect()
    }

    /// The certificates at the CAs that they are to be obtained from now, in the order of `ids`. One that cannot be looked
    /// up is reported when it is prepared.
    pub(super) async fn at_their_cas(
        &self,
        ids: Vec<CertificateId>,
        given: Option<&Arc<CertificateConfig>>,
    ) -> Vec<(CertificateId, Option<Arc<CertificateConfig>>)> {
        let found = ids.into_iter().map(|id| {
            let (engine, given) = (self.clone(), given.cloned());
            async move {
                let certificate = engine.at_its_ca(&id, given).await.ok();
                (id, certificate)
            }
        });
        stream::iter(found).buffered(AT_ONCE).collect().await
    }

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
}
