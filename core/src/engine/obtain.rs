//! Obtaining the certificates of several CAs at the same time.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::by_ca::DEPLOYED_TOGETHER;
use super::options::RunOptions;
use super::report::JobReport;
use super::run::Run;
use crate::store::CertificateId;

impl Run {
    /// Obtains certificates of several CAs at the same time. If those of one take long, what was obtained of others is
    /// deployed meanwhile.
    pub(super) async fn obtain(
        &self,
        ids: Vec<CertificateId>,
        failing: BTreeSet<CertificateId>,
        options: &RunOptions,
    ) -> Vec<JobReport> {
        let (given, failing) = (options.given(), Arc::new(failing));
        let mut under_way = JoinSet::new();
        for ids in self.engine().by_ca(ids, given.as_ref()).await {
            let (engine, context) = (self.engine().clone(), self.job_context(options));
            let (failing, given) = (Arc::clone(&failing), given.clone());
            under_way.spawn(async move { engine.obtain_all(ids, failing, given, context).await });
        }
        let (mut done, mut deploy_at) = (Vec::new(), None);
        loop {
            let at = deploy_at.unwrap_or_else(Instant::now);
            tokio::select! {
                obtained = under_way.join_next() => match obtained {
                    Some(obtained) => {
                        done.extend(obtained.unwrap_or_else(|error| resume_unwind(error.into_panic())));
                        deploy_at.get_or_insert_with(|| Instant::now() + DEPLOYED_TOGETHER);
                    }
                    None => return done,
                },
                () = sleep_until(at), if deploy_at.is_some() => {
                    deploy_at = None;
                    self.deploy(&mut done, Vec::new(), options).await;
                }
            }
        }
    }
}
