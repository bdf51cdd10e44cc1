//! Pushing what can be read only once: one request, no second try.

use futures_util::StreamExt as _;
use pagevault_api::checkpoint::Pushed;
use pagevault_api::upload::PushOptions;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::PushOutcome;
use super::feed::Counter;
use crate::{Client, ClientError, Progress, Result};
use std::sync::{Arc, Mutex, PoisonError};

const READ_BYTES: usize = 256 << 10;

pub(crate) async fn push(
    client: &Client,
    reader: Box<dyn AsyncRead + Send + Sync + Unpin>,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<PushOutcome> {
    let sent = Arc::<Counter>::default();
    let failed = Arc::<Mutex<Option<std::io::Error>>>::default();
    let body = body(reader, Arc::clone(&sent), Arc::clone(&failed));
    let url = client.url(["api", "v1", "checkpoints"]);
    let request = client
        .http
        .post(url)
        .query(&query(options))
        .header(reqwest::header::CONTENT_TYPE, "application/x-tar")
        .body(body);
    progress.begin(0, None);
    let sending = async { client.read_json::<Pushed>(client.send_patiently(request).await?).await };
    let outcome = client.watch(sending, &sent, 0, progress).await;
    if let Some(source) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(ClientError::Io { doing: "reading the input".to_owned(), source });
    }
    Ok(PushOutcome { pushed: outcome?, sent_bytes: sent.get() })
}

/// The input as a body; an error of it ends the request before its end, and is kept.
fn body(
    reader: Box<dyn AsyncRead + Send + Sync + Unpin>,
    sent: Arc<Counter>,
    failed: Arc<Mutex<Option<std::io::Error>>>,
) -> reqwest::Body {
    // How long an input takes is its own affair, and so is how long the server takes to store it.
    sent.set_waits(true);
    let pieces = ReaderStream::with_capacity(reader, READ_BYTES).map(move |piece| match piece {
        Ok(piece) => {
            sent.add(piece.len());
            Ok(piece)
        }
        Err(error) => {
            let kind = error.kind();
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            Err(std::io::Error::from(kind))
        }
    });
    reqwest::Body::wrap_stream(pieces)
}

fn query(options: &PushOptions) -> Vec<(&'static str, String)> {
    let mut query = Vec::new();
    query.extend(options.reference.as_ref().map(|reference| ("ref", reference.to_string())));
    query.extend(options.workload.clone().map(|workload| ("workload", workload)));
    query.extend(options.node.clone().map(|node| ("node", node)));
    query.extend(options.labels.iter().map(|(key, value)| ("label", format!("{key}={value}"))));
    query
}
