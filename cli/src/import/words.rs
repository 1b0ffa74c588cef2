//! Commands of other clients, which run in a shell there, as lists of arguments.

/// Words that only a shell can carry out, at the beginning of a command.
const OF_THE_SHELL: [&str; 27] = [
    ".", ":", "alias", "case", "cd", "command", "eval", "exec", "exit", "export", "for",
    "function", "hash", "if", "local", "read", "readonly", "return", "set", "shift", "source",
    "time", "trap", "ulimit", "umask", "until", "while",
];

/// The words of a command that means the same without a shell; `None` if a shell would do more with it than split it.
pub(super) fn words(command: &str) -> Option<Vec<String>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    let command = command.trim_matches([' ', '\t', '\n']);
    let words: Vec<_> = command
        .split([' ', '\t'])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let first = words.first()?;
    let is_program = !first.contains('=') && !OF_THE_SHELL.contains(&first.as_str());
    let are_plain = words.iter().all(|word| word.chars().all(is_plain));
    (is_program && are_plain).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simple_command_is_split() {
        let expected = ["systemctl", "reload", "nginx@1.service"].map(str::to_owned);
        assert_eq!(
            words(" systemctl  reload\tnginx@1.service\n"),
            Some(expected.into())
        );
    }

    #[test]
    fn what_a_shell_would_change_is_refused() {
        for command in [
            "", " ", "a; b", "a && b", "a | b", "a > b", "a $HOME", "a `b`", "a 'b'", "a \"b\"",
            "a *", "a ~", "a\nb", "a # b", "a \\b", "A=1 b", "cd /tmp", ". ./x", "{ a }", "a !b",
            "ä",
        ] {
            assert_eq!(words(command), None, "{command}");
        }
    }
}
