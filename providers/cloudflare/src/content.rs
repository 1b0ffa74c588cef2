//! A TXT value as the `content` of a record: one or more character-strings in quotes, or the bare
//! text (<https://developers.cloudflare.com/dns/manage-dns-records/reference/dns-record-types/#txt>).

use acme_alias_core::provider::TxtValue;

/// The value in quotes, as a zone file would have it (RFC 1035 §5.1).
pub(crate) fn quoted(value: &TxtValue) -> String {
    let mut content = String::with_capacity(value.as_str().len() + 2);
    content.push('"');
    for c in value.as_str().chars() {
        if matches!(c, '"' | '\\') {
            content.push('\\');
        }
        content.push(c);
    }
    content.push('"');
    content
}

/// The text that a `content` stands for: its character-strings joined, or the content itself
/// where it is not quoted throughout.
pub(crate) fn text(content: &str) -> String {
    strings(content).unwrap_or_else(|| content.to_owned())
}

fn strings(content: &str) -> Option<String> {
    let mut joined = String::new();
    let mut chars = content.trim().chars().peekable();
    while chars.peek().is_some() {
        if chars.next() != Some('"') {
            return None;
        }
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => joined.push(escaped(&mut chars)?),
                c => joined.push(c),
            }
        }
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
    }
    (!joined.is_empty()).then_some(joined)
}

/// After a backslash: a character, or the three decimal digits of an octet.
fn escaped(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    let first = chars.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, chars.next()?, chars.next()?];
    let number: u8 = digits.iter().collect::<String>().parse().ok()?;
    Some(char::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for text_of in ["abc", "a\"b", "a\\b", "a;b c", "\"a\""] {
            let value: TxtValue = text_of.parse().unwrap();
            assert_eq!(text(&quoted(&value)), text_of);
        }
    }

    #[test]
    fn bare_split_and_escaped_contents_are_read() {
        assert_eq!(text("bare value"), "bare value");
        assert_eq!(text("\"one\" \"two\""), "onetwo");
        assert_eq!(text("\"a\\059b\""), "a;b");
        assert_eq!(text("say \"hi\""), "say \"hi\"");
        assert_eq!(text("\"open"), "\"open");
        assert_eq!(text(""), "");
    }
}
