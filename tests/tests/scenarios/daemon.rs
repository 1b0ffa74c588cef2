//! `acme-alias run`: the loop, its signals and settings, and its messages to the service manager.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use acme_alias_tests::{BELOW, Program, Result, TestBed};

/// The last message to the service manager.
const STOPPING: &str = "STOPPING=1";
/// Container runtimes kill after ten seconds.
const END_MAX: Duration = Duration::from_secs(10);

/// Writes the settings file below that of the bed.
fn write_below(program: &Program, lines: &str) -> Result {
    Ok(fs::write(program.home().join(BELOW), lines)?)
}

fn of_org(lines: &str) -> String {
    format!("[certificates.org]\ndomains = [\"example.org\"]\n{lines}")
}

fn is_stored(bed: &TestBed, id: &str) -> bool {
    bed.certificate(id).is_ok()
}

/// A service manager, which listens at a socket below `folder`: its path, and what it was told until the end.
fn service_manager(folder: &Path) -> Result<(String, JoinHandle<Vec<String>>)> {
    let path = folder.join("notify");
    let socket = UnixDatagram::bind(&path)?;
    let told = thread::spawn(move || {
        let mut told: Vec<String> = Vec::new();
        let mut message = [0; 4096];
        while !told.last().is_some_and(|last| last.contains(STOPPING)) {
            let Ok(octets) = socket.recv(&mut message) else {
                break;
            };
            told.push(String::from_utf8_lossy(&message[..octets]).into_owned());
        }
        told
    });
    Ok((path.display().to_string(), told))
}

#[test]
fn certificates_that_are_due_or_added_are_obtained_until_it_is_told_to_end() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "example.org", "www.example.com"])
        .start()?;
    let (path, told) = service_manager(bed.folder())?;
    let settings = bed
        .settings()
        .certificate("com", "domains = [\"example.com\"]");
    let program = bed.program(settings)?.env("NOTIFY_SOCKET", path);
    let program = program.env("WATCHDOG_USEC", "600000");
    write_below(&program, "")?;
    let running = program.spawn(&["run", "--output", "json"])?;
    bed.wait_until("the first certificate", |bed| Ok(is_stored(bed, "com")))?;

    write_below(&program, &of_org(""))?;
    running.hang_up()?;
    bed.wait_until("the added certificate", |bed| Ok(is_stored(bed, "org")))?;

    write_below(&program, "nonsense = 1\n")?;
    running.hang_up()?;
    running.wait_until_said("\"event\":\"refused\"")?;

    // Nobody has to say that the settings have changed.
    let www = "[certificates.www]\ndomains = [\"www.example.com\"]\n";
    write_below(&program, &of_org(www))?;
    // Others work beside it.
    let forced = program.run(&["renew", "--force", "com"])?;
    forced.assert_success();
    running.wait_until_said("\"certificate\":\"www\"")?;
    assert!(is_stored(&bed, "www"));

    running.terminate()?;
    let ended = running.wait()?;
    ended.assert_success();
    ended.assert_printed(&[
        "\"event\":\"started\"",
        "\"event\":\"reloaded\"",
        "`nonsense` is no setting",
        "\"event\":\"stopped\"",
    ]);
    assert_eq!(bed.orders()?, 4, "{ended}");
    let told = told.join().unwrap_or_default();
    let position = |word: &str| told.iter().position(|said| said.contains(word));
    assert_eq!(position("READY=1"), Some(0), "{told:?}");
    assert!(position("WATCHDOG=1").is_some(), "{told:?}");
    let reloading = position("RELOADING=1").unwrap_or_default();
    assert!(told[reloading].contains("MONOTONIC_USEC="), "{told:?}");
    let ready = told[reloading..].iter().any(|said| said == "READY=1\n");
    assert!(ready, "{told:?}");
    assert!(position("STATUS=the next run is at").is_some(), "{told:?}");
    assert_eq!(position(STOPPING), Some(told.len() - 1), "{told:?}");
    Ok(())
}

#[test]
fn a_run_under_way_withdraws_its_values_when_the_process_is_told_to_end() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .notify_delay(30)
        .start()?;
    let settings = bed
        .settings()
        .certificate("com", "domains = [\"example.com\"]");
    let program = bed.program(settings)?;
    let running = program.spawn(&["run"])?;
    bed.wait_until("the value is written", |bed| Ok(!bed.txt()?.is_empty()))?;
    let told = Instant::now();
    running.terminate()?;
    running.wait()?.assert_success();
    assert!(told.elapsed() < END_MAX, "{:?}", told.elapsed());
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn settings_that_cannot_be_used_end_it_at_the_start_only() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    write_below(&program, "nonsense = 1\n")?;
    let outcome = program.run(&["run"])?;
    outcome.assert_failure(2, &["`nonsense` is no setting"]);
    Ok(())
}
