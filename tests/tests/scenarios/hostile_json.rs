//! Answers of a CA that take far more memory than octets.

use acme_alias_tests::{Result, Spoilt, TestBed};
use serde_json::{Value, json};

/// Objects in each answer, each of which has the next one, and how many are in one another.
const OBJECTS: usize = 190_000;
const DEPTH: usize = 100;

/// Nearly a megabyte.
fn objects() -> String {
    let (begin, end) = ("{\"\":".repeat(DEPTH), "}".repeat(DEPTH));
    let one = format!("{begin}0{end}");
    format!("[{}]", vec![one; OBJECTS / DEPTH].join(","))
}

#[test]
fn objects_in_objects_of_each_answer_are_not_read() -> Result {
    let hosts: Vec<_> = (0..40).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    for path in ["/dir", "/order-plz", "/authZ"] {
        let proxy = bed.acme_proxy(move |exchange| {
            if !exchange.path.starts_with(path) || exchange.answer.is_empty() {
                return Spoilt::No;
            }
            let mut answer: Value = serde_json::from_str(&exchange.answer).unwrap_or_default();
            // Of a directory these are kept.
            answer["meta"]["profiles"] = json!({ "usual": "OBJECTS" });
            let answer = answer.to_string().replace("\"OBJECTS\"", &objects());
            Spoilt::Changed(answer)
        })?;
        let mut settings = bed.settings().certificates(&hosts);
        settings.directory = proxy.directory();
        let outcome = bed.program(settings)?.run(&["renew", "--force"])?;
        outcome.assert_failure(5, &["it has more than 10000 objects and lists"]);
        let peak = outcome.usage.peak_memory;
        assert!(peak < 120 << 20, "{path}: {} MB", peak >> 20);
    }
    Ok(())
}
