//! Resolvers that do not answer, beside one that does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use acme_alias_tests::{ALIAS_ZONE, Program, QueryProxy, Result, SilentServer, TestBed};
use hickory_proto::op::ResponseCode;

/// The time limit of one answer in the settings of the bed.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What a run may take longer than another for other reasons.
const TOLERANCE: Duration = Duration::from_millis(900);

/// The program with these resolvers.
fn with(bed: &TestBed, resolvers: &[SocketAddr]) -> Result<Program> {
    let lines = format!("domains = ['example.com']\nchallenge-alias = '{ALIAS_ZONE}'");
    let resolvers: Vec<_> = resolvers.iter().map(ToString::to_string).collect();
    let program = bed.program(bed.settings().certificate("web", &lines))?;
    Ok(program.env("ACME_ALIAS_DNS__RESOLVER", resolvers.join(",")))
}

/// How long each of the commands takes that ask resolvers.
fn times(program: &Program) -> Result<[Duration; 2]> {
    let time = |arguments: &[&str]| -> Result<Duration> {
        let begun = Instant::now();
        program.run(arguments)?.assert_success();
        Ok(begun.elapsed())
    };
    Ok([time(&["check"])?, time(&["issue", "web", "--force"])?])
}

#[test]
fn dead_resolvers_cost_one_time_limit_in_all() -> Result {
    let bed = TestBed::start()?;
    let silent = [SilentServer::start()?, SilentServer::start()?];
    let silent = silent.each_ref().map(SilentServer::address);
    let refusing = bed.dead_port()?.address();
    // It fails for what it is asked about the root, as resolvers do that have no way there.
    let good = QueryProxy::start(bed.resolver(), |_, mut answer| {
        answer.metadata.response_code = ResponseCode::ServFail;
        answer.answers.clear();
        vec![answer]
    })?;
    let good = good.address();
    let alone = times(&with(&bed, &[good])?)?;
    for (dead, more) in [
        (vec![silent[0]], TIMEOUT),
        (vec![refusing], Duration::ZERO),
        (vec![silent[0], refusing, silent[1]], TIMEOUT),
    ] {
        let took = times(&with(&bed, &[&dead[..], &[good]].concat())?)?;
        for (took, alone) in took.into_iter().zip(alone) {
            let limit = alone + more + TOLERANCE;
            assert!(took < limit, "{dead:?}: {took:?}, alone {alone:?}");
        }
    }
    Ok(())
}

#[test]
fn resolvers_that_are_all_dead_are_named_within_seconds() -> Result {
    let bed = TestBed::start()?;
    let silent = SilentServer::start()?;
    let refusing = bed.dead_port()?.address();
    let mut program = with(&bed, &[silent.address(), refusing])?;
    // Nothing tells where the zone is but the resolvers.
    program.settings.zones.clear();
    for arguments in [&["check"][..], &["issue", "web"]] {
        let begun = Instant::now();
        let outcome = program.run(arguments)?;
        assert_eq!(outcome.code, Some(3), "{outcome}");
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        let silent = format!("{}: no answer within 1s", silent.address());
        for words in [silent, format!("{refusing}: connection refused")] {
            assert!(said.contains(&words), "{words}: {outcome}");
        }
        assert!(begun.elapsed() < TIMEOUT * 4, "{:?}", begun.elapsed());
    }
    assert_eq!(bed.orders()?, 0);
    Ok(())
}
