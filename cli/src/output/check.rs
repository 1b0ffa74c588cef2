//! Delegations that were looked at, for people.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::delegation::{
    DelegationReport, End, Finding, ServerReport, Severity, ZoneReport,
};
use acme_alias_core::name::DnsName;
use acme_alias_core::printable::few;
use acme_alias_core::store::CertificateId;

use super::finding::of_finding;
use super::layout::wrapped;
use super::report::{Checked, CheckedName, Offboarding, Probed};
use super::words::counted;

pub(super) fn checked(checked: &Checked) -> String {
    let mut text = if checked.full {
        everything(checked)
    } else {
        let findings = Finding::merged(checked.findings().cloned());
        let findings = findings.iter().map(|finding| of_finding(finding) + "\n");
        wrapped(&findings.collect::<String>()) + &table(checked)
    };
    text.extend(checked.probed.as_ref().map(|of| wrapped(&probed(of))));
    let errors = checked.count(Some(Severity::Error));
    let warnings = checked.count(Some(Severity::Warning));
    let (seconds, rate) = (checked.took.as_secs_f64(), checked.per_second());
    text + &wrapped(&format!(
        "{}: {} good, {warnings} with warnings, {errors} with errors; {seconds:.1} s, \
         {rate:.0}/s\n",
        counted(checked.worst().len(), "challenge name", "challenge names"),
        checked.count(None),
    ))
}

/// All that was seen on the way from each name.
fn everything(checked: &Checked) -> String {
    let mut text = String::new();
    let verdicts = verdicts(checked);
    let mut zones: BTreeMap<&DnsName, &ZoneReport> = BTreeMap::new();
    for name in &checked.names {
        let report = &name.report;
        let on_the_way = report.source.iter().chain(&report.between);
        let on_the_way = on_the_way.chain(&report.alias);
        zones.extend(on_the_way.map(|report| (&report.zone, &**report)));
        text.push_str(&wrapped(&one(name, &verdicts)));
    }
    if checked.names.len() > 1 {
        text.push_str(&table(checked));
    }
    for report in zones.into_values() {
        text.push_str(&wrapped(&zone_report(report)));
    }
    text
}

fn one(name: &CheckedName, verdicts: &Verdicts<'_>) -> String {
    let DelegationReport {
        chain, findings, ..
    } = &name.report;
    let mut text = format!("{}: {}\n", domains(name, verdicts), verdict(findings));
    for hop in &chain.hops {
        text.push_str(&format!(
            "  {} {} CNAME {}  (asked: {})\n",
            hop.name.fqdn(),
            hop.ttl,
            hop.target.fqdn(),
            hop.server
        ));
    }
    if let End::At { server, answer, .. } = &chain.end {
        let name = chain.last().fqdn();
        text.push_str(&format!("  {name} {answer}  (asked: {server})\n"));
    }
    for finding in findings {
        text.push('\n');
        text.push_str(&of_finding(finding));
    }
    text.push('\n');
    text
}

fn verdict(findings: &[Finding]) -> &'static str {
    match findings.first().map(|finding| finding.severity) {
        None => "good",
        Some(Severity::Warning) => "works, with warnings",
        Some(Severity::Error) => "would fail",
    }
}

/// The verdicts on each challenge name: it may be in several certificates, which expect different things of it.
type Verdicts<'a> = BTreeMap<&'a DnsName, BTreeSet<&'static str>>;

fn verdicts(checked: &Checked) -> Verdicts<'_> {
    let mut verdicts = Verdicts::new();
    for CheckedName { report, .. } in &checked.names {
        let of_name = verdicts.entry(&report.chain.challenge_name).or_default();
        of_name.insert(verdict(&report.findings));
    }
    verdicts
}

