//! Name servers of the alias zone that do not answer, or not always with the same data.

use std::time::Duration;

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Builder, Fault, Outcome, QueryProxy, Result, SilentServer, TestBed,
};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

fn bed(faults: &[Fault]) -> Result<TestBed> {
    let builder = TestBed::builder().delegate(&["example.com"]);
    let faults = faults.iter();
    faults.fold(builder, |builder, fault| builder.faulty_server(*fault)).start()
}

/// How often the text occurs in the text.
fn count(text: &str, words: &str) -> usize {
    text.matches(words).count()
}

fn is_about_txt(question: &Message) -> bool {
    let mut queries = question.queries.iter();
    queries.any(|query| query.query_type() == RecordType::TXT)
}

#[test]
fn measure() -> Result {
    for fault in [None, Some(Fault::Dead), Some(Fault::Silent), Some(Fault::Refusing)] {
        let mut builder = TestBed::builder().delegate(&["example.com"]);
        if let Some(fault) = fault { builder = builder.faulty_server(fault); }
        let bed = builder.start()?;
        let check = bed.run(&["check", "example.com"])?;
        println!("{fault:?} check {:?} {}", check.usage.wall, check.stderr);
        let issue = bed.run(&["issue", "example.com"])?;
        println!("{fault:?} issue {:?}\n{}", issue.usage.wall, issue.stderr);
    }
    Ok(())
}
