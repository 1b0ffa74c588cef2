//! `Link` header fields (RFC 8288 §3).

use http::HeaderMap;
use http::header::LINK;
use reqwest::Url;

/// Returns the targets of the links with this relation, resolved against `base`. Targets that are not
/// https:// URLs are left out. So is everything after a syntax error in a field.
pub(super) fn targets(headers: &HeaderMap, relation: &str, base: &Url) -> Vec<String> {
    let fields = headers.get_all(LINK).into_iter();
    let links = fields.flat_map(|field| links(field.to_str().unwrap_or_default()));
    links
        .filter(|link| {
            link.relations()
                .any(|name| name.eq_ignore_ascii_case(relation))
        })
        .filter_map(|link| base.join(link.target).ok())
        .filter(|url| url.scheme() == "https")
        .map(String::from)
        .collect()
}

/// One link in a field.
struct Link<'a> {
    target: &'a str,
    /// The first `rel` parameter. The others are ignored (§3.3).
    relations: Option<&'a str>,
}

impl<'a> Link<'a> {
    fn relations(&self) -> impl Iterator<Item = &'a str> {
        self.relations.unwrap_or_default().split_ascii_whitespace()
    }
}

fn links(field: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut rest = field;
    while let Some((link, more)) = link(rest) {
        links.push(link);
        rest = more;
    }
    links
}

/// Parses the link at the start. Returns it and the rest of the field.
fn link(text: &str) -> Option<(Link<'_>, &str)> {
    let blank = |c: char| c.is_ascii_whitespace() || c == ',';
    let (target, mut rest) = text
        .trim_start_matches(blank)
        .strip_prefix('<')?
        .split_once('>')?;
    let mut relations = None;
    loop {
        rest = rest.trim_ascii_start();
        let Some(parameter) = rest.strip_prefix(';') else {
            // The next link, or the end.
            return Some((Link { target, relations }, rest));
        };
        let end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
        let name = parameter[..end].trim_ascii();
        rest = &parameter[end..];
        if let Some(value) = rest.strip_prefix('=') {
            let value = value.trim_ascii_start();
            let (value, more) = match value.strip_prefix('"') {
                // No relation contains an escaped quote.
                Some(quoted) => quoted.split_once('"')?,
                None => value.split_at(value.find([';', ',']).unwrap_or(value.len())),
            };
            if name.eq_ignore_ascii_case("rel") {
                relations = relations.or(Some(value));
            }
            rest = more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alternates(fields: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(LINK, field.parse().unwrap());
        }
        let base = Url::parse("https://ca.example/cert/1").unwrap();
        targets(&headers, "alternate", &base)
    }

    #[test]
    fn links_are_selected_by_relation_and_resolved() {
        let found = alternates(&[
            "<https://ca.example/dir>;rel=\"index\"",
            "</cert/1/1>;rel=\"alternate\", <2>; title=\"a, <b>; rel=x\"; REL = alternate",
            "<https://ca.example/3>;rel=\"up alternate\"",
        ]);
        let wanted = [
            "https://ca.example/cert/1/1",
            "https://ca.example/cert/2",
            "https://ca.example/3",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn malformed_links_and_targets_without_https_are_left_out() {
        let odd = [
            "",
            "<",
            "<x",
            "x;rel=alternate",
            "<http://ca.example/1>;rel=alternate",
            "<file:///etc/passwd>;rel=alternate",
            "<2>;rel=\"alternate",
            "<2>;;;rel",
            "<2>;rel=up;rel=alternate",
        ];
        assert_eq!(alternates(&odd), Vec::<String>::new());
    }
}
