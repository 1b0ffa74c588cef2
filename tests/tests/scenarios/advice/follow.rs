//! Doing what the output says, and nothing else.

use acme_alias_tests::{
    ALIAS_ZONE, MAIN_ZONES, Outcome, Program, Provider, Result, Settings, TestBed,
};

/// Everything that a run printed.
pub(super) fn said(outcome: &Outcome) -> String {
    format!("{}{}", outcome.stdout, outcome.stderr)
}

/// The words that a run printed, without line breaks.
pub(super) fn words(outcome: &Outcome) -> String {
    let said = said(outcome);
    let words = said.split_whitespace().filter(|word| *word != "│");
    words.collect::<Vec<_>>().join(" ")
}

/// The CNAME records that were printed, as lines of a zone file, each once.
pub(super) fn records(outcome: &Outcome) -> Vec<String> {
    let said = said(outcome);
    let lines = said.lines().map(|line| line.trim_matches(['│', ' ']));
    let lines = lines.filter(|line| line.contains(" IN CNAME ") && !line.starts_with(';'));
    let mut records: Vec<_> = lines.map(str::to_owned).collect();
    records.sort();
    records.dedup();
    records
}

/// Puts each record that was printed in the place of the CNAME at its name.
#[track_caller]
pub(super) fn replace_records(bed: &TestBed, outcome: &Outcome) -> Result {
    let records = records(outcome);
    assert!(!records.is_empty(), "{outcome}");
    for record in records {
        let owner = record.split(' ').next().unwrap_or_default();
        let is_in = |zone: &&&str| owner.ends_with(&format!(".{zone}."));
        let zone = MAIN_ZONES.iter().find(is_in).copied().unwrap_or_default();
        let script =
            format!("zone {zone}.\nupdate delete {owner} CNAME\nupdate add {record}\nsend\n");
        bed.update_main_zones(&script)?;
    }
    Ok(())
}

/// The policy in the first text for BIND that a run printed about this zone.
pub(super) fn policies(outcome: &Outcome, zone: &str) -> Result<Vec<String>> {
    let json = outcome.json()?;
    let zones = if json["zones"].is_array() {
        (&json["zones"], "policies")
    } else {
        (&json["audited"], "advice")
    };
    let of_zone = zones.0.as_array().into_iter().flatten();
    let of_zone = of_zone.filter(|one| one["zone"] == zone);
    let texts = of_zone.flat_map(|one| one[zones.1].as_array().cloned().unwrap_or_default());
    let policies = texts.filter_map(|policy| {
        let text = policy["text"].as_str()?.to_owned();
        let (_, from) = text.split_once("update-policy {")?;
        let (rules, _) = from.split_once("};")?;
        Some(format!("update-policy {{{rules}}};"))
    });
    Ok(policies.collect())
}

/// Puts the policy that was printed for a zone into the server, in the place of `old`.
#[track_caller]
pub(super) fn put_policy(bed: &TestBed, printed: &Outcome, zone: &str, old: &str) -> Result {
    let policies = policies(printed, zone)?;
    assert!(!policies.is_empty(), "{zone}: {printed}");
    bed.replace_in_primary(old, &policies[0])
}

/// The policy that the bed's primary has for a zone at the beginning.
pub(super) fn first_policy(key: &str) -> String {
    format!("update-policy {{ grant {key} zonesub TXT; }};")
}

/// The grade of the key of each zone, with transfers of the bed's zones closed meanwhile: the bed lets anybody have
/// them.
pub(super) fn grade(bed: &TestBed, program: &Program, zone: &str) -> Result<String> {
    bed.replace_in_primary("allow-transfer { any; }", "allow-transfer { none; }")?;
    let audit = program.run(&["key", "audit", "--output", "json"])?;
    bed.replace_in_primary("allow-transfer { none; }", "allow-transfer { any; }")?;
    let json = audit.json()?;
    let audited = json["audited"].as_array().cloned().unwrap_or_default();
    let of_zone = audited.iter().find(|one| one["zone"] == zone);
    let grade = of_zone.and_then(|one| one["grade"].as_str());
    Ok(grade.unwrap_or_default().to_owned())
}

