// SPDX-License-Identifier: GPL-3.0-or-later
//! What `GET /metrics` says, in the text format of Prometheus: requests by outcome, how long they waited and ran, and
//! the counters of `status`. Durations are in seconds, sizes in bytes.

use std::time::Duration;

use blendwire_protocol::{Counters, Reply, Status};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// From what an idle Blender answers in to what a render takes.
const BUCKETS_SECS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];

/// What is measured of every request that needs the main thread.
#[derive(Debug)]
pub(crate) struct Metrics {
    by_outcome: Family<Outcome, Counter>,
    waited: Histogram,
    ran: Histogram,
    took: Histogram,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram = || Histogram::new(BUCKETS_SECS);
        Self { by_outcome: Family::default(), waited: histogram(), ran: histogram(), took: histogram() }
    }
}

impl Metrics {
    /// A request has been answered. `ran` is `None` when it never began.
    pub(crate) fn record(&self, reply: &Reply, waited: Duration, ran: Option<Duration>) {
        let outcome = match reply {
            Reply::Ok { .. } => "ok".to_owned(),
            // The codes of the protocol are their names here too.
            Reply::Raised { code, .. } | Reply::Refused { code, .. } => code.name(),
        };
        self.by_outcome.get_or_create(&Outcome { outcome }).inc();
        self.waited.observe(waited.as_secs_f64());
        if let Some(ran) = ran {
            self.ran.observe(ran.as_secs_f64());
        }
        self.took.observe((waited + ran.unwrap_or_default()).as_secs_f64());
    }

    /// The text of it all.
    pub(crate) fn text(&self, status: Status) -> String {
        let mut registry = Registry::with_prefix("blendwire");
        let by_outcome = self.by_outcome.clone();
        registry.register("executed", "Requests that needed the main thread, by how they ended", by_outcome);
        for (name, help, histogram) in [
            ("queue_duration", "How long requests waited for the main thread", &self.waited),
            (
                "run_duration",
                "How long requests were on the main thread, with the wait for deferred results",
                &self.ran,
            ),
            ("request_duration", "From the arrival of a request to its reply", &self.took),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        registry.register_collector(Box::new(Snapshot(status)));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

#[derive(Debug)]
struct Snapshot(Status);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let status = &self.0;
        let Counters {
            connections,
            connections_refused,
            requests,
            unauthorized,
            refused,
            received_bytes,
            sent_bytes,
            released_listeners,
            panics,
            ..
        } = status.counters;
        for (name, help, value) in [
            ("connections", "Connections accepted", connections),
            ("connections_refused", "Connections turned away", connections_refused),
            ("requests", "Requests of every type that were understood", requests),
            ("unauthorized", "Requests without the token where one is needed, or with a wrong one", unauthorized),
            ("refused", "Messages that were no request, or came over a limit", refused),
            ("received_bytes", "Bytes read from clients", received_bytes),
            ("sent_bytes", "Bytes written to clients", sent_bytes),
            ("released_listeners", "Listeners of this process that a start found still open", released_listeners),
            ("panics", "Defects of the server, each of which ended a connection or a part of one", panics),
        ] {
            encode(&mut encoder, name, help, &ConstCounter::new(value))?;
        }
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for (name, help, value) in [
            ("ready", "Whether a request sent now would run at once", i64::from(status.ready)),
            ("clients", "Connections open now", count(status.clients)),
            ("queue_length", "Requests that wait", count(status.queue.length)),
            ("deferred", "Requests that wait for their deferred result", count(status.queue.deferred)),
        ] {
            encode(&mut encoder, name, help, &ConstGauge::new(value))?;
        }
        for (name, help, value) in [
            ("main_thread_age_seconds", "Since Blender's main thread last came round", status.main_thread_age_secs),
            ("uptime_seconds", "Since the server was started", status.uptime_secs),
        ] {
            encode(&mut encoder, name, help, &ConstGauge::new(value))?;
        }
        Ok(())
    }
}

fn encode(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> std::fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}
