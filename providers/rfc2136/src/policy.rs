//! Policies in the syntax of BIND, Knot and PowerDNS: the narrowest grant, and what removes other rights.

use acme_alias_core::name::DnsName;
use acme_alias_core::rights::{Grant, Policy, Scope, Subject};
use secrecy::ExposeSecret;

use crate::key::TsigKey;
use crate::software::Software;

/// The key that a policy is for.
#[derive(Clone, Debug)]
pub(crate) struct Grantee {
    key: String,
    algorithm: String,
}

impl From<&TsigKey> for Grantee {
    fn from(key: &TsigKey) -> Self {
        Grantee {
            key: key.name().to_owned(),
            algorithm: key.algorithm().to_string(),
        }
    }
}

/// The grant for each kind of server. The key is `key`, unless the grant has a new one.
pub(crate) fn policies(key: &TsigKey, grant: &Grant) -> Vec<Policy> {
    let mut grantee = Grantee::from(key);
    if let Some(new) = &grant.key {
        grantee.key.clone_from(&new.name);
    }
    vec![
        bind(&grantee, grant),
        knot(&grantee, grant),
        powerdns(&grantee, grant),
        powerdns_script(&grantee, grant),
    ]
}

/// The narrowest grant for the server that was audited; BIND's if its software is unknown.
pub(crate) fn narrowest(software: Software, grantee: &Grantee, subject: &Subject) -> Policy {
    let grant = Grant {
        zone: subject.zone.clone(),
        names: subject.alias_names.clone(),
        scope: Scope::Name,
        key: None,
    };
    match software {
        Software::Bind { .. } => bind(grantee, &grant),
        Software::Knot => knot(grantee, &grant),
        Software::PowerDns => powerdns_script(grantee, &grant),
        Software::Unknown => Policy {
            limits: Some(
                "the server does not report its software; this is the syntax of BIND".to_owned(),
            ),
            ..bind(grantee, &grant)
        },
    }
}

/// Allows transfers to the secondaries only.
pub(crate) fn without_transfers(software: Software, zone: &DnsName) -> Policy {
    let (title, text) = match software {
        Software::Knot => (
            "Knot DNS, knot.conf",
            format!(
                "acl:\n  - id: secondaries-of-{zone}\n    address: [192.0.2.2]   # its secondaries, and \
                 no other host\n    action: transfer\nzone:\n  - domain: {zone}\n    \
                 acl: [secondaries-of-{zone}, acme-alias-{zone}]\n"
            ),
        ),
        Software::PowerDns => (
            "PowerDNS, pdns.conf",
            "allow-axfr-ips=192.0.2.2   # its secondaries, and no other host\n".to_owned(),
        ),
        Software::Bind { .. } | Software::Unknown => (
            "BIND, named.conf",
            format!(
                "zone \"{zone}\" {{\n\t// type, file and the rest as they are\n\
                 \tallow-transfer {{ 192.0.2.2; }};   // its secondaries, and no other host\n}};\n"
            ),
        ),
    };
    Policy {
        title: title.to_owned(),
        text,
        limits: None,
    }
}

/// Replaces a key that may sign with a weak algorithm.
pub(crate) fn another_key(grantee: &Grantee) -> Policy {
    Policy {
        title: "the server's keys".to_owned(),
        text: format!(
            "make a key of another name with `tsig-keygen -a hmac-sha256 NAME`, and remove `{}` from the \
             server\n",
            grantee.key
        ),
        limits: None,
    }
}

/// Removes the key from a main zone.
pub(crate) fn without_the_key(grantee: &Grantee, zone: &DnsName) -> Policy {
    Policy {
        title: format!("the servers of {zone}"),
        text: format!(
            "remove `{}` from the zone's `update-policy`, `allow-update`, `acl` or metadata, and from these \
             servers if no other zone needs it\n",
            grantee.key
        ),
        limits: None,
    }
}

fn bind(Grantee { key, algorithm }: &Grantee, grant: &Grant) -> Policy {
    let zone = &grant.zone;
    let mut text = String::new();
    if let Some(secret) = new_secret(grant) {
        text.push_str(&format!(
            "key \"{key}\" {{\n\talgorithm {algorithm};\n\tsecret \"{secret}\";\n}};\n\n"
        ));
    }
    text.push_str(&format!(
        "zone \"{zone}\" {{\n\t// type, file and the rest as they are; without `allow-update`\n\
         \tupdate-policy {{\n"
    ));
    let rule =
        |word: &str, name: &DnsName| format!("\t\tgrant {key} {word} {} TXT;\n", name.fqdn());
    match grant.scope {
        Scope::Zone => text.push_str(&format!("\t\tgrant {key} zonesub TXT;\n")),
        Scope::Subdomain => text.extend(grant.names.iter().map(|name| rule("subdomain", name))),
        Scope::Name => text.extend(grant.names.iter().map(|name| rule("name", name))),
    }
    text.push_str("\t};\n};\n");
    Policy {
        title: "BIND, named.conf".to_owned(),
        text,
        limits: beyond_the_names(grant),
    }
}

