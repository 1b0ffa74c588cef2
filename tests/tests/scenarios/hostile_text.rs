//! Text from others that is made to look like lines of ours.

use acme_alias_tests::{ALIAS_ZONE, Outcome, Result, Spoilt, TestBed};
use serde_json::{Value, json};

use super::hostile_ca::renew_refused;

/// The beginnings of our lines.
const LABELS: [&str; 4] = ["error:", "warning:", "help:", "also:"];

/// Runs a command where the CA refuses each order for this reason.
fn refused_with(bed: &TestBed, detail: &str, command: &[&str]) -> Result<Outcome> {
    let problem = json!({
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
    bed.program(settings)?.run(command)
}

#[test]
fn a_refusal_of_the_ca_begins_no_line_like_ours() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    // Wherever a line ends, a label follows.
    let detail =
        (0..80).map(|length| format!("{} help: error: also: warning: do it", "x".repeat(length)));
    let detail = detail.collect::<Vec<_>>().join(" ");
    let outcome = refused_with(&bed, &detail, &["renew", "--force"])?;
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

#[test]
fn json_has_no_characters_that_control_a_terminal() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    // CSI, DEL, and an override of the direction, which JSON allows as they are.
    let hostile = "\u{9b}2J\u{7f}\u{202e}";
    let refused = refused_with(&bed, hostile, &["renew", "--force", "--output", "json"])?;
    refused.assert_failure(5, &[]);
    let caa = r#"update add example.com 600 CAA 0 issue "other.example\194\1552J\127\226\128\174""#;
    bed.update_main_zones(&format!("zone example.com\n{caa}\nsend\n"))?;
    let delegate = [
        "delegate",
        "example.com",
        "--caa",
        "--caa-issuer",
        "other.example",
    ];
    let delegate = [
        &delegate[..],
        &["--challenge-alias", ALIAS_ZONE, "--all", "--output", "json"],
    ]
    .concat();
    let delegated = bed.run(&delegate)?;
    delegated.assert_success();
    for outcome in [refused, delegated] {
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        let raw = text.contains(|c: char| hostile.contains(c) && !c.is_ascii_alphanumeric());
        assert!(text.contains("2J") && !raw, "{outcome}");
        let read: Value = serde_json::from_str(&outcome.stdout)?;
        assert!(read.to_string().contains("2J"), "{outcome}");
    }
    Ok(())
}

#[test]
fn texts_that_take_eight_times_as_much_when_they_are_escaped_do_not_fill_memory() -> Result {
    let hidden = |count| "\u{202e}".repeat(count);
    let subproblem = json!({
        "type": hidden(200), "detail": hidden(200), "identifier": { "type": "dns", "value": hidden(300) },
    });
    let problem = json!({
        "type": "urn:ietf:params:acme:error:rejectedIdentifier",
        "detail": hidden(20_000),
        "subproblems": vec![subproblem; 100],
    });
    let outcome = renew_refused(400, &problem)?;
    outcome.assert_failure(5, &["400 certificates failed"]);
    outcome.assert_peak_memory_below(200 << 20);
    Ok(())
}
