//! TXT records that killed runs left where they cannot be removed, and runs that are interrupted.

use acme_alias_tests::{
    ALIAS_NAME, Outcome, Program, Result, Running, SECOND_ALIAS_ZONE, Settings, TestBed,
};

/// Two certificates, each with an alias name in a zone of its own.
struct TwoZones {
    bed: TestBed,
}

impl TwoZones {
    fn start() -> Result<TwoZones> {
        let second_name = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
        let bed = TestBed::builder()
            .delegate(&["example.com"])
            .cname("_acme-challenge.example.org", &second_name)
            .validates_each_time()
            .start()?;
        Ok(TwoZones { bed })
    }

    fn settings(&self) -> Settings {
        let settings = self.bed.settings();
        settings
            .certificate("first", "domains = [\"example.com\"]")
            .certificate("second", "domains = [\"example.org\"]")
    }

    /// The program, unable to reach the server of the first alias zone.
    fn without_first_zone(&self) -> Result<Program> {
        let dead = self.bed.dead_port()?;
        let mut settings = self.settings();
        settings.providers[0].server = dead.address();
        settings.alias_zones[0].servers = vec![dead.address()];
        self.bed.program(settings)
    }

    /// Leaves a TXT record in each zone: kills a run that waits for a server that never has it.
    fn kill_a_run(&self, arguments: &[&str]) -> Result {
        let stuck = self.bed.stuck_server()?;
        let mut settings = self.settings();
        for zone in &mut settings.alias_zones {
            zone.servers.push(stuck.address());
        }
        let running = self.bed.program(settings)?.spawn(arguments)?;
        self.bed
            .wait_until("both zones have a value", |bed| Ok(bed.txt()?.len() == 2))?;
        running.kill()
    }

    fn names_left(&self) -> Result<Vec<String>> {
        Ok(self.bed.txt()?.into_iter().map(|txt| txt.name).collect())
    }

    /// Checks that the record of the first zone is left, and reported with the way to drop it.
    fn assert_first_is_reported(&self, outcome: &Outcome) -> Result {
        assert_eq!(self.names_left()?, [ALIAS_NAME], "{outcome}");
        let said = format!("{} {}", outcome.stdout, outcome.stderr);
        for words in [ALIAS_NAME, "acme-alias ledger forget"] {
            assert!(said.contains(words), "`{words}` is not in:\n{outcome}");
        }
        Ok(())
    }
}

#[test]
fn reconcile_cleans_one_zone_and_reports_what_is_left_in_a_dead_one() -> Result {
    let zones = TwoZones::start()?;
    zones.kill_a_run(&["renew"])?;
    let program = zones.without_first_zone()?;
    // It is reported every time.
    for _ in 0..2 {
        let outcome = program.run(&["ledger", "reconcile"])?;
        assert_eq!(outcome.code, Some(4), "{outcome}");
        zones.assert_first_is_reported(&outcome)?;
    }
    let reconcile = ["ledger", "reconcile", "--output", "json"];
    let outcome = program.run(&reconcile)?;
    assert_eq!(outcome.code, Some(4), "{outcome}");
    let left = &outcome.json()?["left"];
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{outcome}");
    assert_eq!(left[0]["name"], ALIAS_NAME, "{outcome}");

    // The server is back.
    let program = zones.bed.program(zones.settings())?;
    program.run(&reconcile)?.assert_success();
    zones.bed.assert_only_txt_was_touched(&[])
}

#[test]
fn renew_cleans_one_zone_and_reports_what_is_left_in_a_dead_one() -> Result {
    let zones = TwoZones::start()?;
    let program = zones.bed.program(zones.settings())?;
    program.run(&["renew"])?.assert_success();
    zones.kill_a_run(&["renew", "--force"])?;
    // Nothing is due.
    let outcome = zones.without_first_zone()?.run(&["renew"])?;
    zones.assert_first_is_reported(&outcome)?;
    program.run(&["renew"])?.assert_success();
    zones.bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_value_that_is_forgotten_is_not_reported_again() -> Result {
    let zones = TwoZones::start()?;
    zones.kill_a_run(&["renew"])?;
    let program = zones.without_first_zone()?;
    let outcome = program.run(&["ledger", "reconcile"])?;
    let said = format!("{}\n{}", outcome.stdout, outcome.stderr);
    let command = said.lines().find_map(|line| {
        let (_, command) = line.split_once("acme-alias ledger forget")?;
        Some(command.trim_matches(['`', '.', ' ', ':']).to_owned())
    });
    let command = command.unwrap_or_default();
    let arguments: Vec<_> = ["ledger", "forget"]
        .into_iter()
        .chain(command.split_whitespace())
        .collect();
    program.run(&arguments)?.assert_success();
    program.run(&["ledger", "reconcile"])?.assert_success();
    let verified = program.run(&["ledger", "verify", "--output", "json"])?;
    assert_eq!(verified.json()?["open"], 0, "{verified}");
    assert_eq!(zones.names_left()?, [ALIAS_NAME]);
    Ok(())
}

#[test]
fn every_signal_that_ends_a_run_withdraws_its_records() -> Result {
    type Send = fn(&Running) -> Result;
    let signals: [(&str, Send); 5] = [
        ("SIGINT", Running::interrupt),
        ("SIGTERM", Running::terminate),
        ("SIGHUP", Running::hang_up),
        ("SIGQUIT", Running::quit),
        // As `timeout` does it: to the process, and to its group.
        ("two at once", |running| {
            running.terminate()?;
            running.interrupt()
        }),
    ];
    let zones = TwoZones::start()?;
    let stuck = zones.bed.stuck_server()?;
    let mut settings = zones.settings();
    settings.propagation_timeout = "2m";
    for zone in &mut settings.alias_zones {
        zone.servers.push(stuck.address());
    }
    let program = zones.bed.program(settings)?;
    // A rehearsal writes probes, which are withdrawn as well.
    let rehearsal = (
        "a rehearsal",
        Running::interrupt as Send,
        &["--dry-run"][..],
    );
    let runs = signals.map(|(signal, send)| (signal, send, &[][..]));
    for (signal, send, flags) in runs.into_iter().chain([rehearsal]) {
        let running = program.spawn(&[&["renew"], flags].concat())?;
        zones
            .bed
            .wait_until("both zones have a value", |bed| Ok(bed.txt()?.len() == 2))?;
        send(&running)?;
        let outcome = running.wait()?;
        assert_eq!(outcome.code, Some(130), "{signal}: {outcome}");
        assert_eq!(zones.names_left()?, [""; 0], "{signal}: {outcome}");
    }
    zones.bed.assert_only_txt_was_touched(&[])
}
