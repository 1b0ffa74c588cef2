//! Metrics, before they are text.

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;

/// A metric with its samples.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// It may go down.
    Gauge(Vec<Sample>),
    /// It only goes up.
    Counter(u64),
    Histogram(Histogram),
}

/// A value with its labels.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: f64,
}

impl Metric {
    /// A metric with one value, or with none if it is not known.
    pub(super) fn gauge(
        name: &'static str,
        help: &'static str,
        value: impl Into<Option<f64>>,
    ) -> Self {
        let sample = value.into().map(|value| Sample {
            labels: Vec::new(),
            value,
        });
        Metric::family(name, help, sample)
    }

    pub(super) fn family(
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = Sample>,
    ) -> Self {
        Metric {
            name,
            help,
            kind: Kind::Gauge(samples.into_iter().collect()),
        }
    }
}

/// A number of things.
#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

/// A moment in seconds since 1970.
#[expect(
    clippy::cast_precision_loss,
    reason = "no time of a certificate comes near 2^53 s"
)]
pub(super) fn seconds(moment: Timestamp) -> f64 {
    moment.as_second() as f64
}
