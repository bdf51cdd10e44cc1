//! Records: JSON, with a version, a nonce and whether what they are about is there.
//!
//! A name can come back: a digest pushed again after it was deleted, a tag set anew. So a record is
//! written and removed only on condition that it is still what was read; and each write has a nonce
//! of its own, so that two equal records are not mistaken for one.

use std::collections::BTreeMap;

use base64::Engine as _;
use bytes::Bytes;
use jiff::Timestamp;
use pagevault_api::Digest;
use pagevault_api::checkpoint::{Checkpoint, Pin};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64;

use crate::Result;
use crate::error::CatalogError;

/// Version of the records that are written, and the first that is read. In version 1 the detail of a
/// checkpoint was in its manifest's record; from version 3 on a record ends with its checksum.
const VERSION: u32 = 3;
const VERSION_MIN: u32 = 1;
const VERSION_SEALED: u32 = 3;

/// What a record ends with: a line feed, and the checksum of all before it in 16 hexadecimal digits.
const SEAL: usize = 17;

/// Puts its checksum at the end of a record.
pub(crate) fn seal(mut record: Vec<u8>) -> Vec<u8> {
    let checksum = xxh3_64(&record);
    record.extend_from_slice(format!("\n{checksum:016x}").as_bytes());
    record
}

/// A record without its checksum, which is compared; and whether it has one.
pub(crate) fn unseal<'a>(key: &str, stored: &'a [u8]) -> Result<(&'a [u8], bool)> {
    let split = stored.len().checked_sub(SEAL).and_then(|at| stored.split_at_checked(at));
    let Some((record, [b'\n', digits @ ..])) = split else { return Ok((stored, false)) };
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Ok((stored, false));
    }
    if *digits != *format!("{:016x}", xxh3_64(record)).as_bytes() {
        let what = "its bytes are not those that were written".to_owned();
        return Err(CatalogError::Corrupt { key: key.to_owned(), what });
    }
    Ok((record, true))
}

/// Whether a stored record says that a later version of this program has written it.
pub(crate) fn is_newer(stored: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let mut values = serde_json::Deserializer::from_slice(stored).into_iter::<Versioned>();
    matches!(values.next(), Some(Ok(Versioned { version })) if version > VERSION)
}

/// What surrounds every record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope<T> {
    version: u32,
    pub(crate) nonce: String,
    /// What else is to be known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mark: Option<Mark>,
    /// What is about to take its place: it keeps what it names, and nobody sees it yet.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<T>,
    /// Absent where there is nothing, or nothing any more.
    pub(crate) record: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

/// What is to be known of a record beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mark {
    /// A blob that no manifest names, or the detail of none: it can be read, and will be absent unless a writer that needs
    /// it takes the mark away.
    Condemned,
    /// A manifest that is about to exist: it keeps what it names, and nobody sees it yet.
    Tentative,
}

impl<T: Serialize + for<'de> Deserialize<'de>> Envelope<T> {
    pub(crate) fn new(record: Option<T>, mark: Option<Mark>) -> Result<Self> {
        let mut random = [0u8; 16];
        getrandom::fill(&mut random).map_err(|e| CatalogError::Internal(e.to_string()))?;
        Ok(Self { version: VERSION, nonce: hex::encode(random), mark, next: None, record })
    }

    /// The stored form.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(seal(self.to_json()?))
    }

    /// Reads the stored form.
    pub(crate) fn from_bytes(key: &str, stored: &[u8]) -> Result<Self> {
        let (json, sealed) = unseal(key, stored)?;
        Self::from_json(key, json, sealed)
    }

    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| CatalogError::Internal(e.to_string()))
    }

    pub(crate) fn from_json(key: &str, json: &[u8], sealed: bool) -> Result<Self> {
        let corrupt = |what: String| CatalogError::Corrupt { key: key.to_owned(), what };
        let envelope: Self = serde_json::from_slice(json).map_err(|e| corrupt(e.to_string()))?;
        match envelope.version {
            VERSION_SEALED..=VERSION if !sealed => Err(corrupt("it has no checksum".to_owned())),
            VERSION_MIN..=VERSION => Ok(envelope),
            other => Err(corrupt(format!("version {other} is not known to this program"))),
        }
    }
}

/// Where the bytes of a blob are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlobLocation {
    /// Here.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    Inline(Vec<u8>),
    /// In the page store, under this recipe.
    Recipe(String),
}

/// A blob that a repository holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobRecord {
    /// Its size.
    pub bytes: u64,
    /// Where it is.
    pub location: BlobLocation,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagRecord {
    /// The manifest that it points to.
    pub digest: Digest,
    /// When it was set.
    pub updated_at: Timestamp,
    /// For `latest`: the time of the checkpoint, which it follows and never goes back from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_time: Option<Timestamp>,
}

