//! From a certificate in the settings to one that the engine can obtain.

use std::collections::BTreeMap;
use std::sync::Arc;

use acme_alias_core::engine::{CertificateConfig, Environment, Fallback};
use acme_alias_core::issue::{CertificateRequest, RequestedName};
use acme_alias_core::renewal::Chosen;
use acme_alias_core::store::CertificateId;

use super::aliases::AliasNames;
use super::environments::Environments;
use super::targets;
use crate::failure::Failure;
use crate::settings::{CertificateSettings, Settings};

/// What certificates with the same settings have in common, made once for all of them.
pub(crate) struct Common<'a> {
    environments: &'a Environments,
    settings: &'a Settings,
    environment: Result<Arc<Environment>, Failure>,
    /// Those of the other CAs, by id.
    others: BTreeMap<String, Result<Arc<Environment>, Failure>>,
}

impl<'a> Common<'a> {
    pub(crate) fn new(environments: &'a Environments, settings: &'a Settings) -> Self {
        let others = settings.cas.iter();
        let others = others.map(|(id, ca)| (id.clone(), environments.of_ca(settings, ca)));
        Common {
            environments,
            settings,
            environment: environments.get(settings),
            others: others.collect(),
        }
    }

    /// The environment of a CA; that of no other id is the usual one.
    fn environment(&self, ca: Option<&str>) -> Result<Arc<Environment>, Failure> {
        let other = ca.and_then(|id| self.others.get(id));
        other.unwrap_or(&self.environment).clone()
    }
}

/// The certificate of this id. `stored` is what is to be stored with it, if no settings file defines it.
pub(crate) fn certificate(
    common: &Common<'_>,
    aliases: &AliasNames,
    id: &CertificateId,
    certificate: &CertificateSettings,
    stored: Option<String>,
) -> Result<Arc<CertificateConfig>, Failure> {
    let names = certificate.domains.iter().map(|domain| {
        let challenge_name = domain.identifier.challenge_name();
        let own = domain.alias.as_ref();
        let own = own.or_else(|| certificate.alias_of(challenge_name));
        RequestedName {
            identifier: domain.identifier.clone(),
            alias: aliases.of_certificate(challenge_name, own).cloned(),
        }
    });
    if let Some(mistakes) = &certificate.mistakes {
        return Err(mistakes.clone().into());
    }
    let provider = certificate.provider.as_deref();
    let provider = provider
        .map(|id| common.environments.provider(common.settings, id))
        .transpose()?;
    let fallback = certificate.fallback_ca.as_ref();
    Ok(Arc::new(CertificateConfig {
        request: CertificateRequest {
            id: id.clone(),
            names: names.collect(),
            key_type: certificate.key_type,
            reuse_key: certificate.reuse_key,
            csr: certificate.csr.clone(),
            chosen: Chosen {
                profile: certificate.profile.clone(),
                preferred_chain: certificate.preferred_chain.clone(),
            },
            key_access: targets::key_access(common.settings, certificate),
            skip_preflight: certificate.skip_preflight,
            partial: certificate.partial,
            left_out: Vec::new(),
            settings: stored,
        },
        provider,
        targets: targets::of_certificate(common.settings, certificate, id.as_str()),
        renew_before: certificate.renew_before.or(common.settings.renew_before),
        environment: common.environment(certificate.ca.as_deref())?,
        fallback: fallback
            .map(|fallback| {
                let environment = common.environment(Some(&fallback.id))?;
                let after = fallback.after;
                Ok::<_, Failure>(Fallback { environment, after })
            })
            .transpose()?,
    }))
}
