//! The records that the main zones need, and what comes of them when they are there.

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Program, Result, SECOND_ALIAS_ZONE, TestBed};

#[test]
fn what_is_missing_is_printed_and_what_is_there_is_not() -> Result {
    let bed = TestBed::builder().delegate(&["example.org"]).start()?;
    let names = [
        "example.com",
        "*.example.com",
        "www.example.org",
        "example.org",
    ];
    let delegate = [&["delegate", "--challenge-alias", ALIAS_ZONE][..], &names].concat();
    let outcome = bed.run(&delegate)?;
    outcome.assert_success();
    let lines = [
        format!("_acme-challenge.example.com. 600 IN CNAME {ALIAS_NAME}.\n"),
        format!("_acme-challenge.www.example.org. 600 IN CNAME {ALIAS_NAME}.\n"),
    ];
    assert_eq!(outcome.stdout, lines.concat(), "{outcome}");
    let all = bed.run(&[&delegate[..], &["--all"]].concat())?;
    assert_eq!(all.stdout.lines().count(), 3, "{all}");
    let json = [&delegate[..], &["--output", "json"]].concat();
    let json = bed.run(&json)?.json()?;
    assert_eq!(
        (&json["there"], &json["records"][1]["zone"]),
        (&1.into(), &"example.org".into())
    );

    // With the lines in the zones all is there, and a certificate is obtained.
    let there = TestBed::builder().lines(&all.stdout).start()?;
    let outcome = there.run(&delegate)?;
    assert_eq!(outcome.stdout, "");
    outcome.assert_said(&["All 3 records are already in place."]);
    there
        .run(&[&["issue"][..], &names].concat())?
        .assert_success();
    there.assert_only_txt_was_touched(&[])
}

#[test]
fn a_label_of_its_own_is_kept_and_opens_one_name_only() -> Result {
    let bed = TestBed::start()?;
    let unique = [
        "delegate",
        "example.com",
        "example.edu",
        "--challenge-alias",
        ALIAS_ZONE,
        "--unique",
    ];
    let first = bed.run(&unique)?;
    first.assert_success();
    first.assert_said(&[]);
    let replaced = format!("; in place of CNAME {ALIAS_NAME}.");
    assert!(first.stdout.contains(&replaced), "{first}");
    assert_eq!(
        bed.run(&unique)?.stdout,
        first.stdout,
        "the labels are kept"
    );
    let targets: Vec<_> = first
        .stdout
        .lines()
        .filter_map(|line| line.split_once(" IN CNAME ").map(|(_, target)| target))
        .collect();
    assert_eq!(targets.len(), 2);
    assert_ne!(targets[0], targets[1]);
    for target in &targets {
        let label = target.strip_suffix(&format!(".{ALIAS_ZONE}."));
        assert!(label.is_some_and(|label| label.len() == 26), "{target}");
    }

    let there = TestBed::builder().lines(&first.stdout).start()?;
    let mut settings = there.settings();
    settings.state = bed.settings().state;
    let program = there.program(settings)?;
    let again = program.run(&unique)?;
    again.assert_said(&["All 2 records are already in place."]);
    program
        .run(&["issue", "example.com", "example.edu"])?
        .assert_success();
    there.assert_only_txt_was_touched(&[])
}

#[test]
fn an_alias_name_per_domain_is_kept_and_is_what_issue_uses() -> Result {
    let bed = TestBed::start()?;
    let domains = ["example.com", "example.edu"];
    let flags = ["--by-domain", "--challenge-alias", ALIAS_ZONE];
    let delegate = [&["delegate"], &domains[..], &flags].concat();
    let printed = bed.run(&delegate)?;
    printed.assert_success();
    for domain in domains {
        let target = format!(" IN CNAME {domain}.{ALIAS_ZONE}.");
        assert!(printed.stdout.contains(&target), "{printed}");
    }

    let there = TestBed::builder().lines(&printed.stdout).start()?;
    let mut settings = there.settings();
    settings.state = bed.settings().state;
    let program = there.program(settings)?;
    program
        .run(&["issue", "example.com", "*.example.com", "example.edu"])?
        .assert_success();
    there.assert_only_txt_was_touched(&[])
}

