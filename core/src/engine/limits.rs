//! Keeping within what a CA allows: orders are counted before they are opened, across runs, and those that are too many
//! wait.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::certificates::CertificateConfig;
use super::context::JobContext;
use super::core::Engine;
use super::in_turn::in_turn;
use super::options::{RunOptions, Selection};
use super::order_count::OrderCount;
use super::plan::{Schedule, Work};
use super::record::is_of_account;
use super::report::{JobReport, RunError, WaitReason, Waiting};
use crate::name::DnsName;
use crate::renewal::{Rate, Reason, Why};
use crate::store::{CaStatus, CertificateId, StoreError, change_ca_status};

/// No pause of a CA is longer.
pub(super) const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The orders of a CA that a run may open, and who waits for more.
#[derive(Debug)]
pub(super) struct Orders {
    directory: String,
    reserved: Vec<Reserved>,
    behind: Schedule,
}

/// Orders that were counted before they are opened.
#[derive(Debug)]
struct Reserved {
    at: Timestamp,
    ids: BTreeSet<CertificateId>,
}

impl Orders {
    /// Whether all certificates for which they are counted were worked on.
    pub(super) fn are_settled(&self, opened: &Opened) -> bool {
        let mut ids = self.reserved.iter().flat_map(|reserved| &reserved.ids);
        ids.all(|id| opened.0.contains_key(id))
    }
}

/// Certificates that were worked on, and whether orders were opened for them.
#[derive(Debug, Default)]
pub(super) struct Opened(BTreeMap<CertificateId, WorkedOn>);

#[derive(Clone, Copy, Debug)]
struct WorkedOn {
    /// Whether the CA may have opened an order.
    ordered: bool,
    /// Whether it was not asked for one because of the account.
    is_of_account: bool,
}

impl Opened {
    pub(super) fn add(&mut self, report: &JobReport) {
        let worked_on = WorkedOn {
            ordered: report.ordered,
            is_of_account: is_of_account(&report.outcome),
        };
        self.0.insert(report.id.clone(), worked_on);
    }
}

impl Engine {
    /// The plan, as far as the CAs allow it, and the orders that are counted for it.
    pub(super) async fn schedule(
        &self,
        options: &RunOptions,
        count: &OrderCount,
    ) -> Result<(Schedule, Vec<Orders>), RunError> {
        let mut schedule = self.plan(options).await?;
        let is_one = match &options.selection {
            Selection::One(certificate) => {
                if schedule.obtains_nothing() {
                    // They hold for the next order.
                    self.record_settings(certificate).await?;
                }
                true
            }
            _ => false,
        };
        if options.rehearse {
            return Ok((schedule, Vec::new()));
        }
        self.keep_pauses(&mut schedule, options).await?;
        schedule.deploy_stored();
        let orders = if is_one || options.force {
            Vec::new()
        } else {
            self.keep_limits(&mut schedule, count).await?
        };
        Ok((schedule, orders))
    }

