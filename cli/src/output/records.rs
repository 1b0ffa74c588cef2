//! Records for the main zones, in the languages in which zones are kept.

mod natural;
mod parts;
mod terraform;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use acme_alias_core::delegation::{RecordData, Replaced, ZoneRecord};
use acme_alias_core::dns::Caa;
use acme_alias_core::name::DnsName;
use clap::ValueEnum;

use self::natural::natural_key;
use self::parts::{caa_set, literal, replaced};

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormat {
    /// Lines of a zone file, with absolute names
    #[default]
    Zone,
    /// A script for nsupdate
    Nsupdate,
    /// Terraform resources of Cloudflare's provider, version 5
    TerraformCloudflare,
    /// Terraform resources of the AWS provider
    TerraformAws,
    /// A YAML file per zone for `OctoDNS`
    Octodns,
    /// JavaScript for `DNSControl`
    Dnscontrol,
}

/// The records as text.
pub(super) fn render(format: RecordFormat, records: &[ZoneRecord]) -> String {
    match format {
        RecordFormat::Zone => zone_file(records),
        RecordFormat::Nsupdate => by_zone(records, nsupdate),
        RecordFormat::TerraformCloudflare => terraform::cloudflare(records),
        RecordFormat::TerraformAws => terraform::aws(records),
        RecordFormat::Octodns => by_zone(records, octodns),
        RecordFormat::Dnscontrol => by_zone(records, dnscontrol),
    }
}

fn by_zone(records: &[ZoneRecord], render: impl Fn(&DnsName, &[&ZoneRecord]) -> String) -> String {
    let mut zones: BTreeMap<&DnsName, Vec<&ZoneRecord>> = BTreeMap::new();
    for record in records {
        zones.entry(&record.zone).or_default().push(record);
    }
    let texts: Vec<_> = zones
        .iter()
        .map(|(zone, records)| render(zone, records))
        .collect();
    texts.join("\n")
}

fn zone_file(records: &[ZoneRecord]) -> String {
    let lines = records
        .iter()
        .map(|record| format!("{}{record}\n", replaced([record], ";")));
    lines.collect()
}

fn nsupdate(zone: &DnsName, records: &[&ZoneRecord]) -> String {
    let mut text = format!("zone {}\n", zone.fqdn());
    for record in records {
        let ZoneRecord {
            name, ttl, data, ..
        } = record;
        let name = name.fqdn();
        text.push_str(&replaced([*record], ";"));
        let deletions = record.replaces.iter().map(|there| match there {
            // Nothing may be left of these beside a CNAME.
            Replaced::Cname(_) => format!("update delete {name} CNAME\n"),
            Replaced::Txt(_) | Replaced::MoreTxt(_) => format!("update delete {name} TXT\n"),
            Replaced::Caa(caa) => format!("update delete {name} {caa}\n"),
        });
        let mut deletions: Vec<_> = deletions.collect();
        deletions.dedup();
        text.extend(deletions);
        text.push_str(&format!("update add {name} {ttl} IN {data}\n"));
    }
    text + "send\n"
}

/// The name as seen from the apex, which is `apex` itself.
fn relative(name: &DnsName, zone: &DnsName, apex: &str) -> String {
    let within = name.as_str().strip_suffix(zone.as_str());
    match within.map(|rest| rest.trim_end_matches('.')) {
        Some("") => apex.to_owned(),
        Some(rest) => rest.to_owned(),
        None => name.fqdn(),
    }
}

