//! Commands of many certificates that run once.

use std::collections::{HashMap, HashSet};

use super::command::CommandTarget;
use super::progress::Progress;
use super::target::Target;
use crate::store::StoredCertificate;

/// A command to run, and the certificates that it is for, by their places.
pub(crate) type Group = (CommandTarget, Vec<usize>);

/// The commands that can run now, one after the other; none if no certificate has a command next.
///
/// Identical commands run once, as far as the order of the targets of each certificate allows it. So a command comes
/// later if another certificate has it behind something else.
pub(crate) fn next_commands(all: &[(&StoredCertificate, &Progress)]) -> Vec<Group> {
    let shared = |target: &'_ Target| match target {
        Target::Command(command) if !command.each => Some(command.command.clone()),
        _ => None,
    };
    let behind = all
        .iter()
        .flat_map(|(_, progress)| progress.ahead().skip(1));
    let behind: HashSet<_> = behind.filter_map(shared).collect();
    let mut groups: Vec<Group> = Vec::new();
    let mut by_command: HashMap<&[String], usize> = HashMap::new();
    for (place, (_, progress)) in all.iter().enumerate() {
        let Some(Target::Command(command)) = progress.next() else {
            continue;
        };
        let known = by_command.get(command.command.as_slice());
        match known.filter(|_| !command.each) {
            Some(group) => groups[*group].1.push(place),
            None => {
                if !command.each {
                    by_command.insert(&command.command, groups.len());
                }
                groups.push((command.clone(), vec![place]));
            }
        }
    }
    let is_ready = |(command, _): &Group| command.each || !behind.contains(&command.command);
    if groups.iter().any(is_ready) {
        groups.retain(is_ready);
    } else {
        // Two certificates have the same commands in different orders.
        groups.truncate(1);
    }
    groups
        .into_iter()
        .flat_map(|group| divided(group, all))
        .collect()
}

/// A group as parts that one run of the command each can take.
fn divided((command, places): Group, all: &[(&StoredCertificate, &Progress)]) -> Vec<Group> {
    let mut parts = Vec::new();
    let mut rest = places.as_slice();
    while !rest.is_empty() {
        let takes = command.takes(rest.iter().map(|place| all[*place].0));
        let (part, more) = rest.split_at(takes.min(rest.len()));
        parts.push((command.clone(), part.to_vec()));
        rest = more;
    }
    parts
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::certificate::CertificateInfo;
    use crate::store::VersionOrigin;

    fn stored(id: &str, name: &str) -> StoredCertificate {
        StoredCertificate {
            id: id.parse().unwrap(),
            version: 1,
            location: format!("/state/{id}"),
            info: CertificateInfo {
                names: vec![name.to_owned()],
                not_before: Timestamp::UNIX_EPOCH,
                not_after: Timestamp::UNIX_EPOCH,
                serial: String::new(),
                issuer: String::new(),
                key_type: None,
                renewal_id: None,
            },
            origin: VersionOrigin::default(),
            deployed: false,
        }
    }

    /// Runs everything; returns the commands with the numbers of certificates.
    fn work(certificates: &[(&str, &[&str])], name: &str, each: bool) -> Vec<String> {
        let stored: Vec<_> = certificates
            .iter()
            .map(|(id, _)| stored(id, name))
            .collect();
        let mut all: Vec<_> = certificates
            .iter()
            .map(|(_, commands)| {
                let targets = commands.iter().map(|word| {
                    let mut command = CommandTarget::new(vec![(*word).to_owned()]);
                    command.each = each;
                    Target::Command(command)
                });
                let targets: Vec<_> = targets.collect();
                Progress::begin(None, 1, &targets, Timestamp::UNIX_EPOCH, false)
            })
            .collect();
        let mut runs = Vec::new();
        loop {
            let both: Vec<_> = stored.iter().zip(&all).collect();
            let groups = next_commands(&both);
            if groups.is_empty() {
                return runs;
            }
            for (command, places) in groups {
                runs.push(format!("{} {}", command.command[0], places.len()));
                for place in places {
                    all[place].succeeded();
                }
            }
        }
    }

    #[test]
    fn identical_commands_run_once() {
        let all: [(&str, &[&str]); 3] =
            [("a", &["reload"]), ("b", &["x", "reload"]), ("c", &["x"])];
        assert_eq!(work(&all, "a.example", false), ["x 2", "reload 2"]);
        assert_eq!(
            work(&all, "a.example", true),
            ["reload 1", "x 1", "x 1", "reload 1"]
        );
    }

    #[test]
    fn the_order_of_a_certificate_holds() {
        let all: [(&str, &[&str]); 2] = [("a", &["x", "y"]), ("b", &["y", "x"])];
        assert_eq!(work(&all, "a.example", false), ["x 1", "y 2", "x 1"]);
    }

    #[test]
    fn a_command_gets_no_more_certificates_than_its_variables_can_hold() {
        let all: [(&str, &[&str]); 3] = [("a", &["x"]), ("b", &["x"]), ("c", &["x"])];
        assert_eq!(work(&all, &"n".repeat(50_000), false), ["x 2", "x 1"]);
        assert_eq!(
            work(&all, &"n".repeat(200_000), false),
            ["x 1", "x 1", "x 1"]
        );
    }
}
