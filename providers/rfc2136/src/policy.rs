//! The narrowest grant, and what takes away more than that, in the words of BIND, Knot and PowerDNS.

use acme_alias_core::name::DnsName;
use acme_alias_core::rights::{Grant, Policy, Scope, Subject};
use secrecy::ExposeSecret;

use crate::key::Key;
use crate::probe::Software;

/// Whom a policy is for.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    key: String,
    algorithm: String,
}

impl Holder {
    /// Whoever has this key.
    pub(crate) fn of(key: &Key) -> Self {
        Holder {
            key: key.name(),
            algorithm: key.algorithm().to_string(),
        }
    }
}

/// The grant for each server. Name and algorithm of the key are those of the settings, unless a new one
/// was made.
pub(crate) fn policies(key: &Key, grant: &Grant) -> Vec<Policy> {
    let mut holder = Holder::of(key);
    if let Some(new) = &grant.key {
        holder.key.clone_from(&new.name);
    }
    vec![
        bind(&holder, grant),
        knot(&holder, grant),
        powerdns(&holder, grant),
        powerdns_script(&holder, grant),
    ]
}

/// The narrowest grant for the server that was audited; BIND's where it does not say what it is.
pub(crate) fn narrowest(software: Software, holder: &Holder, subject: &Subject) -> Policy {
    let grant = Grant {
        zone: subject.zone.clone(),
        names: subject.alias_names.clone(),
        scope: Scope::Name,
        key: None,
    };
    match software {
        Software::Bind { .. } => bind(holder, &grant),
        Software::Knot => knot(holder, &grant),
        Software::PowerDns => powerdns_script(holder, &grant),
        Software::Unknown => Policy {
            limits: Some(
                "the server does not say what it is; `acme-alias key policy` has the words of others"
                    .to_owned(),
            ),
            ..bind(holder, &grant)
        },
    }
}

/// How transfers are kept to those who need them.
pub(crate) fn without_transfers(software: Software, zone: &DnsName) -> Policy {
    let (title, text) = match software {
        Software::Knot => (
            "Knot DNS, knot.conf",
            format!(
                "acl:\n  - id: secondaries-of-{zone}\n    address: [192.0.2.2]   # its secondaries, and \
                 nobody else\n    action: transfer\nzone:\n  - domain: {zone}\n    \
                 acl: [secondaries-of-{zone}, acme-alias-{zone}]\n"
            ),
        ),
        Software::PowerDns => (
            "PowerDNS, pdns.conf",
            "allow-axfr-ips=192.0.2.2   # its secondaries, and nobody else\n".to_owned(),
        ),
        Software::Bind { .. } | Software::Unknown => (
            "BIND, named.conf",
            format!(
                "zone \"{zone}\" {{\n\t// type, file and the rest as they are\n\
                 \tallow-transfer {{ 192.0.2.2; }};   // its secondaries, and nobody else\n}};\n"
            ),
        ),
    };
    Policy {
        title: title.to_owned(),
        text,
        limits: None,
    }
}

/// What to do about a key that may sign weakly.
pub(crate) fn another_key(holder: &Holder) -> Policy {
    Policy {
        title: "the server's keys".to_owned(),
        text: format!(
            "make a key with `acme-alias key policy --new-key NAME`, and remove `{}` from the server\n",
            holder.key
        ),
        limits: None,
    }
}

/// What to do about a key that may write in a main zone.
pub(crate) fn without_the_key(holder: &Holder, zone: &DnsName) -> Policy {
    Policy {
        title: format!("the servers of {zone}"),
        text: format!(
            "remove `{}` from the zone's `update-policy`, `allow-update`, `acl` or metadata, and from these \
             servers if they have no other zone for it\n",
            holder.key
        ),
        limits: None,
    }
}

fn bind(Holder { key, algorithm }: &Holder, grant: &Grant) -> Policy {
    let zone = &grant.zone;
    let mut text = String::new();
    if let Some(secret) = new_secret(grant) {
        text.push_str(&format!(
            "key \"{key}\" {{\n\talgorithm {algorithm};\n\tsecret \"{secret}\";\n}};\n\n"
        ));
    }
    text.push_str(&format!(
        "zone \"{zone}\" {{\n\t// type, file and the rest as they are; no `allow-update` beside this\n\
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

fn knot(Holder { key, algorithm }: &Holder, grant: &Grant) -> Policy {
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

fn powerdns(Holder { key, algorithm }: &Holder, grant: &Grant) -> Policy {
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
            "the key may then change every record of {zone}: metadata know neither types nor names. The \
             script below does, and takes their place"
        )),
    }
}

/// `PowerDNS` asks it about every record of every update, and looks at no metadata then
/// (<https://doc.powerdns.com/authoritative/dnsupdate.html#update-policy>; seen so with 4.7).
fn powerdns_script(Holder { key, .. }: &Holder, grant: &Grant) -> Policy {
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
        "function updatepolicy(update)\n  -- it is asked for every zone: add what others need\n  \
         if update:getZoneName():toString() ~= \"{zone}\" then return false end\n  \
         if update:getTsigName():toString() ~= \"{key}.\" then return false end\n  \
         if update:getQType() ~= pdns.TXT then return false end\n  \
         local owner = update:getQName():toString():lower()\n{rest}end\n"
    );
    Policy {
        title: "PowerDNS, the file of lua-dnsupdate-policy-script".to_owned(),
        text,
        limits: Some(
            "for every zone it takes the place of ALLOW-DNSUPDATE-FROM and TSIG-ALLOW-DNSUPDATE. What it \
             refuses is dropped without a word, so that the server says NOERROR, and an audit cannot tell"
                .to_owned(),
        ),
    }
}

/// The secret of a key that this policy is to make known.
fn new_secret(grant: &Grant) -> Option<&str> {
    let secret = grant.key.as_ref()?.secret.as_ref()?;
    Some(secret.expose_secret())
}

fn beyond_the_names(grant: &Grant) -> Option<String> {
    let zone = &grant.zone;
    match grant.scope {
        Scope::Zone => Some(format!(
            "this allows TXT at every name of {zone}, its apex (SPF) among them"
        )),
        Scope::Subdomain => Some("this allows TXT below these names as well".to_owned()),
        Scope::Name => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_has_its_words() {
        let holder = Holder {
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
            bind(&holder, &grant).text
        };
        let name = "_acme-challenge.auth.example.net.";
        assert!(bind(Scope::Name).contains(&format!("grant acme-key name {name} TXT;")));
        assert!(bind(Scope::Subdomain).contains(&format!("grant acme-key subdomain {name} TXT;")));
        assert!(bind(Scope::Zone).contains("grant acme-key zonesub TXT;"));
        assert!(!bind(Scope::Name).contains("secret"));
    }
}
