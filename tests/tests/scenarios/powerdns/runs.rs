//! Runs of the program with the HTTP API of `PowerDNS`.

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, AliasZone, MAIN_ZONES, Outcome, Port, PowerDns, Program, Reply, Result,
    Running, Settings, TestBed,
};

use super::{KEY, stub, values_at};

/// A bed whose first alias zone is at a `PowerDNS`, which the CA sees.
struct Api {
    bed: TestBed,
    server: PowerDns,
}

impl Api {
    fn start() -> Result<Api> {
        let server = PowerDns::start_with_api(KEY)?;
        let bed = TestBed::builder().delegate(&MAIN_ZONES);
        let bed = bed.alias_server(server.address()).start()?;
        Ok(Api { bed, server })
    }

    /// Settings of a host, with these options of the provider in place of the usual URL.
    fn settings(&self, mut settings: Settings, options: &str) -> Result<Settings> {
        let key = self.bed.write_secret("powerdns.key", KEY)?;
        settings.providers.clear();
        settings.alias_zones = vec![AliasZone {
            zone: ALIAS_ZONE.to_owned(),
            provider: "pdns",
            servers: vec![self.server.address()],
        }];
        settings.more = format!(
            "[providers.pdns]\nkind = \"powerdns\"\napi-key = {{ file = \"{}\" }}\n{options}\n",
            key.display()
        );
        Ok(settings)
    }

    fn url(&self) -> String {
        format!("url = \"http://{}\"", self.server.api())
    }

    fn program(&self, options: &str) -> Result<Program> {
        let settings = self.settings(self.bed.settings(), options)?;
        let lines = "domains = [\"example.com\", \"*.example.com\"]";
        self.bed.program(settings.certificate("web", lines))
    }

    fn assert_failure(&self, options: &str, code: i32, words: &[&str]) -> Result {
        let outcome = self.program(options)?.run(&["issue", "web"])?;
        outcome.assert_failure(code, words);
        assert_no_secret(&outcome);
        assert_eq!(self.bed.orders()?, 0);
        Ok(())
    }
}

fn assert_no_secret(outcome: &Outcome) {
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!text.contains("nobody-shall-see"), "{outcome}");
    }
}

#[test]
fn a_certificate_is_issued_and_renewed_and_values_of_others_stay() -> Result {
    let api = Api::start()?;
    let foreign = [
        "add-record",
        ALIAS_ZONE,
        "_acme-challenge",
        "TXT",
        "0",
        "\"foreign\"",
    ];
    api.server.util(&foreign)?;
    let program = api.program(&api.url())?;
    // The key does not go through a proxy, either.
    let program = program.env("HTTP_PROXY", "http://127.0.0.1:1");
    let outcome = program.run(&["issue", "web", "-vvv"])?;
    outcome.assert_success();
    assert_no_secret(&outcome);
    let names = api.bed.certificate("web")?.names;
    assert_eq!(names, ["*.example.com", "example.com"]);
    assert_eq!(values_at(&api.server, ALIAS_NAME)?, ["foreign"]);
    program.run(&["renew", "--force"])?.assert_success();
    assert_eq!(api.bed.orders()?, 2);
    assert_eq!(values_at(&api.server, ALIAS_NAME)?, ["foreign"]);
    let serials = program.run(&["ledger", "diff-serial"])?;
    serials.assert_success();
    Ok(())
}

#[test]
fn two_hosts_at_once_that_share_an_alias_name_disturb_no_other() -> Result {
    let api = Api::start()?;
    let host = |settings: Settings, domains: &[&str]| -> Result<Program> {
        let settings = api.settings(settings, &api.url())?;
        let settings = domains.iter().fold(settings, |settings, domain| {
            let lines = format!("domains = [\"{domain}\", \"*.{domain}\"]");
            settings.certificate(&domain.replace('.', "-"), &lines)
        });
        api.bed.program(settings)
    };
    let (ours, theirs) = MAIN_ZONES.split_at(MAIN_ZONES.len() / 2);
    let programs = [
        host(api.bed.settings(), ours)?,
        host(api.bed.second_host(), theirs)?,
    ];
    let runs = programs.iter().map(|program| program.spawn(&["renew"]));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    for outcome in runs.into_iter().map(Running::wait) {
        outcome?.assert_success();
    }
    for (state, domains) in [("state", ours), ("second-host", theirs)] {
        for domain in domains {
            api.bed.certificate_in(state, &domain.replace('.', "-"))?;
        }
    }
    assert_eq!(api.server.txt()?, []);
    Ok(())
}

#[test]
fn wrong_settings_are_an_error_before_the_order() -> Result {
    let api = Api::start()?;
    let url = api.url();
    let plain = "url = \"http://192.0.2.1:8081\"";
    let words = ["url", "must be https://", "the key is sent"];
    api.assert_failure(plain, 2, &words)?;
    let dead = Port::claim()?;
    let dead = format!("url = \"http://{}\"", dead.address());
    api.assert_failure(&dead, 4, &["could not be reached"])?;
    let other = format!("{url}\nserver-id = \"other\"");
    api.assert_failure(&other, 4, &["no API for this server", "server-id"])?;
    let program = api.program(&url)?;
    api.bed
        .write_secret("powerdns.key", "another-key-nobody-shall-see")?;
    let outcome = program.run(&["issue", "web"])?;
    outcome.assert_failure(4, &["refused the API key"]);
    assert_no_secret(&outcome);
    assert_eq!(api.server.txt()?, []);
    Ok(())
}

#[test]
fn an_audit_says_that_the_key_can_do_everything() -> Result {
    let api = Api::start()?;
    let program = api.program(&api.url())?;
    let audit = program.run(&["key", "audit"])?;
    assert!(
        audit.stdout.contains("the credentials: dangerous"),
        "{audit}"
    );
    let policy = program.run(&["key", "policy"])?;
    policy.assert_success();
    assert!(policy.stdout.contains("TSIG-ALLOW-DNSUPDATE"), "{policy}");
    Ok(())
}

#[test]
fn large_answers_for_many_certificates_do_not_fill_the_memory() -> Result {
    let hosts: Vec<_> = (0..20).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let (large, _) = stub(Reply::Answer(200, " ".repeat(30 << 20)))?;
    let key = bed.write_secret("powerdns.key", KEY)?;
    let mut settings = bed.settings();
    settings.alias_zones[0].provider = "pdns";
    settings.more = format!(
        "[providers.pdns]\nkind = \"powerdns\"\napi-key = {{ file = \"{}\" }}\nurl = \"http://{}\"\n",
        key.display(),
        large.address()
    );
    let outcome = bed
        .program(settings.certificates(&hosts))?
        .run(&["renew"])?;
    outcome.assert_failure(4, &["the answer is not the API's"]);
    outcome.assert_peak_memory_below(250 << 20);
    Ok(())
}
