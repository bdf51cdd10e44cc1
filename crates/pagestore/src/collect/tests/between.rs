//! The narrow places of the contract, one by one: something happens between two calls of a collector
//! or a writer, where it would do the most harm.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use pagevault_objects::{
    Key, Listing, MemoryStore, Meta, Object, ObjectError, ObjectStore, ObjectWriter, Precondition,
    Version,
};

use super::*;
use crate::store::recipe_key;

/// What happens, and before which call: its name, and how its key or prefix begins.
struct Planned {
    call: &'static str,
    key: &'static str,
    happens: Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>,
}

/// A store in memory in which something happens just before the first call of that name whose key
/// or prefix begins so.
#[derive(Clone, Default)]
struct Between {
    inner: MemoryStore,
    planned: Arc<Mutex<Option<Planned>>>,
}

impl Between {
    fn plan<F>(&self, call: &'static str, key: &'static str, happens: F)
    where
        F: FnOnce() -> BoxFuture<'static, ()> + Send + 'static,
    {
        *self.planned.lock().unwrap() = Some(Planned { call, key, happens: Box::new(happens) });
    }

    async fn reached(&self, call: &str, key: &str) {
        let planned = {
            let mut planned = self.planned.lock().unwrap();
            let here = planned.as_ref().is_some_and(|p| p.call == call && key.starts_with(p.key));
            if here { planned.take() } else { None }
        };
        if let Some(planned) = planned {
            (planned.happens)().await;
        }
    }
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Between")
    }
}

