//! What users see: the list of certificates, checks for monitoring, and what `renew` prints.

use std::fs;
use std::path::{Path, PathBuf};

use acme_alias_tests::{
    ALIAS_ZONE, Exchange, MAIN_ZONES, Outcome, Program, Result, Settings, Spoilt, TestBed,
};
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};

/// A certificate with these names, and with more lines of settings.
fn with(settings: Settings, id: &str, domains: &[&str], more: &str) -> Settings {
    settings.certificate(id, &format!("domains = {domains:?}\n{more}"))
}

/// The folder of the current version of a certificate.
fn version(bed: &TestBed, id: &str) -> Result<PathBuf> {
    let folder = bed.settings().state.join("certificates").join(id);
    Ok(fs::canonicalize(folder.join("current"))?)
}

/// Puts a certificate in place of a stored one. It is valid for so many days, from the beginning of the day so many
/// days ago.
fn plant(bed: &TestBed, id: &str, names: &[&str], began: i64, lifetime: i64) -> Result {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    let day = |from_now: i64| -> Result<_> {
        let day = Timestamp::now() + SignedDuration::from_hours(24 * from_now);
        let part = |format| day.strftime(format).to_string();
        let (month, of_month) = (part("%m").parse()?, part("%d").parse()?);
        Ok(date_time_ymd(part("%Y").parse()?, month, of_month))
    };
    params.not_before = day(-began)?;
    params.not_after = day(lifetime - began)?;
    let certificate = params.self_signed(&KeyPair::generate()?)?;
    fs::write(version(bed, id)?.join("cert.pem"), certificate.pem())?;
    Ok(())
}

/// The row of a certificate, without repeated spaces.
#[track_caller]
fn row(outcome: &Outcome, id: &str) -> String {
    let mut lines = outcome.stdout.lines();
    let row = lines.find(|line| line.split_whitespace().next() == Some(id));
    assert!(row.is_some(), "no row `{id}`: {outcome}");
    let row = row.unwrap_or_default();
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The ids in a list, in its order.
fn order<'a>(outcome: &Outcome, ids: &[&'a str]) -> Vec<&'a str> {
    let firsts = outcome.stdout.lines().map(|line| line.split(' ').next());
    let known = |first: Option<&str>| ids.iter().copied().find(|id| first == Some(*id));
    firsts.filter_map(known).collect()
}

#[track_caller]
fn assert_printed(outcome: &Outcome, texts: &[&str]) {
    let told: Vec<_> = outcome.stdout.split_whitespace().collect();
    let told = told.join(" ");
    for text in texts {
        assert!(told.contains(text), "`{text}` is not in:\n{outcome}");
    }
}

#[track_caller]
fn assert_fits(outcome: &Outcome) {
    for line in outcome.stdout.lines() {
        assert!(line.chars().count() <= 80, "`{line}` in:\n{outcome}");
    }
}

const IDS: [&str; 9] = [
    "broken", "keyless", "old", "refused", "hooked", "never", "aged", "good", "gone",
];

/// Certificates in every state.
fn all_states(bed: &TestBed) -> Result<Program> {
    let first = |settings: Settings| {
        let names = ["www.example.com", "example.com", "*.example.com"];
        let settings = with(settings, "good", &names, "");
        let settings = with(settings, "old", &["example.org"], "");
        let settings = with(settings, "broken", &["example.edu"], "");
        let settings = with(settings, "keyless", &["example.edu"], "");
        let settings = with(settings, "aged", &["corp.example"], "");
        let hook = "deploy-hook = ['sh', '-c', 'exit 3']";
        with(settings, "hooked", &["example.com"], hook)
    };
    let gone = with(first(bed.settings()), "gone", &["example.org"], "");
    bed.program(gone)?.run(&["renew"])?;
    fs::write(version(bed, "broken")?.join("cert.pem"), "garbage")?;
    fs::remove_file(version(bed, "keyless")?.join("privkey.pem"))?;
    plant(bed, "old", &["example.org"], 93, 90)?;
    plant(bed, "aged", &["corp.example"], 70, 90)?;
    // No CNAME leads from it into the alias zone.
    let settings = with(
        first(bed.settings()),
        "refused",
        &["nowhere.example.com"],
        "",
    );
    bed.program(settings.clone())?
        .run(&["renew", "refused"])?
        .assert_failure(3, &["refused"]);
    bed.program(with(settings, "never", &["example.org"], ""))
}

