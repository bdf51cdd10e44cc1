//! One repository that grows, and what it costs meanwhile to ask it for one thing by name.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use crate::Options;
use crate::client::{Client, Outcome};
use crate::content::{Blob, bytes, digest, manifest};
use crate::process::Process;

const NAME: &str = "grow/one";
/// Times that each question is asked.
const ASKED: usize = 4000;
/// Clients that fill the repository.
const FILLERS: u64 = 16;

pub(crate) async fn run(options: &Options) -> ExitCode {
    let address = options.text("address");
    let process = Process(options.text("pid").parse().expect("--pid is a number"));
    match grow(address, &process, options.number("manifests", 10_000)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn grow(address: &str, process: &Process, most: u64) -> Outcome<()> {
    let mut client = Client::new(address);
    let mut blobs = Vec::new();
    for (seed, len) in [(1, 2 << 10), (2, 200 << 10)] {
        let content = bytes(seed, len);
        let blob = Blob::of(&content);
        client.push(NAME, &blob, content).await?;
        blobs.push(blob);
    }
    let mut held = 0;
    for wanted in [10, most.div_ceil(100).max(10), most] {
        fill(address, &blobs, held..wanted).await?;
        held = wanted;
        let at = |n: u64| format!("/v2/{NAME}/manifests/{}", digest(&numbered(&blobs, n)));
        let blob = |n: usize| format!("/v2/{NAME}/blobs/{}", blobs[n].digest);
        for (what, line) in [
            ("HEAD manifest by tag", format!("HEAD /v2/{NAME}/manifests/t3")),
            ("GET manifest by tag", format!("GET /v2/{NAME}/manifests/t3")),
            ("GET manifest by digest", format!("GET {}", at(held / 2))),
            ("HEAD blob", format!("HEAD {}", blob(1))),
            ("GET blob of 2 KiB", format!("GET {}", blob(0))),
            ("GET blob of 200 KiB", format!("GET {}", blob(1))),
        ] {
            measure(&mut client, process, (what, held), &line).await?;
        }
    }
    Ok(())
}

/// Pushes manifests that differ in an annotation, each with a tag of its own.
async fn fill(address: &str, blobs: &[Blob], numbers: std::ops::Range<u64>) -> Outcome<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for filler in 0..FILLERS {
        let (mut client, blobs, numbers) = (Client::new(address), blobs.to_vec(), numbers.clone());
        tasks.spawn(async move {
            for n in numbers.filter(|n| n % FILLERS == filler) {
                client.put_manifest(NAME, &format!("t{n}"), numbered(&blobs, n)).await?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|e| e.to_string())??;
    }
    Ok(())
}

fn numbered(blobs: &[Blob], number: u64) -> Bytes {
    let bytes = manifest(&blobs[0], &blobs[1]);
    let mut json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    json["annotations"] = json!({"number": number.to_string()});
    json.to_string().into()
}

async fn measure(
    client: &mut Client,
    process: &Process,
    (what, manifests): (&str, u64),
    line: &str,
) -> Outcome<()> {
    // What the registry was busy with before is not this question's.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let cpu = process.cpu_ms();
    let mut times = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let start = Instant::now();
        client.read(line, &[], Bytes::new(), &[200]).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let cpu = (process.cpu_ms() - cpu) / ASKED as f64;
    times.sort_unstable_by(f64::total_cmp);
    let (p50, p99) = (times[ASKED / 2], times[ASKED * 99 / 100]);
    let row =
        json!({"what": what, "manifests": manifests, "cpuMs": cpu, "p50Ms": p50, "p99Ms": p99});
    println!("{row}");
    Ok(())
}