/// The flags that name a provider of the bed, as `issue` takes them.
pub(super) fn flags_of(provider: &Provider) -> Vec<String> {
    [
        ("server", provider.server.to_string()),
        ("tsig-key", provider.key.clone()),
        ("tsig-algorithm", provider.algorithm.to_string()),
        ("tsig-secret", format!("file:{}", provider.secret.display())),
    ]
    .into_iter()
    .flat_map(|(option, value)| [format!("--rfc2136-{option}"), value])
    .collect()
}

/// Settings that know neither a provider nor an alias zone, only where the servers are.
pub(super) fn only_servers(bed: &TestBed) -> Settings {
    let mut settings = bed.settings();
    settings.providers.clear();
    let zones = std::mem::take(&mut settings.alias_zones);
    let servers = zones.into_iter().map(|zone| (zone.zone, zone.servers));
    settings.zones.extend(servers);
    settings
}

/// Settings with the first alias zone alone.
pub(super) fn one_zone(bed: &TestBed) -> Settings {
    let mut settings = bed.settings();
    settings.alias_zones.truncate(1);
    settings
}

/// Runs this, waits until it has written a value in the first alias zone, and kills it.
pub(super) fn put_value_and_die(
    bed: &TestBed,
    mut settings: Settings,
    arguments: &[&str],
) -> Result {
    let stuck = bed.stuck_server()?;
    let alias_zones = settings.alias_zones.iter_mut();
    let alias_zones = alias_zones.map(|zone| (&zone.zone, &mut zone.servers));
    let zones = settings
        .zones
        .iter_mut()
        .map(|(zone, servers)| (&*zone, servers));
    for (_, servers) in alias_zones
        .chain(zones)
        .filter(|(zone, _)| *zone == ALIAS_ZONE)
    {
        servers.push(stuck.address());
    }
    let running = bed.program(settings)?.spawn(arguments)?;
    bed.wait_until("the primary has the value", |bed| {
        Ok(!bed.txt()?.is_empty())
    })?;
    running.kill()
}

/// Runs `issue` for the first time by these flags.
#[track_caller]
pub(super) fn issue(program: &Program, arguments: &[&str], flags: &[String]) -> Result {
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let outcome = program.run(&[&["issue"], arguments, &flags].concat())?;
    outcome.assert_success();
    Ok(())
}

/// Runs `issue` by these flags until the CA has forgotten where the name led before.
pub(super) fn issue_again(
    bed: &TestBed,
    program: &Program,
    arguments: &[&str],
    flags: &[String],
) -> Result {
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let arguments = [&["issue", "--force"], arguments, &flags].concat();
    bed.wait_until("the CA follows the new CNAME", |_| {
        Ok(program.run(&arguments)?.code == Some(0))
    })
}

/// Everything works: the check finds nothing, all certificates are renewed, and nothing is left in a zone.
#[track_caller]
pub(super) fn assert_all_works(bed: &TestBed, program: &Program) -> Result {
    let check = program.run(&["check", "--output", "json"])?;
    check.assert_success();
    let json = check.json()?;
    for checked in json["checked"].as_array().into_iter().flatten() {
        let findings = &checked["findings"];
        assert_eq!(findings.as_array().map(Vec::len), Some(0), "{check}");
    }
    bed.wait_for_next_second()?;
    let renewed = program.run(&["renew", "--force", "--output", "json"])?;
    renewed.assert_success();
    let renewed = renewed.json()?;
    let ids = renewed["renewed"].as_array().map(Vec::len);
    assert!(ids.is_some_and(|ids| ids > 0), "{renewed}");
    assert_eq!(bed.txt()?, []);
    Ok(())
}
