//! What keys may do by the policies that are printed, and what they can really do.

#![expect(clippy::panic, reason = "a helper of tests may fail as they do")]

use std::net::SocketAddr;

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Algorithm, Key, Knot, Nsd, Outcome, PowerDnsLaunch, Program, Result,
    SECOND_ALIAS_ZONE, TestBed, attempt, attempt_transfer,
};
use serde_json::Value;

const AUDIT: [&str; 4] = ["key", "audit", "--output", "json"];

/// The program, with one certificate and one alias zone.
fn program(bed: &TestBed) -> Result<Program> {
    let mut settings = bed
        .settings()
        .certificate("web", "domains = [\"example.com\"]");
    settings.alias_zones.truncate(1);
    bed.program(settings)
}

/// What an audit said of the first zone.
struct Audited {
    grade: String,
    rights: Vec<Right>,
    advice: String,
}

/// A right as it is printed: `TXT at another name (NAME), at SERVER`, of which the last is there for a main
/// zone only.
#[derive(Debug)]
struct Right {
    what: String,
    name: Option<String>,
    server: Option<SocketAddr>,
    verdict: String,
}

impl Audited {
    fn read(outcome: &Outcome) -> Result<Audited> {
        let audited = &outcome.json()?["audited"][0];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rights = audited["rights"].as_array().cloned().unwrap_or_default();
        let right = |right: &Value| {
            let text = word(&right["right"]);
            let (text, server) = match text.split_once("), at ") {
                Some((before, server)) => (format!("{before})"), server.parse().ok()),
                None => (text, None),
            };
            let (what, name) = match text.rsplit_once(" (_").or(text.rsplit_once(" (a")) {
                Some((what, _)) => (what, Some(&text[what.len() + 2..text.len() - 1])),
                None => (text.as_str(), None),
            };
            Right {
                name: name.map(str::to_owned),
                what: what.to_owned(),
                server,
                verdict: word(&right["verdict"]),
            }
        };
        Ok(Audited {
            grade: word(&audited["grade"]),
            rights: rights.iter().map(right).collect(),
            advice: audited["advice"].to_string(),
        })
    }

    /// The verdict on each such right; all have the same.
    fn verdict(&self, what: &str) -> &str {
        let mut verdicts = self.rights.iter().filter(|right| right.what == what);
        let first = verdicts.next().map_or("", |right| right.verdict.as_str());
        assert!(verdicts.all(|right| right.verdict == first), "{what}");
        first
    }

    /// Does what each right is about, and asserts that the verdict was true. Returns of how many that was
    /// not to be seen, because the audit could not tell.
    fn try_all(&self, server: SocketAddr, key: &Key) -> Result<usize> {
        let mut open = 0;
        for right in &self.rights {
            let changed = right.attempt(server, key)?;
            match right.verdict.as_str() {
                "allowed" => assert!(changed, "{right:?}"),
                "denied" => assert!(!changed, "{right:?}"),
                _ => open += 1,
            }
        }
        Ok(open)
    }
}

impl Right {
    fn attempt(&self, server: SocketAddr, key: &Key) -> Result<bool> {
        let name = self.name.as_deref().unwrap_or(ALIAS_NAME);
        let (server, zone) = match self.server {
            Some(of_main_zone) => (
                of_main_zone,
                name.trim_start_matches("_acme-challenge.").to_owned(),
            ),
            None => (server, ALIAS_ZONE.to_owned()),
        };
        let weak = Key {
            algorithm: Algorithm::Sha1,
            ..key.clone()
        };
        let kind = self.what.split([' ', ':']).next().unwrap_or_default();
        let (key, data) = match (kind, self.what.as_str()) {
            ("transfer", _) => return attempt_transfer(server, key, &zone),
            ("updates", _) => (None, "TXT tried"),
            (_, "signatures with a weak algorithm") => (Some(&weak), "TXT tried"),
            ("TXT", _) => (Some(key), "TXT tried"),
            ("CNAME", _) => (Some(key), "CNAME nobody.invalid."),
            ("NS", _) => (Some(key), "NS nobody.invalid."),
            ("CAA", _) => (Some(key), "CAA 0 issue \"ca.example\""),
            ("A", _) => (Some(key), "A 192.0.2.1"),
            (unknown, _) => panic!("{unknown}: {self:?}"),
        };
        attempt(server, key, &zone, &format!("{name} 60 {data}"))
    }
}

/// The words of the bed's policy for the alias zone.
const ZONESUB: &str = "update-policy { grant acme-key zonesub TXT; };";

