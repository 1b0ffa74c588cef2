//! How much a run has begun and not ended yet, so that memory does not grow with the number of certificates.

use std::time::Duration;

use tokio::time::Instant;

use super::core::Engine;
use crate::store::CertificateId;

/// Certificates of one CA that were begun and have no report yet, unless none is reported for long.
const CERTIFICATES_USUAL: usize = 400;
/// If none is reported for so long, there is room for as many more: the CA may take minutes for each of those that were begun,
/// and those that share an alias name wait for each other. The limit of names holds all the same.
const STUCK_AFTER: Duration = Duration::from_secs(15);
/// Names of these certificates: what is found on the way from each is kept until the report.
const NAMES_MAX: usize = 4_000;
/// Names of a certificate whose settings are not read yet.
const NAMES_USUAL: usize = 10;

/// Certificates that were begun and have no report yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    certificates: usize,
    certificates_max: usize,
    names: usize,
    /// When the last one was begun or reported, or room was made.
    moved: Instant,
}

impl Ahead {
    /// Nothing was begun.
    pub(super) fn new() -> Self {
        Ahead {
            certificates: 0,
            certificates_max: CERTIFICATES_USUAL,
            names: 0,
            moved: Instant::now(),
        }
    }

    /// Whether one more may be begun.
    pub(super) fn has_room(self) -> bool {
        self.certificates < self.certificates_max && self.has_room_for_names()
    }

    fn has_room_for_names(self) -> bool {
        self.names < NAMES_MAX
    }

    /// When to make room if nothing is reported until then; `None` if there is room, or none can be made.
    pub(super) fn stuck_at(self) -> Option<Instant> {
        (!self.has_room() && self.has_room_for_names()).then_some(self.moved + STUCK_AFTER)
    }

    /// Makes room for as many more as usual.
    pub(super) fn make_room(&mut self) {
        self.certificates_max += CERTIFICATES_USUAL;
        self.moved = Instant::now();
    }

    /// A certificate with so many names is begun.
    pub(super) fn begin(&mut self, names: usize) {
        self.certificates += 1;
        self.names += names;
        self.moved = Instant::now();
    }

    /// A certificate with so many names is reported.
    pub(super) fn end(&mut self, names: usize) {
        self.certificates -= 1;
        self.names -= names;
        self.moved = Instant::now();
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
        let mut ahead = Ahead::new();
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

    #[tokio::test(start_paused = true)]
    async fn room_is_made_while_nothing_is_reported() {
        let mut ahead = Ahead::new();
        let fill = |ahead: &mut Ahead| {
            let mut count = 0;
            while ahead.has_room() {
                ahead.begin(2);
                count += 1;
            }
            count
        };
        assert_eq!(ahead.stuck_at(), None);
        assert_eq!(fill(&mut ahead), 400);
        tokio::time::advance(STUCK_AFTER).await;
        assert_eq!(ahead.stuck_at(), Some(Instant::now()));
        ahead.make_room();
        assert_eq!(fill(&mut ahead), 400);
        tokio::time::advance(STUCK_AFTER / 2).await;
        ahead.end(2);
        ahead.begin(2);
        assert_eq!(ahead.stuck_at(), Some(Instant::now() + STUCK_AFTER));
        while let Some(at) = ahead.stuck_at() {
            tokio::time::sleep_until(at).await;
            ahead.make_room();
            fill(&mut ahead);
        }
        assert_eq!(ahead.names, NAMES_MAX);
    }
}
