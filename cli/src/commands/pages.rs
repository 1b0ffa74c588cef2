//! `acme-alias completions` and `acme-alias man`: from the definition of the command line.

use std::path::Path;

use clap_complete::Shell;

use crate::cli;
use crate::failure::{Failure, Part};

/// Prints the completion script; it is no result, so `--output` does not concern it.
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
