//! A checkpoint becomes an OCI image: one manifest, one layer, which is the runtime's tar itself.
//!
//! The same checkpoint gives the same bytes on every machine and in every version: a digest that
//! changes is a decision, and golden digests in the tests make it a visible one.

mod annotations;
mod name;

use oci_spec::image::{
    Arch, ConfigBuilder, DescriptorBuilder, Digest, ImageConfigurationBuilder,
    ImageManifestBuilder, MediaType, Os, RootFsBuilder, SCHEMA_VERSION,
};
use pagevault_archive::Identity;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub use name::{default_repository, time_tag};

/// What an image is made from.
#[derive(Debug, Clone)]
pub struct ImageSource<'a> {
    /// Who the checkpoint is.
    pub identity: &'a Identity,
    /// Architecture of the node, as Go names it; `amd64` where the images do not tell.
    pub architecture: &'a str,
    /// Version of CRIU's image format, where the inventory tells.
    pub criu_version: Option<String>,
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

/// Why no image could be made.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A part could not be put together; a fault of ours.
    #[error("building the image: {0}")]
    Spec(#[from] oci_spec::OciSpecError),
    /// Serialisation failed; a fault of ours.
    #[error("writing the image: {0}")]
    Json(#[from] serde_json::Error),
}

/// Makes the configuration and the manifest of a checkpoint image.
pub fn build(source: &ImageSource<'_>) -> Result<Image, BuildError> {
    let config = serde_json::to_vec(&configuration(source)?)?;
    let config_digest = digest(&config);
    let config_descriptor = DescriptorBuilder::default()
        .media_type(MediaType::ImageConfig)
        .digest(config_digest.clone())
        .size(config.len() as u64)
        .build()?;
    let layer = DescriptorBuilder::default()
        .media_type(MediaType::ImageLayer)
        .digest(source.layer.clone())
        .size(source.layer_bytes)
        .build()?;
    // oci-spec keeps annotations in a hash map: written through a sorted JSON value instead.
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(config_descriptor)
        .layers(vec![layer])
        .annotations(annotations::all(source))
        .build()?;
    let manifest = serde_json::to_vec(&serde_json::to_value(&manifest)?)?;
    let manifest_digest = digest(&manifest);
    Ok(Image { manifest, manifest_digest, config, config_digest })
}

fn configuration(source: &ImageSource<'_>) -> Result<serde_json::Value, BuildError> {
    let rootfs =
        RootFsBuilder::default().typ("layers").diff_ids(vec![source.layer.to_string()]).build()?;
    let configuration = ImageConfigurationBuilder::default()
        .created(source.identity.checkpointed_at.to_string())
        .architecture(Arch::from(source.architecture))
        .os(Os::Linux)
        .config(ConfigBuilder::default().build()?)
        .rootfs(rootfs)
        .build()?;
    Ok(serde_json::to_value(configuration)?)
}

/// sha256 of bytes, as an OCI digest.
pub fn digest(bytes: &[u8]) -> Digest {
    let hex = hex::encode(Sha256::digest(bytes));
    sha256_digest(&hex)
}

fn sha256_digest(hex: &str) -> Digest {
    // A sha256 in hex is always a digest; the empty one cannot be built otherwise.
    format!("sha256:{hex}").parse().unwrap_or_else(|_| unreachable!("a sha256 is a digest"))
}
