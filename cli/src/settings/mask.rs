//! Hides secrets in the text of a settings file.

use super::schema::{keys_of_secrets, secret_keys};

/// The text with every secret that stands in it overwritten, octet by octet, so that each place
/// stays where it was. The text may be broken in any way.
pub(crate) fn mask_secrets(text: &str) -> String {
    let mut masked = text.as_bytes().to_vec();
    for key in secret_keys() {
        for (at, _) in text.match_indices(key) {
            let start = at + key.len();
            let value = text[start..].trim_start_matches(['"', '\'', ' ', '\t', '=']);
            let opening = &text[start..text.len() - value.len()];
            // `key = {` refers to a secret and holds none.
            if value.starts_with('{') || !opening.contains('=') {
                continue;
            }
            let end = ["\"\"\"", "'''"]
                .iter()
                .find(|quotes| opening.ends_with(**quotes))
                .map_or_else(|| value.find('\n'), |quotes| value.find(quotes));
            let from = text.len() - value.len();
            let to = from + end.unwrap_or(value.len());
            for octet in &mut masked[from..to] {
                if *octet != b'\n' {
                    *octet = b'*';
                }
            }
        }
    }
    for key in keys_of_secrets() {
        for (at, _) in text.match_indices(key) {
            // Up to the next table. What refers to a secret is overwritten as well.
            let end = text[at..].find("\n[").map_or(text.len(), |end| at + end);
            mask_quoted(&mut masked[at..end]);
        }
    }
    // Only whole lines or quoted texts were overwritten, with ASCII.
    String::from_utf8_lossy(&masked).into_owned()
}

/// Overwrites what is between quotes, up to the end of a line if they are not closed.
fn mask_quoted(octets: &mut [u8]) {
    let mut quote = None;
    for octet in octets {
        match (quote, *octet) {
            (None, b'"' | b'\'') => quote = Some(*octet),
            (Some(open), octet) if octet == open => quote = None,
            (_, b'\n') => quote = None,
            (Some(_), _) => *octet = b'*',
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_among_secrets_are_overwritten() {
        let mut text = "environment = { A = \"b\", C = { file = 'd' }\nE = \"f\ng"
            .to_owned()
            .into_bytes();
        mask_quoted(&mut text);
        let expected = "environment = { A = \"*\", C = { file = '*' }\nE = \"*\ng";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn an_inline_secret_is_overwritten_and_a_reference_stays() {
        let text = "a = 1\ntsig-secret = \"abc\"\nb = 2\neab-hmac-key={ file = \"x\" }\n";
        let masked = mask_secrets(text);
        assert_eq!(masked.len(), text.len());
        assert!(!masked.contains("abc"), "{masked}");
        assert!(
            masked.contains("b = 2\neab-hmac-key={ file = \"x\" }"),
            "{masked}"
        );
        let broken = "tsig-secret = \"\"\"abc\ndef\"\"\"\nc = 3";
        let masked = mask_secrets(broken);
        assert!(
            !masked.contains("abc") && !masked.contains("def") && masked.ends_with("c = 3"),
            "{masked}"
        );
        assert!(!mask_secrets("x = { tsig-secret = 'abc").contains("abc"));
    }
}