#[test]
fn many_domains_at_one_alias_name_get_a_note_of_what_that_costs() -> Result {
    let hosts: Vec<_> = (1..=11).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate(&hosts).start()?;
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    for (command, flags) in [
        ("check", &[][..]),
        ("delegate", &["--challenge-alias", ALIAS_ZONE]),
    ] {
        let many = bed.run(&[&[command], &hosts[..], flags].concat())?;
        many.assert_success();
        many.assert_said(&["11 domains share", "--by-domain"]);
        let few = bed.run(&[&[command], &hosts[1..], flags].concat())?;
        few.assert_success();
        let said = format!("{few}");
        assert!(!said.contains("domains share"), "{said}");
    }
    Ok(())
}

#[test]
fn caa_records_name_the_authority_the_method_and_the_account() -> Result {
    let bed = TestBed::start()?;
    let caa = [
        "delegate",
        "example.com",
        "*.example.com",
        "--challenge-alias",
        ALIAS_ZONE,
        "--caa",
    ];
    bed.run(&caa)?
        .assert_failure(2, &["CAA records", "`--caa-issuer`"]);
    let caa = [&caa[..], &["--caa-issuer", "ca.example"]].concat();
    let without = bed.run(&caa)?;
    without.assert_success();
    without.assert_said(&["there is no account"]);
    bed.run(&["issue", "example.com"])?.assert_success();
    let outcome = bed.run(&caa)?;
    outcome.assert_success();
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let value = "\"ca.example; validationmethods=dns-01; accounturi=https://";
    for (line, tag) in lines[2..].iter().zip(["issue", "issuewild"]) {
        let wanted = format!("example.com. 600 IN CAA 0 {tag} {value}");
        assert!(line.starts_with(&wanted), "{outcome}");
    }
    assert_eq!(lines[0], format!("{ALIAS_ZONE}. 600 IN CAA 0 issue \";\""));
    assert_eq!(lines.len(), 4, "{outcome}");
    Ok(())
}

/// The program without alias zones, so that records for the main zones alone are printed.
fn for_main_zones(bed: &TestBed) -> Result<Program> {
    let mut settings = bed.settings();
    settings.alias_zones.clear();
    bed.program(settings)
}

const CAA: [&str; 5] = [
    "--challenge-alias",
    ALIAS_ZONE,
    "--caa",
    "--caa-issuer",
    "ca.example",
];

#[test]
fn the_script_for_nsupdate_clears_the_way_and_leaves_the_rest() -> Result {
    let bed = TestBed::builder()
        .record(
            "_acme-challenge.example.com",
            "TXT \"left \\\"behind\\\"\" \";\"",
        )
        .record("_acme-challenge.example.com", "TXT \"another\"")
        .cname("_acme-challenge.www.example.com", "old.example.org")
        .record("example.com", "CAA 0 issue \"CA.example\"")
        .record(
            "example.com",
            "CAA 0 Issue \"ca.example; validationmethods=dns-01 ; a=\\\"\\\\\"",
        )
        .record("example.com", "CAA 0 issue \"ca.example\\009;\"")
        .record("example.com", "CAA 0 iodef \"mailto:admin@example.com\"")
        .start()?;
    let program = for_main_zones(&bed)?;
    let delegate = [&["delegate", "example.com", "*.www.example.com"][..], &CAA].concat();
    let script = program.run(&[&delegate[..], &["--format", "nsupdate"]].concat())?;
    script.assert_success();
    bed.update_main_zones(&script.stdout)?;

    let again = program.run(&delegate)?;
    assert_eq!(again.stdout, "", "{script}");
    again.assert_said(&["All 4 records are already in place."]);
    let mut caa = bed.ask(bed.main_server(), "example.com", "CAA")?;
    caa.sort();
    assert_eq!(caa.len(), 3, "{caa:?}\n{script}");
    assert!(
        caa[0].contains("; a=\"\\") && caa[1].contains("iodef"),
        "{caa:?}"
    );
    Ok(())
}

