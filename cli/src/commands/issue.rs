//! `acme-alias issue`: one certificate.

use std::path::Path;
use std::sync::Arc;

use acme_alias_core::engine::{CertificateConfig, RunOptions, Selection};
use acme_alias_core::name::Identifier;
use acme_alias_core::printable::few;
use acme_alias_core::store::CertificateId;
use tokio_util::sync::CancellationToken;

use super::outcome;
use crate::cli::{Cli, IssueArgs, Subject};
use crate::failure::{Failure, Part};
use crate::flags;
use crate::output::{Output, Report};
use crate::settings::{SettingsError, differences, read_csr};
use crate::setup::{Built, Setup};

pub(crate) async fn run(
    cli: &Cli,
    args: &IssueArgs,
    setup: &Setup,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    let built = setup.engine(output.observer()).await?;
    let certificate = match args.subjects.as_slice() {
        [Subject::Certificate(id)] => by_id(cli, args, &built, id).await?,
        subjects => match configured(cli, args, setup)? {
            Some(id) => by_id(cli, args, &built, &id).await?,
            None => by_flags(cli, args, setup, &built, subjects).await?,
        },
    };
    let options = RunOptions {
        selection: Selection::One(certificate),
        force: args.force,
        wait: args.wait,
        rehearse: args.dry_run,
        cancel: cancel.clone(),
        ..RunOptions::default()
    };
    let report = built.engine.run(&options).await?;
    outcome::of_one(report, output)
}

/// The certificate in the settings that has all the names that were given, if no flag describes another one.
fn configured(
    cli: &Cli,
    args: &IssueArgs,
    setup: &Setup,
) -> Result<Option<CertificateId>, Failure> {
    let names = args.subjects.iter().map(|subject| match subject {
        Subject::Name(name) => Some(name),
        Subject::Certificate(_) => None,
    });
    let Some(names) = names.collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    if names.is_empty() || !flags::describe_nothing(cli, args) {
        return Ok(None);
    }
    let ids: Vec<_> = setup.configured_with(&names).collect();
    match ids.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some((*id).clone())),
        ids => {
            let commands: Vec<_> = ids
                .iter()
                .map(|id| format!("`acme-alias issue {id}`"))
                .collect();
            Err(Failure::new(
                Part::Settings,
                &format!(
                    "{} certificates in the settings have these names",
                    ids.len()
                ),
                format!("name one of them: {}", few(&commands, " or ")),
            ))
        }
    }
}

/// A certificate that the settings define, or that is stored with the flags it was issued with.
async fn by_id(
    cli: &Cli,
    args: &IssueArgs,
    built: &Built,
    id: &CertificateId,
) -> Result<Arc<CertificateConfig>, Failure> {
    if !flags::describe_nothing(cli, args) {
        return Err(Failure::new(
            Part::Settings,
            &"a certificate that is named by its id is issued as the settings define it",
            "omit the flags for aliases, provider and key, or give the domains instead of the id"
                .to_owned(),
        ));
    }
    if let Some(failure) = built.unusable.get(id) {
        return Err(failure.clone());
    }
    let certificate = built.engine.certificate(id).await?;
    if args.skip_preflight {
        let mut without = CertificateConfig::clone(&certificate);
        without.request.skip_preflight = true;
        return Ok(Arc::new(without));
    }
    Ok(certificate)
}

/// A certificate that the flags describe. They are stored with it, before the order is opened.
async fn by_flags(
    cli: &Cli,
    args: &IssueArgs,
    setup: &Setup,
    built: &Built,
    subjects: &[Subject],
) -> Result<Arc<CertificateConfig>, Failure> {
    let mut names: Vec<Identifier> = Vec::new();
    for subject in subjects {
        match subject {
            Subject::Name(name) => names.push(name.clone()),
            Subject::Certificate(id) => {
                let message = format!(
                    "`{id}` has no dot, so it is a certificate id; `issue` takes one id at a time"
                );
                let remedy =
                    "run `acme-alias issue` once for each id, or give domain names".to_owned();
                return Err(Failure::new(Part::Settings, &message, remedy));
            }
        }
    }
    if let Some(file) = &args.csr {
        names = names_of_request(file, names)?;
    }
    let Some(first) = names.first() else {
        return Err(Failure::new(Part::Settings, &"no name was given", None));
    };
    let id = match &args.id {
        Some(id) => id.clone(),
        None => flags::default_id(first).map_err(SettingsError::from)?,
    };
    check_id(setup, built, args, &id, &names).await?;
    let described = flags::certificate(cli, args, &id, &names, &setup.tree()?);
    let described = described.map_err(SettingsError::from)?;
    setup.described(&id, &described).await
}

/// The names of a certification request. If others were given, that is a mistake.
fn names_of_request(file: &Path, given: Vec<Identifier>) -> Result<Vec<Identifier>, Failure> {
    let request = read_csr(file).map_err(SettingsError::from)?;
    if given.is_empty() {
        return Ok(request.names().to_vec());
    }
    match differences(given.iter(), request.names()) {
        None => Ok(given),
        Some(differences) => Err(Failure::new(
            Part::Settings,
            &format!(
                "the names differ from those of {}: {differences}",
                file.display()
            ),
            "omit the names: the request has them".to_owned(),
        )),
    }
}

/// Two certificates never share an id silently.
async fn check_id(
    setup: &Setup,
    built: &Built,
    args: &IssueArgs,
    id: &CertificateId,
    names: &[Identifier],
) -> Result<(), Failure> {
    if setup.settings.certificates.contains_key(id) {
        return Err(Failure::new(
            Part::Settings,
            &format!(
                "the certificate for {} would have the id `{id}`, which belongs to `[certificates.{id}]` \
                 in the settings",
                listed(names)
            ),
            format!(
                "run `acme-alias issue {id}` to obtain that one, or choose another id with `--id`"
            ),
        ));
    }
    let Some(known) = known_names(built, id).await? else {
        return Ok(());
    };
    let is_same = |name: &Identifier| known.contains(&name.to_string());
    let is_ours = if args.id.is_some() {
        names.iter().any(is_same)
    } else {
        names.first().is_some_and(is_same)
    };
    if is_ours {
        return Ok(());
    }
    Err(Failure::new(
        Part::Settings,
        &format!(
            "the certificate for {} would have the id `{id}`, which belongs to the one for {}",
            listed(names),
            known.join(", ")
        ),
        "choose another id with `--id`".to_owned(),
    ))
}

fn listed(names: &[Identifier]) -> String {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// The names of the certificate that the state has under this id.
async fn known_names(built: &Built, id: &CertificateId) -> Result<Option<Vec<String>>, Failure> {
    let store = built.engine.store();
    if store.settings(id).await?.is_some()
        // Settings that cannot be used any more must not keep anyone from replacing them.
        && let Ok(certificate) = built.engine.certificate(id).await
    {
        let names = certificate.request.identifiers();
        return Ok(Some(names.iter().map(ToString::to_string).collect()));
    }
    let stored = store.certificate(id).await?;
    Ok(stored.map(|stored| stored.info.names))
}
