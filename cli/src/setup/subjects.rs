//! Certificates that are named by their id or by one of their names.

use std::collections::BTreeSet;

use acme_alias_core::name::Identifier;
use acme_alias_core::store::{CertificateId, Store};

use super::Setup;
use crate::cli::Subject;
use crate::failure::{Failure, Part, unknown_certificate};

impl Setup {
    /// The ids of certificates. A name stands for every certificate that has it.
    pub(crate) async fn ids_of(
        &self,
        subjects: &[Subject],
    ) -> Result<BTreeSet<CertificateId>, Failure> {
        let mut ids = BTreeSet::new();
        for subject in subjects {
            match subject {
                Subject::Certificate(id) => {
                    ids.insert(id.clone());
                }
                Subject::Name(name) => ids.extend(self.ids_with(name).await?),
            }
        }
        Ok(ids)
    }

    /// The certificates with this name: those that the settings or flags describe; if there are none, those of
    /// which the state folder still has a version.
    async fn ids_with(&self, name: &Identifier) -> Result<Vec<CertificateId>, Failure> {
        let mut described: Vec<_> = self.configured_with(&[name]).cloned().collect();
        let mut left_over = Vec::new();
        if let Some((store, _)) = self.existing_state().await? {
            for entry in store.index().await? {
                let id = entry.id;
                if self.settings.certificates.contains_key(&id) {
                    continue;
                }
                // What cannot be read is reported where that certificate is wanted.
                if entry.has_settings {
                    if let Ok(Some(stored)) = store.settings(&id).await
                        && let Ok(own) = self.stored(&id, &stored)
                        && own.certificates.get(&id).is_some_and(|own| own.has(name))
                    {
                        described.push(id);
                    }
                } else if entry.current.is_some()
                    && let Ok(Some(stored)) = store.certificate(&id).await
                    && stored.info.names.contains(&name.to_string())
                {
                    left_over.push(id);
                }
            }
        }
        let found = if described.is_empty() {
            left_over
        } else {
            described
        };
        if found.is_empty() {
            return Err(Failure::new(
                Part::Settings,
                &format!(
                    "no certificate in the settings or in the state folder has the name {name}"
                ),
                "run `acme-alias list` to see the certificates and their names".to_owned(),
            ));
        }
        Ok(found)
    }

    /// The certificates in the settings that have all of these names.
    pub(crate) fn configured_with(
        &self,
        names: &[&Identifier],
    ) -> impl Iterator<Item = &CertificateId> {
        let certificates = self.settings.certificates.iter();
        let having = certificates.filter(|(_, one)| names.iter().all(|name| one.has(name)));
        having.map(|(id, _)| id)
    }

    /// The names themselves, and those of the certificates that are named by their ids.
    pub(crate) fn identifiers_of<'a>(
        &'a self,
        subjects: &'a [Subject],
    ) -> Result<BTreeSet<&'a Identifier>, Failure> {
        let mut identifiers = BTreeSet::new();
        for subject in subjects {
            match subject {
                Subject::Name(name) => {
                    identifiers.insert(name);
                }
                Subject::Certificate(id) => {
                    let certificate = self.settings.certificates.get(id);
                    let certificate = certificate.ok_or_else(|| unknown_certificate(id))?;
                    identifiers.extend(certificate.identifiers());
                }
            }
        }
        Ok(identifiers)
    }
}
