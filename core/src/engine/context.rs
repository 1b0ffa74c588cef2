//! What jobs have in common.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::decision::Urgency;
use super::order_count::OrderCount;
use crate::lease::LeaseId;
use crate::ledger::RunId;

/// What a job needs to know of its run.
#[derive(Clone, Debug)]
pub(super) struct JobContext {
    pub(super) run: RunId,
    /// The lease of the run, which covers the probes of rehearsals.
    pub(super) run_lease: LeaseId,
    /// The orders that the run may open.
    pub(super) orders: Arc<OrderCount>,
    pub(super) cancel: CancellationToken,
    pub(super) urgency: Urgency,
    /// Wait while another process works on the certificate.
    pub(super) wait: bool,
    /// A busy certificate is an error: it was asked for by name.
    pub(super) must_obtain: bool,
}
