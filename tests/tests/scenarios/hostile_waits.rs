//! What a certificate could make others wait for, at its CA.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use acme_alias_core::crash::Point;
use acme_alias_tests::{
    AcmeProxy, BELOW, Builder, Exchange, Profile, Result, SECOND_ALIAS_ZONE, Settings, SimulatedCa,
    Spoilt, TestBed, Validation,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::hostile_zones::{GOOD, GOOD_TIME, Neighbours};
use super::renewal_info::{PATH, with_info};

/// Lets all certificates have a command, and returns the file that it makes.
pub(super) fn touched_by(settings: &mut Settings, bed: &TestBed) -> PathBuf {
    let file = bed.folder().join("deployed");
    let command = format!("command = [\"touch\", \"{}\"]", file.display());
    settings.more += &format!("[[deploy]]\nkind = \"command\"\n{command}\n");
    file
}

/// How long another CA may take for an order.
const SHORT: &str = "order-timeout = \"20s\"";
/// The same if no test waits for its end.
const LONG: &str = "order-timeout = \"10m\"";

/// Good certificates of the usual CA, beside so many of another one.
struct Two {
    neighbours: Neighbours,
    others: Vec<String>,
}

impl Two {
    fn start(others: usize) -> Result<Two> {
        Two::start_with(GOOD, others, |names| {
            TestBed::builder().delegate_apart(names)
        })
    }

    fn start_with(good: usize, others: usize, bed: impl Fn(&[String]) -> Builder) -> Result<Two> {
        let good: Vec<_> = (0..good).map(|n| format!("good{n}.example.com")).collect();
        let others: Vec<_> = (0..others).map(|n| format!("a{n}.example.com")).collect();
        let all = [&good[..], &others].concat();
        let neighbours = Neighbours {
            bed: bed(&all).start()?,
            ca: SimulatedCa::start(Validation::Trust)?,
            good,
        };
        Ok(Two { neighbours, others })
    }

    /// The usual CA of the bed, with orders that stay pending.
    fn pending(&self) -> Result<(AcmeProxy, PathBuf)> {
        let bed = &self.neighbours.bed;
        let proxy = bed.acme_proxy(pending)?;
        Ok((proxy, bed.settings().ca_file.unwrap_or_default()))
    }

    /// Settings with the other CA. In the order of their names, its certificates come first.
    fn settings(&self, directory: &str, root: &Path) -> Settings {
        let mut settings = self.neighbours.bed.settings_with(&self.neighbours.ca);
        for host in &self.others {
            let lines = format!("domains = [\"{host}\"]\nca = \"other\"\ndeploy = []");
            settings = settings.certificate(&host.replace('.', "-"), &lines);
        }
        let mut settings = settings.certificates(&self.neighbours.good);
        settings.more += &format!(
            "[cas.other]\ndirectory = \"{directory}\"\nca-file = \"{}\"\nagree-tos = true\n\
             timeout = \"6s\"\n{SHORT}\n",
            root.display()
        );
        settings
    }

    /// All good certificates are obtained and deployed in time, whatever the other CA does.
    #[track_caller]
    fn assert_unharmed(&self, mut settings: Settings) -> Result {
        let Neighbours { bed, ca, good } = &self.neighbours;
        let deployed = touched_by(&mut settings, bed);
        let running = bed.program(settings)?.spawn(&["renew"])?;
        bed.wait_until("the good certificates", |_| {
            Ok(ca.certificates() == good.len())
        })?;
        bed.wait_until("the deployment", |_| Ok(deployed.exists()))?;
        running.kill()
    }
}

#[test]
fn a_ca_that_never_answers_holds_up_no_certificate_of_another() -> Result {
    let two = Two::start(450)?;
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let directory = format!("https://{}/dir", silent.local_addr()?);
    let settings = two.settings(&directory, two.neighbours.ca.root());
    two.assert_unharmed(settings)
}

/// Lets each order stay pending.
pub(super) fn pending(exchange: &Exchange) -> Spoilt {
    if !exchange.path.starts_with("/my-order") || exchange.answer.is_empty() {
        return Spoilt::No;
    }
    let mut answer: Value = serde_json::from_str(&exchange.answer).unwrap_or_default();
    answer["status"] = "pending".into();
    Spoilt::Changed(answer.to_string())
}

#[test]
fn orders_that_stay_pending_hold_up_no_certificate_of_another_ca() -> Result {
    let two = Two::start(250)?;
    let (proxy, root) = two.pending()?;
    two.assert_unharmed(two.settings(&proxy.directory(), &root))
}

#[test]
fn what_a_killed_run_stored_is_deployed_while_orders_of_another_ca_stay_pending() -> Result {
    let two = Two::start_with(GOOD, 1, |names| {
        let bed = TestBed::builder().delegate_apart(names);
        bed.profile(Profile::Failpoints)
    })?;
    let (proxy, root) = two.pending()?;
    let mut settings = two.settings(&proxy.directory(), &root);
    settings.more = settings.more.replace(SHORT, LONG);
    let bed = &two.neighbours.bed;
    let deployed = touched_by(&mut settings, bed);
    let program = bed.program(settings)?;
    let crash = format!("{}=return", Point::Command.name());
    let good: Vec<_> = (0..GOOD).map(|n| format!("good{n}-example-com")).collect();
    let arguments = good.iter().map(String::as_str);
    let arguments: Vec<_> = ["renew"].into_iter().chain(arguments).collect();
    let killed = program.clone().env("FAILPOINTS", crash).run(&arguments)?;
    assert_eq!(killed.code, None, "{killed}");
    assert!(!deployed.exists());
    let running = program.spawn(&["renew"])?;
    bed.wait_until("the deployment", |_| Ok(deployed.exists()))?;
    running.kill()
}

#[test]
fn slow_answers_about_renewal_hold_up_no_deployment_for_another_ca() -> Result {
    let mut two = Two::start(160)?;
    let good = std::mem::take(&mut two.neighbours.good);
    let bed = &two.neighbours.bed;
    let proxy = bed.acme_proxy(|exchange| match exchange.path.as_str() {
        "/dir" if !exchange.answer.is_empty() => with_info(&exchange.answer),
        path if path.starts_with(PATH) => Spoilt::Late(Duration::from_secs(5)),
        _ => Spoilt::No,
    })?;
    let root = bed.settings().ca_file.unwrap_or_default();
    let settings = two.settings(&proxy.directory(), &root);
    bed.program(settings)?.run(&["renew"])?.assert_success();
    two.neighbours.good = good;
    two.assert_unharmed(two.settings(&proxy.directory(), &root))
}

#[test]
fn a_certificate_that_takes_long_holds_up_no_deployment_for_those_of_the_same_ca() -> Result {
    let good: Vec<_> = (0..GOOD).map(|n| format!("good{n}.example.com")).collect();
    let second_name = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
    let bed = TestBed::builder()
        .delegate_apart(&good)
        .cname("_acme-challenge.example.org", &second_name)
        .start()?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let stuck = bed.stuck_server()?;
    let mut settings = bed.settings_with(&ca).certificates(&good);
    settings = settings.certificate("slow", "domains = [\"example.org\"]");
    settings.alias_zones[1].servers.push(stuck.address());
    settings.propagation_timeout = "2m";
    let deployed = touched_by(&mut settings, &bed);
    let begun = Instant::now();
    let running = bed.program(settings)?.spawn(&["renew"])?;
    while !deployed.exists() && begun.elapsed() < Duration::from_mins(1) {
        // Nothing tells when a program has run.
        std::thread::sleep(Duration::from_millis(100));
    }
    let until = begun.elapsed();
    running.kill()?;
    assert!(until < Duration::from_mins(1), "{until:?}");
    assert_eq!(ca.certificates(), GOOD);
    Ok(())
}

#[test]
fn keys_that_take_long_to_generate_delay_no_certificate_with_another_one() -> Result {
    let mut two = Two::start(75)?;
    let bed = &two.neighbours.bed;
    let slow = std::mem::take(&mut two.others).into_iter();
    let mut settings = slow.fold(bed.settings_with(&two.neighbours.ca), |settings, host| {
        let lines = format!("domains = [\"{host}\"]\nkey-type = \"rsa-4096\"");
        settings.certificate(&host.replace('.', "-"), &lines)
    });
    settings = settings.certificates(&two.neighbours.good);
    let program = bed.program(settings)?;
    let program = program.before("ulimit -n 1024 && ulimit -d 262144");
    let running = program.spawn(&["renew"])?;
    let begun = Instant::now();
    bed.wait_until("the good certificates", |bed| {
        let mut good = two.neighbours.good.iter();
        Ok(good.all(|host| bed.certificate(&host.replace('.', "-")).is_ok()))
    })?;
    let waited = begun.elapsed();
    running.kill()?;
    assert!(waited < GOOD_TIME, "{waited:?}");
    Ok(())
}

/// The first name that a request to open an order has.
fn first_name(request: &str) -> Option<Value> {
    let request: Value = serde_json::from_str(request).ok()?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(request["payload"].as_str()?);
    let payload: Value = serde_json::from_slice(&payload.ok()?).ok()?;
    Some(payload["identifiers"][0].clone())
}

#[test]
fn a_certificate_that_fails_for_one_name_after_the_other_holds_up_no_deployment() -> Result {
    let names: Vec<_> = (0..100).map(|n| format!("n{n}.example.com")).collect();
    let good = ["good.example.org".to_owned()];
    let bed = TestBed::builder().delegate(&[&names[..], &good].concat());
    let bed = bed.start()?;
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&orders);
    let proxy = bed.acme_proxy(move |exchange| {
        let first = first_name(&exchange.request);
        let Some(first) = first.filter(|name| name["value"] != good[0]) else {
            return Spoilt::No;
        };
        if exchange.path != "/order-plz" {
            return Spoilt::No;
        }
        counted.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(500));
        let kind = "urn:ietf:params:acme:error:rejectedIdentifier";
        let problem = json!({ "type": kind, "detail": "no", "subproblems": [
            { "type": kind, "detail": "no", "identifier": first }
        ]});
        let content_type = ("content-type", "application/problem+json".to_owned());
        Spoilt::Instead(403, vec![content_type], problem.to_string())
    })?;
    let partial = format!("domains = {names:?}\npartial = true");
    let mut settings = bed.settings().certificate("hostile", &partial);
    settings = settings.certificates(&["good.example.org"]);
    settings.directory = proxy.directory();
    let deployed = touched_by(&mut settings, &bed);
    let running = bed.program(settings)?.spawn(&["renew"])?;
    bed.wait_until("the deployment", |_| Ok(deployed.exists()))?;
    running.kill()?;
    assert!(orders.load(Ordering::Relaxed) <= 11);
    Ok(())
}