    /// Lets the certificates of CAs wait that take no orders of the account now.
    async fn keep_pauses(
        &self,
        schedule: &mut Schedule,
        options: &RunOptions,
    ) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        let mut until_of: BTreeMap<String, Option<Timestamp>> = BTreeMap::new();
        let mut waiting = Vec::new();
        for (id, work) in &schedule.work {
            let Work::Obtain(why) = work else { continue };
            let certificate = match &options.selection {
                Selection::One(certificate) => Some(certificate),
                _ => self.certificates().get(id),
            };
            // Others ask their CA, and wait then.
            let Some(certificate) = certificate.filter(|one| one.fallback.is_none()) else {
                continue;
            };
            let directory = certificate.environment.ca().directory();
            let until = match until_of.get(directory) {
                Some(until) => *until,
                None => {
                    let status = self.parts.store.ca_status(directory).await?;
                    // One that is far away was written when the clock was ahead.
                    let is_now = |until: &Timestamp| *until > now && *until <= now + PAUSE_MAX;
                    let until = status.no_orders_before.filter(is_now);
                    until_of.insert(directory.to_owned(), until);
                    until
                }
            };
            waiting.extend(until.map(|until| Waiting {
                id: id.clone(),
                until,
                why: why.clone(),
                reason: WaitReason::Refused,
                attempts: None,
            }));
        }
        let late: BTreeSet<_> = waiting.iter().map(|one| one.id.clone()).collect();
        schedule.work.retain(|(id, _)| !late.contains(id));
        schedule.waiting.extend(waiting);
        Ok(())
    }

    /// Records which CAs take no orders of the account now.
    pub(super) async fn record_pauses(&self) {
        if let Err(error) = self.put_pauses().await {
            tracing::warn!(%error, "the pause of a CA was not recorded");
        }
    }

    async fn put_pauses(&self) -> Result<(), StoreError> {
        let mut recorded = BTreeSet::new();
        for certificate in self.certificates().iter() {
            let ca = certificate.environment.ca();
            let Some(until) = ca.no_orders_before() else {
                continue;
            };
            if recorded.insert(ca.directory().to_owned()) {
                let set = |status: &mut CaStatus| status.no_orders_before = Some(until);
                change_ca_status(&*self.parts.store, ca.directory(), set).await?;
            }
        }
        Ok(())
    }

    /// Leaves as many certificates in the schedule as their CAs allow, the most urgent ones. The others wait.
    pub(super) async fn keep_limits(
        &self,
        schedule: &mut Schedule,
        count: &OrderCount,
    ) -> Result<Vec<Orders>, StoreError> {
        let mut all = Vec::new();
        let reserved = self.reserve_all(schedule, &mut all, count).await;
        if let Err(error) = reserved {
            self.move_up(all, &Opened::default(), count).await;
            return Err(error);
        }
        Ok(all)
    }

    /// The orders that are wanted, by the directory URLs of CAs with a limit.
    async fn wanted(&self, schedule: &Schedule) -> BTreeMap<String, Wanted> {
        // The CA does not count those that it asks for, and an order under way is counted. After a failure the CA may have
        // given it up, and another one follows; or another CA is asked, which does not know what the first one asked for.
        let is_counted = |id: &CertificateId, why: &Why| match why {
            Why::Forced => false,
            Why::Due(Reason::Window) | Why::Unfinished => schedule.failing.contains(id),
            _ => true,
        };
        let wanted = schedule.work.iter().filter_map(|(id, work)| match work {
            Work::Obtain(why) if is_counted(id, why) => Some((id.clone(), why.clone())),
            _ => None,
        });
        let mut whys: BTreeMap<_, _> = wanted.collect();
        let ids = whys.keys().cloned().collect();
        let mut by_ca: BTreeMap<String, Wanted> = BTreeMap::new();
        for (id, certificate) in self.at_their_cas(ids, None).await {
            let Some(certificate) = certificate else {
                continue;
            };
            let ca = certificate.environment.ca();
            let Some((rate, why)) = ca.config().limits.orders.zip(whys.remove(&id)) else {
                continue;
            };
            let of_ca = by_ca.entry(ca.directory().to_owned());
            let of_ca = of_ca.or_insert(Wanted {
                rate,
                certificates: Vec::new(),
            });
            if let Some(first) = certificate.request.names.first() {
                let name = first.identifier.base().clone();
                of_ca.certificates.push((name, (id, why)));
            }
        }
        by_ca
    }

    /// Adds the orders that are counted to `all`, and lets the certificates wait that get none.
    async fn reserve_all(
        &self,
        schedule: &mut Schedule,
        all: &mut Vec<Orders>,
        count: &OrderCount,
    ) -> Result<(), StoreError> {
        for (directory, Wanted { rate, certificates }) in self.wanted(schedule).await {
            // What ends first comes first, and what is new comes later, the domains in turn. Last comes what will probably fail
            // once more, or certificates that nobody can obtain any more would take all orders.
            let end = |id: &CertificateId| schedule.ends.get(id).copied();
            let mut certificates = in_turn(certificates);
            certificates.sort_by_key(|(id, _)| end(id).unwrap_or(Timestamp::MAX));
            let is_failing = |(id, _): &(CertificateId, Why)| schedule.failing.contains(id);
            let (failing, usual): (Vec<_>, Vec<_>) = certificates.into_iter().partition(is_failing);
            let orders = all.push_mut(Orders {
                directory,
                reserved: Vec::new(),
                behind: Schedule::default(),
            });
            for (rate, wanted) in [(rate, usual), (rate.for_repeats(), failing)] {
                if wanted.is_empty() {
                    continue;
                }
                let reserved = reserve(count, &orders.directory, rate, wanted);
                let (reserved, waiting) = reserved.await?;
                orders.reserved.push(reserved);
                schedule.wait(waiting, &mut orders.behind);
            }
        }
        Ok(())
    }

    /// Counts one more order for a certificate whose first one in this run has failed. Returns whether the CA allows it.
    /// `is_failing` is whether it failed before, or is asked for without some of its names.
    pub(super) async fn may_order_again(
        &self,
        certificate: &CertificateConfig,
        context: &JobContext,
        is_failing: bool,
    ) -> bool {
        let ca = certificate.environment.ca();
        let rate = ca.config().limits.orders;
        // As for the first order.
        let is_counted = !context.urgency.force && !context.must_obtain;
        let Some(rate) = rate.filter(|_| is_counted) else {
            return true;
        };
        // Those that fail again and again leave the second order, too, to others.
        let rate = if is_failing { rate.for_repeats() } else { rate };
        match context.orders.open_one(ca.directory(), rate).await {
            Ok(is_left) => is_left,
            Err(error) => {
                tracing::warn!(%error, "no other order is opened, as it could not be counted");
                false
            }
        }
    }

    /// Gives back the orders that were counted and not opened. Returns the certificates that have waited for them: none of a
    /// CA that does not answer, or takes no orders now.
    pub(super) async fn move_up(
        &self,
        orders: Vec<Orders>,
        opened: &Opened,
        count: &OrderCount,
    ) -> Schedule {
        let mut next = Schedule::default();
        for Orders {
            directory,
            reserved,
            behind,
        } in orders
        {
            let ids = reserved.iter().flat_map(|reserved| &reserved.ids);
            let of_ca = ids.filter_map(|id| opened.0.get(id));
            let mut unused = of_ca.filter(|report| !report.ordered);
            // One of them may have settings of its own for this CA.
            let takes_none = unused.all(|report| report.is_of_account);
            let mut is_any = false;
            for Reserved { at, ids } in reserved {
                let found = ids.iter().filter_map(|id| opened.0.get(id));
                let ordered = found.filter(|report| report.ordered).count();
                match count.settle(&directory, at, ordered).await {
                    Ok(()) => is_any |= ordered < ids.len(),
                    // At worst others wait longer than they need.
                    Err(error) => {
                        tracing::warn!(%error, "orders that were not opened count for a while");
                    }
                }
            }
            if is_any && !takes_none {
                next.add_all(behind);
            }
        }
        next
    }
}

/// Counts as many orders as are allowed. Returns those certificates that have to wait.
async fn reserve(
    count: &OrderCount,
    directory: &str,
    rate: Rate,
    mut wanted: Vec<(CertificateId, Why)>,
) -> Result<(Reserved, Vec<Waiting>), StoreError> {
    let all = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
    let counted = count.reserve(directory, rate, all).await?;
    let late = wanted.split_off(usize::try_from(counted.count).unwrap_or(usize::MAX));
    let next = rate.next(&counted.all, counted.at);
    let waiting = late.into_iter().zip(1..).map(|((id, why), place)| Waiting {
        id,
        why,
        until: rate.estimate(place, next),
        reason: WaitReason::Limit,
        attempts: None,
    });
    let waiting = waiting.collect();
    let ids: BTreeSet<_> = wanted.into_iter().map(|(id, _)| id).collect();
    count.expect(directory, ids.iter().cloned());
    let at = counted.at;
    Ok((Reserved { at, ids }, waiting))
}

/// The certificates for which orders are wanted of a CA with a limit, each with its first name.
struct Wanted {
    rate: Rate,
    certificates: Vec<(DnsName, (CertificateId, Why))>,
}
