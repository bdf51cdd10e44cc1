//! What a sender says ahead of the bytes. Trusted for nothing but the choice of a base.

use std::collections::BTreeMap;

use base64::Engine as _;
use pagevault_api::upload::Hint;
use pagevault_archive::{Collector, Limits};

use super::{Plan, domain, lineage, scan};

/// The plan that a hint leads to; nothing if it cannot be read, which costs time, not correctness.
pub(super) fn plan(hint: &Hint, workload: Option<&str>) -> Option<Plan> {
    let members = decode(hint)?;
    let identity = Collector::identity(&members, &Limits::default()).ok()?;
    let (spaces, _) = scan::spaces(&scan::images(&members));
    Some(Plan { domain: domain(&identity), lineage: lineage(&identity, workload), spaces })
}

fn decode(hint: &Hint) -> Option<BTreeMap<String, Vec<u8>>> {
    let decode = |(path, text): (&String, &String)| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        Some((path.clone(), bytes))
    };
    hint.members.iter().map(decode).collect()
}
