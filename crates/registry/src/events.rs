//! What happens, told to whoever listens.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use pagevault_api::event::{Event, EventKind};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use crate::Registry;

/// Events that are remembered, for those who were away for a moment, and that may wait for a slow
/// listener.
const REMEMBERED: usize = 256;

/// Where events are told.
#[derive(Debug)]
pub(crate) struct Events {
    sender: Sender<Event>,
    /// The last ones, the oldest first.
    last: Mutex<VecDeque<Event>>,
    /// The number before the first. After a restart all are greater than before it, so that a listener
    /// that comes back is told that it may have missed some.
    before: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self::after(u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0))
    }
}

/// A listener's view of what happens.
#[derive(Debug)]
pub struct Listening {
    missed: VecDeque<Event>,
    receiver: Receiver<Event>,
}

impl Events {
    fn after(before: u64) -> Self {
        Self { sender: channel(REMEMBERED).0, last: Mutex::default(), before }
    }

    /// Tells everybody.
    pub(crate) fn tell(&self, what: EventKind) {
        let mut last = self.last();
        let id = last.back().map_or(self.before, |event| event.id) + 1;
        let event = Event { id, at: Timestamp::now(), what };
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back(event.clone());
        // Under the lock, so that they are heard in the order of their numbers. That nobody listens is
        // no error.
        let _ = self.sender.send(event);
    }

    fn listen(&self, after: Option<u64>) -> Listening {
        let last = self.last();
        let receiver = self.sender.subscribe();
        let mut missed = VecDeque::new();
        if let Some(after) = after {
            let newest = last.back().map_or(self.before, |event| event.id);
            let oldest = last.front().map_or(self.before + 1, |event| event.id);
            // Also of a server that was started anew since.
            if after > newest || after.saturating_add(1) < oldest {
                missed.push_back(lost(newest));
            } else {
                missed.extend(last.iter().filter(|event| event.id > after).cloned());
            }
        }
        Listening { missed, receiver }
    }

    fn last(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(id: u64) -> Event {
    Event { id, at: Timestamp::now(), what: EventKind::Lost }
}

impl Registry {
    /// Listens to what happens from now on, or after the event of this number.
    pub fn listen(&self, after: Option<u64>) -> Listening {
        self.events.listen(after)
    }
}

impl Listening {
    /// The next event; none once the registry is gone.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.missed.pop_front() {
            return Some(event);
        }
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(_)) => Some(lost(0)),
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(heard: &[Event]) -> Vec<(u64, &'static str)> {
        heard.iter().map(|event| (event.id, event.what.name())).collect()
    }

    async fn hear(listening: &mut Listening, number: usize) -> Vec<Event> {
        let mut heard = Vec::new();
        for _ in 0..number {
            heard.push(listening.next().await.unwrap());
        }
        heard
    }

    fn happen(events: &Events, number: usize) {
        let reference = || "a:b".parse().unwrap();
        let digest = || format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        (0..number).for_each(|_| {
            events.tell(EventKind::CheckpointDeleted { reference: reference(), digest: digest() });
        });
    }

    #[tokio::test]
    async fn listeners_hear_what_they_missed_or_that_they_did() {
        let events = Events::after(0);
        let mut first = events.listen(None);
        happen(&events, 3);
        assert_eq!(names(&hear(&mut first, 3).await).last(), Some(&(3, "checkpoint-deleted")));
        assert_eq!(names(&hear(&mut events.listen(Some(1)), 2).await)[0].0, 2);
        assert_eq!(names(&hear(&mut events.listen(Some(9)), 1).await), [(3, "lost")]);
        happen(&events, REMEMBERED);
        assert_eq!(names(&hear(&mut events.listen(Some(1)), 1).await)[0].1, "lost");
        happen(&events, 1);
        assert_eq!(names(&hear(&mut first, 2).await)[0], (0, "lost"));
        let restarted = Events::after(9000);
        happen(&restarted, 3);
        assert_eq!(names(&hear(&mut restarted.listen(Some(2)), 1).await), [(9003, "lost")]);
        assert_eq!(names(&hear(&mut restarted.listen(Some(9001)), 1).await)[0].0, 9002);
        drop(events);
        let mut rest = 0;
        while first.next().await.is_some() {
            rest += 1;
        }
        assert_eq!(rest, REMEMBERED - 1);
    }
}
