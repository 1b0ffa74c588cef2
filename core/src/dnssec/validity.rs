//! The time within which a signature is valid (RFC 4034 §3.1.5).

use hickory_proto::dnssec::rdata::RRSIG;
use jiff::Timestamp;

/// The time within which a signature is valid, as it is in the signature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    inception: u32,
    expiration: u32,
}

impl From<&RRSIG> for Validity {
    fn from(signature: &RRSIG) -> Self {
        let input = signature.input();
        Validity {
            inception: input.sig_inception.get(),
            expiration: input.sig_expiration.get(),
        }
    }
}

/// Why none of the signatures is valid at `now`; none if one of them is.
pub(super) fn out_of_time(
    signatures: impl Iterator<Item = Validity> + Clone,
    now: Timestamp,
) -> Option<String> {
    let now = now.as_second();
    let ends = signatures.clone().map(|time| moment(time.expiration, now));
    let begins = signatures.map(|time| moment(time.inception, now));
    let (last, first) = (ends.max()?, begins.min()?);
    if last < now {
        return Some(format!("expired at {}", date(last)));
    }
    (first > now).then(|| format!("is not valid before {}: check the clocks", date(first)))
}

/// The Unix time of a moment in a signature. It has the last 32 bits of that time, which lies within 68 years of
/// the present (RFC 4034 §3.1.5).
fn moment(bits: u32, now: i64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "RFC 1982 arithmetic"
    )]
    let distance = bits.wrapping_sub(now as u32).cast_signed();
    now + i64::from(distance)
}

fn date(moment: i64) -> String {
    Timestamp::from_second(moment)
        .map_or_else(|_| moment.to_string(), |timestamp| timestamp.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_valid_from_its_inception_to_its_expiration() {
        let signature = Validity {
            inception: 1_735_689_600,
            expiration: 1_738_368_000,
        };
        let at = |time: &str| out_of_time([signature].into_iter(), time.parse().unwrap());
        assert_eq!(at("2025-01-15T00:00:00Z"), None);
        let expired = at("2025-03-01T00:00:00Z");
        assert_eq!(expired.as_deref(), Some("expired at 2025-02-01T00:00:00Z"));
        let early = at("2024-12-01T00:00:00Z").unwrap();
        assert!(
            early.starts_with("is not valid before 2025-01-01T00:00:00Z"),
            "{early}"
        );
    }

    #[test]
    fn moments_are_understood_after_their_32_bits_wrap_in_2106() {
        let now: Timestamp = "2106-02-08T00:00:00Z".parse().unwrap();
        let signature = Validity {
            inception: u32::MAX - 3_600,
            expiration: 200_000,
        };
        assert_eq!(out_of_time([signature].into_iter(), now), None);
    }
}
