//! Certificates of others in the checks of delegations, by `check` and in `run`.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use acme_alias_tests::{
    ALIAS_ZONE, BELOW, HostileAnswer, HostileServer, Outcome, Result, Settings, SimulatedCa,
    TestBed, Validation,
};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, RecordType};

use super::hostile_zones::{HOSTILE, name, none, with};
use super::metrics::{get, serving};

const VICTIM: &str = "victim.example.com";

/// When the delegations were checked last.
fn checked_at(address: SocketAddr) -> Result<String> {
    let metrics = get(address, "/metrics")?;
    let mut lines = metrics.lines();
    let line =
        lines.find(|line| line.starts_with("acme_alias_delegations_checked_timestamp_seconds "));
    Ok(line.unwrap_or_default().to_owned())
}

#[test]
fn a_finding_about_a_name_that_another_certificate_has_hides_none_of_its_owner() -> Result {
    let hosts = ["hostile.example.com", VICTIM];
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let alias = |host: &str| format!("domain-alias = '{host}.{ALIAS_ZONE}'");
    // It fails, as the name of the other one leads to the alias name of that one.
    let hostile = format!("domains = {hosts:?}\n{}", alias(hosts[0]));
    let victim = format!("domains = ['{VICTIM}']\n{}", alias(VICTIM));
    let settings = bed.settings().certificate("hostile", &hostile);
    let program = bed.program(settings.certificate("victim", &victim))?;
    let address = bed.dead_port()?.address();
    let listen = format!("[run]\nlisten = '{address}'\n");
    fs::write(program.home().join(BELOW), listen)?;
    let running = serving(&bed, &program, address)?;
    let first = checked_at(address)?;
    bed.update_main_zones(&format!(
        "zone example.com\nupdate delete _acme-challenge.{VICTIM} CNAME\n\
         update add _acme-challenge.{VICTIM} 600 CNAME other.{ALIAS_ZONE}.\nsend\n"
    ))?;
    bed.wait_until("they are checked again", |_| {
        running.hang_up()?;
        Ok(checked_at(address)? != first)
    })?;
    let page = get(address, "/")?;
    running.terminate()?;
    let outcome = running.wait()?;
    let finding = format!("but {VICTIM}.{ALIAS_ZONE}. is configured");
    assert!(page.contains(&finding), "{page}");
    outcome.assert_said(&[&finding]);
    Ok(())
}

/// What a server does on which a name leads to an alias name by way of three others.
#[derive(Default)]
struct SlowChains {
    /// Whether each answer takes a second.
    is_slow: AtomicBool,
    /// How many chains were begun.
    begun: AtomicUsize,
}

impl SlowChains {
    fn serve(self: &Arc<Self>) -> Result<HostileServer> {
        let chains = Arc::clone(self);
        HostileServer::start(move |asked, kind, answer| {
            let text = asked.to_ascii().to_ascii_lowercase();
            let first = text.split('.').next().unwrap_or_default();
            let next = match first {
                "_acme-challenge" => format!("one.{HOSTILE}"),
                "one" => format!("two.{HOSTILE}"),
                "two" => format!("three.{HOSTILE}"),
                "three" => format!("slow.{ALIAS_ZONE}"),
                _ => return none(answer, &name(HOSTILE)),
            };
            if !matches!(kind, RecordType::TXT | RecordType::CNAME) {
                return none(answer, &name(HOSTILE));
            }
            if first == "one" {
                chains.begun.fetch_add(1, Ordering::Relaxed);
            }
            match with(answer, asked, [RData::CNAME(CNAME(name(&next)))]) {
                HostileAnswer::Now(answer) if chains.is_slow.load(Ordering::Relaxed) => {
                    HostileAnswer::Late(Duration::from_millis(900), answer)
                }
                answer => answer,
            }
        })
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }
}

