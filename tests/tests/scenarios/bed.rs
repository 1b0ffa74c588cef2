//! The bed itself: that it shows what it claims to show.

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Change, Fault, MAIN_ZONES, Result, TestBed};

const CNAME: &str = "_acme-challenge.example.com";

/// Lines for `nsupdate` that add these TXT values at the alias name.
fn add(ttl: u32, values: &[&str]) -> String {
    let lines = values
        .iter()
        .map(|value| format!("update add {ALIAS_NAME} {ttl} TXT \"{value}\"\n"));
    lines.collect()
}

/// Adds TXT values at the alias name, and waits until the secondary has them.
fn publish(bed: &TestBed, ttl: u32, values: &[&str]) -> Result {
    bed.update_alias_zone(ALIAS_ZONE, &add(ttl, values))?;
    bed.wait_until("the secondary has the values", |bed| {
        let there = bed.ask(bed.secondary(), ALIAS_NAME, "TXT")?;
        Ok(values.iter().all(|value| has(&there, value)))
    })
}

/// What the CA finds at the challenge name.
fn ca_sees(bed: &TestBed) -> Result<Vec<String>> {
    let answer = bed.ask(bed.ca_resolver(), CNAME, "TXT")?;
    Ok(answer
        .into_iter()
        .filter(|line| line.contains("TXT"))
        .collect())
}

fn has(lines: &[String], value: &str) -> bool {
    lines.iter().any(|line| line.contains(value))
}

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

#[test]
fn the_root_and_the_top_level_domains_delegate_what_the_bed_has() -> Result {
    let bed = TestBed::start()?;
    for (zone, child) in [
        (".", "com"),
        ("com", "example.com"),
        ("net", "example.net"),
        ("example.net", ALIAS_ZONE),
    ] {
        let soa = bed.ask(bed.main_server(), zone, "SOA")?;
        assert_eq!(soa.len(), 1, "{zone}");
        for resolver in [bed.resolver(), bed.ca_resolver()] {
            let servers = bed.ask(resolver, child, "NS")?;
            assert!(has(&servers, &format!("ns1.{child}.")), "{servers:?}");
        }
    }
    Ok(())
}

#[test]
fn the_ca_sees_what_its_resolver_has_cached_until_the_ttl_is_over() -> Result {
    let bed = TestBed::start()?;
    publish(&bed, 2, &["first"])?;
    let seen = ca_sees(&bed)?;
    assert!(has(&seen, "first"), "{seen:?}");
    publish(&bed, 2, &["second"])?;
    let seen = ca_sees(&bed)?;
    assert!(has(&seen, "first") && !has(&seen, "second"), "{seen:?}");
    bed.wait_until("the CA sees both values", |bed| {
        Ok(has(&ca_sees(bed)?, "second"))
    })
}

#[test]
fn the_ca_caches_an_answer_for_sixty_seconds_at_most() -> Result {
    let bed = TestBed::start()?;
    publish(&bed, 3600, &["long"])?;
    let ttl = |line: &String| line.split_whitespace().nth(1).map(str::to_owned);
    let seen = ca_sees(&bed)?;
    assert_eq!(seen.iter().filter_map(ttl).collect::<Vec<_>>(), ["60"]);
    Ok(())
}

#[test]
fn the_ca_caches_nothing_with_a_ttl_of_zero() -> Result {
    let bed = TestBed::start()?;
    for value in ["first", "second", "third"] {
        publish(&bed, 0, &[value])?;
        let seen = ca_sees(&bed)?;
        assert!(has(&seen, value), "{seen:?}");
    }
    Ok(())
}

#[test]
fn the_ca_caches_that_a_name_does_not_exist() -> Result {
    let bed = TestBed::start()?;
    assert!(ca_sees(&bed)?.is_empty());
    publish(&bed, 0, &["too late"])?;
    assert!(ca_sees(&bed)?.is_empty());
    Ok(())
}

