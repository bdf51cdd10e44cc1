//! Collection, one run after the other, for as long as the load lasts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::client::{Client, Outcome};

/// What collections came to.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) runs: AtomicU64,
    pub(crate) freed_bytes: AtomicU64,
}

/// Collects again and again while `going` says so.
pub(crate) async fn collect(
    address: &str,
    going: impl Fn() -> bool,
    into: &Collected,
) -> Outcome<()> {
    let mut client = Client::new(address);
    while going() {
        let (_, started) = client.read("POST /api/v1/gc", &[], Bytes::new(), &[202]).await?;
        let run = ended(&mut client, &json(&started)?["id"]).await?;
        if run["state"] != "done" {
            return Err(format!("a collection has failed: {run}"));
        }
        into.runs.fetch_add(1, Ordering::Relaxed);
        let freed = run["result"]["freedBytes"].as_u64().unwrap_or(0);
        into.freed_bytes.fetch_add(freed, Ordering::Relaxed);
    }
    Ok(())
}

/// Waits for a run, and returns what is said of it.
async fn ended(client: &mut Client, id: &Value) -> Outcome<Value> {
    loop {
        let (_, body) = client.read("GET /api/v1/gc", &[], Bytes::new(), &[200]).await?;
        let runs = json(&body)?;
        let run = runs["items"].as_array().into_iter().flatten().find(|run| run["id"] == *id);
        let run = run.ok_or_else(|| format!("collection {id} is forgotten"))?;
        if run["state"] != "running" {
            return Ok(run.clone());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn json(body: &[u8]) -> Outcome<Value> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}
