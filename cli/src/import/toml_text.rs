//! Pieces of a settings file, as text with comments.

use acme_alias_core::printable::printable;
use toml::Value;

use crate::fill::fill;

/// The longest line, where words allow it.
const WIDTH: usize = 78;

/// A text as a basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A list; one that is long has a line for each item.
pub(super) fn list(items: &[String]) -> String {
    let line = format!("[{}]", items.join(", "));
    if line.len() <= WIDTH - 12 {
        return line;
    }
    let lines: Vec<_> = items.iter().map(|item| format!("    {item},\n")).collect();
    format!("[\n{}]", lines.concat())
}

/// A list of texts.
pub(super) fn texts(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
    list(&items)
}

/// A key and its value.
pub(super) fn setting(key: &str, value: &str) -> String {
    format!("{key} = {value}\n")
}

/// A comment, wrapped at words.
pub(crate) fn comment(text: &str) -> String {
    wrapped(text, "# ", "# ")
}

/// A text from others on lines of its own, each begun with `first` or `next`.
pub(crate) fn wrapped(text: &str, first: &str, next: &str) -> String {
    fill(&printable(text), WIDTH, first, next) + "\n"
}

/// Whether a table in a file can get another table below it at the end of the file: it is not written inline.
pub(super) fn can_be_extended(text: &str, extended: &str) -> bool {
    let parsed = |text: &str| toml::from_str::<toml::Table>(text).ok();
    let (Some(before), Some(after)) = (parsed(text), parsed(extended)) else {
        return false;
    };
    // Nothing that was there is lost.
    before
        .iter()
        .all(|(key, value)| after.get(key).is_some_and(|after| contains(after, value)))
}

fn contains(after: &Value, before: &Value) -> bool {
    match (after, before) {
        (Value::Table(after), Value::Table(before)) => before
            .iter()
            .all(|(key, value)| after.get(key).is_some_and(|after| contains(after, value))),
        (Value::Array(after), Value::Array(before)) => after.starts_with(before),
        (after, before) => after == before,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_comment_is_wrapped_and_stays_a_comment() {
        let text = "word ".repeat(40) + "a\nb\u{1b}[2J";
        let comment = comment(&text);
        assert!(comment.lines().count() > 2);
        for line in comment.lines() {
            assert!(line.starts_with("# ") && line.len() <= WIDTH, "{line}");
        }
        assert!(comment.contains("a b\\u{1b}[2J"), "{comment}");
    }

    #[test]
    fn nothing_of_a_file_is_lost_or_changed() {
        let before = "[acme]\nx = 1\n[[zones]]\na = 1\n";
        for (added, expected) in [
            ("[cas.a]\nb = 1\n[[zones]]\na = 2\n", true),
            ("[acme]\ny = 1\n", false),
            ("[acme.y]\nz = 1\n", true),
        ] {
            let after = format!("{before}{added}");
            assert_eq!(can_be_extended(before, &after), expected, "{added}");
        }
        let inline = "certificates = { a = { domains = [\"a.example\"] } }\n";
        let after = format!("{inline}[certificates.b]\n");
        assert!(!can_be_extended(inline, &after));
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was_written(text in any::<String>(), more in any::<String>()) {
            let items = [text, more];
            let written = format!("{}{}", comment(&items[0]), setting("a", &texts(&items)));
            let table: toml::Table = toml::from_str(&written).unwrap();
            let read: Vec<_> = table["a"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
            prop_assert_eq!(read, items.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