fn bed() -> Result<TestBed> {
    let names = [&MAIN_ZONES[..], &["www.example.com"]].concat();
    TestBed::builder().delegate(&names).start()
}

#[test]
fn list_shows_each_certificate_in_a_row_and_those_with_problems_first() -> Result {
    let bed = bed()?;
    let outcome = all_states(&bed)?.run(&["list"])?;
    outcome.assert_success();
    // The last two have the same time left.
    assert_eq!(order(&outcome, &IDS[..7]), IDS[..7]);
    assert_fits(&outcome);
    for (id, words) in [
        ("broken", "example.edu 127.0.0"),
        ("keyless", "- - damaged"),
        ("old", "-3 d now, lifetime expired"),
        ("refused", "retry 1 failure"),
        ("hooked", "not deployed"),
        ("aged", "19 d now, lifetime obtained"),
        ("never", "- now not obtained"),
        ("good", "+2 127.0.0"),
        ("gone", "not in settings obtained"),
    ] {
        let row = row(&outcome, id);
        assert!(row.contains(words), "`{words}` is not in `{row}`");
    }
    let notes = [
        "privkey.pem is damaged: it does not exist",
        "expired 3 days ago",
        "not obtained yet 1 attempt failed, the last at",
        "_acme-challenge.nowhere.example.com.: there is no CNAME",
        "stored, but not deployed",
        "9 certificates: 2 damaged, 1 expired, 1 failed, 1 not deployed, 2 due, 2 good",
    ];
    assert_printed(&outcome, &notes);
    Ok(())
}

/// The objects of a list in JSON by their ids.
fn by_id<'a>(json: &'a Value, list: &str, id: &str) -> &'a Value {
    let all = json[list].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|one| one["certificate"] == id);
    found.unwrap_or(&Value::Null)
}

#[test]
fn list_in_json_has_what_the_table_has() -> Result {
    let bed = bed()?;
    let json = all_states(&bed)?.run(&["list", "--output", "json"])?;
    let json = json.json()?;
    let good = by_id(&json, "certificates", "good");
    let names = json!(["www.example.com", "example.com", "*.example.com"]);
    assert_eq!(good["domains"], names);
    assert_eq!(
        (&good["why"], &good["deployed"]),
        (&json!(null), &json!(true))
    );
    assert_eq!(good["ca"], bed.directory());
    assert_eq!(
        by_id(&json, "certificates", "gone")["wanted_by"],
        json!(null)
    );
    assert_eq!(by_id(&json, "certificates", "old")["expired"], true);
    assert_eq!(by_id(&json, "certificates", "hooked")["deployed"], false);
    let refused = by_id(&json, "not_obtained", "refused");
    assert_eq!(refused["attempts"]["failed"], 1);
    assert_eq!(refused["domains"], json!(["nowhere.example.com"]));
    assert!(refused["next_try"].is_string(), "{refused}");
    assert_eq!(
        by_id(&json, "not_obtained", "never")["wanted_by"],
        "settings"
    );
    assert!(by_id(&json, "damaged", "keyless")["error"].is_object());
    Ok(())
}

#[test]
fn list_without_a_state_folder_shows_what_the_settings_want() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings().certificates(&["example.com"]))?;
    let outcome = program.run(&["list"])?;
    outcome.assert_success();
    assert!(row(&outcome, "example-com").ends_with("now not obtained"));
    assert!(!bed.settings().state.exists());
    let state = bed.settings().state.display().to_string();
    let none = bed.program(bed.settings())?.run(&["list"])?;
    none.assert_success();
    assert_printed(&none, &["no certificate", &state]);
    Ok(())
}