#[test]
fn every_verdict_is_what_an_update_comes_to_from_tight_to_wide_open() -> Result {
    let to_name =
        |types: &str| format!("update-policy {{ grant acme-key name {ALIAS_NAME}. {types}; }};");
    for (policy, grade, code) in [
        (to_name("TXT"), "tight", 0),
        (
            format!("update-policy {{ grant acme-key subdomain {ALIAS_NAME}. TXT; }};"),
            "wide",
            0,
        ),
        (
            format!("update-policy {{ grant acme-key wildcard *.{ALIAS_ZONE}. TXT; }};"),
            "wide",
            0,
        ),
        (ZONESUB.to_owned(), "wide", 0),
        // What is at the alias name itself is asked about as well.
        (to_name("ANY"), "dangerous", 4),
        (to_name(""), "dangerous", 4),
        (
            "update-policy { grant acme-key zonesub ANY; };".to_owned(),
            "dangerous",
            4,
        ),
        ("allow-update { key acme-key; };".to_owned(), "dangerous", 4),
        ("allow-update { any; };".to_owned(), "fatal", 4),
    ] {
        let bed = TestBed::start()?;
        bed.replace_in_primary(ZONESUB, &policy)?;
        // The bed lets anybody see its zones; the audit would tell.
        bed.replace_in_primary("allow-transfer { any; }", "allow-transfer { none; }")?;
        let outcome = program(&bed)?.run(&AUDIT)?;
        assert_eq!(outcome.code, Some(code), "{policy}: {outcome}");
        let audited = Audited::read(&outcome)?;
        assert_eq!(audited.grade, grade, "{policy}: {outcome}");
        assert_eq!(
            audited.verdict("TXT at an alias name"),
            "allowed",
            "{outcome}"
        );
        assert_eq!(audited.verdict("TXT in a main zone"), "denied", "{outcome}");
        assert_eq!(audited.advice == "[]", grade == "tight", "{outcome}");
        // By the servers' own logs nothing was carried out.
        assert_eq!(bed.serial(ALIAS_ZONE)?, 1, "{policy}");
        let updates: Vec<_> = bed.updates()?.into_values().flatten().collect();
        assert!(!updates.is_empty());
        for update in updates {
            assert!(update.change.was_in_vain(), "{policy}: {update:?}");
        }
        let open = audited.try_all(bed.primary(), bed.key(ALIAS_ZONE)?)?;
        assert_eq!(open, 0, "{policy}: {outcome}");
    }
    Ok(())
}

#[test]
fn a_key_that_reaches_a_main_zone_is_fatal_and_the_cure_is_reported() -> Result {
    let bed = TestBed::start()?;
    // The other zone of the primary becomes one that certificates are for.
    bed.replace_in_primary(
        "grant second-key zonesub TXT;",
        "grant acme-key subdomain _acme-challenge.auth2.example.net. TXT;",
    )?;
    let mut settings = bed.settings().certificate(
        "web",
        "domains = [{ name = \"auth2.example.net\", challenge-alias = \"auth.example.net\" }]",
    );
    settings.alias_zones.truncate(1);
    settings
        .zones
        .push((SECOND_ALIAS_ZONE.to_owned(), vec![bed.primary()]));
    let program = bed.program(settings)?;
    let outcome = program.run(&AUDIT)?;
    assert_eq!(outcome.code, Some(4), "{outcome}");
    let audited = Audited::read(&outcome)?;
    assert_eq!(audited.grade, "fatal", "{outcome}");
    assert_eq!(
        audited.verdict("TXT in a main zone"),
        "allowed",
        "{outcome}"
    );
    assert_eq!(
        audited.try_all(bed.primary(), bed.key(ALIAS_ZONE)?)?,
        0,
        "{outcome}"
    );
    let people = program.run(&["key", "audit"])?;
    for words in [
        "the servers of auth2.example.net",
        "remove `acme-key` from the zone's `update-policy`",
        "allow-transfer { 192.0.2.2; };",
    ] {
        assert!(people.stdout.contains(words), "{people}");
    }
    Ok(())
}

