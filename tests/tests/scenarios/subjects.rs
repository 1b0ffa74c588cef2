//! Certificates that are named by their ids or by their names, alike in `issue`, `renew`, `check` and `show`.

use acme_alias_tests::{ALIAS_ZONE, Outcome, Program, Result, TestBed};

/// A bed whose settings have `web` with two names and `api` with one.
fn bed() -> Result<(TestBed, Program)> {
    let names = [
        "example.com",
        "www.example.com",
        "example.org",
        "a.example.org",
    ];
    let bed = TestBed::builder().delegate(&names).start()?;
    let settings = bed
        .settings()
        .certificate("web", "domains = ['example.com', 'www.example.com']")
        .certificate("api", "domains = ['example.org']");
    let program = bed.program(settings)?;
    Ok((bed, program))
}

/// The ids of the certificates that were renewed.
fn renewed(outcome: &Outcome) -> Result<Vec<String>> {
    outcome.assert_success();
    let report = outcome.json()?;
    let renewed = report["renewed"].as_array().cloned().unwrap_or_default();
    let ids = renewed.iter().filter_map(|one| one["certificate"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

#[test]
fn ids_and_names_stand_for_the_same_certificates() -> Result {
    let (bed, program) = bed()?;
    program.run(&["issue", "www.example.com"])?.assert_success();
    assert_eq!(
        bed.certificate("web")?.names,
        ["example.com", "www.example.com"]
    );
    program.run(&["issue", "api"])?.assert_success();
    let by_flags = [
        "issue",
        "a.example.org",
        "--challenge-alias",
        ALIAS_ZONE,
        "--id",
        "own",
    ];
    program.run(&by_flags)?.assert_success();

    for (subject, id) in [
        ("example.com", "web"),
        ("web", "web"),
        ("example.org", "api"),
        ("a.example.org", "own"),
    ] {
        let forced = ["renew", "--force", subject, "--output", "json"];
        assert_eq!(renewed(&program.run(&forced)?)?, [id], "{subject}");
        let shown = program.run(&["show", subject, "--output", "json"])?;
        shown.assert_success();
        assert_eq!(shown.json()?["certificate"], id, "{subject}");
    }
    let both = [
        "renew",
        "--force",
        "www.example.com",
        "web",
        "--output",
        "json",
    ];
    assert_eq!(renewed(&program.run(&both)?)?, ["web"]);

    let checked = program.run(&["check", "web", "a.example.org"])?;
    checked.assert_success();
    for name in ["example.com", "www.example.com", "a.example.org"] {
        assert!(
            checked.stdout.contains(&format!("_acme-challenge.{name}")),
            "{checked}"
        );
    }
    assert!(
        !checked.stdout.contains("_acme-challenge.example.org"),
        "{checked}"
    );
    Ok(())
}

#[test]
fn a_name_that_no_certificate_has_is_an_error_that_says_where_to_look() -> Result {
    let (_bed, program) = bed()?;
    for command in ["renew", "show"] {
        let outcome = program.run(&[command, "other.example.com"])?;
        outcome.assert_failure(2, &["other.example.com", "`acme-alias list`"]);
    }
    let outcome = program.run(&["check", "other"])?;
    outcome.assert_failure(2, &["`other`", "`acme-alias list`"]);
    Ok(())
}

#[test]
fn a_name_in_several_certificates_means_all_of_them_or_is_asked_back() -> Result {
    let (bed, program) = bed()?;
    let mut settings = program.settings.clone();
    settings = settings.certificate("second", "domains = ['example.org', 'example.com']");
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    let forced = ["renew", "--force", "example.org", "--output", "json"];
    assert_eq!(renewed(&program.run(&forced)?)?, ["api", "second"]);
    for command in ["issue", "show"] {
        let outcome = program.run(&[command, "example.org"])?;
        let commands = [
            format!("`acme-alias {command} api`"),
            format!("`acme-alias {command} second`"),
        ];
        outcome.assert_failure(2, &[&commands[0], &commands[1]]);
    }
    // Together, the names are those of one certificate.
    program
        .run(&["issue", "example.com", "example.org"])?
        .assert_success();
    Ok(())
}
