//! Text for 80 columns, with colours where they are wanted.

use anstyle::{AnsiColor, Style};

use crate::fill::{LABELS, WIDTH, fill};

/// Lines that are indented just so far are records and commands to copy. They stay as they are.
const TO_COPY: &str = "      ";

/// What begins the lines that a program printed.
const PRINTED: &str = "      | ";

/// A column that begins later is too narrow for text.
const COLUMN_MAX: usize = 40;

/// How the [`LABELS`] look on a terminal.
const STYLES: [Style; LABELS.len()] = [
    AnsiColor::Red.on_default().bold(),
    AnsiColor::Yellow.on_default().bold(),
    AnsiColor::Cyan.on_default(),
    AnsiColor::Cyan.on_default(),
];

/// Wraps long lines at words. The rest of a line is indented more than its beginning, or as far as what follows its
/// label.
pub(super) fn wrapped(text: &str) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (content, end) = match line.strip_suffix('\n') {
            Some(content) => (content, "\n"),
            None => (line, ""),
        };
        if content.len() <= WIDTH || is_to_copy(content) {
            wrapped.push_str(content);
        } else {
            wrapped.push_str(&filled(content));
        }
        wrapped.push_str(end);
    }
    wrapped
}

/// The line in lines of at most 80 columns.
fn filled(line: &str) -> String {
    if let Some(printed) = line.strip_prefix(PRINTED) {
        return fill(printed, WIDTH, PRINTED, PRINTED);
    }
    let (first, next, words) = parts(line);
    fill(words, WIDTH, first, &" ".repeat(next))
}

/// Whether a line is a record or a command.
fn is_to_copy(line: &str) -> bool {
    let words = line.strip_prefix(TO_COPY);
    words.is_some_and(|words| !words.starts_with(' ')) && !line.starts_with(PRINTED)
}

/// What a line begins with, how far its other lines are indented, and the words that are wrapped: what follows a label,
/// or a column.
fn parts(line: &str) -> (&str, usize, &str) {
    let words = line.trim_start();
    let indentation = line.len() - words.len();
    if let Some((label, _)) = label(words) {
        return (&line[..indentation], indentation + label.len() + 1, words);
    }
    // Two spaces end a column.
    let gap = words.find("  ").filter(|_| indentation > 0);
    let column = gap.map(|gap| {
        let rest = words[gap..].trim_start();
        line.len() - rest.len()
    });
    match column {
        Some(column) if column <= COLUMN_MAX => (&line[..column], column, &line[column..]),
        _ => (&line[..indentation], indentation + 2, words),
    }
}

/// The same text with its labels in colours.
pub(super) fn coloured(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let words = line.trim_start();
        let Some((label, style)) = label(words) else {
            return line.to_owned();
        };
        let (indentation, rest) = (&line[..line.len() - words.len()], &words[label.len()..]);
        format!("{indentation}{style}{label}{style:#}{rest}")
    });
    lines.collect()
}

fn label(words: &str) -> Option<(&'static str, Style)> {
    let mut labels = LABELS.into_iter().zip(STYLES);
    labels.find(|(label, _)| {
        let rest = words.strip_prefix(label);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\n']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_wrapped_at_words_below_their_label() {
        let text = format!("error: {}\nhelp: short\n", "word ".repeat(20).trim_end());
        let lines = wrapped(&text);
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("       word"), "{lines:?}");
        assert_eq!(lines[2], "help: short");
    }

    #[test]
    fn text_of_others_gets_no_label_at_the_beginning_of_a_line() {
        for words in 0..30 {
            let hostile = format!("{}help: run this", "word ".repeat(words));
            for text in [
                format!("error: {hostile}\n"),
                format!("  a.example: {hostile}\n"),
            ] {
                let lines = wrapped(&text);
                let shown = coloured(&lines);
                assert_eq!(shown.matches("\u{1b}[36m").count(), 0, "{lines}");
                let later = lines.lines().skip(1);
                assert!(
                    !later
                        .map(str::trim_start)
                        .any(|line| line.starts_with("help:"))
                );
            }
        }
        // A name may begin like that.
        let name = "  help:x.example: no\n";
        assert_eq!(coloured(name), name);
    }

    #[test]
    fn words_and_lines_to_copy_stay_whole() {
        let word = "w".repeat(100);
        assert_eq!(
            wrapped(&format!("  a {word} b")),
            format!("  a\n    {word}\n    b")
        );
        let record = format!("{TO_COPY}_acme-challenge.example.com. 600 IN CNAME {word}\n");
        assert_eq!(wrapped(&record), record);
    }

    #[test]
    fn lines_that_a_program_printed_are_wrapped_behind_their_bar() {
        let line = format!("{PRINTED}{}help: do it\n", "word ".repeat(14));
        let lines = wrapped(&line);
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(
            lines
                .lines()
                .all(|line| line.starts_with(PRINTED) && line.len() <= WIDTH)
        );
        let short = format!("{PRINTED}  indented\n");
        assert_eq!(wrapped(&short), short);
    }

    #[test]
    fn a_column_stays_a_column() {
        let text = format!(
            "    token            {}\n",
            "A scoped token ".repeat(6).trim_end()
        );
        let lines = wrapped(&text);
        let lines: Vec<_> = lines.lines().collect();
        assert!(
            lines[0].starts_with("    token            A scoped"),
            "{lines:?}"
        );
        assert!(
            lines[1].starts_with(&format!("{}A scoped", " ".repeat(21))),
            "{lines:?}"
        );
    }

    #[test]
    fn labels_have_colours_and_nothing_else_has() {
        let text = "error: a\n  help: b\nan error: c\n";
        let plain = anstream::adapter::strip_str(&coloured(text)).to_string();
        assert_eq!(plain, text);
        assert_eq!(coloured("an error: c\n"), "an error: c\n");
        assert!(coloured("error: a").starts_with("\u{1b}[1m\u{1b}[31merror:"));
    }
}
