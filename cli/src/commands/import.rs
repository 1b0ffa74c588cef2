//! `acme-alias import`: takes over accounts, certificates and settings of another client.

use acme_alias_core::store::Store;

use crate::cli::{Cli, ImportArgs};
use crate::failure::{Failure, Part};
use crate::import::{self, Draft, Existing, apply};
use crate::output::{Imported, Report};
use crate::settings::KNOWN_DIRECTORIES;
use crate::setup::Setup;
use crate::sources::Sources;

/// Reasons that are shown if nothing can be taken over.
const REASONS_MAX: usize = 10;

pub(crate) async fn run(cli: &Cli, args: &ImportArgs, setup: &Setup) -> Result<Report, Failure> {
    let client = args.client.name();
    let settings = &setup.settings;
    let known = KNOWN_DIRECTORIES.iter().map(|(_, url)| (*url).to_owned());
    let given = std::iter::once(&settings.acme).chain(settings.cas.values());
    let known: Vec<_> = given.map(|ca| ca.directory.clone()).chain(known).collect();
    let mut found = import::read(args.client, &args.dir, &known, setup.clock.now())?;
    if found.accounts.is_empty() && found.certificates.is_empty() {
        return Err(nothing(args, &found.problems));
    }
    let has_certificates = match setup.existing_state().await? {
        Some((store, _)) => !store.index().await?.is_empty(),
        None => false,
    };
    let sources = Sources::new(cli)?.without_flags();
    let existing = Existing::new(sources, cli.global.ca_file.as_deref(), has_certificates)?;
    let draft = Draft::new(&found, &existing, client)?;
    let mut problems = std::mem::take(&mut found.problems);
    problems.extend(draft.problems.iter().cloned());
    let mut imported = Imported {
        client,
        folder: args.dir.clone(),
        file: existing.file.clone(),
        state: existing.settings.state.clone(),
        accounts: found.accounts.len(),
        new_keys: found
            .accounts
            .iter()
            .filter(|account| !account.key.is_on_p256())
            .map(|account| account.url.clone())
            .collect(),
        certificates: found.certificates.len(),
        secrets: draft.secrets.iter().map(|(path, _)| path.clone()).collect(),
        problems,
        applied: None,
        text: draft.text.clone(),
    };
    if args.write {
        let applied = Box::pin(apply(found, &draft, &existing, &setup.clock)).await?;
        imported.problems.extend(applied.problems.iter().cloned());
        imported.applied = Some(applied);
    }
    Ok(Report::Imported(Box::new(imported)))
}

/// The failure if a folder has nothing that can be taken over.
fn nothing(args: &ImportArgs, problems: &[import::Problem]) -> Failure {
    let client = args.client.name();
    let reasons = problems.iter().take(REASONS_MAX);
    let reasons = reasons.map(|problem| format!("\n{}: {}", problem.file, problem.reason));
    let reasons = reasons.collect::<Vec<_>>().concat();
    let message = format!(
        "there is no account and no certificate of {client} in {} that can be taken over{reasons}",
        args.dir.display()
    );
    let remedy = if problems.is_empty() {
        format!("name the folder in which {client} keeps its files")
    } else {
        "correct what is said of these files, and run the same command again".to_owned()
    };
    Failure::new(Part::Settings, &message, remedy)
}
