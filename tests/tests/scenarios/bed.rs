//! The bed itself: that it shows what it claims to show.

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Change, MAIN_ZONES, Result, TestBed};

#[test]
fn the_bed_answers_for_its_zones_and_opens_no_order_by_itself() -> Result {
    let bed = TestBed::start()?;
    for zone in MAIN_ZONES {
        let name = format!("_acme-challenge.{zone}");
        let answer = bed.ask(bed.main_server(), &name, "CNAME")?;
        assert_eq!(answer.len(), 1, "{answer:?}");
        assert!(answer[0].ends_with(&format!("{ALIAS_NAME}.")), "{answer:?}");
    }
    assert_eq!(bed.orders()?, 0);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_signed_update_reaches_the_secondary_and_the_resolver_follows_the_cname_to_it() -> Result {
    let bed = TestBed::start()?;
    let before = bed.serial(ALIAS_ZONE)?;
    let txt = bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "hello")?;
    assert_eq!(bed.serial(ALIAS_ZONE)?, before + 1);
    bed.wait_until("the secondary has the record", |bed| {
        Ok(bed.ask(bed.secondary(), ALIAS_NAME, "TXT")?.len() == 1)
    })?;
    let seen = bed.ask(bed.resolver(), "_acme-challenge.example.com", "TXT")?;
    assert!(seen.iter().any(|line| line.contains("hello")), "{seen:?}");

    let updates = bed.updates()?;
    let changes: Vec<_> = updates["primary"].iter().map(|u| &u.change).collect();
    let added = Change::TxtAdded {
        name: ALIAS_NAME.into(),
        value: "hello".into(),
    };
    assert_eq!(changes, [&added]);
    assert_eq!(updates["primary"][0].key, "acme-key");
    bed.assert_only_txt_was_touched(&[txt])
}

#[test]
fn beds_run_side_by_side() -> Result {
    let (one, other) = (TestBed::start()?, TestBed::start()?);
    one.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "only here")?;
    other.assert_only_txt_was_touched(&[])
}
