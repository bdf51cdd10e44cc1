//! Pushes under way have room of their own, and give it back.

use std::sync::Arc;

use pagevault_catalog::Catalog;
use pagevault_objects::{MemoryStore, ObjectStore};
use pagevault_pagestore::{PageStore, PageStoreOptions};

use super::super::policies::PolicySource;
use super::super::quota::{Quotas, Taken};
use crate::RegistryErrorKind as Kind;

async fn quotas(quota: &str) -> Quotas {
    let objects: Arc<dyn ObjectStore> = Arc::new(MemoryStore::default());
    let catalog = Arc::new(Catalog::open_in_memory(Arc::clone(&objects)).await.unwrap());
    let json = format!(r#"{{"quotas": [{{"namespace": "shop", {quota}}}]}}"#);
    Quotas {
        source: PolicySource {
            catalog: Arc::clone(&catalog),
            file: Some(Arc::new(serde_json::from_str(&json).unwrap())),
        },
        catalog,
        pages: PageStore::new(objects, PageStoreOptions::default()),
        books: Arc::default(),
    }
}

#[tokio::test]
async fn of_two_at_once_one_sees_the_other() {
    let taken = Taken { count: 1, logical_bytes: 60, stored_bytes: 6 };
    for quota in [r#""maxCount": 1"#, r#""maxLogicalSize": 100"#, r#""maxStoredSize": 10"#] {
        let quotas = quotas(quota).await;
        let first = quotas.admit("shop", taken).await.unwrap();
        assert_eq!(quotas.admit("shop", taken).await.unwrap_err().kind(), Kind::Quota, "{quota}");
        let _other = quotas.admit("bank", taken).await.unwrap();
        // It came to nothing; and the one that was refused holds nothing either.
        drop(first);
        let _second = quotas.admit("shop", taken).await.unwrap();
        assert_eq!(quotas.books.refused(), 1);
    }
}
