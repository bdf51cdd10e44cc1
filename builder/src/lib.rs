//! A checkpoint becomes an OCI image: one manifest, one layer, which is the runtime's tar itself.
//!
//! The same checkpoint gives the same bytes on every machine and in every version: a digest that
//! changes is a decision, and golden digests in the tests make it a visible one.

mod annotations;
mod json;
mod name;

use pagevault_api::Digest;
use pagevault_api::media_types::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use pagevault_archive::Identity;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use json::{Configuration, Descriptor, Empty, Manifest, RootFs};

pub use name::{default_repository, time_tag};

/// What an image is made from.
#[derive(Debug, Clone)]
pub struct ImageSource<'a> {
    /// Who the checkpoint is.
    pub identity: &'a Identity,
    /// Architecture of the node, as Go names it; `amd64` where the images do not tell.
    pub architecture: &'a str,
    /// sha256 of the inner tar: digest of the layer and its diff id.
    pub layer: &'a Digest,
    /// Size of the inner tar, in bytes.
    pub layer_bytes: u64,
}

/// A checkpoint image, without its layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The manifest's JSON.
    pub manifest: Vec<u8>,
    /// Its digest: the image's name.
    pub manifest_digest: Digest,
    /// The configuration's JSON.
    pub config: Vec<u8>,
    /// Its digest.
    pub config_digest: Digest,
}

/// Why no image could be made: a fault of ours.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A document could not be written.
    #[error("writing the image: {0}")]
    Json(#[from] serde_json::Error),
    /// What was made as a digest is none.
    #[error("naming the image: {0}")]
    Digest(String),
}

/// Makes the configuration and the manifest of a checkpoint image.
pub fn build(source: &ImageSource<'_>) -> Result<Image, BuildError> {
    let config = serde_json::to_vec(&Configuration {
        created: source.identity.checkpointed_at,
        architecture: source.architecture,
        os: "linux",
        config: Empty {},
        rootfs: RootFs { kind: "layers", diff_ids: [source.layer] },
    })?;
    let config_digest = digest(&config)?;
    let manifest = serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: OCI_MANIFEST,
        config: Descriptor {
            media_type: OCI_CONFIG,
            digest: &config_digest,
            size: config.len() as u64,
        },
        layers: [Descriptor {
            media_type: OCI_LAYER,
            digest: source.layer,
            size: source.layer_bytes,
        }],
        annotations: annotations::all(source),
    })?;
    let manifest_digest = digest(&manifest)?;
    Ok(Image { manifest, manifest_digest, config, config_digest })
}

/// sha256 of bytes, as an OCI digest.
pub fn digest(bytes: &[u8]) -> Result<Digest, BuildError> {
    let text = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    text.parse().map_err(|error| BuildError::Digest(format!("{text}: {error}")))
}
