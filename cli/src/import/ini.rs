//! Files of certbot: `key = value` in sections.

use std::collections::BTreeMap;

/// The values of a file by section and key. What stands before the first section has an empty one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ini(BTreeMap<(String, String), String>);

impl Ini {
    pub(super) fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        let mut section = String::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                let name = name.trim_start_matches('[').trim_end_matches(']');
                name.trim().clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=') {
                let key = unquoted(key.trim()).to_owned();
                let value = unquoted(value.trim()).to_owned();
                values.insert((section.clone(), key), value);
            }
        }
        Ini(values)
    }

    /// A value; an empty one, and `None` as certbot writes it, is none.
    pub(super) fn get(&self, section: &str, key: &str) -> Option<&str> {
        let value = self.0.get(&(section.to_owned(), key.to_owned()))?.as_str();
        (!value.is_empty() && value != "None").then_some(value)
    }
}

/// The text without quotes around it, or without a comment after it.
fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote);
        if let Some((inner, _)) = inner.and_then(|inner| inner.rsplit_once(quote)) {
            return inner;
        }
    }
    let end = text.find(" #").unwrap_or(text.len());
    text[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_section_and_key() {
        let text = "# certbot\nversion = 5\n[renewalparams]\nserver = https://a/b # c\nhook = \"a, 'b'\"\n\
                    none = None\nempty =\n[[webroot_map]]\nserver = x\n";
        let ini = Ini::parse(text);
        assert_eq!(ini.get("", "version"), Some("5"));
        assert_eq!(ini.get("renewalparams", "server"), Some("https://a/b"));
        assert_eq!(ini.get("renewalparams", "hook"), Some("a, 'b'"));
        assert_eq!(ini.get("renewalparams", "none"), None);
        assert_eq!(ini.get("renewalparams", "empty"), None);
        assert_eq!(ini.get("webroot_map", "server"), Some("x"));
    }
}
