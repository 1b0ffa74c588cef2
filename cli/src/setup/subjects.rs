//! Certificates that are named by their id or by one of their names.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::name::Identifier;
use acme_alias_core::store::{CertificateId, Store};

use super::Setup;
use crate::cli::Subject;
use crate::failure::{Failure, Part, unknown_certificate};

/// The certificates with a name.
#[derive(Default)]
struct With {
    /// Those that the settings or flags describe.
    described: BTreeSet<CertificateId>,
    /// Those that nobody describes any more, and of which the state folder has a version.
    left_over: BTreeSet<CertificateId>,
}

fn unknown_name(name: &Identifier) -> Failure {
    Failure::new(
        Part::Settings,
        &format!("no certificate in the settings or in the state folder has the name {name}"),
        "run `acme-alias list` to see the certificates and their names".to_owned(),
    )
}

impl Setup {
    /// The ids of certificates. A name stands for every certificate with this name: those that the settings or flags
    /// describe; if there are none, those of which the state folder still has a version.
    pub(crate) async fn ids_of(
        &self,
        subjects: &[Subject],
    ) -> Result<BTreeSet<CertificateId>, Failure> {
        let mut ids = BTreeSet::new();
        let mut by_name: BTreeMap<&Identifier, With> = BTreeMap::new();
        for subject in subjects {
            match subject {
                Subject::Certificate(id) => {
                    ids.insert(id.clone());
                }
                Subject::Name(name) => {
                    by_name.entry(name).or_default();
                }
            }
        }
        if !by_name.is_empty() {
            self.find(&mut by_name).await?;
        }
        for (
            name,
            With {
                described,
                left_over,
            },
        ) in by_name
        {
            match (described.is_empty(), left_over.is_empty()) {
                (false, _) => ids.extend(described),
                (true, false) => ids.extend(left_over),
                (true, true) => return Err(unknown_name(name)),
            }
        }
        Ok(ids)
    }

    /// Adds the certificates with each name.
    async fn find(&self, by_name: &mut BTreeMap<&Identifier, With>) -> Result<(), Failure> {
        for (id, certificate) in &self.settings.certificates {
            for name in certificate.identifiers() {
                if let Some(with) = by_name.get_mut(name) {
                    with.described.insert(id.clone());
                }
            }
        }
        let Some((store, _)) = self.existing_state().await? else {
            return Ok(());
        };
        for entry in store.index().await? {
            let id = entry.id;
            if self.settings.certificates.contains_key(&id) {
                continue;
            }
            // What cannot be read is reported where that certificate is wanted.
            if entry.has_settings {
                if let Ok(Some(stored)) = store.settings(&id).await
                    && let Ok(own) = self.stored(&id, &stored)
                    && let Some(own) = own.certificates.get(&id)
                {
                    for name in own.identifiers() {
                        if let Some(with) = by_name.get_mut(name) {
                            with.described.insert(id.clone());
                        }
                    }
                }
            } else if entry.current.is_some()
                && let Ok(Some(stored)) = store.certificate(&id).await
            {
                for (name, with) in by_name.iter_mut() {
                    if stored.info.names.contains(&name.to_string()) {
                        with.left_over.insert(id.clone());
                    }
                }
            }
        }
        Ok(())
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
