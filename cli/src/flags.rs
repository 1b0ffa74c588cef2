//! Flags as a layer of settings, in the shape of a settings file. What `issue` was told is kept
//! beside the certificate in this shape, so that `renew` does the same without any flag.

use std::path::{Path, PathBuf};

use acme_alias_core::name::Identifier;
use acme_alias_core::provider::OptionKind;
use acme_alias_core::store::{CertificateId, InvalidCertificateId};
use config::ValueKind;
use toml::{Table, Value};

use crate::cli::{AliasFor, Cli, Global, IssueArgs};
use crate::provider_flags::ProviderFlag;
use crate::settings::{Mistake, Tree};

/// The word for the directory of `--staging`.
const STAGING: &str = "letsencrypt-staging";

/// The flags that every command takes. `below` has the layers that they rank above.
pub(crate) fn global(global: &Global) -> Result<Table, Mistake> {
    let mut layer = kept(global)?;
    if let Some(state) = &global.state {
        layer.insert("state".to_owned(), absolute(state)?);
    }
    Ok(layer)
}

/// Those of them that a certificate is renewed with.
fn kept(global: &Global) -> Result<Table, Mistake> {
    let mut layer = Table::new();
    let acme = [
        ("directory", directory(global).map(Value::from)),
        (
            "ca-file",
            global.ca_file.as_deref().map(absolute).transpose()?,
        ),
        ("contact", list(&global.contact)),
        ("agree-tos", global.agree_tos.then(|| true.into())),
    ];
    let dns = [
        ("resolver", list(&global.resolver)),
        (
            "propagation-timeout",
            global.propagation_timeout.clone().map(Value::from),
        ),
    ];
    insert_table(&mut layer, "acme", acme);
    insert_table(&mut layer, "dns", dns);
    Ok(layer)
}

/// Whether there is no flag that describes a certificate. `--skip-preflight` may stand beside an id.
pub(crate) fn describe_nothing(cli: &Cli, args: &IssueArgs) -> bool {
    args.id.is_none()
        && args.challenge_alias.is_empty()
        && args.domain_alias.is_empty()
        && args.provider.is_none()
        && args.alias_zone.is_empty()
        && args.csr.is_none()
        && args.key_type.is_none()
        && !args.reuse_key
        && args.ca.is_none()
        && args.profile.is_none()
        && args.preferred_chain.is_none()
        && !args.partial
        && cli.provider_flags.is_empty()
}

/// The certificate that the flags of `issue` describe. `below` are the settings they rank above.
pub(crate) fn certificate(
    cli: &Cli,
    args: &IssueArgs,
    id: &CertificateId,
    names: &[Identifier],
    below: &Tree,
) -> Result<Table, Mistake> {
    let mut layer = kept(&cli.global)?;
    let provider = provider(cli, args, below)?;
    foreign_alias(args, names)?;
    let chosen = provider.as_ref().map(|(id, _)| id.clone());
    let mut certificate = names_and_aliases(args, names)?;
    if let Some(csr) = &args.csr {
        certificate.insert("csr".to_owned(), absolute(csr)?);
    }
    if let Some(ca) = &args.ca {
        certificate.insert("ca".to_owned(), ca.as_str().into());
    }
    if let Some(profile) = &args.profile {
        certificate.insert("profile".to_owned(), profile.as_str().into());
    }
    if let Some(root) = &args.preferred_chain {
        certificate.insert("preferred-chain".to_owned(), root.as_str().into());
    }
    if let Some(key_type) = args.key_type {
        certificate.insert("key-type".to_owned(), key_type.to_string().into());
    }
    if args.reuse_key {
        certificate.insert("key".to_owned(), "reuse".into());
    }
    if args.partial {
        certificate.insert("partial".to_owned(), true.into());
    }
    if args.skip_preflight {
        certificate.insert("skip-preflight".to_owned(), true.into());
    }
    match (&chosen, args.alias_zone.is_empty()) {
        (Some(chosen), true) => {
            certificate.insert("provider".to_owned(), chosen.clone().into());
        }
        (Some(chosen), false) => {
            layer.insert("alias-zones".to_owned(), alias_zones(args, chosen, below));
        }
        (None, true) => {}
        (None, false) => {
            return Err(
                Mistake::new("`--alias-zone` needs a provider to write there")
                    .help("name it with `--provider`"),
            );
        }
    }
    let certificates = Table::from_iter([(id.to_string(), certificate.into())]);
    layer.insert("certificates".to_owned(), certificates.into());
    if let Some((id, options)) = provider.filter(|(_, options)| !options.is_empty()) {
        let providers = Table::from_iter([(id, options.into())]);
        layer.insert("providers".to_owned(), providers.into());
    }
    Ok(layer)
}

/// The id that a certificate gets from its first name: `*.example.com` is `wildcard-example-com`.
pub(crate) fn default_id(name: &Identifier) -> Result<CertificateId, Mistake> {
    let text = name.to_string().replace('*', "wildcard").replace('.', "-");
    text.parse().map_err(|error: InvalidCertificateId| {
        Mistake::new(error.to_string()).help("name an id with `--id`")
    })
}

