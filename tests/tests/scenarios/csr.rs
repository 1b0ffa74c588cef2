//! Certification requests that OpenSSL made: their private keys are in no file of the program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use acme_alias_core::crash::Point;
use acme_alias_tests::{
    ALIAS_ZONE, Certificate, Error, Outcome, Profile, Program, Result, Settings, TestBed, output_of,
};

use crate::deploy::{RENEW, files, folder, lines, shell, undeployed};

pub(crate) const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "ec -pkeyopt ec_paramgen_curve:P-384";
const RSA: &str = "rsa:2048";

/// Makes a request with a new key for these names, in place of an earlier one; `more` are options of `openssl req`.
pub(crate) fn request(
    bed: &TestBed,
    name: &str,
    key: &str,
    names: &[&str],
    more: &str,
) -> Result<PathBuf> {
    let path = bed.folder().join(name);
    let names: Vec<_> = names.iter().map(|name| format!("DNS:{name}")).collect();
    let (file, names) = (path.display(), names.join(","));
    output_of(&format!(
        "openssl req -new -newkey {key} -nodes -keyout {file}.key -subj / -addext subjectAltName={names} -out {file} \
         {more}"
    ))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    Ok(path)
}

fn public_key(request: &Path) -> Result<String> {
    let key = request.display();
    output_of(&format!("openssl pkey -in {key}.key -pubout"))
}

/// The stored certificate, which must be for the key of this request.
pub(crate) fn certificate(bed: &TestBed, id: &str, request: &Path) -> Result<Certificate> {
    bed.external_certificate(id, &public_key(request)?)
}

/// Settings with a certificate `web` for this request.
fn web(bed: &TestBed, request: &Path, more: &str) -> Settings {
    let lines = format!("csr = \"{}\"\n{more}", request.display());
    bed.settings().certificate("web", &lines)
}

#[track_caller]
fn assert_told(outcome: &Outcome, words: &[&str]) {
    outcome.assert_success();
    outcome.assert_printed(words);
}

#[test]
fn requests_of_openssl_are_ordered_and_renewed_and_their_keys_are_not_missing() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "example.org", "example.edu"])
        .start()?;
    let all = [
        ("p256", P256, &["example.com", "*.example.com"][..], ""),
        ("p384", P384, &["example.org"], ""),
        ("rsa", RSA, &["example.edu"], "-outform DER"),
    ];
    let mut settings = bed.settings();
    for (id, key, names, more) in all {
        let path = request(&bed, id, key, names, more)?;
        settings = settings.certificate(id, &format!("csr = \"{}\"", path.display()));
    }
    let program = bed.program(settings)?;
    program.run(&["config", "check"])?.assert_success();
    for arguments in [&["renew"][..], &["renew", "--force"]] {
        program.run(arguments)?.assert_success();
        for (id, _, names, _) in all {
            let stored = certificate(&bed, id, &bed.folder().join(id))?;
            let mut names = names.to_vec();
            names.sort_unstable();
            assert_eq!(stored.names, names);
        }
    }
    assert_told(
        &program.run(&["renew"])?,
        &["p256: not due", "rsa: not due"],
    );
    assert_eq!(bed.orders()?, 6);
    program.run(&["list", "--check"])?.assert_success();
    let list = program.run(&["list", "--output", "json"])?.json()?;
    let show = program.run(&["show", "p384", "--output", "json"])?.json()?;
    assert_eq!(
        list["certificates"][1]["external_key"],
        show["external_key"]
    );
    let fingerprint = show["external_key"].as_str().unwrap_or_default();
    assert_eq!(fingerprint.len(), 64, "{show}");
    let shown = program.run(&["show", "p256"])?;
    assert_told(&shown, &["ecdsa-p256; the private key is not stored here"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_request_for_another_key_or_other_names_makes_the_certificate_due() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "www.example.com"])
        .start()?;
    let renew = |settings: Settings, why: &str| -> Result {
        let program = bed.program(settings)?;
        assert_told(&program.run(&["renew"])?, &["web: ", why]);
        assert_told(&program.run(&["renew"])?, &["web: not due"]);
        Ok(())
    };
    let own = || {
        bed.settings()
            .certificate("web", "domains = [\"example.com\"]")
    };
    renew(own(), "because there was none yet")?;
    let file = request(&bed, "web.csr", P256, &["example.com"], "")?;
    let external = || web(&bed, &file, "");
    renew(
        external(),
        "because the key is that of a certification request",
    )?;
    certificate(&bed, "web", &file)?;
    request(&bed, "web.csr", RSA, &["example.com"], "")?;
    renew(
        external(),
        "because the certification request is for another key",
    )?;
    certificate(&bed, "web", &file)?;
    let names = ["example.com", "www.example.com"];
    output_of(&format!(
        "openssl req -new -key {0}.key -subj /CN=www.example.com -addext subjectAltName=DNS:{1} -out {0}",
        file.display(),
        names.join(",DNS:")
    ))?;
    renew(external(), "because www.example.com was added")?;
    assert_eq!(certificate(&bed, "web", &file)?.names, names);
    let why = "the key is not that of a certification request any more";
    renew(own(), why)?;
    bed.certificate("web")?;
    assert_eq!(bed.orders()?, 5);
    bed.assert_only_txt_was_touched(&[])
}

