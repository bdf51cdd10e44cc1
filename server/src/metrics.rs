//! What the server counts, for Prometheus. Every metric is named here, once.
//!
//! | metric | kind | unit, labels |
//! |---|---|---|
//! | `pagevault_http_requests_total` | counter | requests that have ended, by `route`, `method` and `status` |
//! | `pagevault_http_request_duration_seconds` | histogram | until the last byte of the response, by `route` |
//! | `pagevault_http_received_bytes_total` | counter | bytes of request bodies, by `route` |
//! | `pagevault_http_sent_bytes_total` | counter | bytes of response bodies, by `route` |
//! | `pagevault_http_requests_open` | gauge | requests under way |
//! | `pagevault_connections_open` | gauge | connections |
//! | `pagevault_uploads_open` | gauge | request bodies that are being read |
//! | `pagevault_uploads_waiting` | gauge | requests whose body waits for its turn |
//! | `pagevault_index_entries` | gauge | pages by which others that are equal are found |
//! | `pagevault_index_memory_bytes` | gauge | bytes of memory that they take |
//! | `pagevault_disk_free_bytes` | gauge | bytes that pushes may still fill |
//! | `pagevault_gc_runs_total` | counter | collections that have ended |
//! | `pagevault_gc_freed_bytes_total` | counter | bytes that they freed |
//! | `pagevault_gc_rewritten_total` | counter | layers (`rebase`) and objects (`repack`) stored anew, by `kind` |
//! | `pagevault_gc_rewritten_bytes_total` | counter | bytes written for it, by `kind` |
//! | `pagevault_ingest_checkpoints_total` | counter | checkpoints that pushes stored |
//! | `pagevault_ingest_pages_total` | counter | their memory pages, by `kind`: zero, same, changed, new, shared |
//! | `pagevault_ingest_read_bytes_total` | counter | bytes of their tars |
//! | `pagevault_ingest_stored_bytes_total` | counter | bytes stored of them, by `kind`: pages, other |
//! | `pagevault_ingest_stage_seconds_total` | counter | time that took, by `stage`: receive, parse, encode, finish |
//! | `pagevault_verify_runs_total` | counter | scrubs that have ended |
//! | `pagevault_verify_read_bytes_total` | counter | stored bytes that they read |
//! | `pagevault_verify_damaged` | gauge | what the last one found damaged and could not repair |
//! | `pagevault_retention_deleted_total` | counter | checkpoints that retention deleted |
//! | `pagevault_quota_refused_total` | counter | pushes that were refused by a quota |

mod ingest;

use std::fmt::Error;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use pagevault_registry::{Collected, IndexStats, Totals};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use self::ingest::Ingest;

/// Seconds: from a manifest out of memory to a large layer over a slow line.
const BUCKETS: [f64; 12] =
    [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// All metrics of a server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<OfRequest, Counter>,
    durations: Family<OfRoute, Histogram>,
    received: Family<OfRoute, Counter>,
    sent: Family<OfRoute, Counter>,
    pub(crate) requests_open: Gauge,
    pub(crate) connections_open: Gauge,
    pub(crate) uploads_open: Gauge,
    pub(crate) uploads_waiting: Gauge,
    disk_free: Gauge,
    index_entries: Gauge,
    index_memory: Gauge,
    gc_runs: Counter,
    gc_freed: Counter,
    gc_rewritten: Family<OfKind, Counter>,
    gc_rewritten_bytes: Family<OfKind, Counter>,
    ingest: Ingest,
    verify_runs: Counter,
    verify_read: Counter,
    verify_damaged: Gauge,
    retention_deleted: Counter,
    quota_refused: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("pagevault"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            received: Family::default(),
            sent: Family::default(),
            requests_open: Gauge::default(),
            connections_open: Gauge::default(),
            uploads_open: Gauge::default(),
            uploads_waiting: Gauge::default(),
            disk_free: Gauge::default(),
            index_entries: Gauge::default(),
            index_memory: Gauge::default(),
            gc_runs: Counter::default(),
            gc_freed: Counter::default(),
            gc_rewritten: Family::default(),
            gc_rewritten_bytes: Family::default(),
            ingest: Ingest::default(),
            verify_runs: Counter::default(),
            verify_read: Counter::default(),
            verify_damaged: Gauge::default(),
            retention_deleted: Counter::default(),
            quota_refused: Counter::default(),
        };
        metrics.name();
        metrics
    }
}

