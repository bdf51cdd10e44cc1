//! The JSON of an image, field by field in this order: the digests are made of these bytes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pagevault_api::Digest;
use serde::Serialize;

/// OCI image configuration (image-spec, `config.md`).
#[derive(Debug, Serialize)]
pub(crate) struct Configuration<'a> {
    pub(crate) created: Timestamp,
    pub(crate) architecture: &'a str,
    pub(crate) os: &'static str,
    pub(crate) config: Empty,
    pub(crate) rootfs: RootFs<'a>,
}

/// No command, no environment: the checkpoint has its own.
#[derive(Debug, Serialize)]
pub(crate) struct Empty {}

/// Digests of the uncompressed layers.
#[derive(Debug, Serialize)]
pub(crate) struct RootFs<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) diff_ids: [&'a Digest; 1],
}

/// OCI image manifest (image-spec, `manifest.md`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest<'a> {
    pub(crate) schema_version: u8,
    pub(crate) media_type: &'static str,
    pub(crate) config: Descriptor<'a>,
    pub(crate) layers: [Descriptor<'a>; 1],
    pub(crate) annotations: BTreeMap<&'static str, String>,
}

/// OCI content descriptor (image-spec, `descriptor.md`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor<'a> {
    pub(crate) media_type: &'static str,
    pub(crate) digest: &'a Digest,
    pub(crate) size: u64,
}
