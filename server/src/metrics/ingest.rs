//! What pushes of checkpoints did.

use std::sync::atomic::AtomicU64;

use pagevault_api::stats::IngestTotals;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::{OfKind, raise};

/// Seconds that were counted.
type Seconds = Counter<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStage {
    stage: &'static str,
}

/// The metrics of pushes of checkpoints.
#[derive(Debug, Default)]
pub(super) struct Ingest {
    checkpoints: Counter,
    pages: Family<OfKind, Counter>,
    read: Counter,
    stored: Family<OfKind, Counter>,
    stages: Family<OfStage, Seconds>,
}

impl Ingest {
    pub(super) fn name(&self, to: &mut Registry) {
        let help = "Checkpoints that pushes stored";
        to.register("ingest_checkpoints", help, self.checkpoints.clone());
        to.register("ingest_pages", "Their memory pages, by what was done", self.pages.clone());
        to.register_with_unit("ingest_read", "Bytes of tars", Unit::Bytes, self.read.clone());
        let help = "Bytes stored of them";
        to.register_with_unit("ingest_stored", help, Unit::Bytes, self.stored.clone());
        let help = "Time that storing them took";
        to.register_with_unit("ingest_stage", help, Unit::Seconds, self.stages.clone());
    }

    pub(super) fn raise(&self, totals: &IngestTotals) {
        let stats = &totals.stats;
        raise(&self.checkpoints, totals.checkpoints);
        raise(&self.read, stats.logical_bytes);
        for (kind, pages) in [
            ("zero", stats.pages.zero),
            ("same", stats.pages.same),
            ("changed", stats.pages.changed),
            ("new", stats.pages.new),
            ("shared", stats.pages.shared),
        ] {
            raise(&self.pages.get_or_create(&OfKind { kind }), pages);
        }
        for (kind, bytes) in
            [("pages", stats.stored_page_bytes), ("other", stats.stored_other_bytes)]
        {
            raise(&self.stored.get_or_create(&OfKind { kind }), bytes);
        }
        for (stage, micros) in [
            ("receive", stats.micros.receive),
            ("parse", stats.micros.parse),
            ("encode", stats.micros.encode),
            ("finish", stats.micros.finish),
        ] {
            let seconds = self.stages.get_or_create(&OfStage { stage });
            seconds.inc_by((micros as f64 / 1e6 - seconds.get()).max(0.0));
        }
    }
}
