//! Taking turns by domain, so that one that has many names does not take what is there for all.

use std::collections::{BTreeMap, VecDeque};

use crate::name::DnsName;

/// Sorts what belongs to names so that domains take turns: first the top-level domains, then those below each of them, and so
/// on. Nobody has to know where the domains of different owners begin. What belongs to one name stays in its order.
pub(super) fn in_turn<T>(items: Vec<(DnsName, T)>) -> Vec<T> {
    let items = items.into_iter().map(|(name, item)| {
        let labels = name.labels().rev().map(str::to_owned);
        (labels.collect(), item)
    });
    below(items.collect()).into()
}

/// The same for names that have a domain in common, by the labels that they have below it, the topmost first.
fn below<T>(items: Vec<(VecDeque<String>, T)>) -> VecDeque<T> {
    if items.len() < 2 {
        return items.into_iter().map(|(_, item)| item).collect();
    }
    let mut own = VecDeque::new();
    let mut domains: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (mut labels, item) in items {
        match labels.pop_front() {
            Some(label) => domains.entry(label).or_default().push((labels, item)),
            None => own.push_back(item),
        }
    }
    let domains = domains.into_values().map(below);
    let mut queues: Vec<_> = [own].into_iter().chain(domains).collect();
    let mut sorted = VecDeque::new();
    while !queues.is_empty() {
        sorted.extend(queues.iter_mut().filter_map(VecDeque::pop_front));
        queues.retain(|queue| !queue.is_empty());
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&'static str]) -> Vec<&'static str> {
        let items = names.iter().map(|name| (name.parse().unwrap(), *name));
        in_turn(items.collect())
    }

    #[test]
    fn domains_take_turns_at_each_level() {
        let many = ["a.many.example", "b.many.example", "c.many.example"];
        let others = ["one.example", "x.two.example", "www.one.test"];
        assert_eq!(
            sorted(&[&many[..], &others].concat()),
            [
                "a.many.example",
                "www.one.test",
                "one.example",
                "x.two.example",
                "b.many.example",
                "c.many.example",
            ]
        );
    }

    #[test]
    fn a_name_and_those_below_it_take_turns() {
        let names = ["a.example", "b.a.example", "c.a.example", "a.example"];
        assert_eq!(
            sorted(&names),
            ["a.example", "b.a.example", "c.a.example", "a.example"]
        );
        assert_eq!(sorted(&[]), Vec::<&str>::new());
    }
}