#[test]
fn settings_that_change_again_and_again_keep_no_check_from_its_end() -> Result {
    let builder = TestBed::builder().delegate(&[VICTIM]);
    let bed = builder.always_valid().start()?;
    let chains = Arc::new(SlowChains::default());
    let server = chains.serve()?;
    let mut settings = bed.settings().certificates(&[VICTIM]);
    let zone = (HOSTILE.to_owned(), vec![server.address()]);
    settings.zones.push(zone);
    let settings = settings.certificate("slow", &format!("domains = ['slow.{HOSTILE}']"));
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    let removed = format!("update delete _acme-challenge.{VICTIM} CNAME");
    bed.update_main_zones(&format!("zone example.com\n{removed}\nsend\n"))?;
    chains.is_slow.store(true, Ordering::Relaxed);
    let address = bed.dead_port()?.address();
    let listen = format!("[run]\nlisten = '{address}'\n");
    fs::write(program.home().join(BELOW), listen)?;
    let known = AtomicUsize::new(chains.begun());
    let running = program.spawn(&["run"])?;
    bed.wait_until("a check has ended", |_| {
        // Each check that has begun is overtaken by settings that have changed.
        let now = chains.begun();
        if known.swap(now, Ordering::Relaxed) < now {
            running.hang_up()?;
        }
        let metrics = get(address, "/metrics");
        Ok(metrics.is_ok_and(|text| text.contains("\nacme_alias_delegations{")))
    })?;
    // Another one follows, with the new settings.
    let ended = chains.begun();
    bed.wait_until("another check has begun", |_| Ok(chains.begun() > ended))?;
    let page = get(address, "/")?;
    running.terminate()?;
    running.wait()?;
    let finding = format!("_acme-challenge.{VICTIM}.: there is no CNAME");
    assert!(page.contains(&finding), "{page}");
    Ok(())
}

/// What `check` says of a name that leads outside of every alias zone.
fn check_of_a_name_outside(change: impl Fn(Settings) -> Settings) -> Result<Outcome> {
    let challenge = format!("_acme-challenge.{VICTIM}");
    let builder = TestBed::builder().cname(&challenge, "victim.outside.example.org");
    let bed = builder.start()?;
    let settings = change(bed.settings().certificates(&[VICTIM]));
    bed.program(settings)?.run(&["check"])
}

#[test]
fn the_provider_of_another_certificate_for_the_same_name_hides_no_problem() -> Result {
    let alone = check_of_a_name_outside(|settings| settings)?;
    alone.assert_printed(&["would fail victim.example.com victim.outside"]);
    let both = check_of_a_name_outside(|settings| {
        let provider = settings.providers[0].id;
        let lines = format!("domains = ['{VICTIM}']\nprovider = '{provider}'");
        settings.certificate("a", &lines)
    })?;
    assert_eq!((alone.code, both.code), (Some(3), Some(3)), "{both}");
    both.assert_printed(&[
        "would fail victim.example.com (for victim-example-com)",
        "victim.example.com (for a)",
        "1 challenge name:",
    ]);
    Ok(())
}

#[test]
fn a_ca_that_may_not_issue_for_a_name_concerns_its_own_certificate_only() -> Result {
    let bed = TestBed::builder()
        .delegate_apart(&[VICTIM])
        .record(VICTIM, "CAA 0 issue \"good.example\"")
        .start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let mut settings = bed.settings().certificates(&[VICTIM]);
    settings = settings.certificate("a", &format!("domains = ['{VICTIM}']\nca = 'other'"));
    settings.more += &format!(
        "[cas.other]\ndirectory = '{}'\nca-file = '{}'\nagree-tos = true\ncaa-issuer = 'other.example'\n",
        other.directory(),
        other.root().display()
    );
    let program = bed.program(settings)?;
    let program = program.env("ACME_ALIAS_ACME__CAA_ISSUER", "good.example");
    let check = program.run(&["check"])?;
    check.assert_printed(&[
        "would fail victim.example.com (for a)",
        "good victim.example.com (for victim-example-com)",
        "1 challenge name: 0 good, 0 with warnings, 1 with errors",
    ]);
    let json = program.run(&["check", "--output", "json"])?.json()?;
    let checked = json["checked"].as_array().cloned().unwrap_or_default();
    let of = |id: &str| {
        let entry = checked.iter().find(|one| one["certificates"][0] == id);
        entry.map(|one| one["findings"].as_array().map_or(0, Vec::len))
    };
    assert_eq!((of("a"), of("victim-example-com")), (Some(1), Some(0)));
    Ok(())
}
