//! A machine that is not as it should be, and many processes at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use acme_alias_tests::{ALIAS_ZONE, Result, Running, TestBed};

const ISSUE: [&str; 5] = [
    "issue",
    "example.com",
    "--challenge-alias",
    ALIAS_ZONE,
    "--force",
];

#[test]
fn whatever_the_umask_nobody_else_can_read_or_change_anything() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    program.before("umask 000").run(&ISSUE)?.assert_success();
    let mut seen = 0;
    let mut folders = vec![bed.settings().state];
    while let Some(folder) = folders.pop() {
        assert_mode(&folder, 0o700)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_type()?.is_file() {
                let mode = entry.metadata()?.permissions().mode() & 0o077;
                assert_eq!(mode, 0, "{}", entry.path().display());
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "keys, account, ledger and locks were looked at");
    Ok(())
}

fn assert_mode(path: &Path, mode: u32) -> Result {
    let there = fs::metadata(path)?.permissions().mode() & 0o777;
    assert_eq!(there, mode, "{}", path.display());
    Ok(())
}

#[test]
fn files_that_cannot_grow_lose_nothing() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    program.run(&ISSUE)?.assert_success();
    let mut failed = 0;
    // In blocks of 512 octets; the ledger is beyond the first of them already.
    for blocks in [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16] {
        let old = bed.certificate("example-com")?;
        let limit = format!("trap '' XFSZ; ulimit -f {blocks}");
        let outcome = program.clone().before(&limit).run(&ISSUE)?;
        assert!(matches!(outcome.code, Some(0 | 6)), "{blocks}: {outcome}");
        failed += usize::from(outcome.code == Some(6));
        let new = bed.certificate("example-com")?;
        assert_eq!(new.names, old.names, "{blocks}");
        program.run(&ISSUE)?.assert_success();
        program.run(&["ledger", "verify"])?.assert_success();
        bed.assert_only_txt_was_touched(&[])?;
    }
    assert!(failed > 3, "the limit was met");
    Ok(())
}

/// A shell script in a mount namespace of its own, in which the program runs.
fn among_mounts(script: &str) -> String {
    format!("exec unshare --map-root-user --mount sh -c '{script}' \"$0\" \"$@\"")
}

#[test]
fn a_disk_that_is_full_loses_nothing() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    program.run(&ISSUE)?.assert_success();
    let kept = bed.settings().state;
    let mut settings = bed.settings();
    settings.state = bed.folder().join("full");
    fs::create_dir(&settings.state)?;
    let on_disk = bed.program(settings.clone())?;
    let (disk, kept) = (settings.state.display(), kept.display());
    let mut failed = 0;
    // In kilobytes; a file takes at least four of them.
    for free in [0, 4, 8, 12, 16, 20, 24, 28, 36, 60] {
        let (old, orders) = (bed.certificate("example-com")?, bed.orders()?);
        let script = among_mounts(&format!(
            "mount -t tmpfs -o size=1m,mode=700 tmpfs {disk} && cp -a {kept}/. {disk} && \
             head -c {free}k /dev/zero > {disk}/free && \
             (cat /dev/zero > {disk}/filler 2> /dev/null; rm {disk}/free; true) && \
             \"$0\" \"$@\"; code=$?; rm {disk}/filler; \
             find {kept} -mindepth 1 -delete && cp -a {disk}/. {kept} && exit $code"
        ));
        let outcome = on_disk.clone().before(&script).run(&ISSUE)?;
        assert!(matches!(outcome.code, Some(0 | 6)), "{free}: {outcome}");
        if outcome.code == Some(6) {
            outcome.assert_said(&["No space left on device"]);
            assert_eq!(bed.orders()?, orders, "{free}: found before the order");
            failed += 1;
        }
        assert_eq!(bed.certificate("example-com")?.names, old.names, "{free}");
        program.run(&ISSUE)?.assert_success();
        program.run(&["ledger", "verify"])?.assert_success();
        bed.assert_only_txt_was_touched(&[])?;
    }
    assert!(failed > 3, "the disk was full {failed} times");
    Ok(())
}

