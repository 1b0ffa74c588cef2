//! Tables of text that fit a width.

/// A longer first cell has a line of its own.
const FIRST_MAX: usize = 20;
/// Spaces between columns.
const GAP: usize = 2;

/// A column.
pub(super) struct Column {
    pub(super) title: &'static str,
    /// How narrow it may become; the columns with the most to spare become narrower first.
    pub(super) min: usize,
    /// Whether its cells are at the right.
    pub(super) is_number: bool,
}

/// The lines of a table with its titles, a line per row. The first cell of a row is never shortened: one that is too
/// long has a line of its own before the others, in the same text.
pub(super) fn lines<const N: usize>(
    columns: &[Column; N],
    rows: &[[String; N]],
    width: usize,
) -> Vec<String> {
    let widths = widths(columns, rows, width);
    let titles = columns.each_ref().map(|column| column.title.to_owned());
    let all = std::iter::once(&titles).chain(rows);
    all.map(|row| line(columns, &widths, row)).collect()
}

/// As wide as the content, and narrower where that is too much.
fn widths<const N: usize>(columns: &[Column; N], rows: &[[String; N]], width: usize) -> [usize; N] {
    let mut widths = [0; N];
    for (index, (widest, column)) in widths.iter_mut().zip(columns).enumerate() {
        let cells = rows.iter().map(|row| length(&row[index]));
        let cells = cells.filter(|length| index > 0 || *length <= FIRST_MAX);
        *widest = cells.max().unwrap_or(0).max(length(column.title));
    }
    let room = width.saturating_sub(GAP * N.saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        let spare = widths.iter_mut().zip(columns);
        // A number that is cut is another number.
        let spare = spare.filter(|(_, column)| !column.is_number);
        let spare = spare.map(|(width, column)| (width.saturating_sub(column.min), width));
        match spare.max_by_key(|(spare, _)| *spare) {
            Some((spare, width)) if spare > 0 => *width -= 1,
            _ => break,
        }
    }
    widths
}

fn line<const N: usize>(columns: &[Column; N], widths: &[usize; N], row: &[String; N]) -> String {
    let mut line = String::new();
    for (index, ((column, width), cell)) in columns.iter().zip(widths).zip(row).enumerate() {
        if index == 0 && length(cell) > *width {
            line = format!("{cell}\n{:width$}", "");
            continue;
        }
        if index > 0 {
            line.push_str(&" ".repeat(GAP));
        }
        let cell = shortened(cell, *width);
        if column.is_number {
            line.push_str(&format!("{cell:>width$}"));
        } else {
            line.push_str(&format!("{cell:width$}"));
        }
    }
    line.trim_end().to_owned()
}

/// The text in at most so many characters. How many more there are, as ` +2` at its end, is kept.
pub(super) fn shortened(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let more = text.rfind(" +").map_or("", |at| &text[at..]);
    let shown = width.saturating_sub(length(more) + 1);
    let shown: String = text.chars().take(shown).collect();
    format!("{shown}…{more}")
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column {
            title: "ID",
            min: 6,
            is_number: false,
        },
        Column {
            title: "NAMES",
            min: 8,
            is_number: false,
        },
        Column {
            title: "DAYS",
            min: 4,
            is_number: true,
        },
    ];

    fn table(rows: &[[&str; 3]], width: usize) -> Vec<String> {
        let rows: Vec<_> = rows.iter().map(|row| row.map(str::to_owned)).collect();
        lines(&COLUMNS, &rows, width)
    }

    #[test]
    fn columns_are_as_wide_as_their_content() {
        let lines = table(&[["web", "example.com +1", "58"], ["shop", "a", "-3"]], 80);
        let expected = [
            "ID    NAMES           DAYS",
            "web   example.com +1    58",
            "shop  a                 -3",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_too_long_is_shortened_and_an_id_is_not() {
        let long = "a-certificate-with-a-long-id";
        let lines = table(
            &[["web", "www.long.example.com +12", "58"], [long, "b", "1"]],
            30,
        );
        let expected = [
            "ID   NAMES                DAYS",
            "web  www.long.examp… +12    58",
            "a-certificate-with-a-long-id\n     b                       1",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_number_is_never_cut() {
        let long = "x".repeat(60);
        let lines = table(&[[&long, &long, "-1825 days"]], 60);
        assert!(
            lines.iter().any(|line| line.ends_with("-1825 days")),
            "{lines:?}"
        );
    }

    #[test]
    fn no_line_is_longer_than_the_table() {
        let long = "x".repeat(60);
        for line in table(&[[&long, &long, "58"]], 80) {
            for line in line.lines() {
                assert!(length(line) <= 80, "{line}");
            }
        }
    }
}
