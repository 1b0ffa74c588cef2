//! Programs behind the provider exec that print much, because a service or somebody else lets them.

use std::time::Duration;

use acme_alias_tests::{Outcome, Result, SECOND_ALIAS_ZONE, SimulatedCa, TestBed, Validation};

use super::hostile_zones::GOOD;
use crate::exec::programs::{script, settings};

/// What a run takes at most.
const TIME: Duration = Duration::from_mins(2);
/// Octets that a program may print.
const OCTETS: usize = 8 << 20;

/// Runs with so many certificates of one alias name, whose program prints this item again and again, as it is asked
/// for `action`.
fn run_with(certificates: usize, action: &str, member: &str, item: &str) -> Result<Outcome> {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let count = (OCTETS - 100) / (item.len() + 1);
    let items = vec![item; count].join(",");
    let answer = format!("{{\"version\": 1, \"{member}\": [{items}]}}");
    let file = bed.folder().join("answer.json");
    std::fs::write(&file, answer)?;
    let text = format!(
        "#!/bin/sh\ncase $(cat) in\n*'\"action\":\"{action}\"'*) exec cat '{}' ;;\n\
         *) echo '{{\"version\": 1, \"records\": []}}' ;;\nesac\n",
        file.display()
    );
    let path = script(&bed.folder().join("prints"), &text)?;
    let mut host = settings(
        bed.settings(),
        &format!("command = '{}'\nttl = 0", path.display()),
    );
    for id in 0..certificates {
        host = host.certificate(&format!("c{id}"), "domains = [\"example.com\"]");
    }
    bed.program(host)?.limit(TIME).run(&["renew"])
}

/// The program printed too much for one certificate.
fn assert_is_bounded(outcome: &Outcome) {
    outcome.assert_said(&["printed more than"]);
    outcome.assert_peak_memory_below(100 << 20);
}

#[test]
fn millions_of_results_of_a_program_are_not_kept() -> Result {
    assert_is_bounded(&run_with(1, "add", "results", "[]")?);
    Ok(())
}

#[test]
fn large_answers_of_a_program_to_many_certificates_do_not_fill_memory() -> Result {
    assert_is_bounded(&run_with(40, "values", "records", r#"["a.b",""]"#)?);
    Ok(())
}

#[test]
fn programs_that_hang_leave_file_descriptors_to_others() -> Result {
    let good: Vec<_> = (0..GOOD).map(|n| format!("good{n}.example.com")).collect();
    let alias_name = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
    let builder = TestBed::builder().delegate_apart(&good);
    let bed = builder
        .cname("_acme-challenge.example.org", &alias_name)
        .start()?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let path = script(&bed.folder().join("hangs"), "#!/bin/sh\nexec sleep 300\n")?;
    let mut settings = bed.settings_with(&ca);
    settings.alias_zones[1].provider = "hangs";
    settings.more = format!(
        "[providers.hangs]\nkind = 'exec'\ncommand = '{}'\ntimeout = '10s'\n",
        path.display()
    );
    for number in 0..400 {
        settings = settings.certificate(&format!("a{number}"), "domains = [\"example.org\"]");
    }
    let program = bed.program(settings.certificates(&good))?.limit(TIME);
    let outcome = program.before("ulimit -n 1024").run(&["renew"])?;
    let is_short = outcome.stderr.contains("Too many open files");
    assert_eq!((ca.certificates(), is_short), (GOOD, false), "{outcome}");
    Ok(())
}
