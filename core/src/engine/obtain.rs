//! Obtaining the certificates of several CAs at the same time.

use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::arrivals::{Arrival, Arrivals};
use super::certificates::CertificateConfig;
use super::limits::{Opened, Orders};
use super::options::RunOptions;
use super::plan::Schedule;
use super::ranks::Ranks;
use super::report::JobReport;
use super::run::Run;
use crate::store::CertificateId;

/// Certificates that are being obtained.
struct Obtaining<'a> {
    run: &'a Run,
    options: &'a RunOptions,
    given: Option<Arc<CertificateConfig>>,
    /// The work for the certificates of one CA each.
    by_ca: JoinSet<()>,
    sender: mpsc::UnboundedSender<JobReport>,
    opened: Opened,
    arrivals: &'a Arrivals,
}

impl Run {
    /// Obtains certificates of several CAs at the same time, and hands their reports over. Those that wait for orders of a
    /// CA come next when its others were worked on and have left some: returns them, in the order in which they came.
    pub(super) async fn obtain(
        &self,
        ids: Vec<CertificateId>,
        ranks: Ranks,
        mut orders: Vec<Orders>,
        options: &RunOptions,
        arrivals: &Arrivals,
    ) -> Vec<Schedule> {
        let (sender, mut reports) = mpsc::unbounded_channel();
        let mut obtaining = Obtaining {
            run: self,
            options,
            given: options.given(),
            by_ca: JoinSet::new(),
            sender,
            opened: Opened::default(),
            arrivals,
        };
        obtaining.begin(ids, ranks).await;
        let mut moved_up = Vec::new();
        loop {
            tokio::select! {
                Some(report) = reports.recv() => obtaining.hand_over(report),
                ended = obtaining.by_ca.join_next() => match ended {
                    Some(ended) => {
                        ended.unwrap_or_else(|error| resume_unwind(error.into_panic()));
                        while let Ok(report) = reports.try_recv() {
                            obtaining.hand_over(report);
                        }
                        arrivals.send(Arrival::CaDone);
                        let opened = &obtaining.opened;
                        let settled = orders.extract_if(.., |orders| orders.are_settled(opened));
                        let next = self.move_up(settled.collect(), opened, options).await;
                        if let Some((mut next, more)) = next {
                            orders.extend(more);
                            obtaining.begin(next.obtained(), next.ranks()).await;
                            moved_up.push(next);
                        }
                    }
                    None => break,
                },
            }
        }
        // The run was cancelled before it came to all of them.
        let opened = &obtaining.opened;
        self.engine().move_up(orders, opened, self.orders()).await;
        moved_up
    }

    /// The certificates that come next because others have left orders, and the orders that are counted for them.
    async fn move_up(
        &self,
        orders: Vec<Orders>,
        opened: &Opened,
        options: &RunOptions,
    ) -> Option<(Schedule, Vec<Orders>)> {
        let mut next = self.engine().move_up(orders, opened, self.orders()).await;
        if next.work.is_empty() || options.cancel.is_cancelled() {
            return None;
        }
        match self.engine().keep_limits(&mut next, self.orders()).await {
            Ok(orders) => Some((next, orders)),
            Err(error) => {
                tracing::warn!(%error, "certificates that wait for orders get none in this run");
                None
            }
        }
    }
}

impl Obtaining<'_> {
    /// Begins to obtain certificates.
    async fn begin(&mut self, mut ids: Vec<CertificateId>, ranks: Ranks) {
        let engine = self.run.engine();
        engine.parts.observer.planned(ids.len());
        // The CA may take long for those whose last attempt failed, servers for those with many names, and RSA keys take long
        // to generate. The others do not wait for them.
        ids.sort_by_key(|id| {
            let certificate = engine.certificates().get(id);
            let has_slow_key = certificate.is_some_and(|one| one.request.key_type.is_slow());
            (ranks.of(id), has_slow_key, engine.names_of(id))
        });
        let ranks = Arc::new(ranks);
        for ids in engine.by_ca(ids, self.given.as_ref()).await {
            let context = self.run.job_context(self.options);
            let (engine, given) = (engine.clone(), self.given.clone());
            let (ranks, sender) = (Arc::clone(&ranks), self.sender.clone());
            self.by_ca.spawn(async move {
                let obtained = engine.obtain_all(ids, ranks, given, context, sender);
                obtained.await;
            });
        }
    }

    fn hand_over(&mut self, report: JobReport) {
        self.opened.add(&report);
        self.arrivals.send(Arrival::Reported(report));
    }
}
