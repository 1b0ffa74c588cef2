//! Mistakes in the main zones, and the advice that mends them when it is followed.

use acme_alias_tests::{ALIAS_NAME, Outcome, Program, Result, TestBed};

/// With one alias zone, so that it is clear where CNAMEs should lead.
fn program(bed: &TestBed) -> Result<Program> {
    let mut settings = bed.settings();
    settings.alias_zones.truncate(1);
    bed.program(settings)
}

/// Adds or deletes records of `example.com`.
fn update(bed: &TestBed, lines: &[&str]) -> Result {
    let lines = lines.join("\nupdate ");
    bed.update_main_zones(&format!("zone example.com.\nupdate {lines}\nsend\n"))
}

/// Does what the output says: replaces CNAMEs by the records that it shows, and afterwards a certificate is obtained.
fn follow_the_advice(bed: &TestBed, outcome: &Outcome) -> Result {
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    let records = said.lines().map(str::trim);
    let records: Vec<_> = records.filter(|line| line.contains(" IN CNAME ")).collect();
    assert!(!records.is_empty(), "{outcome}");
    for record in records {
        let owner = record.split(' ').next().unwrap_or_default();
        let delete = format!("delete {owner} CNAME");
        update(bed, &[&delete, &format!("add {record}")])?;
    }
    let program = program(bed)?;
    program.run(&["check", "example.com"])?.assert_success();
    program.run(&["issue", "example.com"])?.assert_success();
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn a_target_without_its_final_dot_is_recognised() -> Result {
    let bed = TestBed::start()?;
    update(
        &bed,
        &[
            "delete _acme-challenge.example.com. CNAME",
            "add _acme-challenge.example.com. 600 CNAME x.auth.example.net.example.com.",
        ],
    )?;
    let check = program(&bed)?.run(&["check", "example.com"])?;
    check.assert_failure(3, &[]);
    let said = format!("{}{}", check.stdout, check.stderr);
    assert!(said.contains("the final dot is missing"), "{check}");
    for wrong in ["alias-zone", "anyone who can write"] {
        assert!(!said.contains(wrong), "{wrong}: {check}");
    }
    follow_the_advice(&bed, &check)
}

#[test]
fn a_name_that_only_a_wildcard_matches_gets_a_record_of_its_own() -> Result {
    let bed = TestBed::start()?;
    update(
        &bed,
        &[
            "delete _acme-challenge.example.com. CNAME",
            "add *.example.com. 600 CNAME www.example.org.",
        ],
    )?;
    let check = program(&bed)?.run(&["check", "example.com"])?;
    check.assert_failure(3, &[]);
    check.assert_shown(&["matches the wildcard *.example.com."]);
    follow_the_advice(&bed, &check)
}

#[test]
fn an_owner_that_is_misspelt_or_without_its_final_dot_is_named() -> Result {
    for owner in [
        "_acme-challange.example.com.",
        "acme-challenge.example.com.",
        "_acme-challenge.example.com.example.com.",
    ] {
        let bed = TestBed::start()?;
        let add = format!("add {owner} 600 CNAME {ALIAS_NAME}.");
        update(&bed, &["delete _acme-challenge.example.com. CNAME", &add])?;
        let check = program(&bed)?.run(&["check", "example.com"])?;
        check.assert_failure(3, &[]);
        let said = format!("{}{}", check.stdout, check.stderr);
        let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = format!("there is one at {owner}, which may be misspelt");
        assert!(said.contains(&words), "{check}");
        follow_the_advice(&bed, &check)?;
    }
    Ok(())
}
