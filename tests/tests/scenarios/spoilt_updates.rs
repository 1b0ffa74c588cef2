//! Updates that are lost, and answers to them that are lost, late, false or broken.

use std::sync::atomic::{AtomicUsize, Ordering};

use acme_alias_tests::{ALIAS_ZONE, DnsProxy, Outcome, Result, SpoiltUpdate, TestBed};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

/// Runs with a name server that is behind a proxy; nothing may be left in the zone.
fn run(
    bed: &TestBed,
    spoil: impl Fn(&[u8], &[u8]) -> SpoiltUpdate + Send + Sync + 'static,
) -> Result<Outcome> {
    let proxy = DnsProxy::start(bed.primary(), spoil)?;
    let mut settings = bed.settings();
    settings.providers[0].server = proxy.address();
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    bed.assert_only_txt_was_touched(&[])?;
    let ledger = bed.run(&["ledger", "verify", "--output", "json"])?.json()?;
    assert_eq!(ledger["open"], 0, "{outcome}");
    Ok(outcome)
}

/// Changes every answer to an update.
fn answers(
    change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static,
) -> impl Fn(&[u8], &[u8]) -> SpoiltUpdate + Send + Sync + 'static {
    move |_, answer| {
        let mut answer = answer.to_vec();
        if answer.is_empty() {
            return SpoiltUpdate::No;
        }
        change(&mut answer);
        SpoiltUpdate::Answer(answer)
    }
}

#[test]
fn an_answer_that_cannot_be_believed_is_made_up_for_by_reading_back() -> Result {
    let bed = TestBed::start()?;
    // The signature is broken; there is none; it answers something else; it is cut off.
    let forged = answers(|answer| {
        let middle = answer.len() - 20;
        answer[middle] ^= 1;
    });
    run(&bed, forged)?.assert_success();
    let unsigned = answers(|answer| {
        answer.truncate(12);
        // No record in any section but none, success.
        answer[4..12].fill(0);
    });
    run(&bed, unsigned)?.assert_success();
    run(&bed, answers(|answer| answer[0] ^= 1))?.assert_success();
    run(&bed, answers(|answer| answer.truncate(30)))?.assert_success();
    run(&bed, answers(Vec::clear))?.assert_success();
    Ok(())
}

#[test]
fn an_update_that_is_lost_once_is_sent_again_and_one_that_always_is_leaves_nothing() -> Result {
    let bed = TestBed::start()?;
    let lose = |count: usize| {
        let seen = AtomicUsize::new(0);
        move |_: &[u8], answer: &[u8]| {
            if answer.is_empty() && seen.fetch_add(1, Ordering::SeqCst) < count {
                SpoiltUpdate::Lost
            } else {
                SpoiltUpdate::No
            }
        }
    };
    run(&bed, lose(1))?.assert_success();
    let outcome = run(&TestBed::start()?, lose(usize::MAX))?;
    outcome.assert_failure(4, &["gave no usable response"]);
    Ok(())
}

#[test]
fn a_server_that_fails_once_is_asked_again() -> Result {
    let bed = TestBed::start()?;
    let seen = AtomicUsize::new(0);
    // SERVFAIL, unsigned and without any record: the answer of a server that is starting.
    let outcome = run(&bed, move |request, answer| {
        if answer.is_empty() || seen.fetch_add(1, Ordering::SeqCst) > 0 {
            return SpoiltUpdate::No;
        }
        let mut failure = request[..12].to_vec();
        failure[2] |= 0x80;
        failure[3] = 2;
        failure[4..12].fill(0);
        SpoiltUpdate::Answer(failure)
    })?;
    outcome.assert_success();
    Ok(())
}
