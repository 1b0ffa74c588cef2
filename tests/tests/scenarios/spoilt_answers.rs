//! Three name servers, one of which answers late, falsely, cut off or not at all.

use std::time::{Duration, Instant};

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Outcome, Port, QueryProxy, Result, TestBed};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

/// A server that does not answer is waited for as well.
const WAIT_FOR_ALL: &str = "propagation = \"all\"";

/// Runs with a third server for the alias zone, whose answers are spoilt; nothing may be left.
fn run(
    bed: &TestBed,
    spoil: impl FnMut(&Message, Message) -> Vec<Message> + Send + 'static,
) -> Result<Outcome> {
    let third = QueryProxy::start(bed.secondary(), spoil)?;
    let mut settings = bed.settings();
    settings.alias_zones[0].servers.push(third.address());
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    bed.assert_only_txt_was_touched(&[])?;
    Ok(outcome)
}

fn is_about_txt(question: &Message) -> bool {
    let mut queries = question.queries.iter();
    queries.any(|query| query.query_type() == RecordType::TXT)
}

#[test]
fn an_answer_that_is_cut_off_is_asked_for_again_over_tcp() -> Result {
    let bed = TestBed::start()?;
    // Over UDP it never has anything but the flag that says so.
    let outcome = run(&bed, |_, mut answer| {
        answer.answers.clear();
        answer.metadata.truncation = true;
        vec![answer]
    })?;
    outcome.assert_success();
    Ok(())
}

#[test]
fn an_answer_to_another_question_is_not_believed() -> Result {
    let bed = TestBed::start()?;
    // A forger has guessed the id wrongly, and says that all is well; then comes the answer.
    let outcome = run(&bed, |_, answer| {
        let mut forged = answer.clone();
        forged.metadata.id ^= 1;
        vec![forged, answer]
    })?;
    outcome.assert_success();

    let bed = TestBed::start()?;
    let third = QueryProxy::start(bed.secondary(), |_, mut answer| {
        answer.metadata.id ^= 1;
        vec![answer]
    })?;
    let mut settings = bed.settings();
    settings.propagation_timeout = "3s";
    settings.dns = WAIT_FOR_ALL.to_owned();
    settings.alias_zones[0].servers.push(third.address());
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    outcome.assert_failure(4, &[&third.address().to_string(), ALIAS_NAME]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_server_that_fails_or_is_silent_once_is_asked_again() -> Result {
    let bed = TestBed::start()?;
    let mut seen = 0;
    let outcome = run(&bed, move |question, mut answer| {
        seen += usize::from(is_about_txt(question));
        match seen {
            1 => {
                answer.answers.clear();
                answer.metadata.response_code = ResponseCode::ServFail;
                vec![answer]
            }
            2 => Vec::new(),
            _ => vec![answer],
        }
    })?;
    outcome.assert_success();
    Ok(())
}

#[test]
fn a_server_that_lags_is_waited_for_and_no_longer() -> Result {
    let bed = TestBed::start()?;
    let lag = Duration::from_secs(2);
    let mut first = None;
    let outcome = run(&bed, move |question, mut answer| {
        let asked = *first.get_or_insert_with(Instant::now);
        if is_about_txt(question) && asked.elapsed() < lag {
            answer.answers.clear();
        }
        vec![answer]
    })?;
    outcome.assert_success();
    let wall = outcome.usage.wall;
    assert!(wall >= lag && wall < lag * 4, "{wall:?}");
    Ok(())
}

#[test]
fn a_server_that_is_dead_is_named_and_nothing_is_left() -> Result {
    let bed = TestBed::start()?;
    let dead = Port::claim()?;
    let mut settings = bed.settings();
    settings.propagation_timeout = "2s";
    settings.dns = WAIT_FOR_ALL.to_owned();
    settings.alias_zones[0].servers.push(dead.address());
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    outcome.assert_failure(
        4,
        &[&dead.address().to_string(), "`servers` of the alias zone"],
    );
    assert!(
        !outcome.stderr.contains(&bed.secondary().to_string()),
        "{outcome}"
    );
    bed.assert_only_txt_was_touched(&[])
}
