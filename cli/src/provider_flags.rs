//! The flags that the compiled-in providers declare, `--KIND-OPTION`.

use acme_alias_core::provider::{OptionKind, OptionSpec};
use acme_alias_core::registry::{self, ProviderKind};
use clap::{Arg, ArgAction, ArgMatches};

/// A provider option given as a flag.
#[derive(Clone, Debug)]
pub(crate) struct ProviderFlag {
    pub(crate) kind: &'static ProviderKind,
    pub(crate) option: &'static OptionSpec,
    pub(crate) values: Vec<String>,
}

/// A flag for each option of each provider.
pub(crate) fn all() -> Vec<Arg> {
    let kinds = registry::kinds().unwrap_or_default().into_iter();
    let flags = kinds.flat_map(|kind| kind.options.iter().map(move |option| flag(kind, option)));
    flags.collect()
}

fn flag_name(kind: &ProviderKind, option: &OptionSpec) -> String {
    format!("{}-{}", kind.kind, option.name)
}

fn flag(kind: &'static ProviderKind, option: &'static OptionSpec) -> Arg {
    let (value, note) = match option.kind {
        OptionKind::Secret => ("WHERE", " (file:PATH, env:NAME or credential:NAME)"),
        OptionKind::Secrets => (
            "NAME=WHERE",
            " (each at file:PATH, env:NAME or credential:NAME)",
        ),
        OptionKind::List => ("VALUE,…", ""),
        OptionKind::Number => ("NUMBER", ""),
        OptionKind::Duration => ("TIME", ""),
        OptionKind::Text => ("VALUE", ""),
    };
    let default = option
        .default
        .map(|default| format!(" [default: {default}]"));
    let mut flag = Arg::new(flag_name(kind, option))
        .long(flag_name(kind, option))
        .value_name(value)
        .help(format!(
            "{}{note}{}",
            option.help,
            default.unwrap_or_default()
        ))
        .help_heading(format!("Provider {}", kind.kind));
    if option.kind == OptionKind::List {
        flag = flag.action(ArgAction::Append).value_delimiter(',');
    }
    if option.kind == OptionKind::Secrets {
        flag = flag.action(ArgAction::Append);
    }
    flag
}

/// The provider flags that were given.
pub(crate) fn given(matches: &ArgMatches) -> Vec<ProviderFlag> {
    let kinds = registry::kinds().unwrap_or_default();
    let options = kinds
        .into_iter()
        .flat_map(|kind| kind.options.iter().map(move |o| (kind, o)));
    options
        .filter_map(|(kind, option)| {
            let values = matches.get_many::<String>(&flag_name(kind, option))?;
            Some(ProviderFlag {
                kind,
                option,
                values: values.cloned().collect(),
            })
        })
        .collect()
}