/// A manifest that a repository holds: the object that makes a push exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestRecord {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub bytes: Vec<u8>,
    /// The manifest that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its annotations, as the referrers list repeats them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Blobs and manifests that it names.
    pub references: Vec<Digest>,
    /// Where the blobs are.
    pub blobs: BTreeMap<String, BlobLocation>,
    /// When it was pushed.
    pub pushed_at: Timestamp,
    /// What is known of the checkpoint, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointRecord>,
}

/// A manifest to be stored.
#[derive(Debug, Clone)]
pub struct NewManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The manifest that it is about.
    pub subject: Option<Digest>,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Blobs and manifests that it names.
    pub references: Vec<Digest>,
    /// Where the blobs are, by digest.
    pub blobs: BTreeMap<String, BlobLocation>,
    /// What is known of the checkpoint, if it is one.
    pub checkpoint: Option<CheckpointRecord>,
    /// The same in detail: what [`Catalog::find_detail`](crate::Catalog::find_detail) gives.
    pub detail: Option<Bytes>,
}

impl NewManifest {
    /// The record, as of now.
    pub(crate) fn into_record(self) -> ManifestRecord {
        ManifestRecord {
            digest: self.digest,
            media_type: self.media_type,
            bytes: self.bytes,
            subject: self.subject,
            artifact_type: self.artifact_type,
            annotations: self.annotations,
            references: self.references,
            blobs: self.blobs,
            pushed_at: Timestamp::now(),
            checkpoint: self.checkpoint,
        }
    }
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "AnyCheckpointRecord")]
pub struct CheckpointRecord {
    /// What lists show.
    pub summary: Checkpoint,
    /// Why it must not be deleted, if it must not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// Recipe of its layer, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// True if its layer came compressed, and is kept so: nothing can be stored against it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compressed: bool,
    /// What successive checkpoints of one container have in common.
    pub lineage: String,
}

/// A checkpoint as it was written by any version.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyCheckpointRecord {
    summary: Option<Checkpoint>,
    /// Of version 1; of all that is in it the summary is read. The rest can be had from the layer.
    detail: Option<Checkpoint>,
    pin: Option<Pin>,
    recipe: Option<String>,
    #[serde(default)]
    compressed: bool,
    lineage: String,
}

impl TryFrom<AnyCheckpointRecord> for CheckpointRecord {
    type Error = &'static str;

    fn try_from(any: AnyCheckpointRecord) -> Result<Self, Self::Error> {
        let AnyCheckpointRecord { summary, detail, pin, recipe, compressed, lineage } = any;
        let summary = summary.or(detail).ok_or("a checkpoint has no summary")?;
        Ok(Self { summary, pin, recipe, compressed, lineage })
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_let_be_and_unknown_versions_are_not() {
        let read = |text: &str| Envelope::<BlobRecord>::from_bytes("k", text.as_bytes());
        let known = r#"{"version":2,"nonce":"n","new":1,"record":{"bytes":2,"x":3,"location":{"inline":"aGk="}}}"#;
        let record = read(known).unwrap().record.unwrap();
        assert_eq!(record.location, BlobLocation::Inline(b"hi".to_vec()));
        let unsealed = r#"{"version":3,"nonce":"n","record":null}"#;
        let newer = String::from_utf8(seal(unsealed.replace('3', "4").into_bytes())).unwrap();
        assert!(is_newer(newer.as_bytes()) && !is_newer(unsealed.as_bytes()) && !is_newer(b"{"));
        for bad in ["", "{}", unsealed, &newer, "[1]"] {
            assert!(matches!(read(bad), Err(CatalogError::Corrupt { .. })), "{bad}");
        }
    }

    #[test]
    fn no_flipped_bit_is_taken_for_a_record() {
        let record = BlobRecord { bytes: 2, location: BlobLocation::Inline(b"hi".to_vec()) };
        let stored =
            Envelope::new(Some(record), Some(Mark::Condemned)).unwrap().to_bytes().unwrap();
        assert!(Envelope::<BlobRecord>::from_bytes("k", &stored).is_ok());
        for at in 0..stored.len() {
            for bit in 0..8 {
                let mut bad = stored.clone();
                bad[at] ^= 1 << bit;
                let read = Envelope::<BlobRecord>::from_bytes("k", &bad);
                assert!(matches!(read, Err(CatalogError::Corrupt { .. })), "byte {at}, bit {bit}");
            }
            let cut = Envelope::<BlobRecord>::from_bytes("k", &stored[..at]);
            assert!(cut.is_err(), "{at} bytes");
        }
    }
}
