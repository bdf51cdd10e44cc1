//! What is known in detail of a checkpoint: a record of its own beside the manifest's, so that
//! whoever pulls does not read it.
//!
//! A line of JSON like the one around every record, then the detail as whoever wrote it had it:
//! megabytes, perhaps, which nothing here looks into.

use bytes::Bytes;
use pagevault_api::Digest;
use pagevault_objects::{ErrorKind, Key, Object, Precondition};

use crate::entry::Entry;
use crate::error::CatalogError;
use crate::keys::Name;
use crate::record::{Envelope, Mark, seal, unseal};
use crate::{Catalog, Result};

impl Catalog {
    /// The detail of a checkpoint, by its manifest's digest; nothing if there is none.
    pub async fn find_detail(&self, repository: &str, digest: &Digest) -> Result<Option<Bytes>> {
        Ok(self.detail_entry(repository, digest).await?.record)
    }

    /// The same, with its mark.
    pub async fn detail_entry(&self, repository: &str, digest: &Digest) -> Result<Entry<Bytes>> {
        let (key, object) = self.stored(&name(repository, digest)).await?;
        read(&key, object.as_ref())
    }

    /// The same, to be written anew where it is damaged: see [`Catalog::blob_place`].
    pub async fn detail_place(&self, repository: &str, digest: &Digest) -> Result<Entry<Bytes>> {
        let (key, object) = self.stored(&name(repository, digest)).await?;
        Entry::or_absent(read(&key, object.as_ref()), &key, object.as_ref())
    }

    /// Writes a detail if the record is still the one that was read; false if it is not.
    pub async fn swap_detail(
        &self,
        old: &Entry<Bytes>,
        detail: Bytes,
        mark: Option<Mark>,
    ) -> Result<Option<Entry<Bytes>>> {
        let bytes = join(&detail, mark)?;
        match self.store.put(&old.key, bytes, old.when.clone()).await {
            Ok(version) => {
                let (key, when) = (old.key.clone(), Precondition::Matches(version));
                Ok(Some(Entry { record: Some(detail), mark, next: None, key, when }))
            }
            Err(e) if matches!(e.kind(), ErrorKind::Precondition | ErrorKind::NotFound) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

fn name(repository: &str, digest: &Digest) -> Name {
    Name::Detail { repository: repository.to_owned(), digest: digest.clone() }
}

fn read(key: &Key, stored: Option<&Object>) -> Result<Entry<Bytes>> {
    let empty = Entry::absent(key, stored);
    let Some(object) = stored else { return Ok(empty) };
    let (record, mark) = split(key.as_str(), object.bytes.clone())?;
    Ok(Entry { record, mark, ..empty })
}

/// The record in the envelope says only that there is one.
fn join(detail: &[u8], mark: Option<Mark>) -> Result<Bytes> {
    let mut bytes = Envelope::new(Some(true), mark)?.to_json()?;
    bytes.push(b'\n');
    bytes.extend_from_slice(detail);
    Ok(Bytes::from(seal(bytes)))
}

fn split(key: &str, stored: Bytes) -> Result<(Option<Bytes>, Option<Mark>)> {
    let (record, sealed) = unseal(key, &stored)?;
    let mut bytes = stored.slice_ref(record);
    let end = bytes.iter().position(|&byte| byte == b'\n').ok_or_else(|| {
        CatalogError::Corrupt { key: key.to_owned(), what: "its first line has no end".to_owned() }
    })?;
    let detail = bytes.split_off(end + 1);
    let envelope = Envelope::<bool>::from_json(key, &bytes, sealed)?;
    Ok((envelope.record.map(|_| detail), envelope.mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_comes_back_as_it_was() {
        for detail in [&b""[..], b"{\"a\":\n1}"] {
            for mark in [None, Some(Mark::Condemned)] {
                let bytes = join(detail, mark).unwrap();
                assert_eq!(split("k", bytes).unwrap(), (Some(Bytes::from_static(detail)), mark));
            }
        }
        let absent = Bytes::from_static(b"{\"version\":2,\"nonce\":\"1\",\"record\":null}\n");
        assert_eq!(split("k", absent).unwrap(), (None, None));
        for bad in ["", "{}", "{}\n", "x\n{}"] {
            let read = split("k", Bytes::from_static(bad.as_bytes()));
            assert!(matches!(read, Err(CatalogError::Corrupt { .. })), "{bad:?}");
        }
    }
}
