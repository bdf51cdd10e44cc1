//! Names for blobs, one case at a time.

use std::sync::Arc;

use bytes::Bytes;
use pagevault_catalog::{BlobLocation, BlobRecord};
use pagevault_objects::{Key, MemoryStore, ObjectStore, Precondition};

use super::actors::{push_oci, store};
use super::rest::keys;
use super::schedule::now;
use super::world::{World, content, layer_digest};
use crate::error::RegistryErrorKind as Kind;

/// Condemns a recipe, as a collector does.
fn condemn(memory: &MemoryStore, recipe: &str) {
    let key = Key::new(format!("tombstones/recipes/{recipe}")).unwrap();
    now(memory.put(&key, Bytes::new(), Precondition::Absent)).unwrap();
}

#[test]
fn a_publisher_that_gives_up_leaves_a_blob_as_it_was() {
    let memory = MemoryStore::default();
    let world = World::new(memory.clone(), Arc::new(memory.clone()), false);
    let (publisher, layer) = (world.publisher(), layer_digest(0));
    now(push_oci(&world, "a", None, 0)).unwrap();
    let before = now(world.catalog().find_blob("a", &layer)).unwrap().unwrap();
    let BlobLocation::Recipe(old) = &before.location else { panic!("not in the page store") };
    // Condemned, though the manifest names it, so it stays; and so is what should replace it.
    condemn(&memory, old);
    let second = now(store(&publisher, 0, None)).unwrap();
    condemn(&memory, &second.id.0);
    let record = BlobRecord {
        bytes: content(0).len() as u64,
        location: BlobLocation::Recipe(second.id.0.clone()),
    };
    let error = now(publisher.blob("a", &layer, record)).unwrap_err();
    assert_eq!(error.kind(), Kind::Collected);
    assert_eq!(now(world.catalog().find_blob("a", &layer)).unwrap(), Some(before));
    world.check_visible();
    // A further image of that layer gets it under a new name.
    now(push_oci(&world, "a/b", Some("a"), 0)).unwrap();
    assert_eq!(keys(&memory, "recipes/").len(), 3);
    world.check_visible();
    world.check_acknowledged();
}
