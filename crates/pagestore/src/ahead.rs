//! Segments that are decoded while the reader is busy with those before.
//!
//! How far ahead grows with every segment that is taken: containerd asks for all that follows and
//! closes the connection after a chunk, and must not be billed for what it does not read. All
//! readers of a store share one budget, so that memory is bounded however many there are; each may
//! always have the one segment that it waits for.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Result;

/// What is decoded ahead by all readers together, counted in segments.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn new(segments: usize) -> Self {
        Self(Arc::new(Semaphore::new(segments)))
    }
}

/// A segment under way. Dropped, it is given up.
struct UnderWay<T> {
    task: BoxFuture<'static, Result<T>>,
    permit: Option<OwnedSemaphorePermit>,
}

struct Ahead<I, F, T> {
    segments: I,
    decode: F,
    budget: Budget,
    under_way: VecDeque<UnderWay<T>>,
    /// Segments that may be under way now, and at the most.
    depth: usize,
    depth_max: usize,
}

/// What becomes of `segments`, in order, each decoded by `decode`, at most `depth_max` at once.
pub(crate) fn stream<S, T, I, F>(
    segments: I,
    decode: F,
    budget: Budget,
    depth_max: usize,
) -> BoxStream<'static, Result<T>>
where
    S: Send + 'static,
    T: Send + 'static,
    I: Iterator<Item = S> + Send + 'static,
    F: Fn(S) -> BoxFuture<'static, Result<T>> + Send + 'static,
{
    let under_way = VecDeque::new();
    let ahead = Ahead { segments, decode, budget, under_way, depth: 1, depth_max };
    let next = |mut ahead: Ahead<I, F, T>| async move {
        let part = ahead.next().await?;
        Some((part, ahead))
    };
    stream::unfold(ahead, next).boxed()
}

impl<S, T, I, F> Ahead<I, F, T>
where
    I: Iterator<Item = S>,
    F: Fn(S) -> BoxFuture<'static, Result<T>>,
{
    async fn next(&mut self) -> Option<Result<T>> {
        self.start();
        let mut first = self.under_way.pop_front()?;
        let done = (&mut first.task).await;
        drop(first.permit.take());
        self.depth = (self.depth + 1).min(self.depth_max);
        // What follows is decoded while the reader is busy with this one.
        self.start();
        Some(done)
    }

    fn start(&mut self) {
        while self.under_way.len() < self.depth {
            let permit = match self.under_way.is_empty() {
                true => None,
                false => match Arc::clone(&self.budget.0).try_acquire_owned() {
                    Ok(permit) => Some(permit),
                    Err(_) => return,
                },
            };
            let Some(segment) = self.segments.next() else { return };
            let task = (self.decode)(segment);
            self.under_way.push_back(UnderWay { task, permit });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::work::Workers;

    /// A stream of a thousand segments of one byte each, and how many of them were begun.
    fn counted(
        budget: &Budget,
        depth: usize,
    ) -> (BoxStream<'static, Result<Bytes>>, Arc<AtomicUsize>) {
        let begun = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&begun);
        let decode = move |n: usize| {
            counter.fetch_add(1, Ordering::Relaxed);
            let segment = async move { Ok(Bytes::from(vec![n.to_le_bytes()[0]])) };
            Workers::Pool.spawn(segment)
        };
        (stream(0..1000, decode, budget.clone(), depth), begun)
    }

    #[tokio::test]
    async fn in_order_and_not_far_beyond_what_is_read() {
        let (mut parts, begun) = counted(&Budget::new(100), 8);
        assert_eq!(begun.load(Ordering::Relaxed), 0);
        for n in 0..20u8 {
            assert_eq!(parts.next().await.unwrap().unwrap()[0], n);
            let ahead = begun.load(Ordering::Relaxed) - usize::from(n) - 1;
            assert_eq!(ahead, (usize::from(n) + 2).min(8));
        }
    }

    #[tokio::test]
    async fn readers_share_one_budget_and_none_starves() {
        let budget = Budget::new(3);
        let (mut first, begun) = counted(&budget, 8);
        for _ in 0..10 {
            first.next().await.unwrap().unwrap();
        }
        assert_eq!(begun.load(Ordering::Relaxed), 10 + 3);
        let (mut second, begun) = counted(&budget, 8);
        for _ in 0..10 {
            second.next().await.unwrap().unwrap();
        }
        assert_eq!(begun.load(Ordering::Relaxed), 10 + 1);
        drop(first);
        second.next().await.unwrap().unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 11 + 3);
    }
}
