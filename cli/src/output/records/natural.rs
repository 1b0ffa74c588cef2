//! The order of names that `OctoDNS` demands: numbers in them are compared as numbers
//! (<https://github.com/octodns/octodns>, `order_mode: natural`).

/// A part of a name: a text, and the number behind it.
type Part<'a> = (&'a str, Number<'a>);
/// The number of digits without leading zeros, and these. A text at the end has a number without digits.
type Number<'a> = (usize, &'a str);

/// What names are sorted by.
pub(super) fn natural_key(name: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit();
        let (text, numbers) = rest.split_at(rest.find(is_digit).unwrap_or(rest.len()));
        let is_text = |c: char| !c.is_ascii_digit();
        let (digits, after) = numbers.split_at(numbers.find(is_text).unwrap_or(numbers.len()));
        let zeros = digits.len() - digits.trim_start_matches('0').len();
        let digits = &digits[zeros.min(digits.len().saturating_sub(1))..];
        parts.push((text, (digits.len(), digits)));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_compared_as_numbers() {
        let sorted = [
            "",
            "1a",
            "2",
            "10",
            "_acme-challenge",
            "_acme-challenge.1.a",
            "_acme-challenge.h",
            "_acme-challenge.h0",
            "_acme-challenge.h9",
            "_acme-challenge.h10",
            "_acme-challenge.h10.b2",
            "_acme-challenge.h10.b10",
            "_acme-challenge.www",
            "h",
        ];
        let mut names = sorted;
        names.reverse();
        names.sort_by_key(|name| natural_key(name));
        assert_eq!(names, sorted);
    }
}
