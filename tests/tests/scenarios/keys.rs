//! What keys may do by the policies that are printed, and what they can really do.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Algorithm, Key, Knot, Nsd, Outcome, PowerDns, Program, Result, TestBed,
    attempt,
};

const AUDIT: [&str; 4] = ["key", "audit", "--output", "json"];

/// The program, with one certificate and one alias zone.
fn program(bed: &TestBed) -> Result<Program> {
    let mut settings = bed
        .settings()
        .certificate("web", "domains = [\"example.com\"]");
    settings.alias_zones.truncate(1);
    bed.program(settings)
}

/// The verdict on each right of the first zone, and the grade.
fn verdicts(outcome: &Outcome) -> Result<(BTreeMap<String, String>, String)> {
    let audited = &outcome.json()?["audited"][0];
    let rights = audited["rights"].as_array().cloned().unwrap_or_default();
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let verdicts = rights.iter().map(|right| {
        // Labels that are made up stay out of it.
        let what = word(&right["right"]);
        let what = what.split(" (").next().unwrap_or_default().to_owned();
        (what, word(&right["verdict"]))
    });
    Ok((verdicts.collect(), word(&audited["grade"])))
}

/// The rights of which [`try_all`] can see whether the verdict is true.
const RIGHTS: usize = 9;

/// Tries what the verdicts are about, and asserts that they are true. Returns of how many that was to be seen.
fn try_all(verdicts: &BTreeMap<String, String>, server: SocketAddr, key: &Key) -> Result<usize> {
    let weak = Key {
        algorithm: Algorithm::Sha1,
        ..key.clone()
    };
    let mut tried = 0;
    for (right, key, record) in [
        (
            "TXT at the apex",
            Some(key),
            format!("{ALIAS_ZONE} 60 TXT a"),
        ),
        (
            "TXT at another name",
            Some(key),
            format!("a.{ALIAS_ZONE} 60 TXT a"),
        ),
        (
            "TXT below an alias name",
            Some(key),
            format!("a.{ALIAS_NAME} 60 TXT a"),
        ),
        (
            "CNAME",
            Some(key),
            format!("b.{ALIAS_ZONE} 60 CNAME nobody.invalid."),
        ),
        (
            "NS: a delegation",
            Some(key),
            format!("c.{ALIAS_ZONE} 60 NS nobody.invalid."),
        ),
        (
            "CAA at the apex",
            Some(key),
            format!("{ALIAS_ZONE} 60 CAA 0 issue \"ca.example\""),
        ),
        (
            "A: an address",
            Some(key),
            format!("d.{ALIAS_ZONE} 60 A 192.0.2.1"),
        ),
        (
            "updates without any key",
            None,
            format!("{ALIAS_NAME} 60 TXT b"),
        ),
        (
            "signatures with a weak algorithm",
            Some(&weak),
            format!("{ALIAS_NAME} 60 TXT c"),
        ),
    ] {
        let verdict = of(verdicts, right);
        let changed = attempt(server, key, ALIAS_ZONE, &record)?;
        match verdict.as_str() {
            "allowed" => assert!(changed, "{right}: {record}"),
            "denied" => assert!(!changed, "{right}: {record}"),
            _ => continue,
        }
        tried += 1;
    }
    Ok(tried)
}

fn of(verdicts: &BTreeMap<String, String>, right: &str) -> String {
    verdicts.get(right).cloned().unwrap_or_default()
}

#[test]
fn an_audit_tells_tight_from_wide_and_from_worse_and_changes_nothing() -> Result {
    let zonesub = "grant acme-key zonesub TXT;";
    let name = format!("grant acme-key name {ALIAS_NAME}. TXT;");
    let any = "grant acme-key zonesub ANY;";
    for (policy, grade, code, apex, cname) in [
        (name.as_str(), "tight", 0, "denied", "denied"),
        (zonesub, "wide", 0, "allowed", "denied"),
        (any, "dangerous", 4, "allowed", "allowed"),
    ] {
        let bed = TestBed::start()?;
        bed.replace_in_primary(zonesub, policy)?;
        // The bed lets anybody see its zones; the audit would tell.
        bed.replace_in_primary("allow-transfer { any; }", "allow-transfer { none; }")?;
        let outcome = program(&bed)?.run(&AUDIT)?;
        assert_eq!(outcome.code, Some(code), "{outcome}");
        let (verdicts, found) = verdicts(&outcome)?;
        assert_eq!(found, grade, "{outcome}");
        assert_eq!(of(&verdicts, &format!("TXT at {ALIAS_NAME}")), "allowed");
        assert_eq!(of(&verdicts, "TXT at the apex"), apex, "{outcome}");
        assert_eq!(of(&verdicts, "CNAME"), cname, "{outcome}");
        assert_eq!(of(&verdicts, "NS: a delegation"), cname, "{outcome}");
        assert_eq!(
            of(&verdicts, "updates without any key"),
            "denied",
            "{outcome}"
        );
        let main = format!("TXT in the main zone example.com, at {}", bed.main_server());
        assert_eq!(of(&verdicts, &main), "denied", "{outcome}");
        assert_eq!(bed.serial(ALIAS_ZONE)?, 1);
        // By the servers' own logs nothing was carried out.
        let updates: Vec<_> = bed.updates()?.into_values().flatten().collect();
        assert!(!updates.is_empty());
        for update in updates {
            assert!(update.change.was_in_vain(), "{update:?}");
        }
        let tried = try_all(&verdicts, bed.primary(), bed.key(ALIAS_ZONE)?)?;
        assert_eq!(tried, RIGHTS, "{outcome}");
    }
    Ok(())
}

