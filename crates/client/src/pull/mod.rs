//! Pulling a checkpoint back as the file that was pushed.

mod sink;
mod target;

use oci_spec::image::ImageManifest;
use pagevault_api::Digest;
use pagevault_api::headers::DOCKER_CONTENT_DIGEST;
use pagevault_api::media_types::{DOCKER_MANIFEST, OCI_MANIFEST};
use pagevault_api::reference::{Reference, Selector};
use reqwest::{Response, StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::retry::Retry;
use crate::{Client, ClientError, Progress, Result};
use sink::Sink;
use target::Target;

pub use target::PullTarget;

const MANIFEST_BYTES_MAX: usize = 8 << 20;

/// What a pull has brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pulled {
    /// What was asked for.
    pub reference: Reference,
    /// Digest of the image's manifest.
    pub digest: Digest,
    /// Digest of its layer: sha256 of the bytes that were written.
    pub layer_digest: Digest,
    /// Bytes that were written.
    pub bytes: u64,
}

/// The one layer of an image.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) manifest: Digest,
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

impl Client {
    /// Pulls the layer of a checkpoint image: the runtime's tar, byte for byte.
    ///
    /// What was written is checked by size and sha256. A file appears under its name only when it is whole.
    pub async fn pull(
        &self,
        reference: &Reference,
        target: PullTarget,
        progress: &dyn Progress,
    ) -> Result<Pulled> {
        let target = Target::open(target)?;
        let mut retry = Retry::new(self.settings.clone());
        let layer = loop {
            match self.manifest(reference).await {
                Ok(layer) => break layer,
                Err(error) => retry.again(error, progress).await?,
            }
        };
        retry.reached();
        progress.begin(0, Some(layer.bytes));
        let mut sink = Sink::start(target.writer()?);
        let fetched = self.fetch(reference, &layer, &mut sink, (&mut retry, progress)).await;
        // A sink that failed ends the transfer too, and knows why.
        let sha256 = sink.finish().await?;
        fetched?;
        let arrived = format!("sha256:{sha256}");
        if arrived != layer.digest.as_ref() {
            let what = format!("layer {} has arrived as {arrived}", layer.digest);
            return Err(ClientError::Mismatch { what });
        }
        target.finish().await?;
        Ok(Pulled {
            reference: reference.clone(),
            digest: layer.manifest,
            layer_digest: layer.digest,
            bytes: layer.bytes,
        })
    }

    /// Asks for an image's manifest, and finds its layer.
    pub(crate) async fn manifest(&self, reference: &Reference) -> Result<Layer> {
        let selector = match &reference.selector {
            Selector::Tag(tag) => tag.clone(),
            Selector::Digest(digest) => digest.to_string(),
        };
        let url = self.oci_url(&reference.repository, "manifests", &selector);
        let accept = format!("{OCI_MANIFEST}, {DOCKER_MANIFEST}");
        let response = self.send(self.http.get(url).header(header::ACCEPT, accept)).await?;
        let stated = response.headers().get(DOCKER_CONTENT_DIGEST).cloned();
        let body = self.body(response, MANIFEST_BYTES_MAX).await?;
        let arrived = format!("sha256:{}", hex::encode(Sha256::digest(&body)));
        let stated = stated.as_ref().and_then(|digest| digest.to_str().ok());
        let asked = match &reference.selector {
            Selector::Digest(digest) => Some(digest.as_ref()),
            Selector::Tag(_) => stated,
        };
        // Digests by other functions than sha256 are legal, and not ours.
        if let Some(asked) = asked.filter(|asked| asked.starts_with("sha256:") && *asked != arrived)
        {
            let what = format!("manifest {asked} has arrived as {arrived}");
            return Err(ClientError::Mismatch { what });
        }
        self.only_layer(&body, &arrived)
    }

    fn only_layer(&self, manifest: &[u8], digest: &str) -> Result<Layer> {
        let odd = |what: String| self.protocol(None, what);
        let parsed = serde_json::from_slice::<ImageManifest>(manifest)
            .map_err(|e| odd(format!("a manifest that cannot be read: {e}")))?;
        let [layer] = parsed.layers().as_slice() else {
            let layers = parsed.layers().len();
            return Err(ClientError::Invalid(format!(
                "this is an image of {layers} layers, not a checkpoint, which has one"
            )));
        };
        let manifest = digest.parse().map_err(|e| odd(format!("digest {digest}: {e}")))?;
        Ok(Layer { manifest, digest: layer.digest().clone(), bytes: layer.size() })
    }

    fn oci_url(&self, repository: &str, what: &str, name: &str) -> reqwest::Url {
        self.url(["v2"].into_iter().chain(repository.split('/')).chain([what, name]))
    }

    /// Brings the whole layer to the sink, through broken connections.
    async fn fetch(
        &self,
        reference: &Reference,
        layer: &Layer,
        sink: &mut Sink,
        (retry, progress): (&mut Retry, &dyn Progress),
    ) -> Result<()> {
        while sink.taken() < layer.bytes {
            let before = sink.taken();
            let fetched = self.fetch_rest(reference, layer, sink, progress).await;
            if sink.is_closed() {
                return Ok(());
            }
            if sink.taken() > before {
                retry.progress();
            }
            if let Err(error) = fetched {
                retry.again(error, progress).await?;
            }
        }
        Ok(())
    }

    /// One request for what is missing. Ends well only when nothing is.
    async fn fetch_rest(
        &self,
        reference: &Reference,
        layer: &Layer,
        sink: &mut Sink,
        progress: &dyn Progress,
    ) -> Result<()> {
        let url = self.oci_url(&reference.repository, "blobs", layer.digest.as_ref());
        let mut request = self.http.get(url).header(header::ACCEPT_ENCODING, "identity");
        if sink.taken() > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", sink.taken()));
        }
        let mut response = self.send(request).await?;
        let mut skip = self.skip(&response, sink.taken())?;
        while let Some(mut piece) = self.chunk(&mut response).await? {
            let dropped = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            skip = skip.saturating_sub(dropped as u64);
            let piece = piece.split_off(dropped);
            if sink.taken().saturating_add(piece.len() as u64) > layer.bytes {
                return Err(self.protocol(None, "a layer longer than its manifest says"));
            }
            if !sink.take(piece).await {
                return Ok(());
            }
            progress.advance(sink.taken());
        }
        if sink.taken() < layer.bytes {
            return Err(self.broken("the layer ended early"));
        }
        Ok(())
    }

    /// Bytes at the beginning of an answer that are here already.
    fn skip(&self, response: &Response, taken: u64) -> Result<u64> {
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(taken);
        }
        let range = response.headers().get(header::CONTENT_RANGE);
        let start = range.and_then(|range| {
            let range = range.to_str().ok()?.strip_prefix("bytes ")?;
            range.split_once('-')?.0.parse::<u64>().ok()
        });
        if start == Some(taken) {
            return Ok(0);
        }
        Err(self.protocol(None, format!("another range than bytes={taken}-")))
    }
}