impl Metrics {
    /// Gives each its name and its help. Units and `_total` are put on by the encoder.
    fn name(&mut self) {
        let to = &mut self.registry;
        to.register("http_requests", "Requests that have ended", self.requests.clone());
        to.register_with_unit(
            "http_request_duration",
            "Time until the last byte of the response",
            Unit::Seconds,
            self.durations.clone(),
        );
        for (name, help, counter) in [
            ("http_received", "Bytes of request bodies", &self.received),
            ("http_sent", "Bytes of response bodies", &self.sent),
        ] {
            to.register_with_unit(name, help, Unit::Bytes, counter.clone());
        }
        for (name, help, gauge) in [
            ("http_requests_open", "Requests under way", &self.requests_open),
            ("connections_open", "Connections", &self.connections_open),
            ("uploads_open", "Request bodies that are being read", &self.uploads_open),
            ("uploads_waiting", "Requests whose body waits for its turn", &self.uploads_waiting),
            (
                "index_entries",
                "Pages by which others that are equal are found",
                &self.index_entries,
            ),
            (
                "verify_damaged",
                "What the last scrub found damaged and could not repair",
                &self.verify_damaged,
            ),
        ] {
            to.register(name, help, gauge.clone());
        }
        for (name, help, counter) in [
            ("gc_runs", "Collections that have ended", &self.gc_runs),
            ("verify_runs", "Scrubs that have ended", &self.verify_runs),
            ("retention_deleted", "Checkpoints that retention deleted", &self.retention_deleted),
            ("quota_refused", "Pushes that were refused by a quota", &self.quota_refused),
        ] {
            to.register(name, help, counter.clone());
        }
        let help = "Bytes that collections freed";
        to.register_with_unit("gc_freed", help, Unit::Bytes, self.gc_freed.clone());
        let help = "Layers and objects that were stored anew so that more can go";
        to.register("gc_rewritten", help, self.gc_rewritten.clone());
        let (help, counter) = ("Bytes written for it", self.gc_rewritten_bytes.clone());
        to.register_with_unit("gc_rewritten", help, Unit::Bytes, counter);
        self.ingest.name(to);
        let (help, counter) = ("Stored bytes that scrubs read", self.verify_read.clone());
        to.register_with_unit("verify_read", help, Unit::Bytes, counter);
        let help = "Bytes that pushes may still fill";
        to.register_with_unit("disk_free", help, Unit::Bytes, self.disk_free.clone());
        let help = "Bytes of memory that the index of pages takes";
        to.register_with_unit("index_memory", help, Unit::Bytes, self.index_memory.clone());
    }

    /// Counts a request that has ended.
    pub(crate) fn ended(&self, route: &'static str, end: &Ended<'_>) {
        let of = OfRoute { route };
        let method = method(end.method);
        let request = OfRequest { route, method, status: end.status.as_u16() };
        self.requests.get_or_create(&request).inc();
        self.durations.get_or_create(&of).observe(end.duration.as_secs_f64());
        self.received.get_or_create(&of).inc_by(end.received);
        self.sent.get_or_create(&of).inc_by(end.sent);
    }

    fn collected(&self, collected: &Collected) {
        raise(&self.gc_runs, collected.runs);
        raise(&self.gc_freed, collected.freed_bytes);
        for (kind, rewritten) in [("rebase", collected.rebased), ("repack", collected.repacked)] {
            let of = OfKind { kind };
            raise(&self.gc_rewritten.get_or_create(&of), rewritten.number);
            raise(&self.gc_rewritten_bytes.get_or_create(&of), rewritten.written_bytes);
        }
    }

