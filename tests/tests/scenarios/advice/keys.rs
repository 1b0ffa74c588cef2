//! What `key policy` and `key audit` print, put into the server.

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Knot, Program, Result, SECOND_ALIAS_ZONE, Settings, TestBed,
};

use super::follow::{
    assert_all_works, first_policy, flags_of, grade, issue, only_servers, policies, put_policy,
};

/// The alias name of `example.org`.
const OWN: &str = "own.auth.example.net";

fn start() -> Result<TestBed> {
    TestBed::builder()
        .delegate(&["example.com"])
        .cname("_acme-challenge.example.org", OWN)
        .start()
}

/// The certificates of two names, by the settings, by flags beside alias zones in the settings, and by flags alone.
fn all_ways(bed: &TestBed) -> Result<Vec<Program>> {
    let with = |mut settings: Settings, way: &str| {
        settings.state = bed.folder().join(format!("state-{way}"));
        bed.program(settings)
    };
    let mut one_zone = bed.settings();
    one_zone.alias_zones.truncate(1);
    let defined = one_zone
        .clone()
        .certificate("com", "domains = [\"example.com\", \"*.example.com\"]")
        .certificate(
            "org",
            &format!("domains = [\"example.org\"]\ndomain-alias = \"{OWN}\""),
        );
    let defined = with(defined, "settings")?;
    issue(&defined, &["com"], &[])?;
    issue(&defined, &["org"], &[])?;
    let beside = with(one_zone, "beside")?;
    issue(&beside, &["example.com", "*.example.com"], &[])?;
    issue(&beside, &["example.org", "--domain-alias", OWN], &[])?;
    let alone = with(only_servers(bed), "alone")?;
    let flags = flags_of(&bed.settings().providers[0]);
    let alias = ["--challenge-alias", ALIAS_ZONE];
    issue(&alone, &[&["example.com"][..], &alias].concat(), &flags)?;
    // The same key, described in another way.
    let flags = [
        &flags[..],
        &["--rfc2136-timeout".to_owned(), "9s".to_owned()],
    ]
    .concat();
    issue(&alone, &["example.org", "--domain-alias", OWN], &flags)?;
    Ok(vec![defined, beside, alone])
}

#[test]
fn the_policy_takes_the_place_of_the_old_one() -> Result {
    let bed = start()?;
    let old = first_policy("acme-key");
    for program in all_ways(&bed)? {
        let printed = program.run(&["key", "policy", "--output", "json"])?;
        printed.assert_success();
        put_policy(&bed, &printed, ALIAS_ZONE, &old)?;
        assert_all_works(&bed, &program)?;
        assert_eq!(grade(&bed, &program, ALIAS_ZONE)?, "tight", "{printed}");
        bed.replace_in_primary(&policies(&printed, ALIAS_ZONE)?[0], &old)?;
    }
    Ok(())
}

#[test]
fn the_advice_of_an_audit_makes_every_key_tight() -> Result {
    let bed = start()?;
    let programs = all_ways(&bed)?;
    let mut old = first_policy("acme-key");
    for (policy, expected) in [
        (first_policy("acme-key"), "wide"),
        (
            "update-policy { grant acme-key zonesub ANY; };".to_owned(),
            "dangerous",
        ),
        ("allow-update { key acme-key; };".to_owned(), "dangerous"),
        ("allow-update { any; };".to_owned(), "fatal"),
    ] {
        for program in &programs {
            bed.replace_in_primary(&old, &policy)?;
            assert_eq!(grade(&bed, program, ALIAS_ZONE)?, expected);
            let audit = program.run(&["key", "audit", "--output", "json"])?;
            put_policy(&bed, &audit, ALIAS_ZONE, &policy)?;
            old = policies(&audit, ALIAS_ZONE)?.remove(0);
            assert_all_works(&bed, program)?;
            assert_eq!(grade(&bed, program, ALIAS_ZONE)?, "tight", "{audit}");
        }
    }
    Ok(())
}

#[test]
fn a_key_of_two_zones_keeps_what_their_own_certificates_need() -> Result {
    let bed = TestBed::start()?;
    let second = first_policy("second-key");
    bed.replace_in_primary(
        &second,
        "update-policy { grant acme-key zonesub TXT; grant nobody zonesub A; };",
    )?;
    let mut settings = bed.settings();
    settings.alias_zones[1].provider = settings.alias_zones[0].provider;
    for zone in &settings.alias_zones.clone() {
        settings
            .zones
            .push((zone.zone.clone(), zone.servers.clone()));
    }
    let by_flags = bed.program(settings.clone())?;
    issue(&by_flags, &[ALIAS_ZONE], &[])?;
    issue(&by_flags, &[SECOND_ALIAS_ZONE], &[])?;
    settings.state = bed.folder().join("settings");
    let settings = settings.certificates(&[ALIAS_ZONE, SECOND_ALIAS_ZONE]);
    let by_settings = bed.program(settings)?;
    for id in ["auth-example-net", "auth2-example-net"] {
        issue(&by_settings, &[id], &[])?;
    }
    for program in [by_flags, by_settings] {
        for zone in [ALIAS_ZONE, SECOND_ALIAS_ZONE] {
            let grade = grade(&bed, &program, zone)?;
            assert_eq!(grade, "wide", "{zone}");
        }
        let audit = program.run(&["key", "audit"])?;
        assert!(!audit.stdout.contains("remove `acme-key`"), "{audit}");
        assert_all_works(&bed, &program)?;
    }
    Ok(())
}