#[test]
fn list_shows_what_the_settings_changed_and_those_that_cannot_be_used() -> Result {
    let bed = bed()?;
    let before = with(bed.settings(), "web", &["example.com"], "");
    bed.program(before)?.run(&["renew"])?.assert_success();
    let names = ["example.com", "www.example.com"];
    let changed = with(bed.settings(), "web", &names, "");
    let outcome = bed.program(changed)?.run(&["list"])?;
    assert!(row(&outcome, "web").contains("now, changed"), "{outcome}");
    let change = "the settings have changed: www.example.com was added";
    assert_printed(&outcome, &[change]);

    let mut settings = with(bed.settings(), "web", &["example.com"], "");
    settings.ca_file = Some(bed.folder().join("does-not-exist"));
    let program = bed.program(settings)?;
    let outcome = program.run(&["list"])?;
    assert!(row(&outcome, "web").contains("bad settings"), "{outcome}");
    assert_printed(&outcome, &["its settings cannot be used", "does-not-exist"]);
    let check = program.run(&["list", "--check"])?;
    assert_eq!(check.code, Some(1), "{check}");
    Ok(())
}

#[test]
fn list_check_passes_if_all_is_good_and_prints_nothing() -> Result {
    let bed = bed()?;
    let program = bed.program(with(bed.settings(), "web", &["example.com"], ""))?;
    // It was not tried yet.
    let outcome = program.run(&["list", "--check"])?;
    assert_eq!((outcome.code, &*outcome.stdout), (Some(0), ""), "{outcome}");
    program.run(&["renew"])?.assert_success();
    let outcome = program.run(&["list", "--check"])?;
    assert_eq!((outcome.code, &*outcome.stdout), (Some(0), ""), "{outcome}");
    Ok(())
}

#[test]
fn list_check_prints_a_line_per_problem_and_fails() -> Result {
    let bed = bed()?;
    let program = all_states(&bed)?;
    let outcome = program.run(&["list", "--check"])?;
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let ids: Vec<_> = outcome
        .stdout
        .lines()
        .map(|line| line.split(':').next().unwrap_or_default())
        .collect();
    assert_eq!(ids, ["broken", "keyless", "old", "refused", "hooked"]);
    let json = program.run(&["list", "--check", "--output", "json"])?;
    assert_eq!(json.code, Some(1), "{json}");
    let problems = json.json()?["problems"].as_array().map(Vec::len);
    assert_eq!(problems, Some(5), "{json}");
    Ok(())
}

#[test]
fn list_check_warns_by_the_days_that_are_left() -> Result {
    let bed = bed()?;
    let settings = with(bed.settings(), "web", &["example.com"], "");
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    // Days since it was issued, its lifetime, the flag, and whether it is a problem.
    for (began, lifetime, warn, is_problem) in [
        (82, 90, None, false),
        (84, 90, None, true),
        (84, 90, Some("5"), false),
        (50, 90, Some("41"), true),
        // A quarter of a short lifetime: a day and a half.
        (3, 6, None, false),
        (5, 6, None, true),
    ] {
        plant(&bed, "web", &["example.com"], began, lifetime)?;
        let mut arguments = vec!["list", "--check"];
        if let Some(days) = warn {
            arguments.extend(["--warn", days]);
        }
        let outcome = program.run(&arguments)?;
        let expected = Some(i32::from(is_problem));
        assert_eq!(outcome.code, expected, "{began} of {lifetime}: {outcome}");
        let told = outcome.stdout.starts_with("web: expires in ");
        assert_eq!(told, is_problem, "{outcome}");
    }
    Ok(())
}

