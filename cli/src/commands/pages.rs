//! What is made from the definitions of the command line, the settings and the providers:
//! completions, man pages, the JSON schema and the reference. They are no results, so `--output`
//! does not concern them.

use std::path::Path;

use acme_alias_core::registry;
use clap_complete::Shell;

use crate::cli;
use crate::failure::{Failure, Part};
use crate::output;
use crate::settings::reference;

/// Prints the completion script.
pub(crate) fn completions(shell: Shell) {
    clap_complete::generate(
        shell,
        &mut cli::command(),
        "acme-alias",
        &mut std::io::stdout(),
    );
}

/// Writes a man page per command into `dir`.
pub(crate) fn man(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(cli::command(), dir))
        .map_err(|error| {
            let message = format!(
                "the man pages could not be written to {}: {error}",
                dir.display()
            );
            Failure::new(Part::Unexpected, &message, None)
        })
}

/// Prints the JSON schema of a settings file.
pub(crate) fn schema() -> Result<(), Failure> {
    let schema = reference::json_schema(&registry::kinds()?);
    output::page(&format!("{schema:#}\n"));
    Ok(())
}

/// Prints the table of the settings, or those of a provider.
pub(crate) fn reference(kind: Option<&str>) -> Result<(), Failure> {
    output::page(&match kind {
        Some(kind) => reference::provider_page(registry::find(kind)?),
        None => reference::settings(),
    });
    Ok(())
}
