//! As whom CAA records must name the CAs of certificates, and us.

use std::sync::Arc;

use acme_alias_core::delegation::CaaIdentity;
use acme_alias_core::engine::Environment;
use acme_alias_core::store::CertificateId;
use tracing::warn;

use super::engine::Setup;
use crate::failure::Failure;

/// What CAA records must say for certificates, found once for each CA.
pub(crate) struct Authorities<'a> {
    setup: &'a Setup,
    /// The domain that names each CA, in place of the known one.
    issuer: Option<&'a str>,
    known: Vec<(Arc<Environment>, Option<Arc<CaaIdentity>>)>,
}

impl<'a> Authorities<'a> {
    pub(crate) fn new(setup: &'a Setup, issuer: Option<&'a str>) -> Self {
        Authorities {
            setup,
            issuer,
            known: Vec::new(),
        }
    }

    /// As whom CAA records must name the CA of this certificate, or that of the settings; `None` if the CA's domain is not
    /// known.
    pub(crate) async fn of_one(
        &mut self,
        certificate: Option<&CertificateId>,
    ) -> Result<Option<Arc<CaaIdentity>>, Failure> {
        let identities = self.of_each_ca(certificate).await?;
        Ok(identities.into_iter().flatten().next())
    }

    /// The same for the CAs of these certificates; `None` if the domain of one is not known. Records for the others alone would refuse it.
    pub(crate) async fn of_all(
        &mut self,
        certificates: impl IntoIterator<Item = &CertificateId>,
    ) -> Result<Option<Vec<Arc<CaaIdentity>>>, Failure> {
        let identities = self.of_each_ca(certificates).await?;
        Ok(identities.into_iter().collect())
    }

    async fn of_each_ca(
        &mut self,
        certificates: impl IntoIterator<Item = &CertificateId>,
    ) -> Result<Vec<Option<Arc<CaaIdentity>>>, Failure> {
        let (mut environments, mut is_any) = (Vec::new(), false);
        for id in certificates {
            is_any = true;
            environments.extend(self.environment(id)?);
        }
        if !is_any {
            environments.push(self.setup.environment()?);
        }
        let mut identities = Vec::new();
        for environment in environments {
            let identity = self.identity(environment).await?;
            if !identities.contains(&identity) {
                identities.push(identity);
            }
        }
        Ok(identities)
    }

    /// The environment of the CA of a certificate; none if it was issued by flags that cannot be used any more.
    fn environment(&self, id: &CertificateId) -> Result<Option<Arc<Environment>>, Failure> {
        let Setup {
            settings,
            environments,
            cas_by_flags,
            ..
        } = self.setup;
        if let Some(acme) = cas_by_flags.get(id) {
            let environment = environments.of_ca(settings, acme);
            if let Err(failure) = &environment {
                warn!(certificate = %id, %failure, "its CAA records are not checked");
            }
            return Ok(environment.ok());
        }
        let certificate = settings.certificates.get(id);
        let ca = certificate.and_then(|certificate| certificate.ca.as_deref());
        self.setup.environment_of_ca(ca).map(Some)
    }

    async fn identity(
        &mut self,
        environment: Arc<Environment>,
    ) -> Result<Option<Arc<CaaIdentity>>, Failure> {
        let is_it = |(known, _): &&(Arc<Environment>, _)| Arc::ptr_eq(known, &environment);
        if let Some((_, identity)) = self.known.iter().find(is_it) {
            return Ok(identity.clone());
        }
        let identity = self.setup.caa_identity(&environment, self.issuer).await?;
        let identity = identity.map(Arc::new);
        self.known.push((environment, identity.clone()));
        Ok(identity)
    }
}
