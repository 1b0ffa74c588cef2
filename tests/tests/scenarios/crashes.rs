//! The process ends, as by `kill -9`, at every point of the way; the next run makes up for it.

use acme_alias_core::crash::Point;
use acme_alias_tests::{ALIAS_ZONE, Error, Profile, Program, Result, Settings, TestBed};

const ISSUE: [&str; 6] = [
    "issue",
    "example.com",
    "*.example.com",
    "--challenge-alias",
    ALIAS_ZONE,
    "--force",
];

/// Settings with a state folder for this point, and targets for all certificates.
fn settings_for(bed: &TestBed, point: Point) -> Settings {
    let mut settings = bed.settings();
    settings.state = bed.folder().join(point.name());
    settings.more.push_str(&format!(
        "[[deploy]]\nkind = 'files'\nkey = '{}/{}-{{id}}'\n\
         [[deploy]]\nkind = 'command'\ncommand = 'true'\n",
        bed.folder().display(),
        point.name()
    ));
    settings
}

/// Lets the program end at this point; returns how many orders there were before.
fn crash(bed: &TestBed, program: &Program, point: Point) -> Result<usize> {
    let program = program
        .clone()
        .env("FAILPOINTS", format!("{}=return", point.name()));
    // Pebble uses one authorization in a hundred again, whatever it is told; a run for which it
    // uses all of them writes no TXT, and passes some points by.
    for _ in 0..3 {
        let orders = bed.orders()?;
        let outcome = program.run(&ISSUE)?;
        if outcome.code != Some(0) {
            assert_eq!(outcome.code, None, "{point:?}: {outcome}");
            assert!(bed.txt()?.len() <= 2, "more than this run wrote");
            return Ok(orders);
        }
    }
    Err(Error::new(format_args!("{point:?} was not passed")))
}

#[test]
fn whatever_point_a_run_dies_at_the_next_one_repairs_it() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .profile(Profile::Failpoints)
        .start()?;
    for point in Point::ALL {
        let settings = settings_for(&bed, *point);
        let program = bed.program(settings)?;
        let certificate = || bed.certificate_in(point.name(), "example-com");

        // The account is made in the first run only; all else happens to a second certificate.
        let is_first = matches!(point, Point::AccountMade | Point::AccountKept);
        let mut old = None;
        if !is_first {
            program.run(&ISSUE)?.assert_success();
            old = Some(certificate()?);
        }
        let orders = crash(&bed, &program, *point)?;
        if let Some(old) = &old {
            // Read whole: the old one, or the new one, never a mixture.
            assert_eq!(certificate()?.names, old.names, "{point:?}");
        }

        program.run(&ISSUE)?.assert_success();
        let new = certificate()?;
        assert!(old.is_none_or(|old| old.serial != new.serial), "{point:?}");
        assert!(
            bed.orders()? - orders <= 2,
            "{point:?}: more than one order too many"
        );
        let ledger = program.run(&["ledger", "verify", "--output", "json"])?;
        assert_eq!(ledger.json()?["open"], 0, "{point:?}: {ledger}");
        bed.assert_only_txt_was_touched(&[])?;
    }
    Ok(())
}

#[test]
fn sigterm_at_any_point_leaves_nothing_within_ten_seconds() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .profile(Profile::Failpoints)
        .start()?;
    for point in Point::ALL {
        let settings = settings_for(&bed, *point);
        let program = bed.program(settings)?;
        let asked = format!("{}=return(term)", point.name());
        let outcome = program.clone().env("FAILPOINTS", asked).run(&ISSUE)?;
        // Once the certificate is stored there is nothing to interrupt any more.
        let is_stored = bed.certificate_in(point.name(), "example-com").is_ok();
        let code = if is_stored { 0 } else { 130 };
        assert!(
            matches!(outcome.code, Some(c) if c == code || c == 130),
            "{point:?}: {outcome}"
        );
        assert!(outcome.usage.wall.as_secs() < 10, "{point:?}: {outcome}");
        bed.assert_only_txt_was_touched(&[])?;
        program.run(&["ledger", "verify"])?.assert_success();
        program.run(&ISSUE)?.assert_success();
    }
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn an_order_is_gone_on_with_from_the_moment_it_is_kept() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .profile(Profile::Failpoints)
        .start()?;
    for (index, point) in [
        Point::OrderKept,
        Point::Publish,
        Point::Validate,
        Point::Finalize,
        Point::Finalized,
    ]
    .into_iter()
    .enumerate()
    {
        let mut settings = bed.settings();
        settings.state = bed.folder().join(point.name());
        let program = bed.program(settings)?;
        crash(&bed, &program, point)?;
        program.run(&ISSUE)?.assert_success();
        assert_eq!(
            bed.orders()?,
            index + 1,
            "{point:?}: another order was opened"
        );
    }
    bed.assert_only_txt_was_touched(&[])
}
