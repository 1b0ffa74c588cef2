//! What is left of the orders that CAs allow. Nobody is asked.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::core::Engine;
use super::limits::PAUSE_MAX;
use super::order_count::ended_runs;
use super::report::RunError;
use crate::renewal::{Rate, forget_unopened};

/// What is left of the orders that a CA allows the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBudget {
    /// The directory URL of the CA.
    pub directory: String,
    /// The limit; `None` if it is not known, or if there is none.
    pub rate: Option<Rate>,
    /// How many orders are left now; `None` without a limit.
    pub left: Option<u32>,
    /// How many orders were counted in the time of the limit; of a CA without a limit, nothing is counted.
    pub used: u32,
    /// When there are more again; `None` if no order was counted.
    pub next: Option<Timestamp>,
    /// The CA has refused orders, and takes none of the account before this time.
    pub refused_until: Option<Timestamp>,
}

impl Engine {
    /// Returns the budgets of the CAs of all certificates that the configuration defines, by directory URL. Changes
    /// nothing. Fails if the store cannot be read.
    pub async fn order_budgets(&self) -> Result<Vec<OrderBudget>, RunError> {
        let now = self.parts.clock.now();
        let mut rates: BTreeMap<&str, Option<Rate>> = BTreeMap::new();
        for certificate in self.certificates().iter() {
            let fallback = certificate.fallback.as_ref();
            let others = fallback.map(|fallback| &fallback.environment);
            for environment in [&certificate.environment].into_iter().chain(others) {
                let ca = environment.ca();
                rates.insert(ca.directory(), ca.config().limits.orders);
            }
        }
        let mut budgets = Vec::new();
        for (directory, rate) in rates {
            let store = &*self.parts.store;
            let ended = ended_runs(store, directory).await?;
            let mut status = store.ca_status(directory).await?;
            forget_unopened(&mut status.orders, &ended);
            // One that is far away was written when the clock was ahead.
            let is_now = |until: &Timestamp| *until > now && *until <= now + PAUSE_MAX;
            let left = rate.map(|rate| rate.left(&mut status.orders, now));
            let counted = status.orders.iter().filter(|spent| spent.count > 0);
            let oldest = counted.map(|spent| spent.at).min();
            budgets.push(OrderBudget {
                directory: directory.to_owned(),
                rate,
                left,
                used: rate
                    .zip(left)
                    .map_or(0, |(rate, left)| rate.count.saturating_sub(left)),
                next: rate.zip(oldest).map(|(rate, oldest)| oldest + rate.per),
                refused_until: status.no_orders_before.filter(is_now),
            });
        }
        Ok(budgets)
    }
}