/// The provider that the flags mean, and the options they set: the one named, or the one of the
/// flags' kind in the settings, or a new one whose id is the kind.
fn provider(cli: &Cli, args: &IssueArgs, below: &Tree) -> Result<Option<(String, Table)>, Mistake> {
    let configured = configured_providers(below);
    let Some(kind) = provider_kind(cli, args)? else {
        return Ok(None);
    };
    let id = provider_id(args, kind, &configured)?;
    let other = configured
        .iter()
        .find(|(known, other)| *known == id && other != kind);
    if let (Some((_, other)), false) = (other, cli.provider_flags.is_empty()) {
        return Err(Mistake::new(format!(
            "`--provider {id}` is of the kind `{other}`, and the flags are of the kind `{kind}`"
        )));
    }
    let mut options = Table::new();
    for flag in &cli.provider_flags {
        options.insert(flag.option.name.to_owned(), option(flag)?);
    }
    if !configured.iter().any(|(known, _)| *known == id) {
        options.insert("kind".to_owned(), kind.into());
    }
    Ok(Some((id, options)))
}

/// The ids of the providers in the settings, with their kinds.
fn configured_providers(below: &Tree) -> Vec<(String, String)> {
    let ids = below.keys("providers").into_iter();
    let with_kind = ids.filter_map(|id| {
        let kind = below.at(&format!("providers.{id}.kind"))?;
        let kind = kind.clone().into_string().ok()?;
        Some((id, kind))
    });
    with_kind.collect()
}

/// The kind that the flags are of, or else what `--provider` names.
fn provider_kind<'a>(cli: &'a Cli, args: &'a IssueArgs) -> Result<Option<&'a str>, Mistake> {
    let kinds = cli.provider_flags.iter().map(|flag| flag.kind.kind);
    let mut kinds: Vec<_> = kinds.collect();
    kinds.dedup();
    match (kinds.as_slice(), &args.provider) {
        ([], None) => Ok(None),
        ([], Some(provider)) => Ok(Some(provider)),
        ([kind], _) => Ok(Some(kind)),
        (several, _) => Err(Mistake::new(format!(
            "there are flags of several providers: {}",
            several.join(", ")
        ))
        .help("give those of one; the settings can have several providers")),
    }
}

/// The id of the provider of this kind.
fn provider_id(
    args: &IssueArgs,
    kind: &str,
    configured: &[(String, String)],
) -> Result<String, Mistake> {
    let named = args.provider.as_ref();
    if let Some(named) = named.filter(|named| configured.iter().any(|(id, _)| id == *named)) {
        return Ok(named.clone());
    }
    let of_kind = configured.iter().filter(|(_, known)| known == kind);
    let of_kind: Vec<_> = of_kind.map(|(id, _)| id.as_str()).collect();
    match of_kind.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Ok(kind.to_owned()),
        several => Err(Mistake::new(format!(
            "there are several providers of the kind `{kind}`: {}",
            several.join(", ")
        ))
        .help("choose one with `--provider`")),
    }
}

fn option(flag: &ProviderFlag) -> Result<Value, Mistake> {
    let first = flag.values.first().cloned().unwrap_or_default();
    match flag.option.kind {
        OptionKind::List => Ok(flag
            .values
            .iter()
            .cloned()
            .map(Value::from)
            .collect::<Vec<_>>()
            .into()),
        OptionKind::Secret => secret(flag.option.name, &first),
        OptionKind::Secrets => secrets(flag),
        _ => Ok(first.into()),
    }
}

/// The table of secrets that several `NAME=WHERE` are.
fn secrets(flag: &ProviderFlag) -> Result<Value, Mistake> {
    let mut table = Table::new();
    for text in &flag.values {
        let Some((name, place)) = text.split_once('=') else {
            return Err(Mistake::new(format!(
                "`--{}-{}` takes NAME=file:PATH, NAME=env:NAME or NAME=credential:NAME",
                flag.kind.kind, flag.option.name
            )));
        };
        table.insert(name.to_owned(), secret(name, place)?);
    }
    Ok(table.into())
}

fn secret(option: &str, text: &str) -> Result<Value, Mistake> {
    let (form, rest) = text.split_once(':').unwrap_or(("", ""));
    let value = match form {
        "file" => absolute(Path::new(rest))?,
        "env" | "credential" => rest.into(),
        _ => {
            return Err(Mistake::new(format!(
                "`{option}` is not taken from the command line, where everybody on this machine can read it"
            ))
            .help("say where it is: file:PATH, env:NAME or credential:NAME"));
        }
    };
    Ok(Table::from_iter([(form.to_owned(), value)]).into())
}

