//! Text in lines of at most so many columns.

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// The columns of text for people.
pub(crate) const WIDTH: usize = 80;

/// The words that begin a line of ours. Text from others gets none of them at the beginning of a line.
pub(crate) const LABELS: [&str; 4] = ["error:", "warning:", "help:", "also:"];

/// A space at which no line is broken. No text has one here: it is white space.
const GLUE: char = '\u{a0}';

/// The text in lines of their own, broken between words, each begun with `first` or `next`. Longer words stay whole. No
/// line but the first begins with one of the [`LABELS`]. In a word that is longer than a line, their colons are escaped: a
/// terminal breaks it anywhere.
pub(crate) fn fill(text: &str, width: usize, first: &str, next: &str) -> String {
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(next)
        .break_words(false)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    let mut words = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(if begins_with_label(word) { GLUE } else { ' ' });
        }
        // A terminal breaks such a word where a line of it is full.
        if word.len() + next.len() > width {
            words.push_str(&without_labels(word));
        } else {
            words.push_str(word);
        }
    }
    textwrap::fill(&words, options).replace(GLUE, " ")
}

/// The word with the colons of the [`LABELS`] in it escaped.
fn without_labels(word: &str) -> String {
    LABELS.iter().fold(word.to_owned(), |word, label| {
        word.replace(label, &label.replace(':', "\\u{3a}"))
    })
}

fn begins_with_label(word: &str) -> bool {
    LABELS.iter().any(|label| word.starts_with(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_only() {
        let text = fill("one two\tthree  four", 14, "    ", "      ");
        assert_eq!(text, "    one two\n      three\n      four");
        assert_eq!(fill("a-very-long-word b", 5, "", ""), "a-very-long-word\nb");
    }

    #[test]
    fn no_row_of_a_long_word_begins_with_a_label() {
        let word = format!("{}help:warning:{}", "x".repeat(80), "y".repeat(80));
        let filled = fill(&format!("error: {word}"), 80, "", "       ");
        assert!(filled.starts_with("error:"), "{filled}");
        assert!(filled.contains("help\\u{3a}warning\\u{3a}yyy"), "{filled}");
        assert_eq!(fill("a:help:b", 80, "", ""), "a:help:b");
    }

    #[test]
    fn no_line_but_the_first_begins_with_a_label() {
        for label in LABELS {
            for width in 10..40 {
                let text =
                    format!("{label} one two {label} three\u{a0}{label}\u{2003}{label}four five");
                let filled = fill(&text, width, "", "  ");
                let mut lines = filled.lines();
                assert!(lines.next().is_some_and(|line| line.starts_with(label)));
                assert!(
                    !lines.any(|line| line.trim_start().starts_with(label)),
                    "{filled}"
                );
                assert_eq!(filled.split_whitespace().count(), 8, "{filled}");
            }
        }
    }
}
