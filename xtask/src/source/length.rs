//! The length of a file, tables aside.

/// The largest number of lines in a file. Clippy checks the length of functions (`clippy.toml`).
pub(crate) const LINES_MAX: usize = 500;

/// The number of lines, without those inside of tables: constants that are an array with one element or
/// part of an element on each line.
pub(crate) fn lines(text: &str) -> usize {
    let mut count = 0;
    let mut end_of_table: Option<String> = None;
    for line in text.lines() {
        if end_of_table.as_deref() == Some(line) {
            end_of_table = None;
        }
        if end_of_table.is_some() {
            continue;
        }
        count += 1;
        if begins_table(line) {
            let indent = &line[..line.len() - line.trim_start().len()];
            end_of_table = Some(format!("{indent}];"));
        }
    }
    count
}

fn begins_table(line: &str) -> bool {
    let item = line.trim_start();
    let item = item
        .strip_prefix("pub(crate) ")
        .or_else(|| item.strip_prefix("pub(super) "))
        .or_else(|| item.strip_prefix("pub "))
        .unwrap_or(item);
    (item.starts_with("const ") || item.starts_with("static ")) && line.ends_with('[')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_count_as_their_first_and_last_line() {
        let text = "a\npub(crate) const T: &[u8] = &[\n    1,\n    2,\n];\nb\n";
        assert_eq!(lines(text), 4);
        let inner = "fn f() {\n    const T: [u8; 1] = [\n        1,\n    ];\n}\n";
        assert_eq!(lines(inner), 4);
    }

    #[test]
    fn other_lines_all_count() {
        let text = "const A: u8 = 1;\nlet x = [\n    1,\n];\nfn f() {\n}\n";
        assert_eq!(lines(text), 6);
    }
}
