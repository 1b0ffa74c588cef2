//! A thousand certificates of attackers among a thousand good ones.

use std::time::Duration;

use acme_alias_tests::{HostileAnswer, HostileServer, Result, SilentServers, Usage, referral};
use hickory_proto::rr::rdata::{CNAME, TXT};
use hickory_proto::rr::{RData, Record, RecordType};

use super::hostile_zones::{GOOD_TIME, Neighbours, TTL, name, none, victims, with};

/// One of the attacks upon the certificates of its zone.
fn attack(number: usize, silent: &SilentServers) -> Result<(String, HostileServer)> {
    let zone = format!("zone{number}.example");
    let (apex, addresses) = (name(&zone), silent.addresses());
    let server = HostileServer::start(move |asked, kind, answer| {
        let Some(customer) = (0..asked.num_labels())
            .map(|labels| asked.trim_to(usize::from(asked.num_labels() - labels)))
            .find(|name| name.num_labels() == apex.num_labels() + 1)
            .filter(|name| apex.zone_of(name))
        else {
            return none(answer, &apex);
        };
        let asked_for_text = matches!(kind, RecordType::TXT | RecordType::CNAME);
        match number {
            0 => {
                let servers = victims(3_000).map(|server| (server, None));
                HostileAnswer::Now(referral(answer, &customer, servers))
            }
            1 => {
                let addresses = addresses.iter().copied().map(Some);
                let servers = victims(addresses.len()).zip(addresses);
                HostileAnswer::Now(referral(answer, &customer, servers))
            }
            2 if asked_for_text => {
                let target = asked.prepend_label("a").unwrap_or_default();
                let mut answer = answer;
                let record = Record::from_rdata(asked.clone(), TTL, RData::CNAME(CNAME(target)));
                answer.answers = vec![record];
                HostileAnswer::Late(Duration::from_millis(900), answer)
            }
            3 if asked_for_text => {
                let values = (0..1_300).map(|n| RData::TXT(TXT::new(vec![format!("v{n}")])));
                with(answer, asked, values)
            }
            4 => HostileAnswer::Never,
            _ => none(answer, &apex),
        }
    })?;
    Ok((zone, server))
}

#[test]
fn a_thousand_hostile_names_harm_none_of_a_thousand_good_ones() -> Result {
    const EACH: usize = 200;
    let neighbours = Neighbours::many(5 * EACH)?;
    let silent = SilentServers::start(300)?;
    let attacks = (0..5).map(|number| attack(number, &silent));
    let attacks: Vec<_> = attacks.collect::<Result<_>>()?;
    let mut settings = neighbours.bed.settings_with(&neighbours.ca);
    settings.dns = "allow-special-addresses = true".to_owned();
    for (zone, server) in &attacks {
        let hostile: Vec<_> = (0..EACH).map(|n| format!("a{n}.{zone}")).collect();
        settings.zones.push((zone.clone(), vec![server.address()]));
        settings = settings.certificates(&hostile);
    }
    let settings = settings.certificates(&neighbours.good);
    for outcome in neighbours.assert_unharmed(&settings, 12 * GOOD_TIME)? {
        let Usage {
            wall, peak_memory, ..
        } = outcome.usage;
        println!("{wall:?}, {} MB", peak_memory / 1_000_000);
    }
    Ok(())
}