#[test]
fn a_policy_that_may_lack_a_name_says_so() -> Result {
    let bed = start()?;
    let dead = bed.dead_port()?;
    let mut settings = bed
        .settings()
        .certificate("com", "domains = [\"example.com\"]")
        .certificate("org", "domains = [\"example.org\"]");
    settings.alias_zones.truncate(1);
    let mut zones = settings.zones.iter_mut();
    if let Some((_, servers)) = zones.find(|(zone, _)| zone == "example.org") {
        *servers = vec![dead.address()];
    }
    for command in ["policy", "audit"] {
        let outcome = bed.program(settings.clone())?.run(&["key", command])?;
        outcome.assert_said(&[
            "the alias name of _acme-challenge.example.org is unknown",
            &dead.address().to_string(),
            "repeat this command",
        ]);
        assert!(!outcome.stderr.contains("leads nowhere"), "{outcome}");
    }
    Ok(())
}

#[test]
fn two_keys_of_one_zone_are_kept_by_the_policy() -> Result {
    let bed = start()?;
    bed.replace_in_primary(
        &first_policy("acme-key"),
        "update-policy { grant acme-key zonesub TXT; grant second-key zonesub TXT; };",
    )?;
    let program = bed.program(only_servers(&bed))?;
    let providers = bed.settings().providers;
    issue(
        &program,
        &["example.com", "--challenge-alias", ALIAS_ZONE],
        &flags_of(&providers[0]),
    )?;
    issue(
        &program,
        &["example.org", "--domain-alias", OWN],
        &flags_of(&providers[1]),
    )?;
    let printed = program.run(&["key", "policy", "--output", "json"])?;
    printed.assert_said(&["2 keys write in auth.example.net", "acme-key", "second-key"]);
    let policies = policies(&printed, ALIAS_ZONE)?;
    let rules: Vec<_> = policies
        .iter()
        .flat_map(|policy| policy.lines())
        .filter(|line| line.contains("grant "))
        .collect();
    assert_eq!(rules.len(), 2, "{printed}");
    bed.replace_in_primary(
        "update-policy { grant acme-key zonesub TXT; grant second-key zonesub TXT; };",
        &format!("update-policy {{ {} }};", rules.join(" ")),
    )?;
    assert_all_works(&bed, &program)?;
    assert_eq!(grade(&bed, &program, ALIAS_ZONE)?, "tight");
    Ok(())
}

#[test]
fn the_advice_of_an_audit_is_taken_by_knot_as_it_is_printed() -> Result {
    let acl = "acl:\n  - id: of-the-test\n    key: acme-key\n    action: update\n    update-type: [TXT, CNAME, A]\n";
    let old = Knot::start_with(acl)?;
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .alias_server(old.address())
        .start()?;
    let at = |knot: &Knot| {
        let mut settings = bed.settings();
        settings.alias_zones.truncate(1);
        settings.alias_zones[0].servers = vec![knot.address()];
        settings.providers[0].server = knot.address();
        settings.providers[0].secret = bed.write_secret("knot.secret", &knot.key().secret)?;
        bed.program(settings)
    };
    let program = at(&old)?;
    issue(&program, &["example.com"], &[])?;
    let audit = program.run(&["key", "audit", "--output", "json"])?;
    assert_eq!(audit.json()?["audited"][0]["grade"], "dangerous", "{audit}");
    let advice = audit.json()?["audited"][0]["advice"][0]["text"].clone();
    let advice = advice.as_str().unwrap_or_default();
    assert!(advice.contains(ALIAS_NAME), "{audit}");
    let acl = advice.split("zone:\n").next().unwrap_or_default();
    let narrow = Knot::start_with(acl)?;
    let program = at(&narrow)?;
    let audit = program.run(&["key", "audit", "--output", "json"])?;
    assert_eq!(audit.json()?["audited"][0]["grade"], "tight", "{audit}");
    program
        .run(&["check", "example.com", "--write"])?
        .assert_success();
    Ok(())
}