/// Lets each order stay pending for 15 seconds, and then refuses it because of its first name.
fn refused_late() -> impl Fn(&Exchange) -> Spoilt + Send + Sync {
    let orders: Mutex<BTreeMap<String, (Instant, Value)>> = Mutex::default();
    move |exchange| {
        let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
        let id_in = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
        if exchange.path.starts_with("/finalize-order/") && exchange.answer.is_empty() {
            let kind = "urn:ietf:params:acme:error:rejectedIdentifier";
            let first = orders.get(&id_in(&exchange.path)).map(|(_, first)| first);
            let problem = json!({ "type": kind, "detail": "no", "subproblems": [
                { "type": kind, "detail": "no", "identifier": first }
            ]});
            let content_type = ("content-type", "application/problem+json".to_owned());
            return Spoilt::Instead(403, vec![content_type], problem.to_string());
        }
        let answer = serde_json::from_str(&exchange.answer);
        let mut answer: Value = answer.unwrap_or_default();
        let Some(finalize) = answer["finalize"].as_str() else {
            return Spoilt::No;
        };
        let first = answer["identifiers"][0].clone();
        let order = orders.entry(id_in(finalize));
        let (opened, _) = order.or_insert_with(|| (Instant::now(), first));
        if opened.elapsed() > Duration::from_secs(15) {
            return Spoilt::No;
        }
        answer["status"] = "pending".into();
        Spoilt::Changed(answer.to_string())
    }
}