    /// What Prometheus reads.
    pub(crate) fn text(
        &self,
        disk_free_bytes: Option<u64>,
        index: IndexStats,
        totals: &Totals,
    ) -> Result<String, Error> {
        let set = |gauge: &Gauge, value| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        raise(&self.retention_deleted, totals.retention_deleted);
        raise(&self.quota_refused, totals.quota_refused);
        self.collected(&totals.collected);
        self.ingest.raise(&totals.ingested);
        raise(&self.verify_runs, totals.scrubbed.runs);
        raise(&self.verify_read, totals.scrubbed.read_bytes);
        set(&self.verify_damaged, totals.scrubbed.damaged);
        if let Some(bytes) = disk_free_bytes {
            set(&self.disk_free, bytes);
        }
        set(&self.index_entries, index.entries);
        set(&self.index_memory, index.memory_bytes);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Brings a counter up to what was counted elsewhere.
fn raise(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// A request that has ended.
pub(crate) struct Ended<'a> {
    pub(crate) method: &'a Method,
    pub(crate) status: StatusCode,
    pub(crate) duration: Duration,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// The methods that there are; a client must not be able to make up labels.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// What a path is about, in as few words as tell endpoints apart.
pub(crate) fn route(path: &str) -> &'static str {
    let Some(below) = path.strip_prefix("/v2") else {
        return match path {
            "/"
            | "/workloads"
            | "/workloads/timeline"
            | "/compare"
            | "/retention"
            | "/collections" => "page",
            _ if path.starts_with("/checkpoints/") || path.starts_with("/pages/") => "page",
            "/healthz" | "/readyz" | "/metrics" => "probe",
            _ if path.starts_with("/api/v1/uploads") => "native_upload",
            _ if path.starts_with("/api/v1/") => "native",
            _ => "other",
        };
    };
    let mut from_the_right = below.trim_end_matches('/').rsplit('/');
    let (last, kind) = (from_the_right.next(), from_the_right.next());
    match (kind, last) {
        (_, None | Some("")) => "version",
        (Some("manifests"), _) => "manifest",
        (Some("uploads"), _) | (Some("blobs"), Some("uploads")) => "upload",
        (Some("blobs"), _) => "blob",
        (Some("referrers"), _) => "referrers",
        (Some("tags"), Some("list")) => "tags",
        (Some(""), Some("_catalog")) => "catalog",
        _ => "other",
    }
}

/// A gauge that is one higher while this lives.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn in_(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        for (path, expected) in [
            ("/v2/", "version"),
            ("/v2", "version"),
            ("/v2/_catalog", "catalog"),
            ("/v2/a/b/tags/list", "tags"),
            ("/v2/a/manifests/latest", "manifest"),
            ("/v2/a/blobs/sha256:00", "blob"),
            ("/v2/a/blobs/uploads/", "upload"),
            ("/v2/a/blobs/uploads/x", "upload"),
            ("/v2/a/referrers/sha256:00", "referrers"),
            ("/v2/a", "other"),
            ("/api/v1/uploads/x/commit", "native_upload"),
            ("/api/v1/checkpoints", "native"),
            ("/metrics", "probe"),
            ("/", "page"),
            ("/workloads/timeline", "page"),
            ("/checkpoints/a/b:c", "page"),
            ("/pages/0123/app.js", "page"),
            ("/x", "other"),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn the_table_above_names_what_is_written() {
        let metrics = Metrics::default();
        let end = Ended {
            method: &Method::GET,
            status: StatusCode::OK,
            duration: Duration::from_millis(2),
            received: 1,
            sent: 2,
        };
        metrics.ended("blob", &end);
        let text = metrics.text(Some(7), IndexStats::default(), &Totals::default()).unwrap();
        let table = include_str!("metrics.rs").lines().take_while(|line| line.starts_with("//!"));
        let named: Vec<_> = table.filter_map(|line| line.strip_prefix("//! | `")).collect();
        let named: Vec<_> = named.iter().filter_map(|l| l.split('`').next()).collect();
        assert_eq!(named.len(), text.lines().filter(|line| line.starts_with("# TYPE")).count());
        for name in named {
            let written = |l: &str| {
                l.starts_with(&format!("{name}{{"))
                    || l.starts_with(&format!("{name} "))
                    || l.starts_with(&format!("{name}_bucket"))
            };
            assert!(text.lines().any(written), "{name} is not in\n{text}");
        }
    }
}
