//! Several CAs, and one that is asked when another one has failed.

use acme_alias_tests::{
    ALIAS_ZONE, Exchange, Result, Settings, SimulatedCa, Spoilt, TestBed, Validation,
};

/// Settings with another CA beside the usual one, and a certificate `web` with more lines.
fn settings(bed: &TestBed, other: &SimulatedCa, more: &str) -> Settings {
    let lines = format!("domains = [\"example.com\"]\nchallenge-alias = \"{ALIAS_ZONE}\"\n{more}");
    let mut settings = bed.settings().certificate("web", &lines);
    let (directory, root) = (other.directory(), other.root().display().to_string());
    settings.more += &format!(
        "[cas.other]\ndirectory = \"{directory}\"\nca-file = \"{root}\"\nagree-tos = true\n"
    );
    settings
}

#[test]
fn each_certificate_has_the_ca_that_the_settings_give_it() -> Result {
    let bed = TestBed::start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let second = format!(
        "ca = \"other\"\n[certificates.second]\ndomains = [\"example.org\"]\nchallenge-alias = \
         \"{ALIAS_ZONE}\"\n"
    );
    let program = bed.program(settings(&bed, &other, &second))?;
    program.run(&["renew"])?.assert_success();
    assert_eq!((bed.orders()?, other.certificates()), (1, 1));
    program.run(&["renew"])?.assert_success();
    assert_eq!((bed.orders()?, other.certificates()), (1, 1));
    // The other way round: both are obtained anew.
    let first = second.replace("ca = \"other\"\n", "") + "ca = \"other\"\n";
    let program = bed.program(settings(&bed, &other, &first))?;
    program.run(&["renew"])?.assert_success();
    assert_eq!((bed.orders()?, other.certificates()), (2, 2));
    // A certificate that flags describe.
    let issue = [
        "issue",
        "example.edu",
        "--challenge-alias",
        ALIAS_ZONE,
        "--ca",
        "other",
    ];
    program.run(&issue)?.assert_success();
    assert_eq!((bed.orders()?, other.certificates()), (2, 3));
    program.run(&["renew", "--force"])?.assert_success();
    assert_eq!((bed.orders()?, other.certificates()), (3, 5));
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_ca_that_is_not_in_the_settings_is_a_mistake_in_them() -> Result {
    let bed = TestBed::start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let check = |more: &str| {
        bed.program(settings(&bed, &other, more))?
            .run(&["config", "check"])
    };
    check("ca = \"othr\"\n")?.assert_failure(2, &["names no CA: `othr`", "other"]);
    check("fallback-after = 2\n")?.assert_failure(2, &["needs `fallback-ca` beside it"]);
    check("fallback-ca = \"other\"\nfallback-after = 0\n")?
        .assert_failure(2, &["must be at least 1"]);
    check("ca = \"acme\"\nfallback-ca = \"other\"\n")?.assert_success();
    Ok(())
}

#[test]
fn the_other_ca_is_asked_after_failures_of_the_usual_one_and_its_certificate_stays() -> Result {
    let bed = TestBed::start()?;
    let other = SimulatedCa::start(Validation::Trust)?;
    let proxy = bed.acme_proxy(|exchange: &Exchange| match exchange.path.as_str() {
        "/order-plz" => Spoilt::Instead(
            503,
            vec![("Retry-After", "3600".to_owned())],
            "not now".to_owned(),
        ),
        _ => Spoilt::No,
    })?;
    let more = "fallback-ca = \"other\"\nfallback-after = 2\n";
    let mut settings = settings(&bed, &other, more);
    settings.directory = proxy.directory();
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_failure(5, &["not now"]);
    let at = |clock: &str| program.clone().clock(clock);
    // The usual one asks to wait for an hour. The clocks of name servers let no test go so far.
    let status = bed.folder().join("state/certificates/web/status.json");
    let known = std::fs::read_to_string(&status)?;
    let mut known: serde_json::Value = serde_json::from_str(&known)?;
    assert!(known["attempts"]["asked"].is_string(), "{known}");
    known["attempts"]["asked"] = serde_json::Value::Null;
    std::fs::write(&status, known.to_string())?;
    at("+61s").run(&["renew"])?.assert_failure(5, &["not now"]);
    assert_eq!(other.certificates(), 0);
    // Now it asks to wait again, and the other one is asked.
    at("+62s").run(&["renew", "web"])?.assert_success();
    assert_eq!(other.certificates(), 1);
    let kept = program.run(&["renew"])?;
    kept.assert_success();
    assert!(kept.stdout.contains("web: not due"), "{kept}");
    assert_eq!((bed.orders()?, other.certificates()), (0, 1));
    bed.assert_only_txt_was_touched(&[])
}
