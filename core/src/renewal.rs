//! When a certificate is due for renewal.

use jiff::{SignedDuration, Timestamp};

/// Below this lifetime a certificate is short-lived, and half of it is kept in reserve.
const SHORT_LIVED: SignedDuration = SignedDuration::from_hours(10 * 24);

/// The moment from which a certificate is due: when a third of its lifetime is left, or half of
/// one that lives less than ten days. A failed attempt leaves time for many more.
pub fn due(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let lifetime = not_after.duration_since(not_before);
    let reserve = lifetime / if lifetime < SHORT_LIVED { 2 } else { 3 };
    not_after - reserve
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_after(days: i64) -> String {
        let not_before: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        due(
            not_before,
            not_before + SignedDuration::from_hours(24 * days),
        )
        .to_string()
    }

    #[test]
    fn ninety_days_are_renewed_after_sixty() {
        assert_eq!(due_after(90), "2026-03-02T00:00:00Z");
    }

    #[test]
    fn six_days_are_renewed_after_three() {
        assert_eq!(due_after(6), "2026-01-04T00:00:00Z");
    }
}
