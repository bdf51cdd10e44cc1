//! Manifests that are about another: signatures, reports, whatever has a `subject`.

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_api::media_types::OCI_INDEX;
use pagevault_catalog::Referrer;
use serde_json::{Value, json};

use crate::{Registry, Result, catalog_error, names};

/// Manifests of a page at most.
const MANIFESTS_MAX: usize = 500;
/// Bytes of a page, but for a single manifest whose annotations alone are larger: clients read no
/// more than 4 MiB.
const BYTES_MAX: usize = 3 << 20;

/// A page of the manifests that are about another.
#[derive(Debug, Clone)]
pub struct Referrers {
    /// An OCI image index, ready to send.
    pub index: Bytes,
    /// The last digest of this page, if there are more.
    pub next: Option<String>,
}

impl Registry {
    /// Manifests whose subject is `subject`, of one kind if it is given, after the digest `after`.
    pub async fn referrers(
        &self,
        repository: &str,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&str>,
    ) -> Result<Referrers> {
        names::check(repository)?;
        let found = self
            .catalog
            .referrers(repository, subject, artifact_type, after, MANIFESTS_MAX + 1)
            .await
            .map_err(catalog_error)?;
        Ok(page(&found))
    }
}

fn page(found: &[Referrer]) -> Referrers {
    let (mut manifests, mut bytes) = (Vec::new(), 0);
    for referrer in found.iter().take(MANIFESTS_MAX) {
        let (descriptor, size) = descriptor(referrer);
        bytes += size;
        if bytes > BYTES_MAX && !manifests.is_empty() {
            break;
        }
        manifests.push(descriptor);
    }
    let shown = manifests.len();
    let last = shown.checked_sub(1).filter(|_| shown < found.len());
    let next = last.and_then(|last| found.get(last)).map(|referrer| referrer.digest.to_string());
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
    Referrers { index: Bytes::from(index.to_string()), next }
}

/// The descriptor of a manifest, and about how many bytes it is written in.
fn descriptor(referrer: &Referrer) -> (Value, usize) {
    let mut descriptor = json!({
        "mediaType": referrer.media_type, "digest": referrer.digest, "size": referrer.bytes,
    });
    if let Some(kind) = &referrer.artifact_type {
        descriptor["artifactType"] = kind.as_str().into();
    }
    if !referrer.annotations.is_empty() {
        descriptor["annotations"] = json!(referrer.annotations);
    }
    let bytes = descriptor.to_string().len();
    (descriptor, bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn referrer(number: usize, annotation: usize) -> Referrer {
        Referrer {
            media_type: "m".to_owned(),
            digest: format!("sha256:{number:064x}").parse().unwrap(),
            bytes: 1,
            artifact_type: None,
            annotations: BTreeMap::from([("a".to_owned(), "x".repeat(annotation))]),
        }
    }

    fn shown(page: &Referrers) -> usize {
        let index: Value = serde_json::from_slice(&page.index).unwrap();
        index["manifests"].as_array().unwrap().len()
    }

    #[test]
    fn pages_are_bounded_in_number_and_bytes() {
        let many: Vec<_> = (0..=MANIFESTS_MAX).map(|n| referrer(n, 1)).collect();
        let first = page(&many);
        assert_eq!(shown(&first), MANIFESTS_MAX);
        assert_eq!(first.next, Some(many[MANIFESTS_MAX - 1].digest.to_string()));
        assert_eq!(page(&many[1..]).next, None);

        let large: Vec<_> = (0..4).map(|n| referrer(n, 1 << 20)).collect();
        assert_eq!((shown(&page(&large)), page(&large).next.is_some()), (2, true));
        let huge = [referrer(0, 4 << 20), referrer(1, 1)];
        assert_eq!((shown(&page(&huge)), page(&huge).next.is_some()), (1, true));
        assert_eq!((shown(&page(&[])), page(&[]).next), (0, None));
    }
}
