//! Backends of alias zones whose answers take much more memory than octets, or have large errors.

use std::net::TcpListener;
use std::time::Duration;

use acme_alias_tests::{
    ALIAS_ZONE, Reply, Result, SECOND_ALIAS_ZONE, SimulatedCa, Stub, TestBed, Validation,
};

use super::hostile_zones::GOOD;

/// What a run takes at most.
const TIME: Duration = Duration::from_mins(2);
const CLOUDFLARE: &str =
    "kind = \"cloudflare\"\nbase-url = \"http://{address}\"\napi-token = { file = \"{key}\" }";
const POWERDNS: &str =
    "kind = \"powerdns\"\nurl = \"http://{address}\"\napi-key = { file = \"{key}\" }";
const ROUTE53: &str = "kind = \"route53\"\nendpoint-url = \"http://{address}\"\nhosted-zone-id = \"Z1\"\n\
     requests-per-second = 1000";
/// The namespace of the answers of Route 53.
const XML: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// A text of so many octets, in which an item is repeated.
fn repeated(before: &str, item: &str, after: &str, octets: usize) -> String {
    let count = (octets - before.len() - after.len()) / item.len();
    format!("{before}{}{after}", item.repeat(count))
}

/// Runs with a good certificate, and so many whose alias zone is at a backend that always answers so. The good one is
/// obtained, with little memory. `{address}` and `{key}` in the options stand for the address and a secret.
fn run_with(options: &str, certificates: usize, status: u16, answer: String) -> Result {
    let (good, bad) = ("_acme-challenge.example.com", "_acme-challenge.example.org");
    let bed = TestBed::builder()
        .cname(good, &format!("_acme-challenge.{ALIAS_ZONE}"))
        .cname(bad, &format!("_acme-challenge.{SECOND_ALIAS_ZONE}"))
        .start()?;
    let stub = Stub::start(move |_| Reply::Answer(status, answer.clone()))?;
    let key = bed.write_secret("backend.key", "a-key")?;
    let options = options.replace("{address}", &stub.address().to_string());
    let options = options.replace("{key}", &key.display().to_string());
    let mut settings = bed.settings();
    settings.alias_zones[1].provider = "bad";
    settings.more = format!("[providers.bad]\n{options}\n");
    settings = settings.certificate("good", "domains = [\"example.com\"]");
    for number in 0..certificates {
        settings = settings.certificate(&format!("bad{number}"), "domains = [\"example.org\"]");
    }
    let program = bed.program(settings)?.limit(TIME);
    let program = program
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "a-key");
    let outcome = program.run(&["renew"])?;
    bed.certificate("good")?;
    let failed = format!("{certificates} certificates failed");
    outcome.assert_failure(4, &[&failed]);
    outcome.assert_peak_memory_below(200 << 20);
    Ok(())
}

#[test]
fn large_and_many_errors_of_cloudflare_are_not_kept() -> Result {
    let (before, after) = (
        "{\"success\":false,\"messages\":[],\"errors\":[",
        "],\"result\":",
    );
    let errors = [
        repeated(
            &format!("{before}{{\"code\":1,\"message\":\""),
            "x",
            &format!("\"}}{after}null}}"),
            15 << 20,
        ),
        repeated(
            before,
            "{\"code\":1},",
            &format!("{{\"code\":1}}{after}null}}"),
            15 << 20,
        ),
        repeated(&format!("{before}{after}["), "0,", "0]}", 15 << 20),
    ];
    for answer in errors {
        run_with(CLOUDFLARE, 10, 400, answer)?;
    }
    Ok(())
}

#[test]
fn large_errors_of_powerdns_are_not_kept() -> Result {
    let error = repeated("{\"error\":\"", "x", "\"}", 31 << 20);
    run_with(POWERDNS, 20, 500, error)
}

#[test]
fn a_hundred_thousand_sets_in_an_answer_of_route_53_do_not_fill_memory() -> Result {
    let before = format!("<ListResourceRecordSetsResponse xmlns=\"{XML}\"><ResourceRecordSets>");
    let set = "<ResourceRecordSet><Name></Name><Type></Type></ResourceRecordSet>";
    let after = "</ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>300</MaxItems>\
         </ListResourceRecordSetsResponse>";
    for octets in [15 << 20, 4_000_000] {
        run_with(ROUTE53, 20, 200, repeated(&before, set, after, octets))?;
    }
    Ok(())
}

#[test]
fn a_powerdns_that_never_answers_leaves_file_descriptors_to_others() -> Result {
    assert_leaves_descriptors(POWERDNS)
}

#[test]
fn a_route_53_that_never_answers_leaves_file_descriptors_to_others() -> Result {
    assert_leaves_descriptors(ROUTE53)
}

/// Runs good certificates beside 1,200 others of three CAs, whose backend takes connections and never answers.
fn assert_leaves_descriptors(options: &str) -> Result {
    const CAS: usize = 3;
    let good: Vec<_> = (0..GOOD).map(|n| format!("good{n}.example.com")).collect();
    let alias_name = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
    let builder = TestBed::builder().delegate_apart(&good);
    let bed = builder
        .cname("_acme-challenge.example.org", &alias_name)
        .start()?;
    let cas = (0..CAS).map(|_| SimulatedCa::start(Validation::Trust));
    let cas: Vec<_> = cas.collect::<Result<_>>()?;
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let address = silent.local_addr()?;
    std::thread::spawn(move || silent.incoming().flatten().collect::<Vec<_>>());
    let key = bed.write_secret("backend.key", "a-key")?;
    let options = options.replace("{address}", &address.to_string());
    let options = options.replace("{key}", &key.display().to_string());
    let mut settings = bed.settings_with(&cas[0]);
    settings.alias_zones[1].provider = "bad";
    settings.more = format!("[providers.bad]\n{options}\ntimeout = \"2s\"\n");
    for number in 0..400 * CAS {
        let ca = format!("ca = \"ca{}\"", number % CAS);
        let lines = format!("domains = [\"example.org\"]\n{ca}");
        settings = settings.certificate(&format!("bad{number}"), &lines);
    }
    let mut settings = settings.certificates(&good);
    for (number, ca) in cas.iter().enumerate() {
        let (directory, root) = (ca.directory(), ca.root().display());
        settings.more += &format!(
            "[cas.ca{number}]\ndirectory = \"{directory}\"\nca-file = \"{root}\"\nagree-tos = true\n"
        );
    }
    let program = bed.program(settings)?.limit(TIME);
    let outcome = program.before("ulimit -n 1024").run(&["renew"])?;
    let is_short = outcome.stderr.contains("Too many open files");
    assert_eq!(
        (cas[0].certificates(), is_short),
        (GOOD, false),
        "{outcome}"
    );
    Ok(())
}
