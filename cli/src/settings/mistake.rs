//! What is wrong with the settings, shown where it was written.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use acme_alias_core::printable::printable;
use acme_alias_core::trusted::Untrusted;
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode, SourceSpan,
};
use textwrap::{WordSeparator, WordSplitter};

use super::source_text::SourceText;
use crate::fill::WIDTH;
use crate::trust;

/// How many octets of a text are shown before and after what is left out.
const SHOWN: (usize, usize) = (300, 100);
/// A line that is longer is not shown.
const LINE_MAX: usize = 300;
/// How many mistakes are shown; the others are counted.
const MISTAKES_MAX: usize = 20;

/// One mistake, with its place and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct Mistake {
    problem: String,
    help: Option<String>,
    place: Option<(Arc<SourceText>, SourceSpan)>,
}

impl Mistake {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Mistake {
            problem: shortened(&printable(&problem.into())),
            help: None,
            place: None,
        }
    }

    /// A file that cannot be read, or is refused. `mode` is the argument for `chmod` if its mode is wrong.
    pub(super) fn unreadable(path: &Path, error: &io::Error, mode: &str) -> Self {
        match Untrusted::in_error(error) {
            Some(untrusted) => {
                Mistake::new(untrusted.to_string()).help(trust::remedy(untrusted, mode))
            }
            None => {
                let mistake = Mistake::new(format!("{} cannot be read: {error}", path.display()));
                match error.kind() {
                    ErrorKind::NotFound => mistake.help("make this file, or correct its path"),
                    ErrorKind::PermissionDenied => mistake.help(
                        "let the user that acme-alias runs as read this file and enter the folders above it",
                    ),
                    _ => mistake,
                }
            }
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, said of a setting.
    pub(super) fn about(mut self, setting: &str) -> Self {
        self.problem = format!("`{setting}`: {}", self.problem);
        self
    }

    /// The same, at its place in a text: where the first line of `span` is.
    pub(super) fn at(mut self, source: Arc<SourceText>, span: SourceSpan) -> Self {
        let text = source.text().get(span.offset()..).unwrap_or_default();
        let line = text.find('\n').unwrap_or(text.len()).min(span.len());
        self.place = Some((source, (span.offset(), line).into()));
        self
    }

    /// The same without its place if a line there is too long to be shown; then it is named.
    fn as_shown(&self) -> Cow<'_, Mistake> {
        let is_long = self.place.as_ref().is_some_and(|(source, span)| {
            let contents = SourceCode::read_span(&**source, span, 1, 1);
            let data = contents
                .as_ref()
                .map_or(&[][..], |contents| contents.data());
            let mut lines = data.split(|octet| *octet == b'\n');
            lines.any(|line| line.len() > LINE_MAX)
        });
        if !is_long {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Mistake {
            problem: format!("{}{}", self.place_in_words(), self.problem),
            help: self.help.clone(),
            place: None,
        })
    }

    pub(super) fn in_layer(mut self, layer: &str) -> Self {
        self.problem = format!("{} (from {layer})", self.problem);
        self
    }

    /// `file:line:column: problem (help)`, on one line.
    fn line(&self) -> String {
        let help = self.help.as_ref().map(|help| format!(" ({help})"));
        format!(
            "{}{}{}",
            self.place_in_words(),
            self.problem,
            help.unwrap_or_default()
        )
    }

    /// `file:line:column: `; empty if it has no place.
    fn place_in_words(&self) -> String {
        let place = self.place.as_ref().and_then(|(source, span)| {
            let contents = SourceCode::read_span(&**source, span, 0, 0).ok()?;
            let (line, column) = (contents.line() + 1, contents.column() + 1);
            Some(format!("{}:{line}:{column}: ", source.name()))
        });
        place.unwrap_or_default()
    }
}

impl Diagnostic for Mistake {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place
            .as_ref()
            .map(|(source, _)| &**source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.place.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(
            Some("here".into()),
            *span,
        ))))
    }
}

/// Settings that cannot be used: every mistake that was found in them.
#[derive(Clone, Debug)]
pub(crate) struct SettingsError(pub(super) Vec<Mistake>);

impl SettingsError {
    /// All mistakes with the lines they were found in, for a person, in colours.
    pub(crate) fn render(&self) -> String {
        let mut theme = GraphicalTheme::unicode();
        "error:".clone_into(&mut theme.characters.error);
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(WIDTH)
            .with_break_words(false)
            .with_word_separator(WordSeparator::AsciiSpace)
            .with_word_splitter(WordSplitter::NoHyphenation)
            .with_context_lines(1);
        let mut text = String::new();
        for mistake in self.0.iter().take(MISTAKES_MAX) {
            if handler
                .render_report(&mut text, &*mistake.as_shown())
                .is_err()
            {
                text.push_str(&mistake.line());
            }
        }
        text.extend(self.more().map(|more| format!("{more}\n")));
        text
    }

    /// All mistakes of these in one; `None` if there are none.
    pub(crate) fn all<'a>(errors: impl Iterator<Item = &'a SettingsError>) -> Option<Self> {
        let mistakes: Vec<_> = errors.flat_map(|error| error.0.clone()).collect();
        (!mistakes.is_empty()).then_some(SettingsError(mistakes))
    }

    /// How many mistakes are not shown.
    fn more(&self) -> Option<String> {
        let more = self.0.len().saturating_sub(MISTAKES_MAX);
        (more > 0).then(|| format!("{more} more"))
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.iter().take(MISTAKES_MAX).map(Mistake::line);
        let lines: Vec<_> = lines.chain(self.more()).collect();
        f.write_str(&lines.join("; "))
    }
}

impl std::error::Error for SettingsError {}

impl From<Mistake> for SettingsError {
    fn from(mistake: Mistake) -> Self {
        SettingsError(vec![mistake])
    }
}

/// A text without its middle, if it is long.
fn shortened(text: &str) -> String {
    let (before, after) = SHOWN;
    if text.len() <= before + after {
        return text.to_owned();
    }
    let (start, end) = (
        text.floor_char_boundary(before),
        text.ceil_char_boundary(text.len() - after),
    );
    let left_out = text[start..end].chars().count();
    format!(
        "{} … ({left_out} characters) … {}",
        &text[..start],
        &text[end..]
    )
}
