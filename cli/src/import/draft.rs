//! The settings that are added for what was found.

mod cas;
mod certificates;
mod providers;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;

use acme_alias_core::store::CertificateId;
use secrecy::SecretString;

use self::cas::Cas;
use self::certificates::Context;
use self::providers::Providers;
use super::existing::Existing;
use super::model::{Found, FoundCertificate, Problem};
use crate::failure::{Failure, Part};
use crate::settings::Settings;

/// The settings that are added, and the secrets that they refer to.
pub(crate) struct Draft {
    /// What is added to the end of the settings file.
    pub(crate) text: String,
    /// The files of secrets that do not exist yet.
    pub(crate) secrets: Vec<(PathBuf, SecretString)>,
    /// The certificates whose settings are added.
    pub(crate) added: Vec<CertificateId>,
    /// The certificates whose settings are there already.
    pub(crate) known: Vec<CertificateId>,
    /// The settings as they are with what is added.
    pub(super) settings: Settings,
    /// What cannot be taken over.
    pub(crate) problems: Vec<Problem>,
}

/// What is drafted before it is checked.
struct Text {
    toml: String,
    secrets: Vec<(PathBuf, SecretString)>,
    problems: Vec<Problem>,
}

impl Draft {
    /// Drafts settings, and checks that they can be used. `client` names the other client.
    pub(crate) fn new(found: &Found, existing: &Existing, client: &str) -> Result<Self, Failure> {
        let (mut added, mut known, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for certificate in &found.certificates {
            match state_of(certificate, existing) {
                State::New => added.push(certificate),
                State::Known => known.push(certificate.id.clone()),
                State::Other => problems.push(other(certificate, existing)),
            }
        }
        let drafted = Text::new(found, existing, &added, client);
        let settings = read(existing, &drafted.toml)?;
        problems.extend(drafted.problems);
        for certificate in &added {
            let written = settings.certificates.get(&certificate.id);
            if let Some(mistakes) = written.and_then(|written| written.mistakes.as_ref()) {
                let reason = format!("its settings cannot be used yet: {mistakes}");
                problems.push(Problem::new(&certificate.file, reason));
            }
        }
        Ok(Draft {
            text: drafted.toml,
            secrets: drafted.secrets,
            added: added.iter().map(|added| added.id.clone()).collect(),
            known,
            settings,
            problems,
        })
    }
}

/// What the settings have of a certificate.
enum State {
    New,
    /// The same names.
    Known,
    /// Its id with other names.
    Other,
}

fn state_of(certificate: &FoundCertificate, existing: &Existing) -> State {
    let Some(known) = existing.settings.certificates.get(&certificate.id) else {
        return State::New;
    };
    let theirs = certificate.names.iter().map(|name| &name.identifier);
    let ours = known.domains.iter().map(|domain| &domain.identifier);
    if theirs.collect::<BTreeSet<_>>() == ours.collect::<BTreeSet<_>>() {
        State::Known
    } else {
        State::Other
    }
}

fn other(certificate: &FoundCertificate, existing: &Existing) -> Problem {
    let id = &certificate.id;
    let reason = format!(
        "the settings have a certificate `{id}` with other names, which stays: rename one of them ({})",
        existing.file.display()
    );
    Problem::new(&certificate.file, reason)
}

fn read(existing: &Existing, text: &str) -> Result<Settings, Failure> {
    existing.with(text).map_err(|failure| {
        let message = format!("the new settings cannot be used: {failure}");
        let remedy = failure.remedy.map(String::from);
        Failure::new(Part::Settings, &message, remedy)
    })
}

impl Text {
    fn new(found: &Found, existing: &Existing, added: &[&FoundCertificate], client: &str) -> Self {
        let cas = Cas::new(found, existing, client);
        let providers = Providers::new(found, existing, added, client);
        let mut problems = providers.problems;
        let known = existing
            .settings
            .alias_zones
            .iter()
            .map(|known| &known.zone);
        let new = found.providers.iter().filter_map(|new| new.zone.as_ref());
        let context = Context {
            client,
            cas: &cas,
            providers: &providers.ids,
            zones: known.chain(new).collect(),
        };
        let certificates = context.text(added, &mut problems);
        let texts = [&cas.text, &providers.text, &certificates];
        let texts: Vec<_> = texts
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(String::as_str)
            .collect();
        Text {
            toml: texts.join("\n"),
            secrets: providers.secrets,
            problems,
        }
    }
}
