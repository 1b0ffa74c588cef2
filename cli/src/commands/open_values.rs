//! The values that may be in a zone by our doing.

use std::sync::Arc;

use acme_alias_core::ledger::{Ledger, OpenValue};
use acme_alias_core::name::DnsName;

use crate::failure::Failure;
use crate::setup::Setup;

/// Those at these names.
pub(super) async fn open_values(
    setup: &Setup,
    names: &[DnsName],
) -> Result<Vec<Arc<OpenValue>>, Failure> {
    Ok(match setup.existing_state().await? {
        Some((_, ledger)) => ledger.open_values_at(names).await?,
        None => Vec::new(),
    })
}
