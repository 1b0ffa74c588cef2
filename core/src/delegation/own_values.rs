//! TXT values that exist by our doing.

use std::collections::BTreeMap;

use crate::name::DnsName;
use crate::txt::TxtValue;

/// The values of runs that are under way, or were killed, by alias name.
#[derive(Clone, Debug, Default)]
pub struct OwnValues(BTreeMap<DnsName, Vec<TxtValue>>);

impl OwnValues {
    /// Whether the text is one of these values at `name`.
    pub(super) fn contains(&self, name: &DnsName, text: &str) -> bool {
        let values = self.0.get(name).into_iter().flatten();
        values.into_iter().any(|value| value.as_str() == text)
    }
}

impl FromIterator<(DnsName, TxtValue)> for OwnValues {
    fn from_iter<T: IntoIterator<Item = (DnsName, TxtValue)>>(values: T) -> Self {
        let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, value) in values {
            by_name.entry(name).or_default().push(value);
        }
        OwnValues(by_name)
    }
}
