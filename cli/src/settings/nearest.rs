//! Proposes the word that somebody meant.

/// `did you mean …?`, or all there are where none is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    let distance_max = |candidate: &str| 1 + candidate.len() / 4;
    let near = known
        .iter()
        // A word may have a megabyte, and their distance is at least the difference of their lengths.
        .filter(|candidate| word.len().abs_diff(candidate.len()) <= 4 * distance_max(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= distance_max(candidate))
        .min();
    match near {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "there is none yet".to_owned(),
        None => format!("there are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 3] = ["directory", "contact", "agree-tos"];

    #[test]
    fn the_nearest_word_is_proposed_or_all_are_listed() {
        assert_eq!(
            nearest("contatc", WORDS.into_iter()),
            "did you mean `contact`?"
        );
        assert!(nearest("zzzz", WORDS.into_iter()).starts_with("there are: directory"));
    }
}
