//! How far the work is: a moving display on a terminal, plain lines elsewhere.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use acme_alias_core::issue::{Observer, Step};
use acme_alias_core::printable::few;
use acme_alias_core::store::CertificateId;
use acme_alias_core::zone::{CacheWait, Lagging};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::stream::{finished_message, message};

/// Names that get a line of their own on a terminal.
const NAMES_SHOWN: usize = 8;

/// How many certificates of a run are finished.
#[derive(Default)]
struct Count {
    planned: AtomicUsize,
    ended: AtomicUsize,
}

impl Count {
    /// A run may plan in two parts.
    fn plan(&self, certificates: usize) -> usize {
        self.planned.fetch_add(certificates, Ordering::Relaxed) + certificates
    }

    fn planned(&self) -> usize {
        self.planned.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Such as `12 of 30 done`; `None` if there is one certificate only.
    fn in_words(&self) -> Option<String> {
        let (planned, ended) = (self.planned(), self.ended.load(Ordering::Relaxed));
        (planned > 1).then(|| format!("{ended} of {planned} done"))
    }
}

/// A line per step, with the time since the certificate's first one.
#[derive(Default)]
pub(super) struct Lines {
    count: Count,
    began: Mutex<HashMap<CertificateId, Instant>>,
    /// The servers that were named, each once for all certificates.
    lagging: Mutex<HashSet<String>>,
}

impl Observer for Lines {
    fn planned(&self, certificates: usize) {
        self.count.plan(certificates);
    }

    fn ended(&self, _: &CertificateId) {
        self.count.end();
    }

    fn step(&self, certificate: &CertificateId, step: &Step<'_>) {
        let elapsed = locked(&self.began)
            .entry(certificate.clone())
            .or_insert_with(Instant::now)
            .elapsed();
        match step {
            Step::Lagging(lagging) if !locked(&self.lagging).insert(lagging.server.to_string()) => {
                return;
            }
            // The line that says where it is stored follows at once.
            Step::Store => return,
            _ => {}
        }
        let count = self.count.in_words();
        let count = count.map_or(String::new(), |count| format!(", {count}"));
        message(&format!(
            "{certificate}: {} [{:.1} s{count}]\n",
            in_words(step),
            elapsed.as_secs_f32()
        ));
        if let Step::Planned(plan) = step {
            for (challenge_name, alias_name) in plan.aliases.iter() {
                finished_message(&format!(
                    "{certificate}:   {challenge_name} -> {alias_name}\n"
                ));
            }
        }
    }
}

/// A spinner per certificate. If there is one certificate only, a line per name below it.
#[derive(Default)]
pub(super) struct Display {
    bars: MultiProgress,
    count: Count,
    /// The last line: how many certificates are finished.
    total: Mutex<Option<ProgressBar>>,
    certificates: Mutex<HashMap<CertificateId, Bars>>,
}

struct Bars {
    step: ProgressBar,
    names: Vec<ProgressBar>,
}

impl Display {
    fn bar(&self, template: &str) -> ProgressBar {
        let bar = ProgressBar::new_spinner();
        let bar = match &*locked(&self.total) {
            Some(total) => self.bars.insert_before(total, bar),
            None => self.bars.add(bar),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar
    }

    fn show_total(&self) {
        if let (Some(total), Some(count)) = (&*locked(&self.total), self.count.in_words()) {
            total.set_message(count);
        }
    }
}

impl Observer for Display {
    fn planned(&self, certificates: usize) {
        if self.count.plan(certificates) > 1 && locked(&self.total).is_none() {
            let total = self.bar("{msg}");
            *locked(&self.total) = Some(total);
        }
        self.show_total();
    }

