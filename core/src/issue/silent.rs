//! Name servers that did not answer while a certificate was obtained.

use crate::delegation::{Finding, FindingKind};
use crate::name::DnsName;
use crate::zone::Published;

/// A server of a zone that did not answer, or not for the zone. It does not prevent a certificate, but may be
/// part of the reason if the CA finds no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentServer {
    /// The server: its name and address.
    pub server: String,
    /// Its last answer, in words.
    pub answer: String,
}

/// The servers that did not answer in the pre-flight, or when they were asked for the values.
pub(super) fn all(warnings: &[Finding], published: &[Published]) -> Vec<SilentServer> {
    let mut silent: Vec<_> = in_preflight(warnings).collect();
    silent.extend(of_publication(warnings, published));
    silent
}

/// The servers that did not answer when they were asked for the values, without those that a warning of the
/// pre-flight names.
pub(super) fn of_publication(warnings: &[Finding], published: &[Published]) -> Vec<SilentServer> {
    let silent = published.iter().flat_map(|zone| &zone.silent);
    let silent = silent.map(|lagging| SilentServer {
        server: lagging.server.to_string(),
        answer: lagging.answer.clone(),
    });
    let is_new =
        |silent: &SilentServer| in_preflight(warnings).all(|known| known.server != silent.server);
    silent.filter(is_new).collect()
}

fn in_preflight(warnings: &[Finding]) -> impl Iterator<Item = SilentServer> {
    let lame = warnings.iter();
    let lame = lame.filter(|finding| finding.kind == FindingKind::LameServer);
    lame.filter_map(|finding| {
        Some(SilentServer {
            server: finding.server.clone()?,
            answer: finding.answer.clone(),
        })
    })
}

/// The warnings of the pre-flight without those that the publication has disproved: a server that has our
/// values has caught up. It was behind because of a change of ours, or of another program.
pub(super) fn still_true(warnings: &[Finding], published: &[Published]) -> Vec<Finding> {
    let has_caught_up = |zone: &DnsName, server: Option<&String>| {
        let mut zones = published.iter().filter(|published| published.zone == *zone);
        zones.any(|published| {
            let mut reached = published.servers.iter();
            reached.any(|reached| server == Some(&reached.server.to_string()))
        })
    };
    let is_true = |finding: &&Finding| {
        finding.kind != FindingKind::SerialsDiffer
            || !has_caught_up(&finding.name, finding.server.as_ref())
    };
    warnings.iter().filter(is_true).cloned().collect()
}