/// The domains, with the certificates if the verdict on others is another one.
fn domains(name: &CheckedName, verdicts: &Verdicts<'_>) -> String {
    let CheckedName {
        identifiers,
        certificates,
        report,
    } = name;
    let identifiers: Vec<_> = identifiers.iter().map(ToString::to_string).collect();
    let domains = identifiers.join(", ");
    let of_name = verdicts.get(&report.chain.challenge_name);
    if certificates.is_empty() || of_name.is_none_or(|of_name| of_name.len() < 2) {
        return domains;
    }
    let ids: Vec<_> = certificates.iter().map(CertificateId::as_str).collect();
    format!("{domains} (for {})", few(&ids, ", "))
}

/// A line for each challenge name, worst first.
fn table(checked: &Checked) -> String {
    let mut names: Vec<_> = checked.names.iter().collect();
    names.sort_by_key(|name| {
        let worst = name.report.findings.first();
        std::cmp::Reverse(worst.map(|finding| finding.severity))
    });
    let verdicts = verdicts(checked);
    let rows = names.into_iter().map(|name| {
        let alias_name = name.report.alias_name();
        let leads_to = alias_name.map_or_else(|| "nowhere".to_owned(), ToString::to_string);
        let verdict = verdict(&name.report.findings).to_owned();
        [verdict, domains(name, &verdicts), leads_to]
    });
    let head = ["verdict", "domains", "leads to"].map(str::to_owned);
    let mut rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    // Those of certificates that expect different things of a name.
    rows.dedup();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let lines = rows.iter().map(|[verdict, domains, leads_to]| {
        format!("{verdict:first$}  {domains:second$}  {leads_to}\n")
    });
    lines.collect::<Vec<_>>().concat() + "\n"
}

fn zone_report(report: &ZoneReport) -> String {
    let mut text = format!("zone {}:", report.zone);
    for ServerReport {
        server,
        above_only,
        serial,
        ..
    } in &report.servers
    {
        let by = if *above_only {
            ", which only the zone above names,"
        } else {
            ""
        };
        match serial {
            Some(serial) => text.push_str(&format!(" {server}{by} has serial {serial};")),
            None => text.push_str(&format!(" {server}{by} does not serve it;")),
        }
    }
    if let Some(ttl) = report.negative_ttl {
        text.push_str(&format!(" negative answers are cached for {ttl} s;"));
    }
    text + &format!(" DNSSEC: {}\n", report.dnssec)
}

fn probed(
    Probed {
        published,
        left_out,
    }: &Probed,
) -> String {
    let mut text = String::new();
    for published in published {
        text.push_str(&format!(
            "zone {}: a probe was written, and",
            published.zone
        ));
        for reached in &published.servers {
            let millis = reached.after.as_millis();
            text.push_str(&format!("\n  {} had it after {millis} ms", reached.server));
        }
        for silent in &published.silent {
            let (server, answer) = (&silent.server, &silent.answer);
            text.push_str(&format!("\n  {server} did not answer: {answer}"));
        }
        text.push_str("\n  it was withdrawn\n");
    }
    if !left_out.is_empty() {
        let left_out: Vec<_> = left_out.iter().map(DnsName::as_str).collect();
        text.push_str(&format!(
            "no probe was written for {}: see the errors above\n",
            left_out.join(", ")
        ));
    }
    text
}

pub(super) fn offboarding(left: &Offboarding) -> String {
    let Offboarding {
        domain,
        steps,
        unknown,
    } = left;
    let mut text = match unknown {
        Some(why) => format!("Whether {domain} leads into an alias zone is not known: {why}\n"),
        None if steps.is_empty() => {
            return format!("Nothing leads from {domain} into an alias zone.\n");
        }
        None => String::new(),
    };
    if !steps.is_empty() {
        text.push_str(&format!(
            "What is left of {domain}, in the order in which to remove it:\n"
        ));
    }
    let steps = steps.iter().zip(1..);
    text.extend(steps.map(|(step, number)| format!("{number}. {step}\n")));
    text
}
