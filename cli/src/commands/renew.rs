//! `acme-alias renew`: every certificate that is due.

use std::collections::BTreeSet;

use acme_alias_core::renewal;
use acme_alias_core::store::{CertificateId, FileStore, Store};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, RenewArgs};
use crate::failure::{Failure, Part};
use crate::hook;
use crate::output::{Listed, Obtained, Output, Renewal, Report};
use crate::settings::{CertificateSettings, Settings};
use crate::workshop::{Workshop, request};

/// Certificates that are on their way at a time.
const AT_ONCE: usize = 20;

pub(crate) async fn run(
    cli: &Cli,
    args: &RenewArgs,
    output: Output,
    cancel: CancellationToken,
) -> Result<Report, Failure> {
    let settings = Settings::load(cli, None, None)?;
    settings.warnings.iter().for_each(|warning| output.warning(warning));
    let store = FileStore::open(&settings.state)?;

    let mut renewal = Renewal::default();
    let mut due = Vec::new();
    for id in wanted(args, &settings, &store).await? {
        match look(cli, &store, &id).await {
            Ok(Some((_, listed))) if !args.force && !listed.is_due() => {
                renewal.skipped.push(listed);
            }
            Ok(known) => due.push((id, known)),
            Err(failure) => renewal.failed.push((id, failure)),
        }
    }
    todo!()
}
