//! Everything at once, collection too, for a while: no failed request, no wrong byte, memory flat.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use crate::Options;
use crate::client::{Client, Outcome, location, with_digest};
use crate::collect::{Collected, collect};
use crate::content::{Blob, Random, bytes, digest, manifest};
use crate::process::Process;

/// Images that a client keeps; then it deletes one for each that it pushes.
const KEPT: usize = 8;
/// Memory may grow by so much from the second quarter of the time to the last, and is flat.
const GROWTH_MAX_BYTES: u64 = 48 << 20;

/// An image in the registry, and the number that its layer can be made from again.
struct Image {
    reference: String,
    manifest: Bytes,
    blobs: [Blob; 2],
    seed: u64,
}

/// What all clients share.
struct Soak {
    address: String,
    seed: u64,
    start: Instant,
    /// How long it lasts, if it does not end with a number of pushes.
    time: Duration,
    /// Images to push in all, small ones, instead of a time; 0 for none.
    pushes_wanted: u64,
    /// Bytes that may still be pushed: deleted blobs stay on the disk until they are collected.
    bytes_left: AtomicU64,
    pushes: AtomicU64,
    pulls: AtomicU64,
    deletes: AtomicU64,
    collected: Collected,
    failed: AtomicBool,
}

impl Soak {
    /// How much of it is over, from 0 to 1.
    fn progress(&self) -> f64 {
        match self.pushes_wanted {
            0 => self.start.elapsed().as_secs_f64() / self.time.as_secs_f64(),
            wanted => self.pushes.load(Ordering::Relaxed) as f64 / wanted as f64,
        }
    }

    fn goes_on(&self) -> bool {
        self.progress() < 1.0 && !self.failed.load(Ordering::Relaxed)
    }
}