#[test]
fn printed_lines_are_loaded_and_then_hold() -> Result {
    let bed = TestBed::start()?;
    bed.run(&["issue", "example.org"])?.assert_success();
    let names = ["example.com", "*.example.com", "www.example.edu"];
    let delegate = [&["delegate"][..], &names, &CAA].concat();
    let mut settings = bed.settings();
    settings.alias_zones.truncate(1);
    let printed = bed.program(settings)?.run(&delegate)?;
    printed.assert_success();
    assert!(printed.stdout.contains("accounturi=https://"), "{printed}");

    let there = TestBed::builder()
        .lines(&printed.stdout)
        .delegate(&["example.com"])
        .start()?;
    let mut settings = there.settings();
    settings.alias_zones.truncate(1);
    // The account is that of the first bed.
    (settings.state, settings.directory) = (bed.settings().state, bed.directory());
    let program = there.program(settings)?;
    let check = |issuer: &'static str| {
        let check = [&["check"][..], &names, &["--caa-issuer", issuer]].concat();
        program.run(&check)
    };
    check("ca.example")?.assert_success();
    let other = check("other.example")?;
    assert_eq!(other.code, Some(3), "{other}");
    for name in names {
        let words = format!("CAA does not let other.example issue for {name}");
        assert!(other.stdout.contains(&words), "{other}");
    }
    program
        .run(&delegate)?
        .assert_said(&["records are already in place."]);
    Ok(())
}

#[test]
fn a_language_of_whole_sets_gets_whole_sets() -> Result {
    let bed = TestBed::builder()
        .record(
            "example.com",
            "CAA 0 issue \"ca.example; validationmethods=dns-01\"",
        )
        .record("example.com", "CAA 0 iodef \"mailto:admin@example.com\"")
        .record("example.com", "CAA 0 issuewild \"ca.example\"")
        .start()?;
    let program = for_main_zones(&bed)?;
    let delegate = [&["delegate", "example.com", "*.example.com"][..], &CAA].concat();
    for (format, comment, records) in [
        (
            "octodns",
            "#",
            [
                "    tag: 'issue'\n",
                "    tag: 'issuewild'\n",
                "    tag: 'iodef'\n",
            ],
        ),
        (
            "terraform-aws",
            "#",
            ["\"0 issue ", "\"0 issuewild ", "\"0 iodef "],
        ),
    ] {
        let outcome = program.run(&[&delegate[..], &["--format", format]].concat())?;
        outcome.assert_success();
        for record in records {
            assert_eq!(
                outcome.stdout.matches(record).count(),
                1,
                "{record}{outcome}"
            );
        }
        let replaced = format!("{comment} in place of CAA 0 issuewild \"ca.example\"\n");
        assert!(outcome.stdout.contains(&replaced), "{outcome}");
    }
    let json = program.run(&[&delegate[..], &["--output", "json"]].concat())?;
    let json = json.json()?;
    let missing = &json["records"][1];
    assert_eq!(missing["tag"], "issuewild", "{json}");
    assert_eq!(missing["replaces"][0], "CAA 0 issuewild \"ca.example\"");
    assert_eq!(
        missing["beside"].as_array().map(Vec::len),
        Some(2),
        "{json}"
    );
    assert_eq!(json["there"], 1);
    Ok(())
}

#[test]
fn what_can_have_no_record_is_left_out_with_the_reason() -> Result {
    let bed = TestBed::builder()
        .cname("www.example.com", "cdn.example.org")
        .record("d.example.com", "DNAME other.example.org.")
        .start()?;
    let delegate = [&["delegate", "www.example.com", "d.example.com"][..], &CAA].concat();
    let outcome = for_main_zones(&bed)?.run(&delegate)?;
    outcome.assert_success();
    outcome.assert_said(&[
        "`www.example.com. 600 IN CAA 0 issue",
        "its CNAME points to cdn.example.org.",
        "`_acme-challenge.d.example.com. 600 IN CNAME",
        "the DNAME at d.example.com. redirects all names below it",
    ]);
    let owners: Vec<_> = outcome
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected = ["_acme-challenge.www.example.com.", "d.example.com."];
    assert_eq!(owners, expected, "{outcome}");
    // What is printed can be loaded beside what is there.
    let there = TestBed::builder()
        .cname("www.example.com", "cdn.example.org")
        .record("d.example.com", "DNAME other.example.org.")
        .lines(&outcome.stdout)
        .start()?;
    let lines = there.ask(there.main_server(), "d.example.com", "CAA")?;
    assert_eq!(lines.len(), 1, "{lines:?}");
    Ok(())
}

