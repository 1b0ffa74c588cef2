//! Text from others, made safe to print: it cannot control the terminal, and stays short.

/// Items of a long list that are shown.
pub(crate) const SHOWN_MAX: usize = 3;
/// Characters of a record or a value that are shown: a string in a TXT record has as many (RFC 1035 §3.3).
pub const TEXT_MAX: usize = 255;

/// Returns the text on one line. Characters that control a terminal or the direction of text are
/// escaped.
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|c| add(&mut line, c));
    line
}

/// The same for the beginning of a text that takes more than `max` octets on its line, where an escaped character takes
/// eight; and how many characters are left out.
pub fn shortened(text: &str, max: usize) -> String {
    let mut line = String::new();
    for (at, c) in text.char_indices() {
        let end = line.len();
        add(&mut line, c);
        if line.len() > max {
            line.truncate(end);
            let more = text[at..].chars().count();
            return format!("{line}… ({more} more characters)");
        }
    }
    line
}

fn add(line: &mut String, c: char) {
    match c {
        '\n' | '\r' | '\t' => line.push(' '),
        c if is_unprintable(c) => line.extend(c.escape_unicode()),
        c => line.push(c),
    }
}

/// Whether the character controls a terminal, or reorders or hides text.
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || is_format(c)
}

/// The first items of a list, and how many more there are.
pub fn few<S: AsRef<str>>(items: &[S], separator: &str) -> String {
    let count = shown_of(items.len(), SHOWN_MAX);
    let more = format!("{} more", grouped(items.len() - count));
    let mut shown: Vec<_> = items[..count].iter().map(AsRef::as_ref).collect();
    if count < items.len() {
        shown.push(&more);
    }
    shown.join(separator)
}

/// How many of `count` items are shown, if `max` are: one more if it is the only one that is left, because it takes no more
/// room than counting it.
pub(crate) fn shown_of(count: usize, max: usize) -> usize {
    if count <= max + 1 { count } else { max }
}

/// The number with a comma between its thousands.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Whether the character reorders or hides text, or is not seen itself (Unicode category Cf, as far as no script needs it).
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_unchanged_and_control_characters_are_escaped() {
        assert_eq!(printable("zwölf\nWörter"), "zwölf Wörter");
        assert_eq!(printable("\u{1b}[2J"), "\\u{1b}[2J");
        for hidden in ['\u{202e}', '\u{180e}', '\u{fffb}', '\u{e0041}'] {
            let escaped = hidden.escape_unicode();
            assert_eq!(printable(&format!("a{hidden}b")), format!("a{escaped}b"));
        }
    }

    #[test]
    fn a_text_is_cut_where_its_line_is_full() {
        assert_eq!(shortened("abcde", 5), "abcde");
        assert_eq!(shortened("abcdef", 5), "abcde… (1 more characters)");
        let hidden = "\u{202e}".repeat(3);
        assert_eq!(
            shortened(&hidden, 16),
            "\\u{202e}\\u{202e}… (1 more characters)"
        );
        assert_eq!(shortened("ää", 3), "ä… (1 more characters)");
    }

    #[test]
    fn a_long_list_is_counted() {
        let items: Vec<_> = (1..=4_000).map(|item| item.to_string()).collect();
        assert_eq!(few(&items[..2], ", "), "1, 2");
        assert_eq!(few(&items[..4], ", "), "1, 2, 3, 4");
        assert_eq!(few(&items[..5], ", "), "1, 2, 3, 2 more");
        assert_eq!(few(&items, "; "), "1; 2; 3; 3,997 more");
    }
}