pub(crate) async fn run(options: &Options) -> ExitCode {
    let seconds = options.number("seconds", 60);
    let process = Process(options.text("pid").parse().expect("--pid is a number"));
    let soak = Arc::new(Soak {
        address: options.text("address").to_owned(),
        seed: options.number("seed", 1),
        start: Instant::now(),
        time: Duration::from_secs(seconds),
        pushes_wanted: options.number("pushes", 0),
        bytes_left: AtomicU64::new(options.number("bytes-max", 8 << 30)),
        pushes: AtomicU64::default(),
        pulls: AtomicU64::default(),
        deletes: AtomicU64::default(),
        collected: Collected::default(),
        failed: AtomicBool::default(),
    });
    let clients: Vec<_> = (0..options.number("clients", 64))
        .map(|number| tokio::spawn(Worker::new(Arc::clone(&soak), number).work()))
        .collect();
    let watch = tokio::spawn(memory(process, Arc::clone(&soak)));
    let collecting = {
        let soak = Arc::clone(&soak);
        tokio::spawn(
            async move { collect(&soak.address, || soak.goes_on(), &soak.collected).await },
        )
    };
    let (mut requests, mut failures) = (0, Vec::new());
    for client in clients {
        match client.await.expect("a client panicked") {
            (count, Ok(())) => requests += count,
            (count, Err(failure)) => {
                requests += count;
                failures.push(failure);
            }
        }
    }
    failures.extend(collecting.await.expect("the collector panicked").err());
    let (early, late) = watch.await.expect("the watch panicked");
    // What is stored grows with a number of pushes, and what a collection has to know with it.
    if soak.pushes_wanted == 0 && late > early + GROWTH_MAX_BYTES {
        failures.push(format!("memory grew from {} MiB to {} MiB", early >> 20, late >> 20));
    }
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let line = json!({
        "requests": requests, "pushes": count(&soak.pushes), "pulls": count(&soak.pulls),
        "deletes": count(&soak.deletes), "collections": count(&soak.collected.runs),
        "freedMiB": count(&soak.collected.freed_bytes) >> 20, "failures": failures.len(),
        "memoryMiB": [early >> 20, late >> 20], "seconds": soak.start.elapsed().as_secs(),
    });
    println!("{line}");
    failures.iter().for_each(|failure| eprintln!("{failure}"));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The most memory of the second quarter, and of the last.
async fn memory(process: Process, soak: Arc<Soak>) -> (u64, u64) {
    let (mut early, mut late) = (0, 0);
    while soak.goes_on() {
        let (now, _) = process.memory();
        match soak.progress() {
            0.25..0.5 => early = early.max(now),
            0.75.. => late = late.max(now),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    (early, late)
}

/// One client, with a repository of its own.
struct Worker {
    soak: Arc<Soak>,
    client: Client,
    random: Random,
    name: String,
    images: Vec<Image>,
    made: u64,
}

impl Worker {
    fn new(soak: Arc<Soak>, number: u64) -> Self {
        Self {
            client: Client::new(&soak.address),
            random: Random::new(soak.seed << 20 | number),
            name: format!("soak/{}-{number}", soak.seed),
            images: Vec::new(),
            made: 0,
            soak,
        }
    }

    async fn work(mut self) -> (u64, Outcome<()>) {
        while self.soak.goes_on() {
            if let Err(failure) = self.step().await {
                self.soak.failed.store(true, Ordering::Relaxed);
                return (self.client.requests, Err(failure));
            }
        }
        (self.client.requests, Ok(()))
    }

    async fn step(&mut self) -> Outcome<()> {
        if self.images.len() >= KEPT {
            self.delete().await?;
        }
        match self.random.below(if self.soak.pushes_wanted > 0 { 5 } else { 10 }) {
            0..=3 => self.push().await,
            4..=7 => self.pull().await,
            8 => self.range().await,
            _ => self.lists().await,
        }
    }

    /// Mostly small, as images are; now and then a large one, as long as there is room.
    fn size(&mut self) -> usize {
        let size = match self.random.below(20) {
            _ if self.soak.pushes_wanted > 0 => 1 + self.random.below(4 << 10),
            0..=9 => 1 + self.random.below(64 << 10),
            10..=17 => 64 << 10 | self.random.below(1 << 20),
            _ => 4 << 20 | self.random.below(16 << 20),
        };
        let left = &self.soak.bytes_left;
        let take = |left: u64| left.checked_sub(size);
        let size = match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => size,
            Err(_) => 1 + size % 4096,
        };
        usize::try_from(size).expect("a size")
    }

    async fn push(&mut self) -> Outcome<()> {
        let (mut blobs, mut seed) = (Vec::new(), 0);
        for len in [1 + self.random.index(4096), self.size()] {
            seed = self.random.next();
            let content = bytes(seed, len);
            let blob = Blob::of(&content);
            self.push_blob(&blob, content).await?;
            let head = format!("HEAD /v2/{}/blobs/{}", self.name, blob.digest);
            self.client.read(&head, &[], Bytes::new(), &[200]).await?;
            blobs.push(blob);
        }
        let manifest = manifest(&blobs[0], &blobs[1]);
        let tag = format!("t{}", self.made);
        self.made += 1;
        self.client.put_manifest(&self.name, &tag, manifest.clone()).await?;
        let blobs = blobs.try_into().expect("two blobs");
        self.images.push(Image { reference: digest(&manifest), manifest, blobs, seed });
        self.soak.pushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// By one of the ways that clients have.
    async fn push_blob(&mut self, blob: &Blob, content: Bytes) -> Outcome<()> {
        match self.random.below(4) {
            0 => {
                let line = format!("POST /v2/{}/blobs/uploads/?digest={}", self.name, blob.digest);
                self.client.read(&line, &[], content, &[201]).await.map(drop)
            }
            1 => {
                let mut to = self.client.open(&self.name).await?;
                let middle = content.len() / 2;
                for part in [content.slice(..middle), content.slice(middle..)] {
                    let line = format!("PATCH {to}");
                    let (headers, _) = self.client.read(&line, &[], part, &[202]).await?;
                    to = location(&headers).unwrap_or(to);
                }
                let line = format!("PUT {}", with_digest(&to, blob));
                self.client.read(&line, &[], Bytes::new(), &[201]).await.map(drop)
            }
            _ => self.client.push(&self.name, blob, content).await,
        }
    }

    async fn pull(&mut self) -> Outcome<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        let image = &self.images[self.random.index(self.images.len())];
        let line = format!("GET /v2/{}/manifests/{}", self.name, image.reference);
        let (_, found) = self.client.read(&line, &[], Bytes::new(), &[200]).await?;
        if found != image.manifest {
            return Err(format!("{line}: WRONG BYTES"));
        }
        for blob in &image.blobs {
            self.client.pull(&self.name, blob).await?;
        }
        self.soak.pulls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The last third of a blob; and all of it, mounted elsewhere.
    async fn range(&mut self) -> Outcome<()> {
        let Some(image) = self.images.last() else { return Ok(()) };
        let [_, layer] = &image.blobs;
        let line = format!("GET /v2/{}/blobs/{}", self.name, layer.digest);
        let from = layer.bytes - 1 - layer.bytes / 3;
        let range = [("range", &*format!("bytes={from}-"))];
        let (_, part) = self.client.read(&line, &range, Bytes::new(), &[206]).await?;
        if part != bytes(image.seed, layer.bytes).slice(from..) {
            return Err(format!("{line}: WRONG BYTES: {} from {from}", part.len()));
        }
        let (to, digest) = (format!("{}-mounted", self.name), &layer.digest);
        let line = format!("POST /v2/{to}/blobs/uploads/?mount={digest}&from={}", self.name);
        self.client.read(&line, &[], Bytes::new(), &[201]).await?;
        self.client.pull(&to, layer).await?;
        let line = format!("DELETE /v2/{to}/blobs/{digest}");
        self.client.read(&line, &[], Bytes::new(), &[202]).await.map(drop)
    }

    async fn lists(&mut self) -> Outcome<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        let line = format!("GET /v2/{}/tags/list", self.name);
        let (_, body) = self.client.read(&line, &[], Bytes::new(), &[200]).await?;
        let body: serde_json::Value = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
        let tags = body["tags"].as_array().map_or(0, Vec::len);
        if tags == self.images.len() {
            return Ok(());
        }
        Err(format!("{line}: {tags} tags of {} images", self.images.len()))
    }

    async fn delete(&mut self) -> Outcome<()> {
        let at = self.random.index(self.images.len());
        let image = self.images.swap_remove(at);
        let manifest = format!("/v2/{}/manifests/{}", self.name, image.reference);
        self.client.read(&format!("DELETE {manifest}"), &[], Bytes::new(), &[202]).await?;
        self.client.read(&format!("GET {manifest}"), &[], Bytes::new(), &[404]).await?;
        // What is not deleted by itself goes when nobody is promised it any more.
        for blob in image.blobs.iter().filter(|_| self.random.below(4) > 0) {
            let line = format!("DELETE /v2/{}/blobs/{}", self.name, blob.digest);
            self.client.read(&line, &[], Bytes::new(), &[202]).await?;
        }
        self.soak.deletes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
