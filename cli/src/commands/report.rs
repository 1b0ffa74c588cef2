//! `acme-alias report`: the status page as a file.

use std::path::Path;

use crate::cli::ReportArgs;
use crate::failure::Failure;
use crate::output;
use crate::report::{Snapshot, file, page};
use crate::setup::{Setup, state};

/// Stands for standard output.
const STDOUT: &str = "-";

pub(crate) async fn run(args: &ReportArgs, setup: &Setup) -> Result<(), Failure> {
    state::check_user(&setup.settings)?;
    let built = setup.looking_engine().await?;
    let page = page::render(&Snapshot::take(setup, built.as_ref(), None).await?);
    if args.html == Path::new(STDOUT) {
        output::page(&page);
        return Ok(());
    }
    file::write(&args.html, &page)
}
