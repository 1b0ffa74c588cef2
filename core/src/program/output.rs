//! The output of a program, bounded and safe to print.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use secrecy::{ExposeSecret, SecretString};

use crate::printable::{printable, shortened};

/// Octets of the output that are kept: the last ones, which usually say why a program failed.
const KEPT: usize = 8 << 10;
/// Characters of one line that are shown.
const LINE_MAX: usize = 1000;

/// What is shown in place of a secret.
const HIDDEN: &str = "[hidden]";

/// The text without secrets, line by line: a program may print what it should not.
pub fn without_secrets(text: &str, secrets: &BTreeMap<String, SecretString>) -> String {
    let lines = lines_of(secrets).into_iter();
    lines.fold(text.to_owned(), |text, line| text.replace(line, HIDDEN))
}

/// The lines of secrets, the longest first: a short one may be a part of another.
fn lines_of(secrets: &BTreeMap<String, SecretString>) -> Vec<&str> {
    let lines = secrets
        .values()
        .flat_map(|secret| secret.expose_secret().lines());
    let mut lines: Vec<_> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines.sort_by_key(|line| Reverse(line.len()));
    lines
}

/// The text without the end of a secret of which the beginning was cut off.
fn without_end_of_secret(text: &str, secrets: &BTreeMap<String, SecretString>) -> String {
    // The first character may have been cut as well.
    let text = text.trim_start_matches(char::REPLACEMENT_CHARACTER);
    let rest = lines_of(secrets).into_iter().filter_map(|line| {
        let mut ends = line.char_indices().map(|(at, _)| &line[at..]);
        ends.find_map(|end| text.strip_prefix(end))
    });
    match rest.min_by_key(|rest| rest.len()) {
        Some(rest) => format!("{HIDDEN}{rest}"),
        None => text.to_owned(),
    }
}

/// Collects the end of an output.
#[derive(Debug, Default)]
pub(super) struct Tail {
    kept: Vec<u8>,
    dropped: usize,
}

impl Tail {
    pub(super) fn add(&mut self, octets: &[u8]) {
        self.kept.extend_from_slice(octets);
        let excess = self.kept.len().saturating_sub(KEPT);
        self.dropped += excess;
        self.kept.drain(..excess);
    }

    /// The lines without secrets and control characters; empty if there is no output. Secrets are hidden before
    /// anything else is cut off: nobody recognises a part of one.
    pub(super) fn into_text(self, secrets: &BTreeMap<String, SecretString>) -> String {
        let mut text = String::new();
        if self.dropped > 0 {
            let _ = writeln!(text, "… ({} octets before)", self.dropped);
        }
        let mut kept = String::from_utf8_lossy(&self.kept).into_owned();
        if self.dropped > 0 {
            kept = without_end_of_secret(&kept, secrets);
        }
        let kept = without_secrets(&kept, secrets);
        for line in kept.trim_end().lines() {
            text.push_str(&shortened(line, LINE_MAX));
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// The last line of an output, as part of a sentence.
pub(crate) fn last_line(output: &str) -> String {
    match output.lines().last() {
        Some(line) => format!(": {}", printable(line)),
        None => String::new(),
    }
}

/// An output for the log: it begins no line there as the log does.
pub fn in_log(output: &str) -> String {
    match output {
        "" => " and printed nothing".to_owned(),
        output if output.contains('\n') => {
            let lines = output.lines().map(|line| format!("\n  | {line}"));
            format!(":{}", lines.collect::<String>())
        }
        output => last_line(output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_the_log_are_behind_a_bar() {
        assert_eq!(in_log("one"), ": one");
        assert_eq!(in_log("one\nerror: two"), ":\n  | one\n  | error: two");
        assert_eq!(in_log(""), " and printed nothing");
    }

    #[test]
    fn the_end_of_an_output_is_kept_without_control_characters() {
        let none = BTreeMap::new();
        let mut tail = Tail::default();
        assert_eq!(Tail::default().into_text(&none), "");
        tail.add(b"one\n\x1b[2Jtwo\n\n");
        assert_eq!(tail.into_text(&none), "one\n\\u{1b}[2Jtwo");
        let mut tail = Tail::default();
        for _ in 0..3 {
            tail.add(&[b'x'; 6 << 10]);
        }
        tail.add(b"\nend\xff");
        let text = tail.into_text(&none);
        assert!(text.starts_with("… (10245 octets before)\n"), "{text}");
        assert!(text.ends_with("more characters)\nend\u{fffd}"), "{text}");
        assert_eq!(last_line(&text), ": end\u{fffd}");
        assert_eq!(last_line(""), "");
    }

    #[test]
    fn secrets_are_hidden_line_by_line_and_before_lines_are_cut() {
        let long = "0123456789".repeat(200);
        let secrets = [("KEY", long.as_str()), ("PEM", "one\n\ntwo"), ("A", "5")];
        let secrets = secrets.map(|(name, secret)| (name.to_owned(), secret.into()));
        let secrets = BTreeMap::from(secrets);
        let shown = |text: String| {
            let mut tail = Tail::default();
            tail.add(text.as_bytes());
            tail.into_text(&secrets)
        };
        assert_eq!(shown("a one, two".to_owned()), "a [hidden], [hidden]");
        assert_eq!(shown(format!("key {long}.")), "key [hidden].");
        let cut = shown(format!("key {long}\n{}end", "\n".repeat(7_000)));
        let (first, rest) = cut.split_once('\n').unwrap();
        assert!(first.starts_with("… ("), "{first}");
        assert_eq!(rest.lines().next(), Some("[hidden]"));
    }
}