/// Lets the program end at this point.
fn crash(program: &Program, point: Point) -> Result {
    let doomed = program
        .clone()
        .env("FAILPOINTS", format!("{}=return", point.name()));
    // Pebble uses one authorization in a hundred again, whatever it is told.
    for _ in 0..3 {
        let outcome = doomed.run(&["renew", "--force"])?;
        if outcome.code != Some(0) {
            assert_eq!(outcome.code, None, "{point:?}: {outcome}");
            return Ok(());
        }
    }
    Err(Error::new(format_args!("{point:?} was not passed")))
}

#[test]
fn a_killed_run_is_resumed_with_the_request_of_its_order_only() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .profile(Profile::Failpoints)
        .start()?;
    let file = request(&bed, "web.csr", P256, &["example.com"], "")?;
    let program = bed.program(web(&bed, &file, ""))?;
    for point in [
        Point::OrderKept,
        Point::Finalize,
        Point::Finalized,
        Point::VersionMade,
        Point::VersionSwitched,
        Point::Stored,
    ] {
        crash(&program, point)?;
        let orders = bed.orders()?;
        program.run(&["renew"])?.assert_success();
        assert_eq!(
            bed.orders()?,
            orders,
            "{point:?}: the order was not resumed"
        );
        certificate(&bed, "web", &file)?;
    }
    for point in [Point::OrderKept, Point::Finalized] {
        crash(&program, point)?;
        let orders = bed.orders()?;
        request(&bed, "web.csr", P256, &["example.com"], "")?;
        program.run(&["renew"])?.assert_success();
        assert_eq!(bed.orders()?, orders + 1, "{point:?}");
        certificate(&bed, "web", &file)?;
    }
    // From there to a key of ours.
    crash(&program, Point::OrderKept)?;
    let own = bed
        .settings()
        .certificate("web", "domains = [\"example.com\"]");
    bed.program(own)?.run(&["renew"])?.assert_success();
    bed.certificate("web")?;
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn targets_get_the_chain_and_nothing_of_the_key() -> Result {
    let bed = TestBed::start()?;
    let (dir, live) = (folder(&bed, "files")?, folder(&bed, "letsencrypt")?);
    let kept = live.join("live/web");
    fs::create_dir_all(&kept)?;
    fs::write(kept.join("privkey.pem"), "of its owner")?;
    let ran = bed.folder().join("ran");
    let script = format!(
        "env | grep ACME_ALIAS_HOOK_ | cut -d= -f1 | sort >> {0}; ls $ACME_ALIAS_HOOK_PATH >> {0}",
        ran.display()
    );
    let targets = [
        files(&dir, "fullchain = 'DIR/{id}.pem'\ncertificate = 'DIR/cert'"),
        files(&live, "letsencrypt = 'DIR'"),
        shell(&script),
    ]
    .concat();
    let file = request(&bed, "web.csr", P256, &["example.com"], "")?;
    let program = bed.program(web(&bed, &file, &targets))?;
    let outcome = program.run(&RENEW)?;
    outcome.assert_success();
    assert!(undeployed(&outcome, "renewed")?[0].is_null(), "{outcome}");
    let stored = certificate(&bed, "web", &file)?;
    assert_eq!(fs::read_to_string(dir.join("cert"))?, stored.pem);
    let chain = fs::read(dir.join("web.pem"))?;
    assert_eq!(fs::read(kept.join("fullchain.pem"))?, chain);
    // What is there is not ours.
    assert_eq!(
        fs::read_to_string(kept.join("privkey.pem"))?,
        "of its owner"
    );
    let ran = lines(&ran);
    assert!(
        !ran.iter().any(|line| line.to_lowercase().contains("key")),
        "{ran:?}"
    );
    assert!(
        ran.iter().any(|line| line == "ACME_ALIAS_HOOK_PATH"),
        "{ran:?}"
    );
    let combined = files(&dir, "combined = 'DIR/{id}.pem'");
    let refused = bed.program(web(&bed, &file, &combined))?.run(&["renew"])?;
    refused.assert_failure(2, &["needs the private key", "write `fullchain` instead"]);
    Ok(())
}