#[test]
fn a_wildcard_has_the_alias_of_the_name_with_which_it_shares_its_challenge() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.example.com", "own.auth.example.net")
        .delegate(&["example.org"])
        .start()?;
    let certificate =
        |name: &str, alias: &str| format!("domains = [\"{name}\"]\ndomain-alias = \"{alias}\"");
    let own = "own.auth.example.net";
    let settings = bed
        .settings()
        .certificate("web", &certificate("example.com", own))
        .certificate("org", &certificate("example.org", own));
    let program = bed.program(settings)?;
    program
        .run(&["delegate", "*.example.com"])?
        .assert_said(&["The record is already in place."]);
    program.run(&["check", "*.example.com"])?.assert_success();
    let elsewhere = program.run(&["check", "*.example.org"])?;
    assert_eq!(elsewhere.code, Some(3), "{elsewhere}");
    let line = format!("_acme-challenge.example.org. 600 IN CNAME {own}.");
    assert!(elsewhere.stdout.contains(&line), "{elsewhere}");

    let settings = bed
        .settings()
        .certificate("web", &certificate("example.com", own))
        .certificate("wild", &certificate("*.example.com", ALIAS_NAME));
    let program = bed.program(settings)?;
    program.run(&["delegate"])?.assert_failure(
        2,
        &[
            "_acme-challenge.example.com has two aliases",
            "own.auth.example.net in `[certificates.web]`",
            "`[certificates.wild]`",
        ],
    );
    let check = program.run(&["check"])?;
    assert_eq!(check.code, Some(3), "{check}");
    let configured = format!("{ALIAS_NAME}. is configured");
    check.assert_printed(&["good", &configured]);
    Ok(())
}

#[test]
fn an_alias_name_that_was_made_up_is_what_check_and_issue_expect() -> Result {
    let bed = TestBed::start()?;
    let unique = ["delegate", "example.com", "--unique", "--challenge-alias"];
    let printed = bed.run(&[&unique[..], &[ALIAS_ZONE]].concat())?;
    printed.assert_success();
    let line = printed.stdout.lines().last().unwrap_or_default().to_owned();
    let check = bed.run(&["check", "*.example.com"])?;
    assert_eq!(check.code, Some(3), "{check}");
    assert!(check.stdout.contains(&line), "{check}");
    bed.run(&["issue", "example.com"])?
        .assert_failure(3, &[&line]);
    // Without a flag the same is printed, although there are two alias zones.
    assert_eq!(
        bed.run(&["delegate", "example.com"])?.stdout,
        printed.stdout
    );

    // In another zone it gets another one, and what the settings have goes before it.
    let other = bed.run(&[&unique[..], &[SECOND_ALIAS_ZONE]].concat())?;
    assert!(
        other.stdout.contains(&format!(".{SECOND_ALIAS_ZONE}.")),
        "{other}"
    );
    let settings = bed.settings().certificate(
        "web",
        &format!("domains = [\"example.com\"]\nchallenge-alias = \"{ALIAS_ZONE}\""),
    );
    let program = bed.program(settings)?;
    program.run(&["check"])?.assert_success();
    let warned = program.run(&[&unique[..], &[SECOND_ALIAS_ZONE]].concat())?;
    warned.assert_said(&["the settings still have", "or set `domain-alias = "]);
    Ok(())
}

#[test]
fn what_cannot_be_delegated_is_reported() -> Result {
    let bed = TestBed::start()?;
    bed.run(&["delegate"])?
        .assert_failure(2, &["no domain to delegate"]);
    let several = bed.run(&["delegate", "www.example.com"])?;
    several.assert_failure(
        2,
        &[
            "no alias is configured for _acme-challenge.www.example.com",
            "--challenge-alias",
            ALIAS_ZONE,
        ],
    );
    let nowhere = [
        "delegate",
        "nowhere.invalid",
        "--challenge-alias",
        ALIAS_ZONE,
    ];
    bed.run(&nowhere)?
        .assert_failure(3, &["the zone that holds _acme-challenge.nowhere.invalid"]);
    Ok(())
}