#[test]
fn a_main_zone_that_cannot_be_asked_leaves_the_grade_open() -> Result {
    let bed = TestBed::start()?;
    let dead = bed.dead_port()?;
    bed.replace_in_primary("allow-transfer { any; }", "allow-transfer { none; }")?;
    bed.replace_in_primary(
        ZONESUB,
        &format!("update-policy {{ grant acme-key name {ALIAS_NAME}. TXT; }};"),
    )?;
    let mut settings = bed.settings().certificate(
        "web",
        "domains = [\"example.com\", \"nowhere.invalid\"]\nchallenge-alias = \"auth.example.net\"",
    );
    settings.alias_zones.truncate(1);
    let mut zones = settings.zones.iter_mut();
    if let Some((_, servers)) = zones.find(|(zone, _)| zone == "example.com") {
        servers.push(dead.address());
    }
    let outcome = bed.program(settings)?.run(&AUDIT)?;
    assert_eq!(outcome.code, Some(4), "{outcome}");
    let audited = Audited::read(&outcome)?;
    assert_eq!(audited.grade, "cannot-tell", "{outcome}");
    let dead_row = format!("TXT in the main zone example.com, at {}", dead.address());
    let open = audited
        .rights
        .iter()
        .filter(|right| right.verdict == "cannot-tell");
    let open: Vec<_> = open
        .map(|right| (right.what.as_str(), right.server))
        .collect();
    assert_eq!(
        open,
        [
            ("TXT in the main zone nowhere.invalid", None),
            (dead_row.as_str(), None),
        ],
        "{outcome}"
    );
    Ok(())
}

#[test]
fn a_zone_whose_server_is_dead_is_a_result_beside_the_others() -> Result {
    let bed = TestBed::start()?;
    let dead = bed.dead_port()?;
    let mut settings = bed.settings();
    settings.providers[0].server = dead.address();
    let outcome = bed
        .program(settings)?
        .run(&["key", "audit", "--output", "json"])?;
    assert_eq!(outcome.code, Some(4), "{outcome}");
    let json = outcome.json()?;
    assert_eq!(json["audited"][0]["grade"], "cannot-tell", "{outcome}");
    assert_eq!(json["audited"][1]["grade"], "wide", "{outcome}");
    bed.run(&["key", "audit", "--provider", "frist"])?
        .assert_failure(2, &["there is no provider `frist`", "first"]);
    Ok(())
}

#[test]
fn neither_issue_nor_renew_audits_a_key() -> Result {
    let bed = TestBed::start()?;
    bed.replace_in_primary("grant acme-key zonesub TXT;", "grant acme-key zonesub ANY;")?;
    let program = program(&bed)?;
    for arguments in [&["issue", "web"], &["renew", "--force"]] {
        let outcome = program.run(arguments)?;
        outcome.assert_success();
        assert!(!outcome.stderr.contains("key for"), "{outcome}");
    }
    Ok(())
}

#[test]
fn where_what_is_needed_is_refused_nothing_is_passed() -> Result {
    let bed = TestBed::start()?;
    bed.allow_updates(false)?;
    let outcome = program(&bed)?.run(&AUDIT)?;
    assert_eq!(outcome.code, Some(4), "{outcome}");
    let audited = Audited::read(&outcome)?;
    assert_eq!(audited.grade, "cannot-tell");
    for right in &audited.rights {
        assert_ne!(right.verdict, "denied", "{right:?}: {outcome}");
    }
    Ok(())
}

#[test]
fn knot_is_read_as_it_answers() -> Result {
    let bed = TestBed::start()?;
    for (types, grade) in [("TXT", "wide"), ("TXT, CNAME, A", "dangerous")] {
        let knot = Knot::start_with(&format!(
            "acl:\n  - id: of-the-test\n    key: acme-key\n    action: update\n    update-type: [{types}]\n"
        ))?;
        let outcome = program_at(&bed, knot.address(), knot.key())?.run(&AUDIT)?;
        let audited = Audited::read(&outcome)?;
        assert_eq!(audited.grade, grade, "{outcome}");
        assert!(!knot.log()?.contains("finished, serial"), "{}", knot.log()?);
        assert_eq!(audited.try_all(knot.address(), knot.key())?, 0, "{outcome}");
        // What an update that is carried out looks like in the log.
        assert!(knot.log()?.contains("finished, serial"), "{}", knot.log()?);
        assert!(audited.advice.contains("knot.conf"), "{outcome}");
    }
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
    let outcome = program_at(&bed, knot.address(), knot.key())?.run(&AUDIT)?;
    let audited = Audited::read(&outcome)?;
    assert_eq!(audited.grade, "tight", "{outcome}");
    assert_eq!(audited.try_all(knot.address(), knot.key())?, 0, "{outcome}");
    Ok(())
}