fn octodns(zone: &DnsName, records: &[&ZoneRecord]) -> String {
    let mut names: BTreeMap<String, Vec<&ZoneRecord>> = BTreeMap::new();
    for record in records {
        names
            .entry(relative(&record.name, zone, ""))
            .or_default()
            .push(record);
    }
    // It reads no other order.
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by(|(one, _), (other, _)| natural_key(one).cmp(&natural_key(other)));
    let mut text = format!("# {zone}.yaml\n");
    for (name, set) in names {
        let Some(ZoneRecord { ttl, data, .. }) = set.first() else {
            continue;
        };
        text.push_str(&replaced(set.iter().copied(), "#"));
        // In quotes, because `no` and `123` are no text to YAML.
        let _ = write!(text, "'{name}':\n  ttl: {ttl}\n");
        let _ = match data {
            RecordData::Cname { target } => {
                write!(text, "  type: CNAME\n  value: {}\n", target.fqdn())
            }
            RecordData::Caa(_) => write!(text, "  type: CAA\n  values:\n"),
        };
        for Caa { flags, tag, value } in caa_set(&set) {
            let value = literal(value);
            let _ = writeln!(
                text,
                "  - flags: {flags}\n    tag: '{tag}'\n    value: {value}"
            );
        }
    }
    text
}