#[test]
fn in_a_read_only_folder_nothing_is_asked_and_nothing_lost() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    program.run(&ISSUE)?.assert_success();
    let (serial, state) = (bed.serial(ALIAS_ZONE)?, bed.settings().state);
    let state = state.display();
    let script = among_mounts(&format!(
        "mount --bind {state} {state} && mount -o remount,ro,bind {state} && exec \"$0\" \"$@\""
    ));
    let outcome = program.clone().before(&script).run(&ISSUE)?;
    outcome.assert_failure(6, &["Read-only file system", "/state"]);
    assert_eq!((bed.orders()?, bed.serial(ALIAS_ZONE)?), (1, serial));
    // What only looks still works.
    let looking = program.clone().before(&script);
    looking.run(&["list"])?.assert_success();
    looking.run(&["ledger", "verify"])?.assert_success();
    program.run(&ISSUE)?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_clock_that_is_a_year_off_renews_nothing_and_loses_nothing() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    program.run(&ISSUE)?.assert_success();
    let before = bed.certificate("example-com")?;
    // A year later it is due, and the name server does not believe the clock.
    let later = program.clone().clock("+365d").run(&["renew"])?;
    later.assert_failure(4, &["BADTIME", "NTP"]);
    // A year earlier it is not due.
    program
        .clone()
        .clock("-365d")
        .run(&["renew"])?
        .assert_success();
    assert_eq!(bed.orders()?, 1);
    assert_eq!(bed.certificate("example-com")?.serial, before.serial);
    program.run(&["ledger", "verify"])?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn twenty_processes_share_one_state_folder() -> Result {
    let hosts: Vec<_> = (1..=20).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let program = bed.program(bed.settings())?;
    let runs = hosts.iter().map(|host| program.spawn(&["issue", host]));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    for run in runs {
        run.wait()?.assert_success();
    }
    for host in &hosts {
        assert_eq!(
            bed.certificate(&host.replace('.', "-"))?.names,
            [host.as_str()]
        );
    }
    let accounts = fs::read_dir(bed.settings().state.join("accounts"))?;
    let accounts = accounts.flatten().map(|entry| entry.path());
    let is_account = |path: &PathBuf| {
        let is_status = path.display().to_string().contains(".status.");
        path.extension().is_some_and(|e| e == "json") && !is_status
    };
    assert_eq!(
        accounts.filter(is_account).count(),
        1,
        "one account for all"
    );
    program.run(&["ledger", "verify"])?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn two_processes_on_one_certificate_leave_with_a_word_or_wait() -> Result {
    let bed = TestBed::start()?;
    let stuck = bed.stuck_server()?;
    let mut settings = bed.settings();
    settings.alias_zones[0].servers.push(stuck.address());
    let first = bed.program(settings)?.spawn(&ISSUE)?;
    bed.wait_until("the primary has the value", |bed| {
        Ok(!bed.txt()?.is_empty())
    })?;

    let program = bed.program(bed.settings())?;
    program
        .run(&ISSUE)?
        .assert_failure(6, &["another process", "`--wait`"]);
    let waiting = program.spawn(&[&ISSUE[..], &["--wait"]].concat())?;
    Running::terminate(&first)?;
    first.wait()?.assert_failure(130, &["interrupted"]);
    waiting.wait()?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn nonces_may_be_refused_nine_times_in_ten() -> Result {
    for percent in [20, 50, 90] {
        let bed = TestBed::builder()
            .delegate(&["example.com"])
            .nonce_reject_rate(percent)
            .start()?;
        bed.run(&ISSUE)?.assert_success();
        bed.assert_only_txt_was_touched(&[])?;
    }
    Ok(())
}

#[test]
fn what_the_ca_knows_already_is_not_written_again() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .authorization_reuse()
        .start()?;
    bed.run(&ISSUE)?.assert_success();
    let (first, serial) = (bed.certificate("example-com")?, bed.serial(ALIAS_ZONE)?);
    bed.run(&ISSUE)?.assert_success();
    assert_ne!(bed.certificate("example-com")?.serial, first.serial);
    assert_eq!(bed.serial(ALIAS_ZONE)?, serial, "nothing was written");
    bed.assert_only_txt_was_touched(&[])
}
