//! What the status page and the metrics show, read at one time.

use acme_alias_core::engine::OrderBudget;
use acme_alias_core::ledger::Line;
use jiff::Timestamp;

use super::certificates;
use super::status::Status;
use crate::failure::Failure;
use crate::output::Listing;
use crate::setup::{Built, Setup};

/// Lines of the ledger that are shown.
const CHANGES: usize = 20;

/// How everything is at one time.
pub(crate) struct Snapshot {
    pub(crate) at: Timestamp,
    /// The certificates, those with problems first.
    pub(crate) listing: Listing,
    /// The newest lines of the ledger, newest first.
    pub(crate) changes: Vec<Line>,
    /// How many lines the ledger has.
    pub(crate) ledger_lines: u64,
    /// TXT values that may be in a zone now, those of work that is under way included.
    pub(crate) open_values: usize,
    pub(crate) budgets: Vec<Budget>,
    /// The process that renews certificates; `None` if this is another one.
    pub(crate) status: Option<Status>,
    /// How many certificates may have metrics of their own.
    pub(crate) series_max: usize,
}

/// What is left of the orders that a CA allows.
pub(crate) struct Budget {
    /// What the CA is called.
    pub(crate) ca: String,
    pub(crate) orders: OrderBudget,
}

impl Snapshot {
    /// Reads the state folder, if there is one. Nobody is asked, and nothing is changed.
    pub(crate) async fn take(
        setup: &Setup,
        built: Option<&Built>,
        status: Option<Status>,
    ) -> Result<Self, Failure> {
        let settings = &setup.settings;
        let all = certificates::all(setup, built).await?;
        let (mut changes, mut open_values, mut budgets) = (Vec::new(), 0, Vec::new());
        if let Some(built) = built {
            let ledger = built.engine.ledger();
            changes = ledger.last_lines(CHANGES).await?;
            changes.reverse();
            open_values = ledger.open_values().await?.len();
            budgets = built.engine.order_budgets().await?;
        }
        let named = budgets.into_iter().map(|orders| Budget {
            ca: settings.ca_name(&orders.directory).to_owned(),
            orders,
        });
        let at = setup.clock.now();
        Ok(Snapshot {
            at,
            listing: Listing::new(all, at, settings.state.clone(), None),
            ledger_lines: changes.first().map_or(0, |line| line.sequence),
            changes,
            open_values,
            budgets: named.collect(),
            status,
            series_max: settings.run.per_certificate_metrics,
        })
    }
}
