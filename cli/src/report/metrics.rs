//! The metrics, in the text format of Prometheus (0.0.4). Every one is made from the snapshot, so that there is no state
//! beside it. Times are moments, never durations until then: a file that is not written any more must not look fresh.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use self::metric::{Kind, Metric, Sample};
use super::snapshot::Snapshot;

mod certificates;
mod metric;
mod process;
#[cfg(test)]
mod tests;

/// What all names begin with.
const PREFIX: &str = "acme_alias";
/// What the text is, for HTTP.
#[cfg(feature = "http")]
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of a snapshot, in their order.
#[derive(Debug)]
struct Metrics(Vec<Metric>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Metric { name, help, kind } in &self.0 {
            let kind_of = match kind {
                // Without samples it would be a name and nothing else.
                Kind::Gauge(samples) if samples.is_empty() => continue,
                Kind::Gauge(_) => MetricType::Gauge,
                Kind::Counter(_) => MetricType::Counter,
                Kind::Histogram(_) => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, kind_of)?;
            match kind {
                Kind::Counter(value) => ConstCounter::new(*value).encode(metric)?,
                Kind::Histogram(histogram) => histogram.encode(metric)?,
                Kind::Gauge(samples) => {
                    for Sample { labels, value } in samples {
                        let gauge = ConstGauge::new(*value);
                        gauge.encode(metric.encode_family(labels)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The metrics of a snapshot as text.
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let mut metrics = certificates::metrics(snapshot);
    metrics.extend(process::metrics(snapshot));
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Metrics(metrics)));
    let mut text = String::new();
    // Writing to memory cannot fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}
