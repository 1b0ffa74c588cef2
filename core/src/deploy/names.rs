//! Users and groups by name.

use uzers::{get_group_by_name, get_user_by_name};

/// A user or a group that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} `{name}` does not exist")]
pub struct UnknownName {
    kind: &'static str,
    name: String,
}

/// The id of a user, which is named or is a number already.
pub fn user_id(name: &str) -> Result<u32, UnknownName> {
    let id = get_user_by_name(name).map(|user| user.uid());
    id.or_else(|| number(name)).ok_or_else(|| UnknownName {
        kind: "user",
        name: name.escape_debug().to_string(),
    })
}

/// The id of a group, which is named or is a number already.
pub fn group_id(name: &str) -> Result<u32, UnknownName> {
    let id = get_group_by_name(name).map(|group| group.gid());
    id.or_else(|| number(name)).ok_or_else(|| UnknownName {
        kind: "group",
        name: name.escape_debug().to_string(),
    })
}

/// The largest number means "unchanged" to the system.
fn number(name: &str) -> Option<u32> {
    name.parse().ok().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_a_number_is_an_id() {
        assert_eq!(user_id("root"), Ok(0));
        assert_eq!(group_id("root"), Ok(0));
        assert_eq!(user_id("4711"), Ok(4711));
        for name in ["", "no such user", "-1", "4294967295", "ro\0ot"] {
            assert!(user_id(name).is_err(), "{name}");
            assert!(group_id(name).is_err(), "{name}");
        }
    }
}