#[test]
fn powerdns_cannot_be_told_and_the_script_that_is_printed_is_enough_and_no_more() -> Result {
    let bed = TestBed::start()?;
    let printed = program(&bed)?
        .run(&["key", "policy", "--output", "json"])?
        .json()?;
    let script = printed["zones"][0]["policies"][3]["text"].clone();
    let script = script.as_str().unwrap_or_default();
    for (script, allowed) in [(None, 11), (Some(script), 1)] {
        let pdns = script
            .into_iter()
            .fold(PowerDnsLaunch::default(), PowerDnsLaunch::policy);
        let pdns = pdns.start()?;
        let serial = pdns.serial()?;
        let outcome = program_at(&bed, pdns.address(), pdns.key())?.run(&AUDIT)?;
        assert_eq!(outcome.code, Some(4), "{outcome}");
        let audited = Audited::read(&outcome)?;
        assert_eq!(audited.grade, "cannot-tell", "{outcome}");
        assert_eq!(pdns.serial()?, serial, "nothing was changed");
        // What can be told is true; the rest is in the script's hands.
        audited.try_all(pdns.address(), pdns.key())?;
        let of_alias_zone = audited.rights.iter().filter(|right| right.server.is_none());
        let may = of_alias_zone.map(|right| right.attempt(pdns.address(), pdns.key()));
        let may = may.collect::<Result<Vec<_>>>()?;
        assert_eq!(may.iter().filter(|may| **may).count(), allowed, "{outcome}");
        assert!(
            audited.advice.contains("lua-dnsupdate-policy-script"),
            "{outcome}"
        );
    }
    Ok(())
}

#[test]
fn nsd_takes_no_updates() -> Result {
    let bed = TestBed::start()?;
    let key = Key::generate("acme-key", Algorithm::Sha256);
    let nsd = Nsd::start(&key)?;
    let outcome = program_at(&bed, nsd.address(), &key)?.run(&AUDIT)?;
    let audited = Audited::read(&outcome)?;
    assert_eq!(
        (audited.grade.as_str(), outcome.code),
        ("cannot-tell", Some(4)),
        "{outcome}"
    );
    assert!(
        outcome
            .stdout
            .contains("NOTIMP: not supported by this server"),
        "{outcome}"
    );
    for right in &audited.rights {
        assert!(!right.attempt(nsd.address(), &key)?, "{right:?}");
    }
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
    assert_eq!(Audited::read(&audit)?.grade, "tight", "{audit}");
    bed.replace_in_primary("allow-transfer { none; }", "allow-transfer { any; }")?;

    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn a_new_key_and_its_policy_are_taken_by_bind_as_they_are_printed() -> Result {
    let mut secrets = Vec::new();
    for (scope, grade) in [("name", "tight"), ("subdomain", "wide"), ("zone", "wide")] {
        let bed = TestBed::start()?;
        let new = [
            "key",
            "policy",
            "--scope",
            scope,
            "--new-key",
            "fresh",
            "--output",
            "json",
        ];
        let printed = program(&bed)?.run(&new)?.json()?;
        let text = printed["zones"][0]["policies"][0]["text"].clone();
        let text = text.as_str().unwrap_or_default();
        let (key, zone) = text.split_once("\n\n").unwrap_or_default();
        let policy = zone.split_once("update-policy").unwrap_or_default().1;
        let policy = format!("update-policy{}", policy.trim_end().trim_end_matches("};"));
        bed.replace_in_primary(ZONESUB, &policy)?;
        bed.replace_in_primary("options {", &format!("{key}\noptions {{"))?;
        let mut settings = bed
            .settings()
            .certificate("web", "domains = [\"example.com\"]");
        settings.alias_zones.truncate(1);
        settings.providers[0].key = "fresh".to_owned();
        // What is printed is a key file as well.
        settings.providers[0].secret = bed.write_secret("fresh.key", key)?;
        let program = bed.program(settings)?;
        program.run(&["issue", "web"])?.assert_success();
        bed.replace_in_primary("allow-transfer { any; }", "allow-transfer { none; }")?;
        let audit = program.run(&AUDIT)?;
        assert_eq!(Audited::read(&audit)?.grade, grade, "{scope}: {audit}");
        secrets.push(key.to_owned());
    }
    secrets.dedup();
    assert_eq!(secrets.len(), 3, "every key is a fresh one");
    Ok(())
}

#[test]
fn two_zones_of_one_provider_get_one_new_key() -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    settings.alias_zones[1].provider = settings.alias_zones[0].provider;
    let outcome = bed
        .program(settings)?
        .run(&["key", "policy", "--new-key", "fresh"])?;
    outcome.assert_success();
    assert_eq!(outcome.stdout.matches("secret \"").count(), 1, "{outcome}");
    for zone in [ALIAS_ZONE, SECOND_ALIAS_ZONE] {
        let line = format!("grant fresh name _acme-challenge.{zone}. TXT;");
        assert!(outcome.stdout.contains(&line), "{outcome}");
        assert!(
            outcome.stdout.contains(&format!("id: acme-alias-{zone}")),
            "{outcome}"
        );
    }
    bed.run(&["key", "policy", "--new-key", "a\"; };"])?
        .assert_failure(2, &["--new-key"]);
    Ok(())
}