#[test]
fn names_are_shown_in_the_order_in_which_they_were_given() -> Result {
    let bed = bed()?;
    let names = ["www.example.com", "*.example.com", "example.com"];
    let program = bed.program(with(bed.settings(), "web", &names, ""))?;
    let shown = names.join(", ");
    let outcome = program.run(&["issue", "web"])?;
    assert_printed(&outcome, &[&format!("web: {shown}")]);
    let outcome = program.run(&["renew", "--force"])?;
    assert_printed(&outcome, &[&format!("web: {shown}")]);
    let json = program.run(&["renew", "--force", "--output", "json"])?;
    assert_eq!(json.json()?["renewed"][0]["domains"], json!(names));
    let list = program.run(&["list", "--output", "json"])?.json()?;
    assert_eq!(list["certificates"][0]["domains"], json!(names));

    let flags = ["example.org", "*.example.org", "example.com"];
    let alias = ["--challenge-alias", ALIAS_ZONE];
    let issue = [&["issue"][..], &flags, &alias].concat();
    let outcome = program.run(&issue)?;
    assert_printed(&outcome, &[&format!("example-org: {}", flags.join(", "))]);
    let list = program.run(&["list", "--output", "json"])?.json()?;
    let listed = by_id(&list, "certificates", "example-org");
    assert_eq!(listed["domains"], json!(flags));
    assert_eq!(listed["wanted_by"], "flags");
    // Another order is no change.
    let reversed = ["example.com", "*.example.com", "www.example.com"];
    let program = bed.program(with(bed.settings(), "web", &reversed, ""))?;
    assert_printed(&program.run(&["renew"])?, &["web: not due"]);
    let list = program.run(&["list", "--output", "json"])?.json()?;
    assert_eq!(
        by_id(&list, "certificates", "web")["domains"],
        json!(reversed)
    );
    Ok(())
}

#[test]
fn a_quiet_renew_prints_one_line_or_nothing() -> Result {
    let bed = bed()?;
    let settings = with(bed.settings(), "web", &["example.com"], "");
    let settings = with(settings, "mail", &["example.org"], "");
    let program = bed.program(settings.clone())?;
    let quiet = ["renew", "-q"];
    let outcome = program.run(&quiet)?;
    outcome.assert_success();
    assert_eq!(outcome.stdout, "renewed 2 (mail, web)\n", "{outcome}");
    let outcome = program.run(&quiet)?;
    outcome.assert_success();
    assert_eq!((&*outcome.stdout, &*outcome.stderr), ("", ""), "{outcome}");
    let program = bed.program(with(settings, "shop", &["nowhere.example.com"], ""))?;
    let outcome = program.run(&quiet)?;
    outcome.assert_failure(3, &["shop: failed", "nowhere.example.com"]);
    assert_eq!(outcome.stdout, "failed 1 (shop), 2 not due\n", "{outcome}");
    let outcome = program.run(&quiet)?;
    outcome.assert_success();
    assert_eq!(outcome.stdout, "waiting 1 (shop), 2 not due\n", "{outcome}");
    Ok(())
}

#[test]
fn renew_shows_why_and_what_waits_with_its_last_error() -> Result {
    let bed = bed()?;
    let proxy = bed.acme_proxy(|exchange: &Exchange| match exchange.path.as_str() {
        "/order-plz" => {
            let body = json!({
                "type": "urn:ietf:params:acme:error:rejectedIdentifier",
                "detail": "not today",
            });
            let json = ("Content-Type", "application/problem+json".to_owned());
            Spoilt::Instead(403, vec![json], body.to_string())
        }
        _ => Spoilt::No,
    })?;
    let good = with(bed.settings(), "web", &["example.com"], "");
    let mut refused = good.clone();
    refused.directory = proxy.directory();
    let program = bed.program(refused)?;
    program.run(&["renew"])?.assert_failure(5, &["not today"]);
    let waits = program.run(&["renew"])?;
    let words = ["web: waits until", "after 1 failed attempt", "not today"];
    assert_printed(&waits, &words);
    let json = program.run(&["renew", "--output", "json"])?.json()?;
    assert_eq!(json["waiting"][0]["failures"], 1);

    let program = bed.program(good)?;
    let outcome = program.run(&["renew", "web"])?;
    assert_printed(&outcome, &["obtained because there was none yet"]);
    let outcome = program.run(&["renew", "--force"])?;
    assert_printed(&outcome, &["obtained because of `--force`"]);
    plant(&bed, "web", &["example.com"], 70, 90)?;
    let outcome = program.run(&["renew"])?;
    assert_printed(&outcome, &["obtained because it was due by its lifetime"]);
    Ok(())
}