#[async_trait]
impl ObjectStore for Between {
    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        when: Precondition,
    ) -> Result<Version, ObjectError> {
        self.reached("put", key.as_str()).await;
        self.inner.put(key, bytes, when).await
    }

    async fn put_file(&self, key: &Key, file: &Path) -> Result<u64, ObjectError> {
        self.inner.put_file(key, file).await
    }

    async fn writer(&self, key: &Key) -> Result<Box<dyn ObjectWriter>, ObjectError> {
        self.inner.writer(key).await
    }

    async fn get(&self, key: &Key) -> Result<Object, ObjectError> {
        self.inner.get(key).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.inner.get_range(key, range).await
    }

    async fn head(&self, key: &Key) -> Result<Meta, ObjectError> {
        self.inner.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        self.inner.delete(key).await
    }

    async fn delete_if(&self, key: &Key, version: &Version) -> Result<(), ObjectError> {
        self.inner.delete_if(key, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Listing, ObjectError> {
        self.reached("list", prefix).await;
        self.inner.list(prefix, after, limit).await
    }

    async fn now(&self) -> Result<u64, ObjectError> {
        self.inner.now().await
    }
}

/// A store for one process of several.
fn process(store: &Between) -> PageStore {
    let options = PageStoreOptions { workers: Workers::Inline, ..PageStoreOptions::default() };
    PageStore::new(Arc::new(store.clone()), options)
}

/// Pages that do not shrink and of which some are hooks.
fn noise() -> Vec<u8> {
    let mut state = 7u64;
    let word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(word).take(2000 * PAGE / 8).flatten().collect()
}

#[tokio::test]
async fn what_is_under_a_writer_that_made_its_checks_in_time_stays() {
    let store = Between::default();
    let (here, there, named) = (process(&store), process(&store), Named::default());
    let keyframe = put(&there, &pages(1), None).await;
    let (id, late) = (keyframe.id.clone(), named.clone());
    drop(keyframe);
    let delta = Arc::new(Mutex::new(None));
    let (written, of) = (Arc::clone(&delta), there.clone());
    // The collector has looked, found nothing named, and is about to condemn the keyframe. A delta
    // on it is committed now, and named only after the collector's second look.
    store.plan("put", "tombstones/recipes/", move || {
        Box::pin(async move {
            let base = Committed {
                id: id.clone(),
                stats: WriteStats::default(),
                delta: false,
                hold: of.holds.hold(&id),
            };
            let committed = put(&of, &pages(2), Some(&base)).await;
            assert!(committed.delta);
            *written.lock().unwrap() = Some(committed.id);
        })
    });
    collect(&here, &late).await;
    let id = delta.lock().unwrap().take().unwrap();
    assert_eq!(there.standing(&id).await.unwrap(), Standing::Kept);
    named.0.lock().unwrap().insert(id.0.clone());
    let reader = there.open(&id).await.unwrap();
    assert_eq!(reader.read(0..u64::MAX).await.unwrap(), pages(2));
    collect(&here, &named).await;
    assert!(there.open(&id).await.is_ok());
}

#[tokio::test]
async fn an_object_that_is_shared_just_before_it_is_condemned_stays() {
    let store = Between::default();
    let (here, there, named) = (process(&store), process(&store), Named::default());
    drop(put(&there, &noise(), None).await);
    let (of, other) = (there.clone(), named.clone());
    store.plan("put", "tombstones/data/", move || {
        Box::pin(async move {
            let sharing = put(&of, &noise(), None).await;
            assert!(sharing.stats.pages.shared > 1000, "{:?}", sharing.stats);
            other.add(&sharing);
        })
    });
    let stats = collect(&here, &named).await;
    assert_eq!((stats.freed_recipes.number, stats.freed_data.number), (1, 0));
    let id = RecipeId(named.0.lock().unwrap().first().unwrap().clone());
    let reader = there.open(&id).await.unwrap();
    assert!(reader.read(0..u64::MAX).await.unwrap() == noise());
}

#[tokio::test]
async fn what_goes_between_the_two_questions_of_a_check_is_seen_to_be_gone() {
    let store = Between::default();
    let there = process(&store);
    let id = put(&there, &pages(1), None).await.id;
    let (memory, key) = (store.inner.clone(), recipe_key(&id).unwrap());
    // A whole collection: the thing goes, and then its tombstone.
    store.plan("list", "tombstones/", move || {
        Box::pin(async move { memory.delete(&key).await.unwrap() })
    });
    assert_eq!(there.standing(&id).await.unwrap(), Standing::Gone);
}

/// Stores pages on a base, in the place of a layer of the same pages.
async fn replace(store: &PageStore, over: &RecipeId, base: &Committed) -> Result<Committed> {
    let writer = writer(store, &pages(1), Some(base)).await;
    writer.replacing(over).await?.commit("n", (24 * PAGE) as u64).await
}

#[tokio::test]
async fn two_that_take_each_others_base_do_not_come_to_stand_on_each_other() {
    let store = Between::default();
    let here = process(&store);
    let one = put(&here, &pages(1), None).await;
    let other = {
        let options = PageStoreOptions { share: false, ..here.options.clone() };
        put(&PageStore::new(Arc::new(store.clone()), options), &pages(1), None).await
    };
    assert!(!one.delta && !other.delta);
    let (there, upper, under) = (process(&store), other.clone(), one.clone());
    let second = Arc::new(Mutex::new(None));
    let outcome = Arc::clone(&second);
    // The first has named its base in its own place, and is about to ask whether that stays.
    let place: &'static str = Box::leak(format!("recipes/{}/", &one.id.0[..2]).into_boxed_str());
    let inner = store.clone();
    store.plan("put", place, move || {
        Box::pin(async move {
            inner.plan("list", "tombstones/", move || {
                Box::pin(async move {
                    *outcome.lock().unwrap() =
                        Some(replace(&there, &upper.id, &under).await.is_ok());
                })
            });
        })
    });
    let first = replace(&here, &one.id, &other).await.is_ok();
    let second = second.lock().unwrap().unwrap();
    assert!(first != second, "{first} {second}");
    for id in [&one.id, &other.id] {
        assert_eq!(here.open(id).await.unwrap().read(0..u64::MAX).await.unwrap(), pages(1));
    }
}