fn dnscontrol(zone: &DnsName, records: &[&ZoneRecord]) -> String {
    let mut text = format!("D_EXTEND(\"{zone}\",\n");
    for record in records {
        let ZoneRecord { ttl, data, .. } = record;
        let name = relative(&record.name, zone, "@");
        text.push_str(&replaced([*record], "  //"));
        let _ = match data {
            RecordData::Cname { target } => writeln!(
                text,
                "  CNAME(\"{name}\", \"{}\", TTL({ttl})),",
                target.fqdn()
            ),
            RecordData::Caa(Caa { flags, tag, value }) => {
                let critical = if flags & 128 == 0 {
                    ""
                } else {
                    "CAA_CRITICAL, "
                };
                let value = literal(value);
                writeln!(
                    text,
                    "  CAA(\"{name}\", \"{tag}\", {value}, {critical}TTL({ttl})),"
                )
            }
        };
    }
    text + ");\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caa(tag: &str, value: &str) -> Caa {
        Caa {
            flags: 0,
            tag: tag.to_owned(),
            value: value.into(),
        }
    }

    fn records() -> Vec<ZoneRecord> {
        let zone: DnsName = "example.com".parse().unwrap();
        let cname = RecordData::Cname {
            target: "_acme-challenge.auth.example.net".parse().unwrap(),
        };
        let caa = |tag| RecordData::Caa(caa(tag, "letsencrypt.org; validationmethods=dns-01"));
        let record = |name: &str, data| ZoneRecord {
            zone: zone.clone(),
            name: name.parse().unwrap(),
            ttl: 600,
            data,
            replaces: Vec::new(),
            beside: Vec::new(),
        };
        vec![
            record("_acme-challenge.example.com", cname),
            record("example.com", caa("issue")),
            record("example.com", caa("issuewild")),
        ]
    }

    #[test]
    fn names_are_absolute_or_relative_as_the_language_wants_them() {
        let text = |format| render(format, &records());
        let zone = text(RecordFormat::Zone);
        assert!(zone.starts_with(
            "_acme-challenge.example.com. 600 IN CNAME _acme-challenge.auth.example.net.\n\
             example.com. 600 IN CAA 0 issue \"letsencrypt.org; validationmethods=dns-01\"\n"
        ));
        assert!(text(RecordFormat::Octodns).contains("\n'_acme-challenge':\n  ttl: 600\n"));
        assert!(text(RecordFormat::Octodns).contains("\n'':\n  ttl: 600\n  type: CAA\n"));
        assert!(text(RecordFormat::Dnscontrol).contains(
            "CNAME(\"_acme-challenge\", \"_acme-challenge.auth.example.net.\", TTL(600)),"
        ));
        assert!(text(RecordFormat::Dnscontrol).contains("CAA(\"@\", \"issuewild\","));
    }

    #[test]
    fn records_of_one_name_and_type_are_one_set_in_route_53_and_several_in_cloudflare() {
        let aws = render(RecordFormat::TerraformAws, &records());
        assert_eq!(aws.matches("resource ").count(), 2, "{aws}");
        assert!(aws.contains("\\\"letsencrypt.org; validationmethods=dns-01\\\"\", \"0 issuewild"));
        let cloudflare = render(RecordFormat::TerraformCloudflare, &records());
        assert_eq!(cloudflare.matches("resource ").count(), 3, "{cloudflare}");
    }

    #[test]
    fn two_names_never_have_one_label_in_terraform() {
        let mut records = records();
        for (record, name) in records
            .iter_mut()
            .zip(["a-b.example.com", "a.b.example.com"])
        {
            record.name = name.parse().unwrap();
            record.data = RecordData::Cname {
                target: "auth.example.net".parse().unwrap(),
            };
        }
        let text = render(RecordFormat::TerraformAws, &records);
        for label in ["cname_a-b_example_com", "cname_a_b_example_com"] {
            assert!(text.contains(&format!("\"{label}\" {{")), "{text}");
        }
    }

    const FORMATS: [RecordFormat; 6] = [
        RecordFormat::Zone,
        RecordFormat::Nsupdate,
        RecordFormat::TerraformCloudflare,
        RecordFormat::TerraformAws,
        RecordFormat::Octodns,
        RecordFormat::Dnscontrol,
    ];

    #[test]
    fn what_is_replaced_is_reported_in_every_language_and_deleted_by_the_script() {
        let mut records = records();
        records[0].replaces = vec![
            Replaced::Cname("old.example.".to_owned()),
            Replaced::Txt("one".to_owned()),
            Replaced::MoreTxt(4_584),
        ];
        records[1].replaces = vec![Replaced::Caa(caa("issue", "letsencrypt.org"))];
        for format in FORMATS {
            let text = render(format, &records);
            for there in [
                "CNAME old.example.",
                "TXT \"one\"",
                "4,584 more TXT records",
                "CAA 0 issue \"letsencrypt.org\"",
            ] {
                assert!(text.contains(&format!(" in place of {there}\n")), "{text}");
            }
        }
        let script = render(RecordFormat::Nsupdate, &records);
        let deletions: Vec<_> = script
            .lines()
            .filter(|line| line.starts_with("update delete "))
            .collect();
        assert_eq!(
            deletions,
            [
                "update delete _acme-challenge.example.com. CNAME",
                "update delete _acme-challenge.example.com. TXT",
                "update delete example.com. CAA 0 issue \"letsencrypt.org\"",
            ]
        );
    }

    #[test]
    fn a_set_has_what_is_there_beside_what_is_missing() {
        let mut records = records();
        records.remove(1);
        records[1].beside = vec![
            caa("issue", "letsencrypt.org; validationmethods=dns-01"),
            caa("iodef", "mailto:admin@example.com"),
        ];
        let aws = render(RecordFormat::TerraformAws, &records);
        let octodns = render(RecordFormat::Octodns, &records);
        for tag in ["issue", "issuewild", "iodef"] {
            assert!(aws.contains(&format!("\"0 {tag} \\\"")), "{aws}");
            assert!(
                octodns.contains(&format!("    tag: '{tag}'\n")),
                "{octodns}"
            );
        }
        let zone = render(RecordFormat::Zone, &records);
        assert!(
            !zone.contains("iodef"),
            "a line of a zone file adds: {zone}"
        );
    }

    #[test]
    fn what_a_server_said_stays_within_its_string_and_its_line() {
        let mut records = records();
        let said = "a\"b\nupdate delete example.com.\\ ${x} %{y}";
        records[0].replaces = vec![
            Replaced::Cname(said.to_owned()),
            Replaced::Txt(said.to_owned()),
        ];
        records[1].replaces = vec![Replaced::Caa(caa("issue", said))];
        records[1].beside = vec![caa("iodef", said)];
        for format in FORMATS {
            let text = render(format, &records);
            let own_line = |line: &str| {
                line.trim_start()
                    .starts_with("update delete example.com.\\")
            };
            assert!(!text.lines().any(own_line), "{text}");
        }
        let aws = render(RecordFormat::TerraformAws, &records);
        let element = r#""0 iodef \"a\\\"b\\010update delete example.com.\\\\ $${x} %%{y}\"""#;
        assert!(aws.contains(element), "{aws}");
        let octodns = render(RecordFormat::Octodns, &records);
        let value = r#"value: "a\"b\u000aupdate delete example.com.\\ ${x} %{y}""#;
        assert!(octodns.contains(value), "{octodns}");
    }
}