    fn step(&self, certificate: &CertificateId, step: &Step<'_>) {
        let mut certificates = locked(&self.certificates);
        let bars = certificates.entry(certificate.clone()).or_insert_with(|| {
            let step = self.bar("{spinner} {prefix}  {msg}  {elapsed}");
            step.set_prefix(certificate.to_string());
            step.enable_steady_tick(Duration::from_millis(100));
            Bars {
                step,
                names: Vec::new(),
            }
        });
        bars.step.set_message(in_words(step));
        if let (Step::Planned(plan), 1) = (step, self.count.planned()) {
            let all: Vec<_> = plan.aliases.iter().collect();
            for (challenge_name, alias_name) in all.iter().take(NAMES_SHOWN) {
                let bar = self.bar("    {prefix}  {msg}");
                bar.set_prefix(format!("{challenge_name} -> {alias_name}"));
                bars.names.push(bar);
            }
            if all.len() > NAMES_SHOWN {
                let bar = self.bar("    {prefix}  {msg}");
                bar.set_prefix(format!("and {} more", all.len() - NAMES_SHOWN));
                bars.names.push(bar);
            }
        }
        for name in &bars.names {
            name.set_message(state(step));
        }
    }

    fn ended(&self, certificate: &CertificateId) {
        self.count.end();
        self.show_total();
        if let Some(mut bars) = locked(&self.certificates).remove(certificate) {
            bars.step.finish_and_clear();
            bars.names
                .drain(..)
                .for_each(|name| name.finish_and_clear());
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // Where there is nothing to draw on any more, nothing has to be cleared.
        let _ = self.bars.clear();
    }
}

fn in_words(step: &Step<'_>) -> String {
    match step {
        Step::Preflight => "following the delegations".to_owned(),
        Step::Planned(plan) => match plan.aliases.iter().count() {
            1 => "the delegation is good".to_owned(),
            all => format!("all {all} delegations are good"),
        },
        Step::Order => "opening an order".to_owned(),
        Step::Publish(publication) => {
            let zones: Vec<_> = publication
                .records()
                .map(|(zone, records)| format!("{} in {zone}", records.len()))
                .collect();
            if zones.is_empty() {
                "nothing to write: the CA has validated these names before".to_owned()
            } else {
                let extra_wait = publication.extra_wait();
                let then = if extra_wait.is_zero() {
                    String::new()
                } else {
                    format!(" and then {} s, as configured", extra_wait.as_secs())
                };
                format!(
                    "writing TXT values, waiting for the name servers{then}: {}",
                    zones.join(", ")
                )
            }
        }
        Step::Lagging(Lagging { server, answer, .. }) => {
            format!("waiting for {server}: {answer}")
        }
        Step::OutlastCache(CacheWait { name, remaining }) => format!(
            "waiting {} s: the CA may have cached older TXT records of this name ({name})",
            remaining.as_secs().max(1)
        ),
        Step::Again => {
            "trying once more: the CA saw other TXT records, perhaps from its cache".to_owned()
        }
        Step::LeaveOut(left_out) => {
            let names: Vec<_> = left_out.names.iter().map(ToString::to_string).collect();
            format!("going on without {}", few(&names, ", "))
        }
        Step::Validate(published) => {
            let servers: usize = published.iter().map(|zone| zone.servers.len()).sum();
            let silent: usize = published.iter().map(|zone| zone.silent.len()).sum();
            match (servers, servers + silent) {
                (0, _) => "waiting for the CA".to_owned(),
                (1, 1) => "waiting for the CA (TXT visible on the name server)".to_owned(),
                (servers, all) => {
                    format!("waiting for the CA (TXT visible on {servers} of {all} name servers)")
                }
            }
        }
        Step::Finalize => "waiting for the CA to sign".to_owned(),
        Step::Store => "storing the certificate".to_owned(),
        Step::Stored(stored) => format!("stored in {}", stored.location),
        Step::Withdraw => "withdrawing the TXT values".to_owned(),
        _ => String::new(),
    }
}

/// The state of each name from this step on.
fn state(step: &Step<'_>) -> &'static str {
    match step {
        Step::Preflight | Step::Planned(_) | Step::Order => "delegated",
        Step::Publish(_) | Step::Lagging(_) | Step::OutlastCache(_) | Step::Again => {
            "being written"
        }
        Step::Validate(_) => "on every server",
        Step::Withdraw | Step::Finalize | Step::Store | Step::Stored(_) => "validated",
        _ => "",
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_plan_add_up() {
        let count = Count::default();
        assert_eq!(count.plan(1), 1);
        assert_eq!(count.in_words(), None);
        count.end();
        assert_eq!(count.plan(2), 3);
        assert_eq!(count.in_words().as_deref(), Some("1 of 3 done"));
    }
}
