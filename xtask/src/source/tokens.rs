//! The words and signs of Rust source, without comments, literals and test modules.

/// A word or a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    /// `::`
    PathSeparator,
    Sign(char),
}

/// The tokens of a file.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest);
        if length > 0 {
            rest = &rest[length..];
            continue;
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let (token, length) = if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            (Token::Word(rest[..end].to_owned()), end)
        } else if rest.starts_with("::") {
            (Token::PathSeparator, 2)
        } else {
            (Token::Sign(first), first.len_utf8())
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    without_test_modules(&tokens)
}

/// The length of what is no token at the beginning of `rest`: white space, a comment or a literal.
fn skipped(rest: &str) -> usize {
    let from = |start: usize, end: &str| {
        let found = rest[start..].find(end);
        found.map_or(rest.len(), |at| start + at + end.len())
    };
    let white = rest.len() - rest.trim_start().len();
    if white > 0 {
        return white;
    }
    if rest.starts_with("//") {
        return from(2, "\n");
    }
    if rest.starts_with("/*") {
        return from(2, "*/");
    }
    for prefix in ["r", "br"] {
        let Some(raw) = rest.strip_prefix(prefix) else {
            continue;
        };
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            return from(prefix.len() + hashes + 1, &end);
        }
    }
    let quote = rest.trim_start_matches(['b', 'c']);
    if quote.starts_with('"') && rest.len() - quote.len() <= 1 {
        return rest.len() - quote.len() + quoted(quote, '"');
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    0
}

/// The length of a literal with escapes, which begins with `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if c == '\\' {
            is_escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// The length of a character literal, or of the sign before a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (_, Some('\'')) => quoted(text, '\''),
        _ => 1,
    }
}

/// Drops `#[cfg(test)] mod … { … }`.
fn without_test_modules(tokens: &[Token]) -> Vec<Token> {
    let word = |text: &str| Token::Word(text.to_owned());
    let mut start = Vec::from(['#', '['].map(Token::Sign));
    start.extend([word("cfg"), Token::Sign('('), word("test")]);
    start.extend([')', ']'].map(Token::Sign));
    start.push(word("mod"));
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some(token) = rest.first() {
        if rest.starts_with(&start) {
            rest = &rest[end_of_block(rest)..];
        } else {
            kept.push(token.clone());
            rest = &rest[1..];
        }
    }
    kept
}

/// The number of tokens up to the end of the first block, or of the statement without a block.
fn end_of_block(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth -= 1,
            Token::Sign(';') if depth == 0 => return at + 1,
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let words = tokens(text).into_iter().filter_map(|token| match token {
            Token::Word(word) => Some(word),
            _ => None,
        });
        words.collect()
    }

    #[test]
    fn comments_and_literals_are_no_tokens() {
        let text = r##"a // crate::x
            /* crate::y */ b "crate::\"z" c r#"crate::"w"# d 'x' '\'' e &'f g b"h" br"i" j"##;
        assert_eq!(words(text), ["a", "b", "c", "d", "e", "f", "g", "j"]);
    }

    #[test]
    fn test_modules_are_left_out() {
        let text = "a #[cfg(test)] mod tests { use b; fn c() { d } } e #[cfg(test)] mod f; g";
        assert_eq!(words(text), ["a", "e", "g"]);
    }

    #[test]
    fn a_path_has_separators() {
        let expected = [
            Token::Word("a".to_owned()),
            Token::PathSeparator,
            Token::Word("b".to_owned()),
            Token::Sign(':'),
        ];
        assert_eq!(tokens("a::b :"), expected);
    }
}
