//! Shell files that only assign texts to variables, read without a shell.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// How acme.sh marks a value that is in base64.
const BASE64_START: &str = "__ACME_BASE64__START_";
const BASE64_END: &str = "__ACME_BASE64__END_";

/// The assignments of a file: `NAME='text'`, `NAME="text"` or `NAME=text`, one a line. Of several to one variable, the
/// last one holds, as in a shell.
#[derive(Clone, Debug, Default)]
pub(super) struct Assignments {
    values: BTreeMap<String, String>,
    /// The numbers of the lines that are something else, each with the name if it looks like an assignment. Their
    /// texts may be secret.
    pub(super) refused: Vec<(usize, Option<String>)>,
}

impl Assignments {
    pub(super) fn parse(text: &str) -> Self {
        let mut assignments = Assignments::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
            let name = line.split_once('=').filter(|(name, _)| is_name(name));
            let value = name.and_then(|(_, value)| decoded(text_of(value)?));
            match (name, value) {
                (Some((name, _)), Some(value)) => {
                    assignments.values.insert(name.to_owned(), value);
                }
                (name, _) => {
                    // Whatever it does, an earlier value may not hold any more.
                    if let Some((name, _)) = name {
                        assignments.values.remove(name);
                    }
                    let name = name.map(|(name, _)| name.to_owned());
                    assignments.refused.push((index + 1, name));
                }
            }
        }
        assignments
    }

    /// The value of a variable; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// Adds the assignments of another file, which was read later.
    pub(super) fn extend(&mut self, later: Assignments) {
        self.values.extend(later.values);
        for (_, name) in later.refused {
            if let Some(name) = name {
                self.values.remove(&name);
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !text.is_empty() && !text.as_bytes()[0].is_ascii_digit() && text.bytes().all(is_word)
}

/// The text of one word, with which a shell would do nothing but remove the quotes.
fn text_of(value: &str) -> Option<&str> {
    let (text, rest) = match value.as_bytes().first() {
        Some(b'\'') => value[1..].split_once('\'')?,
        Some(b'"') => {
            let (text, rest) = value[1..].split_once('"')?;
            if text.contains(['$', '`', '\\']) {
                return None;
            }
            (text, rest)
        }
        _ => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
            let end = value.find(|c| !is_plain(c)).unwrap_or(value.len());
            value.split_at(end)
        }
    };
    let after = rest.trim_start();
    let is_end = after.is_empty() || (after.len() < rest.len() && after.starts_with('#'));
    is_end.then_some(text)
}

/// The text that acme.sh meant.
fn decoded(text: &str) -> Option<String> {
    let Some(encoded) = text.strip_prefix(BASE64_START) else {
        return Some(text.to_owned());
    };
    let encoded: String = encoded
        .strip_suffix(BASE64_END)?
        .split_whitespace()
        .collect();
    let octets = BASE64_STANDARD.decode(encoded).ok()?;
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(line: &str) -> Option<String> {
        let assignments = Assignments::parse(line);
        assignments.values.get("A").cloned()
    }

    #[test]
    fn a_plain_assignment_is_read() {
        for (line, expected) in [
            ("A=b", "b"),
            (" export A=b # c", "b"),
            ("A=", ""),
            ("A='$(x) \"y\" \\'", "$(x) \"y\" \\"),
            ("A=\"b c\"", "b c"),
            ("A='__ACME_BASE64__START_YiBj__ACME_BASE64__END_'", "b c"),
            ("A=1\nA=2", "2"),
        ] {
            assert_eq!(value(line).as_deref(), Some(expected), "{line}");
        }
        assert_eq!(Assignments::parse("A=''").get("A"), None);
    }

    #[test]
    fn shell_code_is_refused_with_its_line_and_leaves_no_value() {
        for line in [
            "A=$B",
            "A=`b`",
            "A=\"$B\"",
            "A=\"a\\\"b\"",
            "A=b c",
            "A=b;c",
            "A='b'c",
            "A='b",
            "A=\"b",
            "A=b#c",
            "A=~",
            "A=(b)",
            "A+=b",
            "A =b",
            "if true; then",
            "__ACME_BASE64__START_",
            "A='__ACME_BASE64__START_!__ACME_BASE64__END_'",
            "A='__ACME_BASE64__START_YiBj'",
        ] {
            let text = format!("A=before\n{line}");
            let assignments = Assignments::parse(&text);
            let numbers: Vec<_> = assignments.refused.iter().map(|(line, _)| *line).collect();
            assert_eq!(numbers, [2], "{line}");
            if assignments.refused[0].1.is_some() {
                assert_eq!(assignments.get("A"), None, "{line}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_in_single_quotes_is_itself(text in "[^'\n\r]*") {
            prop_assume!(!text.starts_with(BASE64_START));
            prop_assert_eq!(value(&format!("A='{text}'")), Some(text));
        }

        #[test]
        fn any_text_in_base64_is_itself(text in any::<String>()) {
            let encoded = BASE64_STANDARD.encode(&text);
            let line = format!("A='{BASE64_START}{encoded}{BASE64_END}'");
            prop_assert_eq!(value(&line), Some(text));
        }

        #[test]
        fn nothing_unquoted_is_accepted_that_a_shell_would_change(text in "[ -~]{1,12}") {
            if let Some(read) = value(&format!("A={text}")) {
                let quoted = text.starts_with(['\'', '"']);
                let active = "$`\\\"'|&;<>(){}*?[]~!^ \t";
                prop_assert!(quoted || !read.contains(|c| active.contains(c)), "{}", text);
                prop_assert!(!text.starts_with('"') || !read.contains(['$', '`', '\\']));
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic_and_each_line_counts_once(text in any::<String>()) {
            let assignments = Assignments::parse(&text);
            let lines = text.lines().count();
            let read = assignments.values.len() + assignments.refused.len();
            prop_assert!(read <= lines);
        }
    }
}
