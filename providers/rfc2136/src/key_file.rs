//! BIND key files, as `tsig-keygen` prints them.

/// The one `key` statement of a BIND key file.
pub(crate) struct KeyFile {
    pub(crate) name: String,
    pub(crate) algorithm: String,
    pub(crate) secret: String,
}

impl KeyFile {
    /// Reads `key "name" { algorithm word; secret "base64"; };` with comments wherever BIND allows
    /// them. Errors never quote the file, because it is a secret.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = tokens(text)?.into_iter();
        if tokens.next().as_deref() != Some("key") {
            return Err("the statement does not begin with `key`".to_owned());
        }
        let name = tokens.next().ok_or("the key's name is missing")?;
        if tokens.next().as_deref() != Some("{") {
            return Err("`{` is missing after the key's name".to_owned());
        }
        let (mut algorithm, mut secret) = (None, None);
        loop {
            let word = tokens.next().ok_or("the closing `}` is missing")?;
            let field = match word.as_str() {
                "}" => break,
                "algorithm" => &mut algorithm,
                "secret" => &mut secret,
                _ => return Err("a key has only `algorithm` and `secret`".to_owned()),
            };
            *field = tokens.next();
            if tokens.next().as_deref() != Some(";") {
                return Err(format!("`;` is missing after `{word}`"));
            }
        }
        if tokens.any(|token| token != ";") {
            return Err("it has more than one statement".to_owned());
        }
        Ok(KeyFile {
            name,
            algorithm: algorithm.ok_or("`algorithm` is missing")?,
            secret: secret.ok_or("`secret` is missing")?,
        })
    }
}

/// The words, the quoted strings without their quotes, and `{`, `}` and `;`. Comments are skipped.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '#' => (None, rest.split_once('\n').map_or("", |(_, after)| after)),
            '/' if rest.starts_with("//") => {
                (None, rest.split_once('\n').map_or("", |(_, after)| after))
            }
            '/' if rest.starts_with("/*") => {
                let end = rest.split_once("*/").ok_or("a comment does not end")?;
                (None, end.1)
            }
            '{' | '}' | ';' => (Some(first.to_string()), &rest[1..]),
            '"' => {
                let (inner, after) = rest[1..]
                    .split_once('"')
                    .ok_or("a quoted string does not end")?;
                (Some(inner.to_owned()), after)
            }
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"'))
                    .unwrap_or(rest.len());
                (Some(rest[..end].to_owned()), &rest[end..])
            }
        };
        tokens.extend(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_skipped() {
        let text = "# one\n// two\n/* three\n */ key a { // four\nalgorithm b; secret \"c\"; };\n";
        let file = KeyFile::parse(text).unwrap();
        assert_eq!(
            (&*file.name, &*file.algorithm, &*file.secret),
            ("a", "b", "c")
        );
    }

    #[test]
    fn each_missing_part_is_named() {
        for (text, problem) in [
            ("", "does not begin with `key`"),
            ("key", "name is missing"),
            ("key a", "`{` is missing"),
            ("key a {", "`}` is missing"),
            ("key a { secret \"c\" }", "`;` is missing after `secret`"),
            ("key a { secret \"c\"; }", "`algorithm` is missing"),
            ("key a { algorithm b; }", "`secret` is missing"),
            ("key a { secret \"c", "quoted string does not end"),
            ("/* key", "comment does not end"),
            ("key a { other b; }", "only `algorithm` and `secret`"),
        ] {
            let error = KeyFile::parse(text).err().unwrap_or_default();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