#[test]
fn a_key_that_can_do_too_much_is_warned_of_once_a_day() -> Result {
    let bed = TestBed::start()?;
    bed.replace_in_primary("grant acme-key zonesub TXT;", "grant acme-key zonesub ANY;")?;
    let program = program(&bed)?;
    let warned = |outcome: &Outcome| outcome.stderr.contains("can do more than it must: CNAME");
    let first = program.run(&["issue", "web"])?;
    first.assert_success();
    assert!(warned(&first), "{first}");
    let again = program.run(&["renew", "--force"])?;
    again.assert_success();
    assert!(!warned(&again), "{again}");
    Ok(())
}

#[test]
fn updates_that_anybody_may_send_are_fatal() -> Result {
    let bed = TestBed::start()?;
    let zonesub = "update-policy { grant acme-key zonesub TXT; };";
    bed.replace_in_primary(zonesub, "allow-update { any; };")?;
    let outcome = program(&bed)?.run(&AUDIT)?;
    assert_eq!(outcome.code, Some(4), "{outcome}");
    let (verdicts, grade) = verdicts(&outcome)?;
    assert_eq!(
        (
            grade.as_str(),
            of(&verdicts, "updates without any key").as_str()
        ),
        ("fatal", "allowed")
    );
    let people = program(&bed)?.run(&["key", "audit"])?;
    assert!(
        people
            .stdout
            .contains(&format!("{ALIAS_ZONE}, acme-key: fatal")),
        "{people}"
    );
    let narrower = format!("grant acme-key name {ALIAS_NAME}. TXT;");
    assert!(people.stdout.contains(&narrower), "{people}");
    assert_eq!(bed.serial(ALIAS_ZONE)?, 1);
    let tried = try_all(&verdicts, bed.primary(), bed.key(ALIAS_ZONE)?)?;
    assert_eq!(tried, RIGHTS, "{outcome}");
    Ok(())
}

#[test]
fn where_what_is_needed_is_refused_nothing_is_passed() -> Result {
    let bed = TestBed::start()?;
    bed.allow_updates(false)?;
    let outcome = program(&bed)?.run(&AUDIT)?;
    assert_eq!(outcome.code, Some(4), "{outcome}");
    let (verdicts, grade) = verdicts(&outcome)?;
    assert_eq!(grade, "cannot-tell");
    assert!(
        verdicts
            .values()
            .all(|verdict| verdict == "cannot-tell" || verdict == "allowed"),
        "{outcome}"
    );
    Ok(())
}

#[test]
fn knot_is_read_as_it_answers() -> Result {
    let bed = TestBed::start()?;
    let knot = Knot::start()?;
    let outcome = program_at(&bed, knot.address(), knot.key())?.run(&AUDIT)?;
    outcome.assert_success();
    let (verdicts, grade) = verdicts(&outcome)?;
    assert_eq!(grade, "wide", "{outcome}");
    let transfer = "transfer of the whole zone";
    assert_eq!(of(&verdicts, transfer), "denied", "{outcome}");
    assert_eq!(of(&verdicts, "TXT at the apex"), "allowed", "{outcome}");
    assert_eq!(of(&verdicts, "CNAME"), "denied", "{outcome}");
    let tried = try_all(&verdicts, knot.address(), knot.key())?;
    assert_eq!(tried, RIGHTS, "{outcome}");
    Ok(())
}

/// The program, with the alias zone on another server.
fn program_at(bed: &TestBed, server: SocketAddr, key: &Key) -> Result<Program> {
    let mut settings = bed
        .settings()
        .certificate("web", "domains = [\"example.com\"]");
    settings.alias_zones.truncate(1);
    settings.providers[0].server = server;
    settings.providers[0].secret = bed.write_secret("other.secret", &key.secret)?;
    bed.program(settings)
}

