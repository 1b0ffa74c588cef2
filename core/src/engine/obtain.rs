//! Obtaining the certificates of several CAs at the same time.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::by_ca::DEPLOYED_TOGETHER;
use super::options::RunOptions;
use super::ranks::Ranks;
use super::report::JobReport;
use super::run::Run;
use crate::store::CertificateId;

/// How long what was obtained waits for others of the same CA before it is deployed.
const DEPLOYED_AFTER: Duration = Duration::from_secs(30);

impl Run {
    /// Obtains certificates of several CAs at the same time. If some take long, what was obtained is deployed meanwhile.
    pub(super) async fn obtain(
        &self,
        mut ids: Vec<CertificateId>,
        ranks: Ranks,
        options: &RunOptions,
    ) -> Vec<JobReport> {
        // The CA may take long for those whose last attempt failed, servers for those with many names, and RSA keys take long
        // to generate. The others do not wait for them.
        ids.sort_by_key(|id| {
            let certificate = self.engine().certificates().get(id);
            let has_slow_key = certificate.is_some_and(|one| one.request.key_type.is_slow());
            (ranks.of(id), has_slow_key, self.engine().names_of(id))
        });
        let (given, ranks) = (options.given(), Arc::new(ranks));
        let (sender, mut reports) = mpsc::unbounded_channel();
        let mut under_way = JoinSet::new();
        for ids in self.engine().by_ca(ids, given.as_ref()).await {
            let (engine, context) = (self.engine().clone(), self.job_context(options));
            let (ranks, given, sender) = (Arc::clone(&ranks), given.clone(), sender.clone());
            under_way.spawn(async move {
                let obtained = engine.obtain_all(ids, ranks, given, context, sender);
                obtained.await;
            });
        }
        let (mut done, mut deploy_at) = (Vec::new(), None);
        loop {
            let at = deploy_at.unwrap_or_else(Instant::now);
            tokio::select! {
                Some(report) = reports.recv() => {
                    done.push(report);
                    deploy_at.get_or_insert_with(|| Instant::now() + DEPLOYED_AFTER);
                }
                ended = under_way.join_next() => match ended {
                    Some(ended) => {
                        ended.unwrap_or_else(|error| resume_unwind(error.into_panic()));
                        let soon = Instant::now() + DEPLOYED_TOGETHER;
                        deploy_at = Some(deploy_at.map_or(soon, |at| soon.min(at)));
                    }
                    None => break,
                },
                () = sleep_until(at), if deploy_at.is_some() => {
                    deploy_at = None;
                    self.deploy(&mut done, Vec::new(), options).await;
                }
            }
        }
        while let Ok(report) = reports.try_recv() {
            done.push(report);
        }
        done
    }
}
