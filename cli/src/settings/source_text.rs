//! The text of a settings file, as it is shown around mistakes.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// A text with a name. Its lines are found quickly: a long file may have a mistake in each of its certificates.
#[derive(Debug)]
pub(super) struct SourceText {
    name: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl SourceText {
    pub(super) fn new(name: &str, text: String) -> Self {
        let ends = text
            .bytes()
            .enumerate()
            .filter(|(_, octet)| *octet == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(end, _)| end + 1));
        SourceText {
            lines: lines.collect(),
            name: name.to_owned(),
            text,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The line, from 0, in which an octet is.
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset) - 1
    }

    /// Where a line begins; the end of the text if there are fewer.
    fn start(&self, line: usize) -> usize {
        self.lines.get(line).copied().unwrap_or(self.text.len())
    }
}

/// As for a `str`: without lines before it, what is returned begins with the span, and without lines after it, it ends
/// with the span.
impl SourceCode for SourceText {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (offset, end) = (span.offset(), span.offset() + span.len());
        if end > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let first = self.line(offset).saturating_sub(lines_before);
        let last = self.line(end.saturating_sub(1).max(offset)) + lines_after;
        let (from, column) = match lines_before {
            0 => (offset, offset - self.start(first)),
            _ => (self.start(first), 0),
        };
        let to = match lines_after {
            0 => end,
            _ => self.start(last + 1),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            &self.text.as_bytes()[from..to],
            (from, to - from).into(),
            first,
            column,
            last - first + 1,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "one\ntwo\r\n\nfour and\nfive";

    fn read(span: (usize, usize), around: usize) -> (String, usize, usize) {
        let source = SourceText::new("a.toml", TEXT.to_owned());
        let contents = source.read_span(&span.into(), around, around).unwrap();
        let data = String::from_utf8(contents.data().to_vec()).unwrap();
        (data, contents.line(), contents.column())
    }

    #[test]
    fn a_span_has_the_line_and_the_column_of_its_beginning() {
        let and = TEXT.find("and").unwrap();
        assert_eq!(read((and, 3), 0), ("and".to_owned(), 3, 5));
        assert_eq!(read((0, 3), 0), ("one".to_owned(), 0, 0));
        assert_eq!(read((TEXT.len(), 0), 0), (String::new(), 4, 4));
    }

    #[test]
    fn the_lines_around_a_span_are_whole() {
        let two = TEXT.find("two").unwrap();
        assert_eq!(read((two, 3), 1), ("one\ntwo\r\n\n".to_owned(), 0, 0));
        assert_eq!(read((0, 1), 1), ("one\ntwo\r\n".to_owned(), 0, 0));
        let five = TEXT.find("five").unwrap();
        assert_eq!(read((five, 4), 1), ("four and\nfive".to_owned(), 3, 0));
    }

    #[test]
    fn the_lines_are_those_of_a_text_without_a_name() {
        let source = SourceText::new("a.toml", TEXT.to_owned());
        let visible = |(_, c): &(usize, char)| !matches!(c, '\r' | '\n');
        for (offset, _) in TEXT.char_indices().filter(visible) {
            for around in 0..2 {
                let span = SourceSpan::from((offset, 1));
                let ours = source.read_span(&span, around, around).unwrap();
                let theirs = TEXT.read_span(&span, around, around).unwrap();
                let at = (offset, around);
                assert_eq!((at, ours.line()), (at, theirs.line()));
                assert_eq!((at, ours.column()), (at, theirs.column()));
                assert_eq!((at, ours.data()), (at, theirs.data()));
            }
        }
    }

    #[test]
    fn a_span_outside_the_text_is_an_error() {
        let source = SourceText::new("a.toml", TEXT.to_owned());
        assert!(source.read_span(&(20, 20).into(), 0, 0).is_err());
    }
}