#[test]
fn the_policy_for_knot_is_enough_and_no_more() -> Result {
    let bed = TestBed::start()?;
    let printed = program(&bed)?
        .run(&["key", "policy", "--output", "json"])?
        .json()?;
    let knot = printed["zones"][0]["policies"][1]["text"]
        .as_str()
        .unwrap_or_default();
    let acl = knot.split("zone:\n").next().unwrap_or_default();
    let knot = Knot::start_with(acl)?;
    let audit = program_at(&bed, knot.address(), knot.key())?.run(&AUDIT)?;
    let (verdicts, grade) = verdicts(&audit)?;
    assert_eq!(
        of(&verdicts, &format!("TXT at {ALIAS_NAME}")),
        "allowed",
        "{audit}"
    );
    assert_eq!(grade, "tight", "{audit}");
    Ok(())
}

#[test]
fn powerdns_cannot_be_told_and_nsd_allows_nothing() -> Result {
    let bed = TestBed::start()?;
    let pdns = PowerDns::start()?;
    let serial = pdns.serial()?;
    let outcome = program_at(&bed, pdns.address(), pdns.key())?.run(&AUDIT)?;
    let (verdicts, grade) = verdicts(&outcome)?;
    assert_eq!(
        (grade.as_str(), outcome.code),
        ("cannot-tell", Some(4)),
        "{outcome}"
    );
    assert_eq!(
        of(&verdicts, "NS: a delegation"),
        "cannot-tell",
        "{outcome}"
    );
    assert_eq!(
        of(&verdicts, "updates without any key"),
        "denied",
        "{outcome}"
    );
    assert_eq!(pdns.serial()?, serial, "nothing was changed");
    assert_eq!(
        try_all(&verdicts, pdns.address(), pdns.key())?,
        1,
        "{outcome}"
    );

    let nsd = Nsd::start(pdns.key())?;
    let outcome = program_at(&bed, nsd.address(), pdns.key())?.run(&AUDIT)?;
    assert_eq!(self::verdicts(&outcome)?.1, "cannot-tell", "{outcome}");
    assert!(
        outcome.stdout.contains("NOTIMP: it takes no updates"),
        "{outcome}"
    );
    Ok(())
}

#[test]
fn a_server_that_drops_in_silence_cannot_be_told() -> Result {
    let bed = TestBed::start()?;
    let lua = "function updatepolicy(update)\n  return update:getQType() == pdns.TXT\nend\n";
    let pdns = PowerDns::start_with(Some(lua))?;
    let serial = pdns.serial()?;
    let outcome = program_at(&bed, pdns.address(), pdns.key())?.run(&AUDIT)?;
    let (verdicts, grade) = verdicts(&outcome)?;
    assert_eq!(
        (grade.as_str(), outcome.code),
        ("cannot-tell", Some(4)),
        "{outcome}"
    );
    assert_eq!(of(&verdicts, "CNAME"), "cannot-tell", "{outcome}");
    assert_eq!(
        of(&verdicts, "TXT at another name"),
        "cannot-tell",
        "{outcome}"
    );
    assert!(
        outcome.stdout.contains("lua-dnsupdate-policy-script"),
        "{outcome}"
    );
    assert_eq!(pdns.serial()?, serial, "nothing was changed");
    let may = |record: &str| attempt(pdns.address(), Some(pdns.key()), ALIAS_ZONE, record);
    assert!(may(&format!("a.{ALIAS_ZONE} 60 TXT a"))?);
    assert!(!may(&format!("b.{ALIAS_ZONE} 60 A 192.0.2.1"))?);
    Ok(())
}

#[test]
fn the_policy_that_is_printed_is_enough_and_no_more() -> Result {
    let bed = TestBed::start()?;
    let outcome = program(&bed)?.run(&["key", "policy"])?;
    outcome.assert_success();
    let line = format!("grant acme-key name {ALIAS_NAME}. TXT;");
    assert!(outcome.stdout.contains(&line), "{outcome}");
    bed.replace_in_primary("grant acme-key zonesub TXT;", &line)?;
    program(&bed)?.run(&["issue", "web"])?.assert_success();
    bed.replace_in_primary("allow-transfer { any; }", "allow-transfer { none; }")?;
    let audit = program(&bed)?.run(&AUDIT)?;
    assert_eq!(verdicts(&audit)?.1, "tight", "{audit}");
    bed.replace_in_primary("allow-transfer { none; }", "allow-transfer { any; }")?;

    let new = [
        "key",
        "policy",
        "--scope",
        "zone",
        "--new-key",
        "fresh",
        "--output",
        "json",
    ];
    let (one, other) = (program(&bed)?.run(&new)?, program(&bed)?.run(&new)?);
    assert_ne!(one.stdout, other.stdout, "the secrets are fresh");
    let policies = one.json()?["zones"][0]["policies"].clone();
    let titles: Vec<_> = policies
        .as_array()
        .into_iter()
        .flatten()
        .map(|policy| policy["title"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(
        titles[0].starts_with("BIND") && titles[1].starts_with("Knot"),
        "{titles:?}"
    );
    assert!(titles[2].starts_with("PowerDNS"), "{titles:?}");
    assert_eq!(bed.txt()?, []);
    Ok(())
}
