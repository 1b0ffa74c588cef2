//! Records for the main zones, in the languages in which zones are kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use acme_alias_core::delegation::{RecordData, ZoneRecord};
use acme_alias_core::name::DnsName;
use clap::ValueEnum;

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
        RecordFormat::TerraformCloudflare => terraform(records, CLOUDFLARE, cloudflare),
        RecordFormat::TerraformAws => terraform(records, AWS, aws),
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
    let mut text = String::new();
    for record in records {
        if let Some(there) = &record.replaces {
            text.push_str(&format!("; in place of the CNAME to {}\n", there.fqdn()));
        }
        text.push_str(&format!("{record}\n"));
    }
    text
}

fn nsupdate(zone: &DnsName, records: &[&ZoneRecord]) -> String {
    let mut text = format!("zone {}\n", zone.fqdn());
    for record in records {
        if record.replaces.is_some() {
            text.push_str(&format!("update delete {} CNAME\n", record.name.fqdn()));
        }
        let (name, ttl, data) = (record.name.fqdn(), record.ttl, &record.data);
        text.push_str(&format!("update add {name} {ttl} IN {data}\n"));
    }
    text + "send\n"
}

const CLOUDFLARE: &str = "cloudflare_zone_ids";
const AWS: &str = "route53_zone_ids";

/// Resources, and the variable that has the ids of the zones.
fn terraform(
    records: &[ZoneRecord],
    variable: &str,
    resource: impl Fn(&str, &str, &[&ZoneRecord]) -> String,
) -> String {
    let mut text = format!(
        "variable \"{variable}\" {{\n  description = \"The ids of the zones, by name\"\n  type        = map(string)\n}}\n"
    );
    // Records of one name and type are one set.
    let mut sets: BTreeMap<(&DnsName, bool), Vec<&ZoneRecord>> = BTreeMap::new();
    for record in records {
        let is_caa = matches!(record.data, RecordData::Caa { .. });
        sets.entry((&record.name, is_caa)).or_default().push(record);
    }
    for ((name, is_caa), set) in sets {
        let Some(first) = set.first() else { continue };
        let kind = if is_caa { "caa" } else { "cname" };
        // A hyphen may stand in such a label, a dot may not: `a-b` and `a.b` stay apart.
        let label = name.as_str().replace('.', "_");
        let zone_id = format!("var.{variable}[\"{}\"]", first.zone);
        text.push('\n');
        text.push_str(&resource(&format!("{kind}_{label}"), &zone_id, &set));
    }
    text
}

fn cloudflare(label: &str, zone_id: &str, set: &[&ZoneRecord]) -> String {
    let mut text = String::new();
    for (
        index,
        ZoneRecord {
            name, ttl, data, ..
        },
    ) in set.iter().enumerate()
    {
        let (number, kind) = match data {
            RecordData::Cname { .. } => (String::new(), "CNAME"),
            RecordData::Caa { .. } => (format!("_{}", index + 1), "CAA"),
        };
        // Nothing fails when a String is written to.
        let _ = write!(
            text,
            "resource \"cloudflare_dns_record\" \"{label}{number}\" {{\n  zone_id = {zone_id}\n  \
             name    = \"{name}\"\n  type    = \"{kind}\"\n  ttl     = {ttl}\n"
        );
        let _ = match data {
            RecordData::Cname { target } => {
                write!(text, "  content = \"{target}\"\n  proxied = false\n}}\n")
            }
            RecordData::Caa { tag, value } => write!(
                text,
                "  data = {{\n    flags = 0\n    tag   = \"{tag}\"\n    value = \"{value}\"\n  }}\n}}\n"
            ),
        };
    }
    text
}

fn aws(label: &str, zone_id: &str, set: &[&ZoneRecord]) -> String {
    let values: Vec<_> = set
        .iter()
        .map(|record| match &record.data {
            RecordData::Cname { target } => format!("\"{}\"", target.fqdn()),
            RecordData::Caa { tag, value } => format!("\"0 {tag} \\\"{value}\\\"\""),
        })
        .collect();
    let Some(ZoneRecord {
        name, ttl, data, ..
    }) = set.first()
    else {
        return String::new();
    };
    let kind = match data {
        RecordData::Cname { .. } => "CNAME",
        RecordData::Caa { .. } => "CAA",
    };
    format!(
        "resource \"aws_route53_record\" \"{label}\" {{\n  zone_id = {zone_id}\n  name    = \"{name}\"\n  \
         type    = \"{kind}\"\n  ttl     = {ttl}\n  records = [{}]\n}}\n",
        values.join(", ")
    )
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
    let mut text = format!("# {zone}.yaml\n");
    for (name, set) in names {
        let Some(ZoneRecord { ttl, data, .. }) = set.first() else {
            continue;
        };
        // In quotes, because `no` and `123` are no text to YAML.
        let _ = match data {
            RecordData::Cname { target } => write!(
                text,
                "'{name}':\n  ttl: {ttl}\n  type: CNAME\n  value: {}\n",
                target.fqdn()
            ),
            RecordData::Caa { .. } => {
                writeln!(text, "'{name}':\n  ttl: {ttl}\n  type: CAA\n  values:")
            }
        };
        for record in set {
            if let RecordData::Caa { tag, value } = &record.data {
                let _ = writeln!(text, "  - flags: 0\n    tag: {tag}\n    value: '{value}'");
            }
        }
    }
    text
}

fn dnscontrol(zone: &DnsName, records: &[&ZoneRecord]) -> String {
    let mut text = format!("D_EXTEND(\"{zone}\",\n");
    for ZoneRecord {
        name, ttl, data, ..
    } in records
    {
        let name = relative(name, zone, "@");
        let _ = match data {
            RecordData::Cname { target } => writeln!(
                text,
                "  CNAME(\"{name}\", \"{}\", TTL({ttl})),",
                target.fqdn()
            ),
            RecordData::Caa { tag, value } => {
                writeln!(
                    text,
                    "  CAA(\"{name}\", \"{tag}\", \"{value}\", TTL({ttl})),"
                )
            }
        };
    }
    text + ");\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<ZoneRecord> {
        let zone: DnsName = "example.com".parse().unwrap();
        let cname = RecordData::Cname {
            target: "_acme-challenge.auth.example.net".parse().unwrap(),
        };
        let caa = |tag| RecordData::Caa {
            tag,
            value: "letsencrypt.org; validationmethods=dns-01".to_owned(),
        };
        let record = |name: &str, data| ZoneRecord {
            zone: zone.clone(),
            name: name.parse().unwrap(),
            ttl: 600,
            data,
            replaces: None,
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

    #[test]
    fn what_is_replaced_is_told_and_deleted() {
        let mut records = records();
        records[0].replaces = Some("old.example".parse().unwrap());
        let zone = render(RecordFormat::Zone, &records);
        assert!(
            zone.starts_with("; in place of the CNAME to old.example.\n"),
            "{zone}"
        );
        let script = render(RecordFormat::Nsupdate, &records);
        assert!(script.starts_with(
            "zone example.com.\nupdate delete _acme-challenge.example.com. CNAME\nupdate add "
        ));
        assert!(script.ends_with("\nsend\n"));
    }
}
