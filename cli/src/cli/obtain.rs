//! The arguments of the commands that obtain certificates.

use std::path::PathBuf;

use acme_alias_core::certificate::KeyType;
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::store::{CertificateId, InvalidCertificateId};
use clap::Args;

use crate::settings::NO_ALIAS;

const ISSUE_EXAMPLES: &str = "\
Examples:
  acme-alias issue example.com '*.example.com' --challenge-alias auth.example.net
  acme-alias issue web                     # [certificates.web] in the settings
  acme-alias issue example.com --dry-run   # everything but the CA

In the zone of example.com there is, once and for all:
  _acme-challenge.example.com. 600 IN CNAME _acme-challenge.auth.example.net.";

#[expect(clippy::struct_excessive_bools, reason = "flags are what they are")]
#[derive(Debug, Args)]
#[command(after_help = ISSUE_EXAMPLES)]
pub(crate) struct IssueArgs {
    /// The names of the certificate; or, for one in the settings, its id or one of its names
    #[arg(required_unless_present = "csr", value_name = "NAME", value_parser = parse_subject)]
    pub(crate) subjects: Vec<Subject>,
    /// Store it under this id [default: the first name, with hyphens for dots]
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    pub(crate) id: Option<CertificateId>,
    /// Write the TXT at `_acme-challenge.`ALIAS, for all names or for one; may be repeated
    #[arg(long, value_name = "[NAME=]ALIAS", value_parser = parse_alias, help_heading = "Alias")]
    pub(crate) challenge_alias: Vec<AliasFor>,
    /// Write the TXT at ALIAS itself, for all names or for one; may be repeated
    #[arg(long, value_name = "[NAME=]ALIAS", value_parser = parse_alias, help_heading = "Alias")]
    pub(crate) domain_alias: Vec<AliasFor>,
    /// Write through this provider: its id in the settings, or its kind
    #[arg(long, value_name = "ID", help_heading = "Alias")]
    pub(crate) provider: Option<String>,
    /// The zone that holds the alias [default: found by its SOA record]; may be repeated
    #[arg(long, value_name = "ZONE", help_heading = "Alias")]
    pub(crate) alias_zone: Vec<DnsName>,
    /// Send this certification request (PKCS#10; PEM or DER): its private key stays where it is, and its names are
    /// those of the certificate
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_type", "reuse_key", "partial"])]
    pub(crate) csr: Option<PathBuf>,
    /// ecdsa-p256, ecdsa-p384, rsa-2048 or rsa-4096 [default: ecdsa-p256]
    #[arg(long, value_name = "TYPE")]
    pub(crate) key_type: Option<KeyType>,
    /// Renew it with the same key: for DANE and pinning
    #[arg(long)]
    pub(crate) reuse_key: bool,
    /// The id of the CA in `[cas]` [default: that of `[acme]`]
    #[arg(long, value_name = "ID")]
    pub(crate) ca: Option<String>,
    /// A profile of the CA, such as shortlived [default: the CA's choice]
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// The common name of the root that the chain should lead to, where the CA offers several
    #[arg(long, value_name = "NAME")]
    pub(crate) preferred_chain: Option<String>,
    /// Obtain it without the names that fail, if some do
    #[arg(long)]
    pub(crate) partial: bool,
    /// Obtain it even if the one in the state folder is valid and as described
    #[arg(long)]
    pub(crate) force: bool,
    /// Check the delegations, write and withdraw a probe, and ask the CA for nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not check the delegations first. If other flags describe the certificate, renewals do not either; for
    /// split-horizon networks
    #[arg(long)]
    pub(crate) skip_preflight: bool,
    /// Wait for another acme-alias that works on the certificate
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// Only these certificates: ids, or names of theirs
    #[arg(value_name = "ID|NAME", value_parser = parse_subject)]
    pub(crate) certificates: Vec<Subject>,
    /// Renew even what is not due
    #[arg(long)]
    pub(crate) force: bool,
    /// Wait for another acme-alias that works on the certificate
    #[arg(long)]
    pub(crate) wait: bool,
    /// Check the delegations, write and withdraw a probe, and ask the CA for nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write the metrics to this file afterwards, in the text format of Prometheus: for the textfile collector of
    /// `node_exporter`, which reads files that end in `.prom`
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) metrics: Option<PathBuf>,
}

/// What stands for a certificate, or for several with the same name. Ids have no dots and names have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Name(Identifier),
    Certificate(CertificateId),
}

/// An alias for one name, or for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AliasFor {
    pub(crate) name: Option<Identifier>,
    pub(crate) alias: DnsName,
}

pub(super) fn parse_subject(text: &str) -> Result<Subject, String> {
    match text.parse() {
        Ok(id) if !text.contains('.') => Ok(Subject::Certificate(id)),
        _ => text
            .parse()
            .map(Subject::Name)
            .map_err(|error| error.to_string()),
    }
}

fn parse_id(text: &str) -> Result<CertificateId, InvalidCertificateId> {
    text.parse()
}

fn parse_alias(text: &str) -> Result<AliasFor, String> {
    let (name, alias) = match text.split_once('=') {
        Some((name, alias)) => (Some(name.parse().map_err(|e| format!("{e}"))?), alias),
        None => (None, text),
    };
    let alias: DnsName = alias.parse().map_err(|error| format!("{error}"))?;
    if alias.labels().count() < 2 {
        return Err(format!(
            "`{alias}` has no dot, and an alias is a full name: {NO_ALIAS}"
        ));
    }
    Ok(AliasFor { name, alias })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_without_a_dot_is_an_id_and_with_one_a_name() {
        assert!(matches!(parse_subject("web"), Ok(Subject::Certificate(_))));
        assert!(matches!(
            parse_subject("*.example.com"),
            Ok(Subject::Name(_))
        ));
        assert!(
            parse_subject("192.0.2.1")
                .unwrap_err()
                .contains("IP address")
        );
        assert!(parse_subject("Web").is_err());
    }

    #[test]
    fn an_alias_is_for_all_names_or_for_one() {
        assert_eq!(parse_alias("auth.example.net").unwrap().name, None);
        let one = parse_alias("*.example.com=auth.example.net").unwrap();
        assert_eq!(one.name.unwrap().to_string(), "*.example.com");
        assert!(parse_alias("=auth.example.net").is_err());
    }
}
