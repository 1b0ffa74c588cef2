//! Text from others, made safe to print: it cannot control the terminal.

/// Returns the text on one line. Characters that control a terminal or the direction of text are
/// escaped.
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if is_unprintable(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

/// The same for the first characters only, if there are more than `max`; and how many are left out.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(max) else {
        return printable(text);
    };
    let more = text[end..].chars().count();
    format!("{}… ({more} more characters)", printable(&text[..end]))
}

/// Whether the character controls a terminal, or reorders or hides text.
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || is_format(c)
}

/// Whether the character reorders or hides text (the common ones of Unicode category Cf).
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_unchanged_and_control_characters_are_escaped() {
        assert_eq!(printable("zwölf\nWörter"), "zwölf Wörter");
        assert_eq!(printable("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
    }
}
