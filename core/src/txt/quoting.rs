//! TXT values as character-strings in quotes (RFC 1035 §5.1), the format of many HTTP APIs.

use super::TxtValue;

/// The base of the three digits that stand for an octet after a backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// `\DDD`, as in zone files.
    Decimal,
    /// `\ooo`, as Amazon Route 53 writes it.
    Octal,
}

/// The value in quotes.
pub fn quoted(value: &TxtValue) -> String {
    quoted_octets(value.as_str().as_bytes())
}

/// Octets as one character-string in quotes; those that are not printable ASCII become `\DDD`.
pub fn quoted_octets(octets: &[u8]) -> String {
    let mut content = String::with_capacity(octets.len() + 2);
    content.push('"');
    for &octet in octets {
        match octet {
            b'"' | b'\\' => content.extend(['\\', char::from(octet)]),
            b' '..=b'~' => content.push(char::from(octet)),
            other => content.push_str(&format!("\\{other:03}")),
        }
    }
    content.push('"');
    content
}

/// The text of `content`: its character-strings joined, or `content` itself if it does not consist of
/// character-strings in quotes.
pub fn unquoted(content: &str, digits: Digits) -> String {
    strings(content, digits).unwrap_or_else(|| content.to_owned())
}

fn strings(content: &str, digits: Digits) -> Option<String> {
    let mut joined = String::new();
    let mut chars = content.trim().chars().peekable();
    while chars.peek().is_some() {
        if chars.next() != Some('"') {
            return None;
        }
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => joined.push(escaped(&mut chars, digits)?),
                c => joined.push(c),
            }
        }
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
    }
    (!joined.is_empty()).then_some(joined)
}

/// After a backslash: a character, or the three digits of an octet.
fn escaped(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, digits: Digits) -> Option<char> {
    let first = chars.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let radix = match digits {
        Digits::Decimal => 10,
        Digits::Octal => 8,
    };
    let three: String = [first, chars.next()?, chars.next()?].iter().collect();
    let octet = u8::from_str_radix(&three, radix).ok()?;
    Some(char::from(octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_are_read_back_unchanged() {
        for text_of in ["abc", "a\"b", "a\\b", "a;b c", "\"a\""] {
            let value: TxtValue = text_of.parse().unwrap();
            assert_eq!(unquoted(&quoted(&value), Digits::Decimal), text_of);
            assert_eq!(unquoted(&quoted(&value), Digits::Octal), text_of);
        }
    }

    #[test]
    fn octets_that_would_end_a_line_or_a_string_are_escaped() {
        assert_eq!(
            quoted_octets(b"a\"b\\c\nd\xff"),
            "\"a\\\"b\\\\c\\010d\\255\""
        );
    }

    #[test]
    fn unquoted_split_and_escaped_contents_are_read() {
        let text = |content| unquoted(content, Digits::Decimal);
        assert_eq!(text("bare value"), "bare value");
        assert_eq!(text("\"one\" \"two\""), "onetwo");
        assert_eq!(text("\"a\\059b\""), "a;b");
        assert_eq!(unquoted("\"a\\073b\"", Digits::Octal), "a;b");
        assert_eq!(text("say \"hi\""), "say \"hi\"");
        assert_eq!(text("\"open"), "\"open");
        assert_eq!(text(""), "");
    }
}
