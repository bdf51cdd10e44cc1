//! One operation after the other, each with what it cost.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use crate::Options;
use crate::client::{Client, Outcome, location, with_digest};
use crate::content::{Blob, Random, bytes, manifest};
use crate::process::Process;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What is pushed and pulled: bytes of the layer, images, clients at once.
const SIZES: [(&str, usize, usize, usize); 3] =
    [("4 KiB", 4 * KIB, 400, 8), ("1 MiB", MIB, 200, 8), ("100 MiB", 100 * MIB, 8, 2)];
const MANIFESTS: usize = 20_000;
const GIB: usize = 1 << 30;

/// An image that was made before the clock runs.
struct Image {
    name: String,
    config: (Blob, Bytes),
    layer: (Blob, Bytes),
    manifest: Bytes,
}

impl Image {
    fn new(name: String, seed: u64, len: usize) -> Self {
        let of = |content: Bytes| (Blob::of(&content), content);
        let (config, layer) = (of(bytes(seed << 1, 2 * KIB)), of(bytes(seed << 1 | 1, len)));
        Self { name, manifest: manifest(&config.0, &layer.0), config, layer }
    }
}

pub(crate) async fn run(options: &Options) -> ExitCode {
    let bench = Bench {
        address: options.text("address").to_owned(),
        process: Process(options.text("pid").parse().expect("--pid is a number")),
        seed: options.number("seed", 1),
        scale: usize::try_from(options.number("scale", 100)).expect("a number"),
    };
    match bench.all().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Bench {
    address: String,
    process: Process,
    seed: u64,
    /// Percent of the usual number of operations.
    scale: usize,
}

impl Bench {
    async fn all(&self) -> Outcome<()> {
        for (row, (size, len, images, clients)) in SIZES.into_iter().enumerate() {
            let images: Vec<_> = (0..(images * self.scale / 100).max(2))
                .map(|n| {
                    let name = format!("bench/{}-{row}-{n}", self.seed);
                    let seed = self.seed << 32 | (row << 24) as u64 | n as u64;
                    Arc::new(Image::new(name, seed, len))
                })
                .collect();
            self.measure(&format!("push {size}, one PUT"), clients, &images, push).await?;
            self.measure(&format!("pull {size}"), clients, &images, pull).await?;
            if row == 0 {
                let one = vec![Arc::clone(&images[0]); MANIFESTS * self.scale / 100];
                self.measure("GET manifest by tag", 8, &one, get_manifest).await?;
                self.measure("HEAD blob", 8, &one, head_blob).await?;
            }
        }
        let streamed: Vec<_> = (0..(8 * self.scale / 100).max(2))
            .map(|n| {
                let name = format!("bench/{}-streamed-{n}", self.seed);
                Arc::new(Image::new(name, self.seed << 32 | 0xff_0000 | n as u64, 100 * MIB))
            })
            .collect();
        self.measure("push 100 MiB, PATCH and PUT", 2, &streamed, push_streamed).await?;
        drop(streamed);
        self.eight_at_once().await
    }

    /// Runs one operation for each image, some at once, and prints what it cost.
    async fn measure<F>(
        &self,
        what: &str,
        clients: usize,
        images: &[Arc<Image>],
        operation: F,
    ) -> Outcome<()>
    where
        F: AsyncFn(&mut Client, &Image) -> Outcome<()> + Copy + 'static,
    {
        let next = Arc::new(AtomicU64::new(0));
        let local = tokio::task::LocalSet::new();
        self.process.forget_peak();
        let (cpu, start) = (self.process.cpu_ms(), Instant::now());
        let workers: Vec<_> = (0..clients)
            .map(|_| {
                let (next, images) = (Arc::clone(&next), images.to_vec());
                let mut client = Client::new(&self.address);
                local.spawn_local(async move {
                    let mut times = Vec::new();
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(image) = usize::try_from(at).ok().and_then(|at| images.get(at))
                        else {
                            return Ok::<_, String>(times);
                        };
                        let start = Instant::now();
                        operation(&mut client, image).await?;
                        times.push(start.elapsed());
                    }
                })
            })
            .collect();
        local.await;
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), self.process.cpu_ms() - cpu);
        let mut times = Vec::new();
        for worker in workers {
            times.extend(worker.await.map_err(|e| e.to_string())??);
        }
        self.print(what, &mut times, seconds, cpu);
        Ok(())
    }

    fn print(&self, what: &str, times: &mut [Duration], seconds: f64, cpu_ms: f64) {
        times.sort_unstable();
        let count = times.len();
        let at = |percent: usize| {
            times.get((count * percent / 100).min(count - 1)).map_or(0.0, Duration::as_secs_f64)
        };
        let line = json!({
            "what": what, "count": count, "perSecond": count as f64 / seconds,
            "p50Ms": at(50) * 1e3, "p99Ms": at(99) * 1e3, "cpuMs": cpu_ms / count as f64,
            "peakMiB": self.process.memory().1 >> 20,
        });
        println!("{line}");
    }

    /// Memory: eight transfers of 1 GiB at once, first in, then out.
    async fn eight_at_once(&self) -> Outcome<()> {
        let blob = bytes(self.seed << 32 | 0xee_0000, 8 * MIB);
        // As large as they are at every scale: memory must not depend on it.
        let parts = GIB / blob.len();
        let mut tasks = tokio::task::JoinSet::new();
        self.process.forget_peak();
        let (cpu, start) = (self.process.cpu_ms(), Instant::now());
        for n in 0..8u64 {
            let (address, blob) = (self.address.clone(), blob.clone());
            let name = format!("bench/{}-large-{n}", self.seed);
            tasks.spawn(
                async move { push_large(Client::new(&address), name, n, blob, parts).await },
            );
        }
        let mut blobs = Vec::new();
        while let Some(done) = tasks.join_next().await {
            blobs.push(done.map_err(|e| e.to_string())??);
        }
        let (seconds, used) = (start.elapsed().as_secs_f64(), self.process.cpu_ms() - cpu);
        self.print("push 8 x 1 GiB at once", &mut [start.elapsed(); 8], seconds, used);
        self.process.forget_peak();
        let (cpu, start) = (self.process.cpu_ms(), Instant::now());
        for (name, blob) in blobs {
            let mut client = Client::new(&self.address);
            tasks.spawn(async move {
                client.pull(&name, &blob).await?;
                Ok((name, blob))
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(|e| e.to_string())??;
        }
        let (seconds, used) = (start.elapsed().as_secs_f64(), self.process.cpu_ms() - cpu);
        self.print("pull 8 x 1 GiB at once", &mut [start.elapsed(); 8], seconds, used);
        Ok(())
    }
}

async fn push(client: &mut Client, image: &Image) -> Outcome<()> {
    for (blob, content) in [&image.layer, &image.config] {
        client.push(&image.name, blob, content.clone()).await?;
    }
    client.put_manifest(&image.name, "latest", image.manifest.clone()).await
}

/// As docker does: the length is not said before.
async fn push_streamed(client: &mut Client, image: &Image) -> Outcome<()> {
    let (blob, content) = &image.layer;
    let to = client.open(&image.name).await?;
    let (headers, _) = client.read(&format!("PATCH {to}"), &[], content.clone(), &[202]).await?;
    let to = location(&headers).unwrap_or(to);
    let line = format!("PUT {}", with_digest(&to, blob));
    client.read(&line, &[], Bytes::new(), &[201]).await.map(drop)
}

async fn pull(client: &mut Client, image: &Image) -> Outcome<()> {
    let line = format!("/v2/{}/manifests/latest", image.name);
    client.read(&format!("HEAD {line}"), &[], Bytes::new(), &[200]).await?;
    let (_, found) = client.read(&format!("GET {line}"), &[], Bytes::new(), &[200]).await?;
    if found != image.manifest {
        return Err(format!("{line}: WRONG BYTES"));
    }
    client.pull(&image.name, &image.config.0).await?;
    client.pull(&image.name, &image.layer.0).await
}

async fn get_manifest(client: &mut Client, image: &Image) -> Outcome<()> {
    let line = format!("GET /v2/{}/manifests/latest", image.name);
    client.read(&line, &[], Bytes::new(), &[200]).await.map(drop)
}

async fn head_blob(client: &mut Client, image: &Image) -> Outcome<()> {
    let line = format!("HEAD /v2/{}/blobs/{}", image.name, image.layer.0.digest);
    client.read(&line, &[], Bytes::new(), &[200]).await.map(drop)
}

/// Pushes a blob of so many parts, each different, in one upload of as many PATCHes.
async fn push_large(
    mut client: Client,
    name: String,
    number: u64,
    part: Bytes,
    parts: usize,
) -> Outcome<(String, Blob)> {
    use sha2::Digest as _;
    let mut random = Random::new(number);
    let mut to = client.open(&name).await?;
    let mut hash = sha2::Sha256::new();
    for _ in 0..parts {
        let mut own = part.to_vec();
        own[..8].copy_from_slice(&random.next().to_le_bytes());
        hash.update(&own);
        let (headers, _) = client.read(&format!("PATCH {to}"), &[], own.into(), &[202]).await?;
        to = location(&headers).unwrap_or(to);
    }
    let digest = format!("sha256:{}", hex::encode(hash.finalize()));
    let blob = Blob { digest, bytes: part.len() * parts };
    client.read(&format!("PUT {}", with_digest(&to, &blob)), &[], Bytes::new(), &[201]).await?;
    Ok((name, blob))
}
