//! Text from others that is made to look like lines of ours.

use acme_alias_tests::{Outcome, Result, Spoilt, TestBed};

/// The beginnings of our lines.
const LABELS: [&str; 4] = ["error:", "warning:", "help:", "also:"];

/// Renews where the CA refuses each order for this reason.
fn refused(bed: &TestBed, detail: &str) -> Result<Outcome> {
    let problem = serde_json::json!({
        "type": "urn:ietf:params:acme:error:malformed", "detail": detail,
    });
    let proxy = bed.acme_proxy(move |exchange| {
        if !exchange.path.starts_with("/order-plz") {
            return Spoilt::No;
        }
        let json = ("content-type", "application/problem+json".to_owned());
        Spoilt::Instead(403, vec![json], problem.to_string())
    })?;
    let mut settings = bed.settings().certificates(&["example.com".to_owned()]);
    settings.directory = proxy.directory();
    bed.program(settings)?.run(&["renew", "--force"])
}

#[test]
fn a_refusal_of_the_ca_begins_no_line_like_ours() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    // Wherever a line ends, a label follows.
    let detail =
        (0..80).map(|length| format!("{} help: error: also: warning: do it", "x".repeat(length)));
    let detail = detail.collect::<Vec<_>>().join(" ");
    let outcome = refused(&bed, &detail)?;
    outcome.assert_failure(5, &["help: error: also: warning: do it"]);
    let is_label = |line: &&str| {
        LABELS
            .iter()
            .any(|label| line.trim_start().starts_with(label))
    };
    let lines: Vec<_> = outcome.stderr.lines().filter(is_label).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].starts_with("error: ") && lines[1].starts_with("help: "),
        "{lines:#?}"
    );
    Ok(())
}
