//! What is left after a collection.

use std::collections::BTreeSet;

use pagevault_catalog::{Listed, ListedKind};
use pagevault_objects::{MemoryStore, ObjectStore};
use pagevault_pagestore::Watch;

use super::schedule::now;
use super::world::{Plain, collect_all};
use crate::collect::{recipe, recipes};

/// When all is quiet, one collection removes whatever is not needed, and nothing else.
pub(super) fn only_what_is_needed_stays(memory: &MemoryStore) {
    collect_all(memory);
    let plain = Plain::over(memory);
    let survey = now(plain.pages.survey(&Watch::default())).unwrap();
    let manifests = plain.manifests();
    let mut needed: Vec<String> = manifests.iter().flat_map(|(_, m)| recipes(m)).collect();
    needed.extend(recipes_of_blobs(&plain));
    let mut at = 0;
    while at < needed.len() {
        let below = survey.below(&needed[at]);
        needed.extend(below.into_iter().filter(|id| !needed.contains(id)).collect::<Vec<_>>());
        at += 1;
    }
    for key in keys(memory, "recipes/") {
        assert!(needed.iter().any(|id| key.ends_with(id.as_str())), "{key} is not needed");
    }
    for key in keys(memory, "data/") {
        let name = key.rsplit('/').next().unwrap();
        let facts = now(plain.pages.data_facts(&survey, name)).unwrap().unwrap();
        assert!(!facts.named_by.is_empty(), "{key} is not needed");
    }
    assert_eq!(keys(memory, "promises/"), Vec::<String>::new());
    for (repository, record) in manifests {
        plain.check(&repository, &record, &deleted(&plain));
    }
}

/// Once all manifests are deleted, nothing stays.
pub(super) fn all_goes(memory: &MemoryStore) {
    let plain = Plain::over(memory);
    for (repository, record) in plain.manifests() {
        now(plain.catalog.delete_manifest(&repository, &record.digest)).unwrap();
    }
    collect_all(memory);
    for prefix in ["recipes/", "data/", "hooks/", "tombstones/", "promises/"] {
        assert_eq!(keys(memory, prefix), Vec::<String>::new());
    }
    let (listed, _) = now(plain.catalog.records(None, 10_000)).unwrap();
    for record in listed {
        let ListedKind::Blob(digest) = record.kind else { panic!("{} is still there", record.key) };
        let found = now(plain.catalog.find_blob(&record.repository, &digest)).unwrap();
        assert!(found.is_none(), "{}: blob {digest} is still there", record.repository);
    }
    // Of blobs it is remembered for a day that they were there.
    memory.advance_clock(24 * 3600);
    collect_all(memory);
    assert_eq!(keys(memory, "repos/"), Vec::<String>::new());
}

/// Blobs of manifests that have no record: clients have deleted them by themselves.
fn deleted(plain: &Plain) -> BTreeSet<(String, String)> {
    let manifests = plain.manifests().into_iter();
    let blobs = manifests.flat_map(|(repository, m)| {
        m.blobs.into_keys().map(move |digest| (repository.clone(), digest))
    });
    let gone = |(repository, digest): &(String, String)| {
        now(plain.catalog.find_blob(repository, &digest.parse().unwrap())).unwrap().is_none()
    };
    blobs.filter(gone).collect()
}

fn recipes_of_blobs(plain: &Plain) -> Vec<String> {
    let (listed, _) = now(plain.catalog.records(None, 10_000)).unwrap();
    let blob = |listed: &Listed| {
        let ListedKind::Blob(digest) = &listed.kind else { return None };
        recipe(&now(plain.catalog.find_blob(&listed.repository, digest)).unwrap()?.location)
    };
    listed.iter().filter_map(blob).collect()
}

pub(super) fn keys(memory: &MemoryStore, prefix: &str) -> Vec<String> {
    let listing = now(memory.list(prefix, None, 10_000)).unwrap();
    listing.objects.into_iter().map(|meta| meta.key.as_str().to_owned()).collect()
}