fn knot(Grantee { key, algorithm }: &Grantee, grant: &Grant) -> Policy {
    let zone = &grant.zone;
    let mut text = String::new();
    if let Some(secret) = new_secret(grant) {
        text.push_str(&format!(
            "key:\n  - id: {key}\n    algorithm: {algorithm}\n    secret: {secret}\n"
        ));
    }
    text.push_str(&format!(
        "acl:\n  - id: acme-alias-{zone}\n    key: {key}\n    action: update\n    update-type: [TXT]\n"
    ));
    let matching = match grant.scope {
        Scope::Name => Some("equal"),
        Scope::Subdomain => Some("sub-or-equal"),
        Scope::Zone => None,
    };
    if let Some(matching) = matching {
        let names: Vec<_> = grant.names.iter().map(DnsName::fqdn).collect();
        text.push_str(&format!(
            "    update-owner: name\n    update-owner-match: {matching}\n    \
             update-owner-name: [{}]\n",
            names.join(", ")
        ));
    }
    text.push_str(&format!(
        "zone:\n  - domain: {zone}\n    acl: acme-alias-{zone}\n"
    ));
    Policy {
        title: "Knot DNS, knot.conf".to_owned(),
        text,
        limits: beyond_the_names(grant),
    }
}

fn powerdns(Grantee { key, algorithm }: &Grantee, grant: &Grant) -> Policy {
    let zone = &grant.zone;
    let mut text = String::new();
    if let Some(secret) = new_secret(grant) {
        text.push_str(&format!(
            "pdnsutil import-tsig-key {key} {algorithm} '{secret}'\n"
        ));
    }
    text.push_str(&format!(
        "pdnsutil set-meta {zone} TSIG-ALLOW-DNSUPDATE {key}\n\
         pdnsutil set-meta {zone} ALLOW-DNSUPDATE-FROM 192.0.2.1/32   # where acme-alias runs\n"
    ));
    Policy {
        title: "PowerDNS, with dnsupdate=yes".to_owned(),
        text,
        limits: Some(format!(
            "the key may then change every record of {zone}: the metadata cannot restrict types or names. The \
             script below can, and replaces them"
        )),
    }
}

/// `PowerDNS` calls the script for every record of every update, and then ignores the metadata
/// (<https://doc.powerdns.com/authoritative/dnsupdate.html#update-policy>; true of 4.7).
fn powerdns_script(Grantee { key, .. }: &Grantee, grant: &Grant) -> Policy {
    let zone = grant.zone.fqdn();
    let names = grant.names.iter().map(DnsName::fqdn);
    let names: Vec<_> = names.map(|name| format!("[\"{name}\"] = true")).collect();
    let granted = format!("  local granted = {{ {} }}\n", names.join(", "));
    let rest = match grant.scope {
        Scope::Name => granted + "  return granted[owner] == true\n",
        Scope::Subdomain => {
            granted
                + "  while owner do\n    if granted[owner] then return true end\n    \
                   owner = owner:match(\"^[^.]+%.(.+)$\")\n  end\n  return false\n"
        }
        Scope::Zone => "  return true\n".to_owned(),
    };
    let text = format!(
        "function updatepolicy(update)\n  -- called for every zone: add what other zones need\n  \
         if update:getZoneName():toString() ~= \"{zone}\" then return false end\n  \
         if update:getTsigName():toString() ~= \"{key}.\" then return false end\n  \
         if update:getQType() ~= pdns.TXT then return false end\n  \
         local owner = update:getQName():toString():lower()\n{rest}end\n"
    );
    Policy {
        title: "PowerDNS, the file of lua-dnsupdate-policy-script".to_owned(),
        text,
        limits: Some(
            "for every zone it replaces ALLOW-DNSUPDATE-FROM and TSIG-ALLOW-DNSUPDATE. PowerDNS drops what it \
             refuses and answers NOERROR, so an audit cannot tell what the key may do"
                .to_owned(),
        ),
    }
}

/// The secret of a new key that the policy adds to the server.
fn new_secret(grant: &Grant) -> Option<&str> {
    let secret = grant.key.as_ref()?.secret.as_ref()?;
    Some(secret.expose_secret())
}

fn beyond_the_names(grant: &Grant) -> Option<String> {
    let zone = &grant.zone;
    match grant.scope {
        Scope::Zone => Some(format!(
            "this allows TXT at every name of {zone}, including its apex (SPF)"
        )),
        Scope::Subdomain => Some("this allows TXT below these names as well".to_owned()),
        Scope::Name => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_has_its_rule() {
        let grantee = Grantee {
            key: "acme-key".to_owned(),
            algorithm: "hmac-sha256".to_owned(),
        };
        let bind = |scope| {
            let grant = Grant {
                zone: "auth.example.net".parse().unwrap(),
                names: vec!["_acme-challenge.auth.example.net".parse().unwrap()],
                scope,
                key: None,
            };
            bind(&grantee, &grant).text
        };
        let name = "_acme-challenge.auth.example.net.";
        assert!(bind(Scope::Name).contains(&format!("grant acme-key name {name} TXT;")));
        assert!(bind(Scope::Subdomain).contains(&format!("grant acme-key subdomain {name} TXT;")));
        assert!(bind(Scope::Zone).contains("grant acme-key zonesub TXT;"));
        assert!(!bind(Scope::Name).contains("secret"));
    }
}
