//! What `delegate` prints in the languages of other programs is read by these programs, or by parsers of the languages.

use std::collections::BTreeSet;

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Outcome, Result, TestBed, octodns, parse_hcl, parse_javascript,
};
use serde_json::{Value, json};

/// Hosts of which the names have numbers, in two zones.
fn hosts() -> Vec<String> {
    let numbered = (1..=12).map(|n| format!("h{n}.example.com"));
    let others = ["example.com", "www.example.com", "example.org"].map(str::to_owned);
    numbered.chain(others).collect()
}

/// The records of the hosts, with CAA records, in this language.
fn printed(bed: &TestBed, format: &str) -> Result<Outcome> {
    let flags = [
        "delegate",
        "--challenge-alias",
        ALIAS_ZONE,
        "--format",
        format,
    ];
    let caa = ["--caa", "--caa-issuer", "ca.example"];
    let hosts = hosts();
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let outcome = bed.run(&[&flags[..], &caa, &hosts].concat())?;
    outcome.assert_success();
    Ok(outcome)
}

/// The files in a text for `OctoDNS`, by zone; each begins with its name.
fn files(text: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let zone = line
            .strip_prefix("# ")
            .and_then(|rest| rest.strip_suffix(".yaml"));
        match (zone, files.last_mut()) {
            (Some(zone), _) => files.push((zone.to_owned(), format!("{line}\n"))),
            (None, Some((_, file))) => file.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    files
}

#[test]
fn octodns_brings_what_is_printed_for_it_into_the_zones() -> Result {
    let bed = TestBed::builder()
        .cname("_acme-challenge.h2.example.com", "elsewhere.example.org")
        .start()?;
    let mut files = files(&printed(&bed, "octodns")?.stdout);
    // The key of the alias zones may write TXT only.
    files.retain(|(zone, _)| zone.starts_with("example."));
    let zones: Vec<_> = files.iter().map(|(zone, _)| zone.as_str()).collect();
    assert_eq!(zones, ["example.com", "example.org"]);
    bed.open_main_zones()?;
    octodns(&bed.folder().join("octodns"), bed.main_server(), &files)?;

    let hosts = hosts();
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let check = ["check", "--caa-issuer", "ca.example"];
    let check = bed.run(&[&check[..], &hosts].concat())?;
    check.assert_success();
    let delegate = ["delegate", "--challenge-alias", ALIAS_ZONE];
    let delegate = bed.run(&[&delegate[..], &hosts].concat())?;
    delegate.assert_said(&["All 15 records are already in place."]);
    let caa = bed.ask(bed.main_server(), "h10.example.com", "CAA")?;
    let method = "\"ca.example; validationmethods=dns-01\"";
    assert!(caa.iter().any(|line| line.ends_with(method)), "{caa:?}");
    Ok(())
}

/// The challenge names without a CNAME in a bed of which the apexes are delegated.
fn missing() -> BTreeSet<String> {
    let hosts = hosts()
        .into_iter()
        .filter(|host| host.matches('.').count() > 1);
    hosts
        .map(|host| format!("_acme-challenge.{host}"))
        .collect()
}

/// A text in HCL, of which the parser leaves the quotes.
fn plain(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.trim_matches('"').to_owned()
}

#[test]
fn a_parser_reads_what_is_printed_for_terraform() -> Result {
    let bed = TestBed::start()?;
    for (format, kind, target) in [
        ("terraform-aws", "aws_route53_record", "/records/0"),
        ("terraform-cloudflare", "cloudflare_dns_record", "/content"),
    ] {
        let parsed = parse_hcl(&printed(&bed, format)?.stdout)?;
        let resources = parsed["resource"].as_array().into_iter().flatten();
        let resources = resources.filter_map(|one| one[format!("\"{kind}\"")].as_object());
        let resources: Vec<_> = resources.flat_map(|one| one.values()).collect();
        let of_type = |kind: &str| {
            let is_it = |one: &&&Value| plain(&one["type"]) == kind;
            resources.iter().filter(is_it).copied().collect::<Vec<_>>()
        };
        let cnames = of_type("CNAME");
        let names: BTreeSet<_> = cnames.iter().map(|one| plain(&one["name"])).collect();
        assert_eq!(names, missing(), "{parsed:#}");
        for cname in cnames {
            let target = cname.pointer(target).map(plain).unwrap_or_default();
            assert_eq!(target.trim_end_matches('.'), ALIAS_NAME, "{cname}");
            assert_eq!(cname["ttl"], 600);
        }
        // One for each host, and one for each alias zone of the settings.
        assert_eq!(of_type("CAA").len(), hosts().len() + 2, "{parsed:#}");
    }
    Ok(())
}

#[test]
fn a_parser_reads_what_is_printed_for_dnscontrol() -> Result {
    let bed = TestBed::start()?;
    let outcome = printed(&bed, "dnscontrol")?;
    let tree = parse_javascript(&outcome.stdout)?;
    let calls = tree["body"].as_array().cloned().unwrap_or_default();
    let extended = calls.iter().map(|call| {
        let call = &call["expression"];
        assert_eq!(call["callee"]["name"], "D_EXTEND", "{call:#}");
        call["arguments"].as_array().cloned().unwrap_or_default()
    });
    let extended: Vec<_> = extended.collect();
    let com = extended
        .iter()
        .find(|arguments| arguments[0]["value"] == "example.com");
    let records = com.into_iter().flatten().skip(1);
    let cnames = records.filter(|record| record["callee"]["name"] == "CNAME");
    let cnames: Vec<_> = cnames.collect();
    let name = |cname: &Value| {
        let label = cname["arguments"][0]["value"].as_str().unwrap_or_default();
        format!("{label}.example.com")
    };
    let names: BTreeSet<_> = cnames.iter().map(|cname| name(cname)).collect();
    assert_eq!(names, missing(), "{tree:#}");
    for cname in cnames {
        let arguments = &cname["arguments"];
        assert_eq!(arguments[1]["value"], json!(format!("{ALIAS_NAME}.")));
        assert_eq!(arguments[2]["callee"]["name"], "TTL");
    }
    Ok(())
}
