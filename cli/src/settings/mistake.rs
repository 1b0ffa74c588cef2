//! What is wrong with the settings, shown where it was written.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
    SourceSpan,
};

/// One mistake, with its place and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct Mistake {
    problem: String,
    help: Option<String>,
    place: Option<(Arc<NamedSource<String>>, SourceSpan)>,
}

impl Mistake {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Mistake {
            problem: problem.into(),
            help: None,
            place: None,
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

    pub(super) fn at(mut self, source: Arc<NamedSource<String>>, span: SourceSpan) -> Self {
        self.place = Some((source, span));
        self
    }

    pub(super) fn in_layer(mut self, layer: &str) -> Self {
        self.problem = format!("{} (from {layer})", self.problem);
        self
    }

    /// `file:line:column: problem (help)`, on one line.
    fn line(&self) -> String {
        let place = self.place.as_ref().and_then(|(source, span)| {
            let contents = SourceCode::read_span(&**source, span, 0, 0).ok()?;
            let (line, column) = (contents.line() + 1, contents.column() + 1);
            Some(format!("{}:{line}:{column}: ", source.name()))
        });
        let help = self.help.as_ref().map(|help| format!(" ({help})"));
        format!(
            "{}{}{}",
            place.unwrap_or_default(),
            self.problem,
            help.unwrap_or_default()
        )
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
    /// All mistakes with the lines they were found in, for a person.
    pub(crate) fn render(&self) -> String {
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let theme = if colours {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1);
        let mut text = String::new();
        for mistake in &self.0 {
            if handler.render_report(&mut text, mistake).is_err() {
                text.push_str(&mistake.line());
            }
        }
        text
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(Mistake::line).collect();
        f.write_str(&lines.join("; "))
    }
}

impl std::error::Error for SettingsError {}

impl From<Mistake> for SettingsError {
    fn from(mistake: Mistake) -> Self {
        SettingsError(vec![mistake])
    }
}