#[test]
fn the_ca_finds_one_value_among_eighty() -> Result {
    let bed = TestBed::start()?;
    let values: Vec<_> = (0..79).map(|i| format!("{i:043}")).collect();
    publish(
        &bed,
        0,
        &values.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    bed.run(&["issue", "example.com"])?.assert_success();
    assert_eq!(bed.txt()?.len(), 79);
    Ok(())
}

#[test]
fn the_ca_does_not_mind_servers_that_do_not_answer() -> Result {
    let faults = [Fault::Dead, Fault::Silent, Fault::Refusing];
    let bed = faults
        .into_iter()
        .fold(TestBed::builder(), |builder, fault| {
            builder.faulty_server(fault)
        });
    let bed = bed.delegate(&MAIN_ZONES).start()?;
    let [dead, silent, refusing] = bed.faulty_servers()[..] else {
        panic!("three servers");
    };
    assert!(bed.ask(dead, ALIAS_ZONE, "SOA").is_err());
    assert!(bed.ask(silent, ALIAS_ZONE, "SOA").is_err());
    assert!(bed.ask(refusing, ALIAS_ZONE, "SOA")?.is_empty());
    assert_eq!(bed.settings().alias_zones[0].servers.len(), 5);
    for value in ["first", "second", "third"] {
        publish(&bed, 0, &[value])?;
        // Unbound drops an answer that it found after more than 1.9 seconds, and is asked again.
        bed.wait_until("the CA sees the value", |bed| {
            Ok(ca_sees(bed).is_ok_and(|seen| has(&seen, value)))
        })?;
    }
    Ok(())
}

#[test]
fn the_ca_believes_a_server_with_old_data() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .alias_record(ALIAS_NAME, "TXT old")
        .faulty_server(Fault::Stale)
        .start()?;
    let serial = bed.serial(ALIAS_ZONE)?;
    bed.update_alias_zone(ALIAS_ZONE, &format!("update delete {ALIAS_NAME} TXT\n"))?;
    publish(&bed, 0, &["new"])?;
    assert_eq!(bed.serial(ALIAS_ZONE)?, serial + 2);
    let old = bed.ask(bed.faulty_servers()[0], ALIAS_NAME, "TXT")?;
    assert!(has(&old, "old") && !has(&old, "new"), "{old:?}");
    // It asks either server, and caches the old answer.
    bed.wait_until("the CA sees the old value", |bed| {
        Ok(has(&ca_sees(bed)?, "old"))
    })
}

#[test]
fn the_ca_may_ask_the_primary_as_well() -> Result {
    let late = || TestBed::builder().notify_delay(60);
    let (one, all) = (late().start()?, late().ca_asks_all_servers().start()?);
    // It asks either server, and caches that a name does not exist.
    let names = || (0..30).map(|i| format!("n{i}.{ALIAS_ZONE}"));
    let lines = names().map(|name| format!("update add {name} 0 TXT new\n"));
    let lines: String = lines.collect();
    let seen = |bed: &TestBed| -> Result<usize> {
        bed.update_alias_zone(ALIAS_ZONE, &lines)?;
        let answers = names().map(|name| bed.ask(bed.ca_resolver(), &name, "TXT"));
        let answers = answers.collect::<Result<Vec<_>>>()?;
        Ok(answers
            .into_iter()
            .filter(|answer| has(answer, "new"))
            .count())
    };
    assert_eq!(seen(&one)?, 0);
    assert!(seen(&all)? > 0);
    Ok(())
}

#[test]
fn two_hosts_share_an_alias_zone_and_no_state() -> Result {
    let bed = TestBed::start()?;
    let other = bed.program(bed.second_host())?;
    other.run(&["issue", "example.com"])?.assert_success();
    assert!(bed.certificate("example-com").is_err());
    assert_eq!(
        bed.certificate_in("second-host", "example-com")?.names,
        ["example.com"]
    );
    bed.run(&["issue", "example.com"])?.assert_success();
    assert!(bed.certificate("example-com").is_ok());
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn the_ttl_of_the_settings_is_that_of_the_records() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        // Time to look at the record in.
        .notify_delay(3)
        .ttl(7)
        .start()?;
    let running = bed
        .program(bed.settings())?
        .spawn(&["issue", "example.com"])?;
    bed.wait_until("the primary has the value", |bed| {
        let there = bed.ask(bed.primary(), ALIAS_NAME, "TXT")?;
        Ok(has(&there, &format!("{ALIAS_NAME}. 7 IN TXT")))
    })?;
    running.wait()?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn bind_refuses_more_records_of_one_type_than_its_limit() -> Result {
    let bed = TestBed::builder().records_per_type(2).start()?;
    publish(&bed, 0, &["one", "two"])?;
    let third = bed.update_alias_zone(ALIAS_ZONE, &add(0, &["three"]));
    let said = third.err().map(|error| error.to_string());
    assert_eq!(said.as_deref(), Some("nsupdate: update failed: SERVFAIL\n"));
    Ok(())
}
