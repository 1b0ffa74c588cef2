//! The narrowest grant, as BIND, Knot and PowerDNS have it.

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Grant, Policy, Scope};

/// Each grant for each server. `key` and `algorithm` are those of the settings.
pub(crate) fn policies(key: &str, algorithm: &str, grant: &Grant) -> Vec<Policy> {
    let (key, secret) = match &grant.key {
        Some(new) => (new.name.as_str(), Some(new.secret.as_str())),
        None => (key, None),
    };
    vec![
        bind(key, algorithm, secret, grant),
        knot(key, algorithm, secret, grant),
        powerdns(key, algorithm, secret, grant),
    ]
}

fn bind(key: &str, algorithm: &str, secret: Option<&str>, grant: &Grant) -> Policy {
    let zone = &grant.zone;
    let mut text = String::new();
    if let Some(secret) = secret {
        text.push_str(&format!(
            "key \"{key}\" {{\n\talgorithm {algorithm};\n\tsecret \"{secret}\";\n}};\n\n"
        ));
    }
    text.push_str(&format!(
        "zone \"{zone}\" {{\n\t// type, file and the rest as they are\n\tupdate-policy {{\n"
    ));
    match grant.scope {
        Scope::Zone => text.push_str(&format!("\t\tgrant {key} zonesub TXT;\n")),
        Scope::Name | Scope::Subdomain => {
            let word = if grant.scope == Scope::Name {
                "name"
            } else {
                "subdomain"
            };
            for name in &grant.names {
                text.push_str(&format!("\t\tgrant {key} {word} {} TXT;\n", name.fqdn()));
            }
        }
    }
    text.push_str("\t};\n};\n");
    Policy {
        title: "BIND, named.conf".to_owned(),
        text,
        limits: match grant.scope {
            Scope::Zone => Some(format!(
                "`zonesub` allows TXT at every name of {zone}, its apex (SPF) among them"
            )),
            Scope::Subdomain => Some("`subdomain` allows TXT below these names as well".to_owned()),
            Scope::Name => None,
        },
    }
}

fn knot(key: &str, algorithm: &str, secret: Option<&str>, grant: &Grant) -> Policy {
    let zone = &grant.zone;
    let mut text = String::new();
    if let Some(secret) = secret {
        text.push_str(&format!(
            "key:\n  - id: {key}\n    algorithm: {algorithm}\n    secret: {secret}\n"
        ));
    }
    text.push_str(&format!(
        "acl:\n  - id: acme-alias\n    key: {key}\n    action: update\n    update-type: [TXT]\n"
    ));
    if grant.scope != Scope::Zone {
        let names: Vec<_> = grant.names.iter().map(DnsName::fqdn).collect();
        let matching = if grant.scope == Scope::Name {
            "equal"
        } else {
            "sub-or-equal"
        };
        text.push_str(&format!(
            "    update-owner: name\n    update-owner-match: {matching}\n    \
             update-owner-name: [{}]\n",
            names.join(", ")
        ));
    }
    text.push_str(&format!("zone:\n  - domain: {zone}\n    acl: acme-alias\n"));
    Policy {
        title: "Knot DNS, knot.conf".to_owned(),
        text,
        limits: None,
    }
}

fn powerdns(key: &str, algorithm: &str, secret: Option<&str>, grant: &Grant) -> Policy {
    let zone = &grant.zone;
    let mut text = String::new();
    if let Some(secret) = secret {
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
            "the key may then change every record of {zone}: metadata know neither types nor names. \
             Give the alias zone nothing else to hold, or write a `lua-dnsupdate-policy-script`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(scope: Scope) -> Grant {
        Grant {
            zone: "auth.example.net".parse().unwrap(),
            names: vec!["_acme-challenge.auth.example.net".parse().unwrap()],
            scope,
            key: None,
        }
    }

    #[test]
    fn each_scope_has_its_words() {
        let bind = |scope| {
            policies("acme-key", "hmac-sha256", &grant(scope))
                .remove(0)
                .text
        };
        let name = "_acme-challenge.auth.example.net.";
        assert!(bind(Scope::Name).contains(&format!("grant acme-key name {name} TXT;")));
        assert!(bind(Scope::Subdomain).contains(&format!("grant acme-key subdomain {name} TXT;")));
        assert!(bind(Scope::Zone).contains("grant acme-key zonesub TXT;"));
        assert!(!bind(Scope::Name).contains("secret"));
    }
}
