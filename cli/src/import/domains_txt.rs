//! `domains.txt` of dehydrated: a certificate a line, `NAME… > ALIAS`.

/// A line: the names, and the name of the certificate's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) names: Vec<String>,
    pub(super) alias: String,
}

impl Line {
    /// A certificate of which only its folder is known.
    pub(super) fn new(alias: &str) -> Self {
        Line {
            names: Vec::new(),
            alias: alias.to_owned(),
        }
    }
}

/// The lines, in lower case as dehydrated reads them.
pub(super) fn parse(text: &str) -> Vec<Line> {
    let lines = text.lines().map(|line| line.trim().to_lowercase());
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (names, alias) = match line.split_once('>') {
                Some((names, alias)) => (names, Some(alias.trim())),
                None => (line.as_str(), None),
            };
            let names: Vec<_> = names.split_whitespace().map(str::to_owned).collect();
            let first = names.first().map(String::as_str);
            Line {
                alias: alias.or(first).unwrap_or_default().to_owned(),
                names,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_names_and_perhaps_an_alias() {
        let line = |names: &[&str], alias: &str| Line {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            alias: alias.to_owned(),
        };
        let text =
            "# comment\n\nExample.com www.example.com\r\n a.example  *.a.example>Web \n> x\n";
        let expected = [
            line(&["example.com", "www.example.com"], "example.com"),
            line(&["a.example", "*.a.example"], "web"),
            line(&[], "x"),
        ];
        assert_eq!(parse(text), expected);
    }
}