/// How long another CA may take for an order, in the settings.
pub(super) const ORDER_TIMEOUT: Duration = Duration::from_secs(20);

/// A certificate of the usual CA that is added while another CA takes long for one with so many names is obtained in time.
#[track_caller]
fn assert_added_in_time(
    names: usize,
    limit: Duration,
    spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
) -> Result {
    let names: Vec<_> = (0..names).map(|n| format!("n{n}.example.com")).collect();
    let hostile = format!("domains = {names:?}\nca = \"other\"\npartial = true");
    assert_added(&names, limit, spoil, |settings| {
        settings.certificate("hostile", &hostile)
    })
}

/// The same while it takes long for these certificates.
#[track_caller]
pub(super) fn assert_added(
    delegated: &[String],
    limit: Duration,
    spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
    hostile: impl Fn(Settings) -> Settings,
) -> Result {
    let good = ["good.example.org".to_owned()];
    let bed = TestBed::builder().delegate(&[delegated, &good].concat());
    let bed = bed.always_valid().start()?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let proxy = bed.acme_proxy(spoil)?;
    let mut settings = hostile(bed.settings_with(&ca));
    settings.more += &format!(
        "[cas.other]\ndirectory = \"{}\"\nca-file = \"{}\"\nagree-tos = true\norder-timeout = \"{}s\"\n",
        proxy.directory(),
        bed.settings().ca_file.unwrap_or_default().display(),
        ORDER_TIMEOUT.as_secs()
    );
    let program = bed.program(settings)?;
    let below = program.home().join(BELOW);
    fs::write(&below, "")?;
    let running = program.spawn(&["run"])?;
    // The order of a hostile certificate is under way.
    bed.wait_until("an order", |bed| Ok(bed.orders()? > 0))?;
    fs::write(&below, format!("[certificates.good]\ndomains = {good:?}\n"))?;
    let begun = Instant::now();
    bed.wait_until("the added certificate", |_| Ok(ca.certificates() > 0))?;
    let waited = begun.elapsed();
    running.kill()?;
    assert!(waited < limit, "{waited:?}");
    Ok(())
}

#[test]
fn a_certificate_that_takes_long_for_one_name_after_the_other_delays_no_added_one() -> Result {
    // That is ten minutes, with the usual settings.
    assert_added_in_time(20, 2 * ORDER_TIMEOUT, refused_late())
}

#[test]
fn a_ca_that_lets_each_request_be_sent_again_delays_no_added_certificate_of_another() -> Result {
    let requests: Mutex<BTreeMap<String, usize>> = Mutex::default();
    // The end of one run, and the begin of the next one, take some seconds.
    let limit = 2 * ORDER_TIMEOUT + Duration::from_secs(20);
    assert_added_in_time(2, limit, move |exchange| {
        let of_orders = ["/authZ", "/chalZ", "/my-order", "/finalize", "/certZ"];
        let is_of_order = |path: &&str| exchange.path.starts_with(path);
        if !exchange.answer.is_empty() || !of_orders.iter().any(is_of_order) {
            return Spoilt::No;
        }
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = requests.entry(exchange.path.clone()).or_default();
        *sent += 1;
        if sent.is_multiple_of(4) {
            return Spoilt::No;
        }
        let wait = vec![("Retry-After", "7".to_owned())];
        Spoilt::Instead(503, wait, "busy".to_owned())
    })
}
