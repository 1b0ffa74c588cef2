//! Text in lines of at most so many columns.

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// The columns of text for people.
pub(crate) const WIDTH: usize = 80;

/// The text in lines of their own, broken between words, each begun with `first` or `next`. Longer words stay whole.
pub(crate) fn fill(text: &str, width: usize, first: &str, next: &str) -> String {
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(next)
        .break_words(false)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    let words: Vec<_> = text.split_whitespace().collect();
    textwrap::fill(&words.join(" "), options)
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
}
