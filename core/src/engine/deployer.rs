//! The fourth phase of a run beside the third: what was obtained is deployed as it comes.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::arrivals::Arrival;
use super::context::JobContext;
use super::options::RunOptions;
use super::report::{JobOutcome, JobReport, Undeployed};
use super::run::Run;
use crate::deploy::DeployError;
use crate::store::CertificateId;

/// How long what is to be deployed waits for more, so that identical commands run once for all.
const DEPLOYED_AFTER: Duration = Duration::from_secs(30);
/// How long it waits when all certificates of one CA that were begun were worked on.
const DEPLOYED_TOGETHER: Duration = Duration::from_secs(10);
/// How long another process may have the lease of a certificate only to record something about it.
const RECORDED_WITHIN: Duration = Duration::from_secs(3);
/// How often the lease is asked for meanwhile. Nothing tells when it becomes free.
const ASK_EVERY: Duration = Duration::from_millis(200);

impl Run {
    /// Deploys what arrives, and returns all reports by id.
    pub(super) async fn deploy_arriving(
        &self,
        mut arrivals: mpsc::UnboundedReceiver<Arrival>,
        options: &RunOptions,
    ) -> Vec<JobReport> {
        let (mut jobs, mut stored, mut deploy_at) = (Vec::new(), Vec::new(), None);
        let mut replaced = BTreeSet::new();
        loop {
            let at = deploy_at.unwrap_or_else(Instant::now);
            let within = tokio::select! {
                arrival = arrivals.recv() => match arrival {
                    Some(Arrival::Reported(report)) => {
                        let is_failed = report.outcome.is_err() && !options.cancel.is_cancelled();
                        if replaced.remove(&report.id) && is_failed {
                            stored.push(report.id.clone());
                        }
                        jobs.push(report);
                        DEPLOYED_AFTER
                    }
                    Some(Arrival::Stored(ids)) => {
                        stored.extend(ids);
                        DEPLOYED_AFTER
                    }
                    Some(Arrival::Replaced(ids)) => {
                        replaced.extend(ids);
                        continue;
                    }
                    Some(Arrival::CaDone) => DEPLOYED_TOGETHER,
                    None => break,
                },
                () = sleep_until(at), if deploy_at.is_some() => {
                    deploy_at = None;
                    self.deploy(&mut jobs, std::mem::take(&mut stored), options).await;
                    continue;
                }
            };
            let latest = Instant::now() + within;
            deploy_at = Some(deploy_at.map_or(latest, |at| latest.min(at)));
        }
        if !options.cancel.is_cancelled() {
            stored.extend(replaced);
        }
        self.deploy(&mut jobs, stored, options).await;
        self.deploy_busy(&mut jobs, options).await;
        jobs
    }

    /// Deploys what was obtained, and certificates that were stored before.
    async fn deploy(
        &self,
        jobs: &mut Vec<JobReport>,
        stored: Vec<CertificateId>,
        options: &RunOptions,
    ) {
        // It holds the leases of many certificates at a time. To wait for another one could be to wait for a process that
        // waits for this one.
        let context = JobContext {
            wait: false,
            must_obtain: false,
            ..self.job_context(options)
        };
        // Commands run in the order of the ids, not in the one in which certificates were obtained.
        jobs.sort_by(|one, other| one.id.cmp(&other.id));
        let given = options.given();
        self.engine().deploy(jobs, stored, given, &context).await;
    }

    /// Deploys certificates whose leases another process had, when it has given them back. One that has a lease for longer
    /// works on the certificate.
    async fn deploy_busy(&self, jobs: &mut Vec<JobReport>, options: &RunOptions) {
        let until = Instant::now() + RECORDED_WITHIN;
        while jobs.iter_mut().any(|job| left_of(job).is_some())
            && Instant::now() < until
            && !options.cancel.is_cancelled()
        {
            sleep(ASK_EVERY).await;
            self.deploy(jobs, Vec::new(), options).await;
        }
        for left in jobs.iter_mut().filter_map(left_of) {
            left.push(Undeployed::because(&DeployError::Busy));
        }
    }
}

/// The targets of a certificate that was obtained and not deployed, if nothing says why.
fn left_of(job: &mut JobReport) -> Option<&mut Vec<Undeployed>> {
    match &mut job.outcome {
        Ok(JobOutcome::Issued {
            issued, undeployed, ..
        }) if !issued.stored.deployed && undeployed.is_empty() => Some(undeployed),
        _ => None,
    }
}
