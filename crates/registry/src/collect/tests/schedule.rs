//! A scheduler for one thread: which task goes on is drawn from a seed, so a run can be repeated.
//! Every call of the store is a point at which another task may go on, or many, for a long while.

use std::cell::Cell;
use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use pagevault_objects::{
    Key, Listing, MemoryStore, Meta, Object, ObjectError, ObjectStore, ObjectWriter, Precondition,
    Version,
};

/// A store in memory that lets others go on before each call.
#[derive(Debug, Clone)]
pub(super) struct YieldStore(pub(super) MemoryStore);

thread_local! {
    static TASK: Cell<usize> = const { Cell::new(0) };
}

/// With `PAGEVAULT_TRACE` set, every call of the store is told, with the task that makes it.
fn trace(call: &str, key: &str) {
    static TOLD: OnceLock<bool> = OnceLock::new();
    if *TOLD.get_or_init(|| std::env::var_os("PAGEVAULT_TRACE").is_some()) {
        println!("task {} {call} {key}", TASK.get());
    }
}

/// Lets others go on once.
async fn turn() {
    let mut passed = false;
    std::future::poll_fn(|context| {
        if passed {
            return Poll::Ready(());
        }
        passed = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl ObjectStore for YieldStore {
    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        when: Precondition,
    ) -> Result<Version, ObjectError> {
        turn().await;
        trace("put", key.as_str());
        self.0.put(key, bytes, when).await
    }

    async fn put_file(&self, key: &Key, file: &Path) -> Result<u64, ObjectError> {
        turn().await;
        trace("put_file", key.as_str());
        self.0.put_file(key, file).await
    }

    async fn writer(&self, key: &Key) -> Result<Box<dyn ObjectWriter>, ObjectError> {
        Ok(Box::new(Writer(self.0.writer(key).await?)))
    }

    async fn get(&self, key: &Key) -> Result<Object, ObjectError> {
        turn().await;
        trace("get", key.as_str());
        self.0.get(key).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, ObjectError> {
        turn().await;
        trace("get_range", key.as_str());
        self.0.get_range(key, range).await
    }

    async fn head(&self, key: &Key) -> Result<Meta, ObjectError> {
        turn().await;
        trace("head", key.as_str());
        self.0.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        turn().await;
        trace("delete", key.as_str());
        self.0.delete(key).await
    }

    async fn delete_if(&self, key: &Key, version: &Version) -> Result<(), ObjectError> {
        turn().await;
        trace("delete_if", key.as_str());
        self.0.delete_if(key, version).await
    }

    /// A list is no moment: what comes late in it may have been written after what comes early.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Listing, ObjectError> {
        let mut listing = Listing { objects: Vec::new(), more: true };
        let mut after = after.cloned();
        while listing.more && listing.objects.len() < limit {
            turn().await;
            trace("list", prefix);
            let few = (limit - listing.objects.len()).min(3);
            let page = self.0.list(prefix, after.as_ref(), few).await?;
            after = page.objects.last().map(|meta| meta.key.clone());
            listing.more = page.more;
            listing.objects.extend(page.objects);
        }
        Ok(listing)
    }

    async fn now(&self) -> Result<u64, ObjectError> {
        self.0.now().await
    }
}

struct Writer(Box<dyn ObjectWriter>);

#[async_trait]
impl ObjectWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<u64, ObjectError> {
        self.0.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<u64, ObjectError> {
        turn().await;
        self.0.finish().await
    }
}

/// Numbers from a seed (xorshift64*).
#[derive(Debug, Clone)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound.max(1)
    }

    pub(super) fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs tasks to their ends. Each has a pace of its own, and now and then one stalls, perhaps until
/// all others have ended. `between` is called after every step.
pub(super) fn run(draw: &mut Draw, tasks: Vec<Task<'_>>, mut between: impl FnMut(&mut Draw)) {
    let mut tasks: Vec<_> = tasks
        .into_iter()
        .enumerate()
        .map(|(number, task)| (task, [1, 2, 4, 16][draw.below(4) as usize], 0u64, number))
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    let mut step = 0u64;
    while !tasks.is_empty() {
        step += 1;
        assert!(step < 1_000_000, "a schedule without an end");
        if draw.one_in(40) {
            let stalled = usize::try_from(draw.below(tasks.len() as u64)).unwrap();
            tasks[stalled].2 = step + [5, 30, 200, 2000][usize::try_from(draw.below(4)).unwrap()];
        }
        let awake = |stalled_until: u64| stalled_until <= step;
        let sum: u64 = tasks.iter().filter(|t| awake(t.2)).map(|t| t.1).sum();
        if sum == 0 {
            step = tasks.iter().map(|t| t.2).min().unwrap();
            continue;
        }
        let mut lot = draw.below(sum);
        let next = tasks.iter().position(|t| {
            let chosen = awake(t.2) && lot < t.1;
            lot = if awake(t.2) { lot.saturating_sub(t.1) } else { lot };
            chosen
        });
        let next = next.unwrap();
        TASK.set(tasks[next].3);
        if tasks[next].0.as_mut().poll(&mut context).is_ready() {
            drop(tasks.swap_remove(next));
        }
        between(draw);
    }
}

/// Runs a future that waits for nothing but the store in memory.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1_000_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
    panic!("a future without an end");
}