#[test]
fn a_request_that_is_gone_fails_its_certificate_and_no_other() -> Result {
    let bed = TestBed::start()?;
    let file = request(&bed, "web.csr", P256, &["example.com"], "")?;
    let settings = web(&bed, &file, "").certificate("other", "domains = [\"example.org\"]");
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    let aside = bed.folder().join("aside");
    fs::rename(&file, &aside)?;
    let before = bed.certificate("other")?.serial;
    let failed = program.run(&["renew", "--force", "--output", "json"])?;
    assert_eq!(failed.code, Some(2), "{failed}");
    let failed = failed.json()?;
    let failures = failed["failed"].as_array().map_or(0, Vec::len);
    assert_eq!(
        (failures, &failed["failed"][0]["certificate"]),
        (1, &"web".into())
    );
    let message = failed["failed"][0]["error"]["message"].to_string();
    for words in [
        "`certificates.web.csr`",
        "web.csr cannot be read",
        "put the certification request there",
    ] {
        assert!(message.contains(words), "{message}");
    }
    assert_ne!(bed.certificate("other")?.serial, before);
    let list = program.run(&["list", "--check"])?;
    assert_eq!(list.code, Some(1), "{list}");
    list.assert_printed(&["web: its settings cannot be used"]);
    assert_told(
        &program.run(&["show", "web"])?,
        &["web: example.com", "web.csr cannot be read"],
    );
    program
        .run(&["config", "check"])?
        .assert_failure(2, &["web.csr cannot be read"]);
    program
        .run(&["issue", "web"])?
        .assert_failure(2, &["web.csr cannot be read"]);
    let notified = bed.folder().join("notified");
    let mut notifying = program.settings.clone();
    notifying.more.push_str(&format!(
        "[notify]\ndays = 10000\ncommand = ['sh', '-c', 'cat >> {}']\n",
        notified.display()
    ));
    bed.program(notifying)?
        .run(&["renew"])?
        .assert_failure(2, &[]);
    let notified = lines(&notified);
    assert!(
        notified.iter().any(|line| line.starts_with("web: ")),
        "{notified:?}"
    );
    fs::rename(&aside, &file)?;
    assert_told(&program.run(&["renew"])?, &["web: not due"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn what_is_issued_with_a_request_by_flags_is_renewed_with_the_request_that_is_there_then() -> Result
{
    let bed = TestBed::builder()
        .delegate(&["example.com", "www.example.com"])
        .start()?;
    let file = request(&bed, "dane.csr", P256, &["example.com"], "")?;
    let path = file.display().to_string();
    let issue = |more: &[&str]| {
        let flags = ["issue", "--csr", &path, "--challenge-alias", ALIAS_ZONE];
        bed.run(&[&flags[..], more].concat())
    };
    issue(&["www.example.com"])?.assert_failure(
        2,
        &["www.example.com (not in the request)", "omit the names"],
    );
    issue(&["--key-type", "rsa-2048"])?.assert_failure(2, &["cannot be used with"]);
    let key = format!("{path}.key");
    bed.run(&["issue", "--csr", &key])?
        .assert_failure(2, &["it contains a private key"]);
    issue(&[])?.assert_success();
    certificate(&bed, "example-com", &file)?;
    assert_told(&issue(&["example.com"])?, &["example-com: kept"]);
    issue(&["--force"])?.assert_success();
    assert_told(&bed.run(&["renew"])?, &["example-com: not due"]);
    request(
        &bed,
        "dane.csr",
        P384,
        &["example.com", "www.example.com"],
        "",
    )?;
    assert_told(
        &bed.run(&["renew"])?,
        &[
            "www.example.com was added",
            "the certification request is for another key",
        ],
    );
    assert_eq!(certificate(&bed, "example-com", &file)?.names.len(), 2);
    let aside = bed.folder().join("aside");
    fs::rename(&file, &aside)?;
    let gone = bed.run(&["renew", "--force"])?;
    gone.assert_failure(2, &["dane.csr cannot be read"]);
    let delegate = bed.run(&["delegate"])?;
    delegate.assert_said(&[
        "the certificate `example-com` cannot be obtained",
        "dane.csr cannot be read",
    ]);
    fs::rename(&aside, &file)?;
    let revoked = bed.run(&["revoke", "example-com"])?;
    assert_told(&revoked, &["for the key of its certification request"]);
    assert_told(&bed.run(&["renew"])?, &["because it was revoked"]);
    let revoked = bed.run(&["revoke", "example-com", "--reason", "key-compromise"])?;
    assert_told(&revoked, &["Replace its certification request"]);
    bed.run(&["forget", "example-com", "--purge"])?
        .assert_success();
    assert!(!bed.folder().join("state/certificates/example-com").exists());
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn names_of_a_request_may_have_aliases_of_their_own() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "example.org"])
        .start()?;
    let file = request(&bed, "web.csr", P256, &["example.com", "example.org"], "")?;
    let path = file.display().to_string();
    let (one, other) = (
        format!("example.com={ALIAS_ZONE}"),
        format!("example.org=_acme-challenge.{ALIAS_ZONE}"),
    );
    let issue = [
        "issue",
        "--csr",
        &path,
        "--challenge-alias",
        &one,
        "--domain-alias",
        &other,
    ];
    bed.run(&issue)?.assert_success();
    certificate(&bed, "example-com", &file)?;
    // They were given for these names.
    request(&bed, "web.csr", P256, &["example.com"], "")?;
    bed.run(&["renew", "--force"])?
        .assert_failure(2, &["example.org (not in the request)"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_ca_that_does_not_accept_a_name_in_the_common_name_alone_is_reported() -> Result {
    let bed = TestBed::start()?;
    let file = bed.folder().join("old.csr");
    output_of(&format!(
        "openssl req -new -newkey rsa:2048 -nodes -keyout {0}.key -subj /CN=example.com -out {0}",
        file.display()
    ))?;
    let outcome = bed.program(web(&bed, &file, ""))?.run(&["renew"])?;
    outcome.assert_failure(5, &["with all names in its subjectAltName"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn requests_with_tens_of_thousands_of_names_take_no_time() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let config = bed.folder().join("many.conf");
    let names = (0..26_000).map(|n| format!("DNS.{n} = {:03x}.a{:02x}\n", n / 100, n % 100));
    let names: String = names.collect();
    let sections = "[req]\ndistinguished_name = empty\nreq_extensions = all\n[empty]\n[all]\n";
    fs::write(
        &config,
        format!("{sections}subjectAltName = @names\n[names]\n{names}"),
    )?;
    let file = bed.folder().join("many.csr");
    output_of(&format!(
        "openssl req -new -newkey {P256} -nodes -keyout {0}.key -subj / -config {1} -outform DER -out {0}",
        file.display(),
        config.display()
    ))?;
    assert!(fs::metadata(&file)?.len() < 256 << 10);
    let mut settings = bed.settings().certificates(&["example.com".to_owned()]);
    for number in 0..10 {
        let csr = format!("csr = \"{}\"", file.display());
        settings = settings.certificate(&format!("a{number}"), &csr);
    }
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome.assert_failure(2, &["26000 names, and a certificate takes 100 at most"]);
    bed.certificate("example-com")?;
    assert!(
        outcome.usage.wall < Duration::from_secs(30),
        "{:?}",
        outcome.usage
    );
    Ok(())
}
