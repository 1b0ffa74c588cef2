//! The paths that a file names: in `use` declarations and in its code.

use super::tokens::Token;

/// An imported path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// The name that it has in this file; `*` for all names.
    pub(crate) name: String,
}

/// What a file names of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) imports: Vec<Import>,
    /// Paths of several words in the code.
    pub(crate) paths: Vec<Vec<String>>,
}

impl Names {
    pub(crate) fn of(tokens: &[Token]) -> Self {
        let mut names = Names::default();
        let mut rest = tokens;
        while let Some(token) = rest.first() {
            rest = match token {
                Token::Word(word) if word == "use" => {
                    let (imports, after) = tree(&rest[1..], &[]);
                    names.imports.extend(imports);
                    after
                }
                Token::Word(_) => {
                    let (path, after) = path(rest);
                    if path.len() > 1 {
                        names.paths.push(path);
                    }
                    after
                }
                _ => &rest[1..],
            };
        }
        names
    }
}

/// The words that are joined by `::` at the beginning, and what follows.
fn path(tokens: &[Token]) -> (Vec<String>, &[Token]) {
    let mut path = Vec::new();
    let mut rest = tokens;
    while let [Token::Word(word), after @ ..] = rest {
        path.push(word.clone());
        rest = after;
        match rest {
            [Token::PathSeparator, after @ ..] if matches!(after, [Token::Word(_), ..]) => {
                rest = after;
            }
            _ => break,
        }
    }
    (path, rest)
}

/// The imports of a use tree below `prefix`, and what follows.
fn tree<'a>(tokens: &'a [Token], prefix: &[String]) -> (Vec<Import>, &'a [Token]) {
    let (words, rest) = path(tokens);
    let full = [prefix, &words].concat();
    match rest {
        [Token::PathSeparator, Token::Sign('{'), after @ ..] | [Token::Sign('{'), after @ ..] => {
            group(after, &full)
        }
        [Token::PathSeparator, Token::Sign('*'), after @ ..] => {
            let name = "*".to_owned();
            (vec![Import { path: full, name }], after)
        }
        _ => single(full, rest),
    }
}

/// The imports of a group in braces.
fn group<'a>(tokens: &'a [Token], prefix: &[String]) -> (Vec<Import>, &'a [Token]) {
    let mut imports = Vec::new();
    let mut rest = tokens;
    loop {
        rest = match rest {
            [] => return (imports, rest),
            [Token::Sign('}'), after @ ..] => return (imports, after),
            [Token::Sign(_) | Token::PathSeparator, after @ ..] => after,
            [Token::Word(_), ..] => {
                let (inner, after) = tree(rest, prefix);
                imports.extend(inner);
                after
            }
        };
    }
}

/// The import of one path, perhaps with a name of its own.
fn single(mut path: Vec<String>, rest: &[Token]) -> (Vec<Import>, &[Token]) {
    let is_self = path.last().is_some_and(|last| last == "self");
    if is_self && path.len() > 1 {
        path.pop();
    }
    // `path` reads `a as b` as two words without a separator between them.
    match rest {
        [Token::Word(word), Token::Word(name), after @ ..] if word == "as" => {
            let name = name.clone();
            (vec![Import { path, name }], after)
        }
        _ => {
            let name = path.last().cloned().unwrap_or_default();
            (vec![Import { path, name }], rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn imports(text: &str) -> Vec<String> {
        let names = Names::of(&tokens(text));
        let shown = |import: &Import| format!("{} as {}", import.path.join("::"), import.name);
        names.imports.iter().map(shown).collect()
    }

    #[test]
    fn use_trees_are_flattened() {
        let text = "pub use self::a::{B, c::{self, D as E}, F};\nuse crate::g::*;\nuse super::h;";
        let expected = [
            "self::a::B as B",
            "self::a::c as c",
            "self::a::c::D as E",
            "self::a::F as F",
            "crate::g as *",
            "super::h as h",
        ];
        assert_eq!(imports(text), expected);
    }

    #[test]
    fn paths_in_code_are_found() {
        let names = Names::of(&tokens(
            "fn f() { crate::a::b(); let c = d::E::<F>::new(g); }",
        ));
        let paths: Vec<_> = names.paths.iter().map(|path| path.join("::")).collect();
        assert_eq!(paths, ["crate::a::b", "d::E"]);
    }
}
