//! What it costs when many domains share one alias name.

use std::collections::BTreeMap;

use acme_alias_core::name::DnsName;

/// So many domains can share an alias name without a word.
const FEW: usize = 10;

/// A note for each alias name that many challenge names lead to.
pub(super) fn notes<'a>(alias_names: impl IntoIterator<Item = &'a DnsName>) -> Vec<String> {
    let mut counts: BTreeMap<&DnsName, usize> = BTreeMap::new();
    for alias_name in alias_names {
        *counts.entry(alias_name).or_default() += 1;
    }
    let many = counts.into_iter().filter(|(_, count)| *count > FEW);
    let note = |(alias_name, count): (&DnsName, usize)| {
        format!(
            "note: {count} domains share the alias name {alias_name}. Their certificates are validated together, \
             about 100 values at a time, and with a TTL above 0 each run waits until the CA's cache has \
             forgotten the values of the last one. With one alias name per domain nothing waits: `acme-alias \
             delegate --by-domain`, or `--unique`"
        )
    };
    many.map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_alias_name_of_many_domains_gets_a_note() {
        let shared: DnsName = "shared.auth.example.net".parse().unwrap();
        let own: DnsName = "own.auth.example.net".parse().unwrap();
        let few = std::iter::repeat_n(&shared, FEW).chain([&own]);
        assert_eq!(notes(few), [""; 0]);
        let many = std::iter::repeat_n(&shared, FEW + 1).chain([&own]);
        let notes = notes(many);
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("11 domains share"), "{notes:?}");
    }
}
