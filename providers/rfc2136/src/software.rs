//! Server programs whose order of checks is known.

/// The program behind a server, by its answer to `version.bind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Software {
    /// Since 9.16.37, 9.18.11 and 9.19.9 BIND checks the policy before the prerequisites
    /// (<https://kb.isc.org/docs/cve-2022-3094>); older ones do not.
    Bind {
        policy_first: bool,
    },
    Knot,
    /// Checks the prerequisites before its update policy
    /// (<https://doc.powerdns.com/authoritative/dnsupdate.html>).
    PowerDns,
    /// Another program, or one that hides its version.
    Unknown,
}

impl Software {
    pub(crate) fn from_version(version: &str) -> Self {
        if version.contains("PowerDNS") {
            return Software::PowerDns;
        }
        if version.contains("Knot") {
            return Software::Knot;
        }
        // BIND answers with its number, sometimes after its name.
        let number = version.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut parts = number.split(|c: char| !c.is_ascii_digit());
        let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
        match (part(), part(), part()) {
            (Some(9), Some(minor), Some(patch)) => Software::Bind {
                policy_first: match minor {
                    ..16 => false,
                    16 => patch >= 37,
                    17 | 18 => patch >= 11,
                    19 => patch >= 9,
                    20.. => true,
                },
            },
            _ => Software::Unknown,
        }
    }

    /// Whether it checks permissions before prerequisites, so that its answers can be trusted.
    pub(crate) fn checks_policy_first(self) -> bool {
        matches!(self, Software::Knot | Software::Bind { policy_first: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_recognised_by_their_version() {
        let bind = |policy_first| Software::Bind { policy_first };
        for (version, software) in [
            ("9.18.44-1~deb12u1-Debian", bind(true)),
            ("BIND 9.18.11", bind(true)),
            ("9.18.10", bind(false)),
            ("9.16.37", bind(true)),
            ("9.11.36-RedHat-9.11.36-16.el8", bind(false)),
            ("9.20.0", bind(true)),
            ("Knot DNS 3.2.6", Software::Knot),
            (
                "PowerDNS Authoritative Server 4.7.3 (built)",
                Software::PowerDns,
            ),
            ("NSD 4.6.1", Software::Unknown),
            ("9", Software::Unknown),
            ("", Software::Unknown),
        ] {
            assert_eq!(Software::from_version(version), software, "{version}");
        }
    }
}