#[test]
fn progress_counts_the_certificates_that_are_finished() -> Result {
    let hosts: Vec<_> = (1..=3).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let program = bed.program(bed.settings().certificates(&hosts))?;
    let outcome = program.run(&["renew"])?;
    outcome.assert_success();
    outcome.assert_said(&["of 3 done]"]);
    let one = program.run(&["renew", "--force", "h1-example-com"])?;
    one.assert_success();
    assert!(!one.stderr.contains(" done]"), "{one}");
    Ok(())
}

#[test]
fn renew_without_any_certificate_fails_and_names_the_state_folder() -> Result {
    let bed = TestBed::start()?;
    let state = bed.settings().state;
    let place = state.display().to_string();
    let words = ["there is no certificate", &place, "--state", "sudo"];
    let program = bed.program(bed.settings())?;
    program.run(&["renew"])?.assert_failure(2, &words);
    assert!(!state.exists(), "nothing was made");
    program.run(&["list", "--check"])?.assert_failure(2, &words);
    fs::create_dir(&state)?;
    fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    program.run(&["renew"])?.assert_failure(2, &words);
    Ok(())
}

/// Lets the program run as another user, who may read its settings, in a mount namespace that is prepared like this.
fn as_another_user(program: Program, folder: &Path, prepare: &str) -> Program {
    let (own, home) = (folder.join("of-another-user"), program.home().to_owned());
    let (folder, own, home) = (folder.display(), own.display(), home.display());
    let script = format!(
        "cp \"$0\" {own} && chmod 755 {folder} && chown -R 65534 {home} && {prepare} && \
         exec setpriv --reuid 65534 --regid 65534 --clear-groups {own} \"$@\""
    );
    program.before(&format!(
        "exec unshare --mount sh -c '{script}' \"$0\" \"$@\""
    ))
}

#[test]
fn another_user_is_told_whose_the_state_folder_is() -> Result {
    let bed = bed()?;
    let settings = with(bed.settings(), "web", &["example.com"], "");
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    let state = bed.settings().state.display().to_string();
    let program = as_another_user(program, bed.folder(), "true");
    for command in [&["renew"][..], &["list"], &["list", "--check"]] {
        let words = [
            &state,
            "belongs to root",
            "uid 65534",
            "`sudo`",
            "`--state`",
        ];
        program.run(command)?.assert_failure(6, &words);
    }
    Ok(())
}

#[test]
fn an_empty_default_state_folder_beside_that_of_root_is_refused() -> Result {
    let bed = bed()?;
    let mut settings = with(bed.settings(), "web", &["example.com"], "");
    settings.state = PathBuf::new();
    let program = bed.program(settings)?;
    let own = program.home().join("state/acme-alias");
    let prepare = "mount -t tmpfs -o mode=755 tmpfs /var/lib && mkdir -m 700 /var/lib/acme-alias";
    let hidden = as_another_user(program.clone(), bed.folder(), prepare);
    for command in [&["renew"][..], &["list"], &["list", "--check"]] {
        let place = own.display().to_string();
        let words = [
            &place,
            "cannot read /var/lib/acme-alias",
            "`sudo`",
            "`--state`",
        ];
        hidden.run(command)?.assert_failure(6, &words);
    }
    assert_eq!(bed.orders()?, 0);
    // A folder that was chosen is used.
    let chosen = hidden.run(&["list", "--state", &own.display().to_string()])?;
    chosen.assert_success();
    Ok(())
}
