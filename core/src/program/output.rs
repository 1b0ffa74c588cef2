//! The output of a program, bounded and safe to print.

use std::fmt::Write as _;

use crate::printable::{printable, shortened};

/// Octets of the output that are kept: the last ones, which usually say why a program failed.
const KEPT: usize = 8 << 10;
/// Characters of one line that are shown.
const LINE_MAX: usize = 1000;

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

    /// The lines without control characters; empty if there is no output.
    pub(super) fn into_text(self) -> String {
        let mut text = String::new();
        if self.dropped > 0 {
            let _ = writeln!(text, "… ({} octets before)", self.dropped);
        }
        let kept = String::from_utf8_lossy(&self.kept);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_output_is_kept_without_control_characters() {
        let mut tail = Tail::default();
        assert_eq!(Tail::default().into_text(), "");
        tail.add(b"one\n\x1b[2Jtwo\n\n");
        assert_eq!(tail.into_text(), "one\n\\u{1b}[2Jtwo");
        let mut tail = Tail::default();
        for _ in 0..3 {
            tail.add(&[b'x'; 6 << 10]);
        }
        tail.add(b"\nend\xff");
        let text = tail.into_text();
        assert!(text.starts_with("… (10245 octets before)\n"), "{text}");
        assert!(text.ends_with("more characters)\nend\u{fffd}"), "{text}");
        assert_eq!(last_line(&text), ": end\u{fffd}");
        assert_eq!(last_line(""), "");
    }
}
