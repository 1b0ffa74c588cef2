//! A defect in the work for one certificate, in a process that works on many.

use std::fs;
use std::sync::Arc;

use acme_alias_core::acme::CaConfig;
use acme_alias_core::clock::{Clock, SystemClock};
use acme_alias_core::dns::{Config, ZoneServers};
use acme_alias_core::engine::{Engine, JobError, JobOutcome, RunOptions, Selection};
use acme_alias_core::issue::{CertificateRequest, Observer, Step};
use acme_alias_core::store::CertificateId;
use acme_alias_core::testkit::{MemoryLedger, MemoryStore};
use acme_alias_rfc2136::{Rfc2136, TsigKey};
use acme_alias_tests::{ALIAS_ZONE, Error, Result, TestBed};

const GOOD: usize = 20;

/// Panics when a certificate reaches the step that its id names.
struct Defective;

impl Observer for Defective {
    fn step(&self, certificate: &CertificateId, step: &Step<'_>) {
        let at = match step {
            Step::Preflight => "preflight",
            Step::Publish(_) => "publish",
            Step::Stored(_) => "stored",
            _ => return,
        };
        assert_ne!(certificate.as_str(), at, "a defect");
    }
}

/// An engine for these domains. The id of a certificate is the first label of its domain.
fn engine(bed: &TestBed, domains: &[String]) -> Result<Engine> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut dns = Config::default();
    dns.resolvers.push(bed.resolver());
    let alias_servers = vec![bed.primary(), bed.secondary()];
    let zones = [
        ("example.com", vec![bed.main_server()]),
        (ALIAS_ZONE, alias_servers),
    ];
    for (zone, servers) in zones {
        let zone = zone.parse()?;
        dns.zones.push(ZoneServers { zone, servers });
    }
    let ca = CaConfig::new(bed.settings().directory)
        .with_extra_root(fs::read(bed.ca_file())?)
        .with_agree_tos(true);
    let key = TsigKey::from_text(bed.key(ALIAS_ZONE)?.to_string())?;
    let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
    let mut builder = Engine::builder(store, Arc::new(MemoryLedger::new(clock)))
        .ca(ca)
        .dns(dns)
        .observer(Arc::new(Defective))
        .alias_zone(ALIAS_ZONE.parse()?, Rfc2136::new(bed.primary().into(), key));
    for domain in domains {
        let (id, _) = domain.split_once('.').unwrap_or_default();
        let request = CertificateRequest::new(id.parse()?, [domain.parse()?]);
        builder = builder.certificate(request);
    }
    builder.build().map_err(Error::new)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_work_for_one_certificate_harms_no_other() -> Result {
    let steps = ["preflight", "publish", "stored"];
    let good = (0..GOOD).map(|i| format!("good{i}"));
    let labels: Vec<_> = good.chain(steps.map(str::to_owned)).collect();
    let domains: Vec<_> = labels
        .iter()
        .map(|label| format!("{label}.example.com"))
        .collect();
    let bed = TestBed::builder().delegate_apart(&domains).start()?;
    let options = RunOptions {
        selection: Selection::All,
        ..RunOptions::default()
    };
    let report = engine(&bed, &domains)?
        .run(&options)
        .await
        .map_err(Error::new)?;
    assert_eq!(report.jobs.len(), domains.len());
    for job in report.jobs {
        let is_defective = steps.contains(&job.id.as_str());
        match job.outcome {
            Ok(JobOutcome::Issued { .. }) => assert!(!is_defective, "{}", job.id),
            Err(JobError::Defect { .. }) => assert!(is_defective, "{}", job.id),
            other => panic!("{}: {other:?}", job.id),
        }
    }
    bed.assert_only_txt_was_touched(&[])
}
