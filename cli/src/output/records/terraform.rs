//! Records as Terraform resources.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use acme_alias_core::delegation::{RecordData, ZoneRecord};
use acme_alias_core::dns::Caa;
use acme_alias_core::name::DnsName;
use acme_alias_core::txt::quoting::quoted_octets;

use super::parts::{caa_set, literal, replaced};

/// For Cloudflare's provider, version 5: a resource for each record.
pub(super) fn cloudflare(records: &[ZoneRecord]) -> String {
    resources(records, "cloudflare_zone_ids", cloudflare_records)
}

/// For the AWS provider: a resource for each set.
pub(super) fn aws(records: &[ZoneRecord]) -> String {
    resources(records, "route53_zone_ids", aws_set)
}

/// Resources, and the variable that has the ids of the zones.
fn resources(
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
        let is_caa = matches!(record.data, RecordData::Caa(_));
        sets.entry((&record.name, is_caa)).or_default().push(record);
    }
    for ((name, is_caa), set) in sets {
        let Some(first) = set.first() else { continue };
        let kind = if is_caa { "caa" } else { "cname" };
        // A hyphen may stand in such a label, a dot may not: `a-b` and `a.b` stay apart.
        let label = name.as_str().replace('.', "_");
        let zone_id = format!("var.{variable}[\"{}\"]", first.zone);
        text.push('\n');
        text.push_str(&replaced(set.iter().copied(), "#"));
        text.push_str(&resource(&format!("{kind}_{label}"), &zone_id, &set));
    }
    text
}

fn cloudflare_records(label: &str, zone_id: &str, set: &[&ZoneRecord]) -> String {
    let mut text = String::new();
    for ZoneRecord {
        name, ttl, data, ..
    } in set
    {
        let (property, kind) = match data {
            RecordData::Cname { .. } => (String::new(), "CNAME"),
            RecordData::Caa(caa) => (format!("_{}", caa.tag), "CAA"),
        };
        // Nothing fails when a String is written to.
        let _ = write!(
            text,
            "resource \"cloudflare_dns_record\" \"{label}{property}\" {{\n  zone_id = {zone_id}\n  \
             name    = \"{name}\"\n  type    = \"{kind}\"\n  ttl     = {ttl}\n"
        );
        let _ = match data {
            RecordData::Cname { target } => {
                write!(text, "  content = \"{target}\"\n  proxied = false\n}}\n")
            }
            RecordData::Caa(Caa { flags, tag, value }) => write!(
                text,
                "  data = {{\n    flags = {flags}\n    tag   = \"{tag}\"\n    value = {}\n  }}\n}}\n",
                hcl(value)
            ),
        };
    }
    text
}

fn aws_set(label: &str, zone_id: &str, set: &[&ZoneRecord]) -> String {
    let Some(ZoneRecord {
        name, ttl, data, ..
    }) = set.first()
    else {
        return String::new();
    };
    let (kind, values) = match data {
        RecordData::Cname { target } => ("CNAME", vec![format!("\"{}\"", target.fqdn())]),
        RecordData::Caa(_) => {
            let content =
                |Caa { flags, tag, value }: &Caa| format!("{flags} {tag} {}", quoted_octets(value));
            let values = caa_set(set).into_iter();
            let values = values.map(|caa| hcl(content(caa).as_bytes()));
            ("CAA", values.collect())
        }
    };
    format!(
        "resource \"aws_route53_record\" \"{label}\" {{\n  zone_id = {zone_id}\n  name    = \"{name}\"\n  \
         type    = \"{kind}\"\n  ttl     = {ttl}\n  records = [{}]\n}}\n",
        values.join(", ")
    )
}

/// Octets as a string. Terraform puts other text in the place of `${…}` and `%{…}`.
fn hcl(octets: &[u8]) -> String {
    literal(octets).replace("${", "$${").replace("%{", "%%{")
}