/// The names with their aliases. Those of a certification request are left to it, unless one has an alias of its own:
/// the next request may have others.
fn names_and_aliases(args: &IssueArgs, names: &[Identifier]) -> Result<Table, Mistake> {
    let mut aliases = args.challenge_alias.iter().chain(&args.domain_alias);
    let domains = names.iter().map(|name| domain(args, name));
    let domains = domains.collect::<Result<Vec<_>, _>>()?;
    if args.csr.is_none() || !args.subjects.is_empty() || aliases.any(|alias| alias.name.is_some())
    {
        return Ok(Table::from_iter([("domains".to_owned(), domains.into())]));
    }
    let mut for_all = match domains.into_iter().next() {
        Some(Value::Table(first)) => first,
        _ => Table::new(),
    };
    for_all.remove("name");
    Ok(for_all)
}

/// A name with its alias, as it stands in `domains`.
fn domain(args: &IssueArgs, name: &Identifier) -> Result<Value, Mistake> {
    let challenge = alias_of(&args.challenge_alias, name);
    let domain = alias_of(&args.domain_alias, name);
    let (key, alias) = match (challenge, domain) {
        (None, None) => return Ok(name.to_string().into()),
        (Some(alias), None) => ("challenge-alias", alias),
        (None, Some(alias)) => ("domain-alias", alias),
        // An alias for this very name counts more than one for all.
        (Some(alias), Some(other)) if alias.name.is_some() && other.name.is_none() => {
            ("challenge-alias", alias)
        }
        (Some(other), Some(alias)) if alias.name.is_some() && other.name.is_none() => {
            ("domain-alias", alias)
        }
        (Some(_), Some(_)) => {
            return Err(Mistake::new(format!(
                "{name} has both a `--challenge-alias` and a `--domain-alias`"
            ))
            .help("the first adds `_acme-challenge.`, the second is the TXT name itself"));
        }
    };
    Ok(Table::from_iter([
        ("name".to_owned(), name.to_string().into()),
        (key.to_owned(), alias.alias.to_string().into()),
    ])
    .into())
}

/// The alias given for this name, or else the one given for all.
fn alias_of<'a>(aliases: &'a [AliasFor], name: &Identifier) -> Option<&'a AliasFor> {
    let own = aliases
        .iter()
        .rfind(|alias| alias.name.as_ref() == Some(name));
    own.or_else(|| aliases.iter().rfind(|alias| alias.name.is_none()))
}

/// An alias for a name that is not in the certificate is a slip of the pen.
fn foreign_alias(args: &IssueArgs, names: &[Identifier]) -> Result<(), Mistake> {
    let given = args.challenge_alias.iter().chain(&args.domain_alias);
    match given
        .filter_map(|alias| alias.name.as_ref())
        .find(|name| !names.contains(name))
    {
        Some(foreign) => Err(Mistake::new(format!(
            "there is an alias for {foreign}, which is not among the names of the certificate"
        ))),
        None => Ok(()),
    }
}

/// The zones of the flags, and behind them those of the layers below: lists replace each other.
fn alias_zones(args: &IssueArgs, provider: &str, below: &Tree) -> Value {
    let entry = |zone: String| {
        Table::from_iter([
            ("zone".to_owned(), zone.into()),
            ("provider".to_owned(), provider.into()),
        ])
    };
    let mut zones: Vec<Value> = args
        .alias_zone
        .iter()
        .map(|zone| entry(zone.to_string()).into())
        .collect();
    let given = |zone: &str| args.alias_zone.iter().any(|given| given.as_str() == zone);
    for index in 0..below.len("alias-zones") {
        let Some(value) = below.at(&format!("alias-zones[{index}]")) else {
            continue;
        };
        let zone = below.at(&format!("alias-zones[{index}].zone"));
        let zone = zone
            .and_then(|zone| zone.clone().into_string().ok())
            .unwrap_or_default();
        if !given(&zone) {
            zones.push(plain(value));
        }
    }
    zones.into()
}

fn plain(value: &config::Value) -> Value {
    match &value.kind {
        ValueKind::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect::<Table>()
            .into(),
        ValueKind::Array(array) => array.iter().map(plain).collect::<Vec<_>>().into(),
        other => other.to_string().into(),
    }
}

fn list(texts: &[String]) -> Option<Value> {
    (!texts.is_empty()).then(|| texts.to_vec().into())
}

fn insert_table<const N: usize>(layer: &mut Table, name: &str, values: [(&str, Option<Value>); N]) {
    let values: Table = values
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect();
    if !values.is_empty() {
        layer.insert(name.to_owned(), values.into());
    }
}

/// Renewals run from another folder.
fn absolute(path: &Path) -> Result<Value, Mistake> {
    let absolute: PathBuf = std::path::absolute(path)
        .map_err(|error| Mistake::new(format!("{} is no path: {error}", path.display())))?;
    match absolute.to_str() {
        Some(text) => Ok(text.into()),
        None => Err(Mistake::new(format!("{} is not in UTF-8", path.display()))),
    }
}

/// The directory that the flags name.
fn directory(global: &Global) -> Option<String> {
    let staging = global.staging.then(|| STAGING.to_owned());
    staging.or_else(|| global.directory.clone())
}
