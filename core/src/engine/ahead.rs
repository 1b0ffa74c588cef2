//! How much a run has begun and not ended yet, so that memory does not grow with the number of certificates.

use super::core::Engine;
use crate::store::CertificateId;

/// Certificates of one CA that were begun and have no report yet.
const CERTIFICATES_MAX: usize = 400;
/// Names of these certificates: what is found on the way from each is kept until the report.
const NAMES_MAX: usize = 4_000;
/// Names of a certificate whose settings are not read yet.
const NAMES_USUAL: usize = 10;

/// Certificates that were begun and have no report yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    certificates: usize,
    names: usize,
}

impl Ahead {
    /// Whether one more may be begun.
    pub(super) fn has_room(self) -> bool {
        self.certificates < CERTIFICATES_MAX && self.names < NAMES_MAX
    }

    /// A certificate with so many names is begun.
    pub(super) fn begin(&mut self, names: usize) {
        self.certificates += 1;
        self.names += names;
    }

    /// A certificate with so many names is reported.
    pub(super) fn end(&mut self, names: usize) {
        self.certificates -= 1;
        self.names -= names;
    }
}

impl Engine {
    /// How many names a certificate has, or probably has if its settings are not read yet.
    pub(super) fn names_of(&self, id: &CertificateId) -> usize {
        let certificate = self.certificates().get(id);
        certificate.map_or(NAMES_USUAL, |one| one.request.names.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many certificates with so many names each may be begun at a time.
    fn room_for(names: usize) -> usize {
        let mut ahead = Ahead::default();
        let mut count = 0;
        while ahead.has_room() {
            ahead.begin(names);
            count += 1;
        }
        ahead.end(names);
        assert!(ahead.has_room());
        count
    }

    #[test]
    fn certificates_with_many_names_take_the_room_of_others() {
        assert_eq!(room_for(1), 400);
        assert_eq!(room_for(100), 40);
        assert_eq!(room_for(10_000), 1);
    }
}
