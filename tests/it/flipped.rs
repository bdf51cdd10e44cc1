//! One flipped bit in whatever is stored: no client ever gets a wrong byte, and a scrub finds it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use pagevault_api::Digest;
use pagevault_testkit::{Flavour, Process, TarWriter, Tarball};
use tokio::net::TcpStream;

use crate::http::serve;
use crate::landed::{put, put_blob};
use crate::support::{Vault, sha256};
use crate::verify::verify;

/// A layer that clients ask for.
struct Layer {
    repository: String,
    digest: Digest,
    bytes: Vec<u8>,
}

/// A page that compresses to about a third, one of its kind.
fn page(number: u32) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9) | 1;
    let mut words = Vec::with_capacity(4096);
    while words.len() < 4096 {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        words.extend_from_slice(format!("{state:08x} the same each time; ").as_bytes());
    }
    words.truncate(4096);
    words
}

/// A checkpoint of a pod whose memory has these pages.
pub(crate) fn tar(pod: &str, second: u64, pages: impl Iterator<Item = u32>) -> Vec<u8> {
    let memory = pages.flat_map(page).collect();
    let process = Process { pid: 1, runs: vec![(0x7000_0000_0000, memory)] };
    let rootfs: Vec<u8> = (0..90).flat_map(|number| page(1_000_000 + number)).collect();
    let rootfs = TarWriter::new().file("srv/data", &rootfs).finish();
    let tar = Tarball::new(Flavour::Containerd).named("shop", pod, "redis");
    let tar = tar.at(1_790_000_000 + second).processes(vec![process]);
    tar.member("rootfs-diff.tar", rootfs).build()
}

/// A keyframe, deltas, a layer that shares another container's pages, and one that came over OCI.
async fn fill(vault: &Vault) -> Vec<Layer> {
    let mut layers = Vec::new();
    for tar in [
        tar("a", 0, 0..700),
        tar("a", 1, (0..690).chain(2000..2010)),
        tar("a", 2, (0..680).chain(3000..3020)),
        tar("b", 0, (5000..5200).chain(0..400)),
    ] {
        let pushed = vault.push(&tar).await.unwrap();
        let (repository, digest) = (pushed.reference.repository, pushed.layer_digest);
        layers.push(Layer { repository, digest, bytes: tar });
    }
    let bytes: Vec<u8> = (9000..9100).flat_map(page).collect();
    let layer =
        Layer { repository: "plain/image".into(), digest: sha256(&bytes).parse().unwrap(), bytes };
    put_blob(vault, &layer.repository, &layer.digest, &layer.bytes).await;
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/octet-stream", "digest": layer.digest, "size": layer.bytes.len()},
        "layers": [],
    });
    put(vault, &layer.repository, Bytes::from(manifest.to_string())).await;
    layers.push(layer);
    layers
}

/// Asks for a layer; nothing if the answer is an error, or ends early.
async fn get(address: &str, layer: &Layer, header: Option<(&str, &str)>) -> Option<(u16, Bytes)> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let path = format!("/v2/{}/blobs/{}", layer.repository, layer.digest);
    let mut request = Request::get(path).header("host", address);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.ok()?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    drop(sender);
    let _ = connection.await;
    let zstd = head.headers.get("content-encoding").is_some_and(|encoding| encoding == "zstd");
    let body = if zstd { zstd::decode_all(body.as_ref()).ok()?.into() } else { body };
    head.status.is_success().then_some((head.status.as_u16(), body))
}

/// Asks for all layers in all ways, and compares what comes. Says how many answers were whole.
async fn ask(vault: &Vault, layers: &[Layer], flipped: &Path) -> usize {
    let server = serve(vault.registry.clone()).await;
    let mut whole = 0;
    for layer in layers {
        let size = layer.bytes.len();
        for range in [0..5000, size / 2..size / 2 + 400_000, size - 3000..size] {
            let wanted = &layer.bytes[range.start..range.end.min(size)];
            let asked = format!("bytes={}-{}", range.start, range.end - 1);
            if let Some(got) = get(&server.address, layer, Some(("range", &asked))).await {
                assert!(got == (206, wanted.to_vec().into()), "{asked}: {}", flipped.display());
                whole += 1;
            }
        }
        for encoding in [None, Some(("accept-encoding", "zstd"))] {
            if let Some((status, got)) = get(&server.address, layer, encoding).await {
                assert!(status == 200 && got == layer.bytes, "{}", flipped.display());
                whole += 1;
            }
        }
    }
    server.end().await;
    whole
}

fn objects(vault: &Vault, kind: &str) -> Vec<PathBuf> {
    let kind = format!("/objects/{kind}/");
    let of = |path: &PathBuf| path.to_string_lossy().contains(&kind);
    let mut all: Vec<_> = vault.leftovers().into_iter().filter(of).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flipped_bit_is_served_and_each_is_found() {
    let mut vault = Vault::new().await;
    let layers = fill(&vault).await;
    let all = ask(&vault, &layers, Path::new("")).await;
    assert_eq!(all, layers.len() * 5);
    for kind in ["recipes", "data", "hooks"] {
        let objects = objects(&vault, kind);
        assert!(objects.len() >= if kind == "hooks" { 1 } else { 5 }, "{kind}: {objects:?}");
        let mut refused = 0;
        for object in objects {
            let whole = std::fs::read(&object).unwrap();
            for place in [0, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
                let mut flipped = whole.clone();
                flipped[place] ^= 1 << (place % 8);
                std::fs::write(&object, flipped).unwrap();
                // Small objects are remembered: read them from the disk.
                vault = vault.restart().await;
                refused += all - ask(&vault, &layers, &object).await;
                let found = verify(&vault).await.damage;
                // The index of pages is only a hint, and is made anew when it cannot be read.
                assert_eq!(
                    found.is_empty(),
                    kind == "hooks",
                    "byte {place} of {}",
                    object.display()
                );
            }
            std::fs::write(&object, whole).unwrap();
        }
        assert_eq!(refused == 0, kind == "hooks", "{kind}");
    }
    let vault = vault.restart().await;
    assert_eq!(verify(&vault).await.damage, []);
    assert_eq!(ask(&vault, &layers, Path::new("")).await, all);
}
