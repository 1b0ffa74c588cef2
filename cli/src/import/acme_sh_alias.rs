//! The alias lists of acme.sh (`Le_ChallengeAlias`).

use acme_alias_core::name::{DnsName, Identifier};

/// How acme.sh writes that a name has no alias.
const NONE: &str = "no";
/// What begins an alias that is the name of the TXT record itself.
const DOMAIN_ALIAS: char = '=';

/// The names at which the TXT records of these names are written, in their order. `None` for a name without an alias,
/// if none has one: then acme.sh writes at the challenge name.
///
/// The fields of the list, which commas separate, are for the names in their order. An empty or missing field takes the
/// last one to its left that is not empty. A list without a comma holds for all names.
pub(super) fn aliases(
    list: &str,
    identifiers: &[Identifier],
) -> Result<Vec<Option<DnsName>>, String> {
    let fields: Vec<_> = list.split(',').map(str::trim).collect();
    let mut aliases = Vec::new();
    for (place, identifier) in identifiers.iter().enumerate() {
        let upto = &fields[..fields.len().min(place + 1)];
        let field = upto.iter().rev().find(|field| !field.is_empty());
        aliases.push(match field {
            None | Some(&NONE) => None,
            Some(field) => Some(alias(field)?),
        });
        // One challenge name leads to one alias name.
        let earlier = identifiers[..place]
            .iter()
            .position(|earlier| earlier.challenge_name() == identifier.challenge_name());
        if let Some(earlier) = earlier.filter(|earlier| aliases[*earlier] != aliases[place]) {
            return Err(format!(
                "{} and {identifier} have the same challenge name and different aliases",
                identifiers[earlier]
            ));
        }
    }
    if aliases.iter().any(Option::is_some) {
        for (alias, identifier) in aliases.iter_mut().zip(identifiers) {
            alias.get_or_insert_with(|| identifier.challenge_name().clone());
        }
    }
    Ok(aliases)
}

fn alias(field: &str) -> Result<DnsName, String> {
    let parsed = |text: &str| {
        let name = text.parse::<DnsName>();
        let name = name.map_err(|error| format!("an alias cannot be used: {error}"))?;
        match name.labels().count() {
            1 => Err(format!("the alias `{name}` has no dot")),
            _ => Ok(name),
        }
    };
    match field.strip_prefix(DOMAIN_ALIAS) {
        Some(name) => parsed(name),
        None => parsed(field)?
            .challenge_name()
            .map_err(|error| format!("an alias cannot be used: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &str) -> Result<Vec<String>, String> {
        let names = ["a.example", "b.example", "c.example", "d.example"];
        let identifiers = names.map(|name| name.parse().unwrap());
        let aliases = aliases(list, &identifiers)?.into_iter();
        let texts = aliases.map(|alias| alias.map_or("-".to_owned(), |alias| alias.to_string()));
        Ok(texts.collect())
    }

    #[test]
    fn every_form_of_the_list_is_read() {
        let (x, y) = ("_acme-challenge.x.test", "_acme-challenge.y.test");
        let (b, d) = ("_acme-challenge.b.example", "_acme-challenge.d.example");
        for (list, expected) in [
            ("", ["-"; 4]),
            ("no", ["-"; 4]),
            (",,", ["-"; 4]),
            ("x.test", [x; 4]),
            ("=x.test", ["x.test"; 4]),
            ("x.test,", [x; 4]),
            ("x.test,y.test", [x, y, y, y]),
            ("x.test,,y.test", [x, x, y, y]),
            ("x.test,no,y.test,no", [x, b, y, d]),
            ("x.test,no", [x, b, "_acme-challenge.c.example", d]),
            (",x.test", ["_acme-challenge.a.example", x, x, x]),
            ("x.test,=z.y.test,,y.test,", [x, "z.y.test", "z.y.test", y]),
            ("x.test, y.test ,x.test,x.test,y.test", [x, y, x, x]),
        ] {
            let expected = expected.map(str::to_owned).to_vec();
            assert_eq!(found(list), Ok(expected), "{list}");
        }
    }

    #[test]
    fn what_is_no_alias_is_refused() {
        for list in ["x", "=x", "x..test", "x.test,$(y)", "../x.test", "No"] {
            assert!(found(list).is_err(), "{list}");
        }
        let names = ["a.example", "*.a.example"].map(|name| name.parse().unwrap());
        assert!(aliases("x.test,y.test", &names).is_err());
        assert!(aliases("x.test,x.test", &names).is_ok());
    }
}
