//! Naming the objects of others that a layer needs, before it relies on them.

use std::collections::HashMap;

use futures_util::stream::{Stream, StreamExt};
use pagevault_objects::Precondition;
use tokio::sync::{mpsc, oneshot};

use super::LayerWriter;
use super::commit::lost;
use super::encode::Done;
use crate::Result;
use crate::collect::{Kind, Standing};
use crate::error::PageStoreError;
use crate::recipe::Recipe;

/// Most objects of others that a layer needs: a reader opens them all.
const OTHERS_MAX: usize = 64;

/// A request to name an object in the pending recipe.
#[derive(Debug)]
pub(crate) struct Ask {
    object: String,
    reply: oneshot::Sender<Answer>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is named, and this is its number.
    Named(u32),
    /// This layer is not to use it.
    Refused,
    /// It is gone, or about to go: of no use to anybody.
    Gone,
}

impl Answer {
    /// Its number, if it may be used.
    pub(crate) fn number(self) -> Option<u32> {
        if let Self::Named(number) = self { Some(number) } else { None }
    }
}

impl Ask {
    /// Asks the writer at the other end, and waits for its answer.
    pub(crate) async fn send(to: &mpsc::UnboundedSender<Self>, object: String) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let gone = || PageStoreError::Task("the writer of this layer is gone".to_owned());
        to.send(Self { object, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

/// What a writer was asked to name.
#[derive(Debug)]
pub(super) struct Naming {
    asks: mpsc::UnboundedReceiver<Ask>,
    answers: HashMap<String, Answer>,
}

impl Naming {
    /// Refuses objects from now on.
    pub(super) fn refuse(&mut self, objects: &[String]) {
        self.answers.extend(objects.iter().map(|object| (object.clone(), Answer::Refused)));
    }

    /// And where to send what is asked.
    pub(super) fn new() -> (mpsc::UnboundedSender<Ask>, Self) {
        let (sender, asks) = mpsc::unbounded_channel();
        (sender, Self { asks, answers: HashMap::new() })
    }
}

impl LayerWriter {
    /// The next segment that is encoded. Meanwhile names the objects that those being encoded ask
    /// for: the writer alone knows the version of its pending recipe.
    pub(super) async fn next(
        &mut self,
        encoded: &mut (impl Stream<Item = Result<Done>> + Unpin),
    ) -> Result<Option<Done>> {
        loop {
            let ask = tokio::select! {
                biased;
                Some(ask) = self.naming.asks.recv() => ask,
                done = encoded.next() => return done.transpose(),
            };
            let mut asks = vec![ask];
            while let Ok(ask) = self.naming.asks.try_recv() {
                asks.push(ask);
            }
            self.name_objects(asks).await?;
        }
    }

    /// Publishes the pending recipe with the objects that are asked for, and only then looks
    /// whether they may be used: a collector that condemns one later sees that it is named.
    async fn name_objects(&mut self, asks: Vec<Ask>) -> Result<()> {
        let mut fresh: Vec<String> = asks.iter().map(|ask| ask.object.clone()).collect();
        fresh.sort_unstable();
        fresh.dedup();
        fresh.retain(|object| !self.naming.answers.contains_key(object));
        let named = self.recipe.objects.len();
        let room = (OTHERS_MAX + 1).saturating_sub(named);
        let refused = fresh.split_off(room.min(fresh.len()));
        if !fresh.is_empty() {
            self.publish_with(&fresh).await?;
        }
        let mut answers: Vec<(String, Answer)> =
            refused.into_iter().map(|object| (object, Answer::Refused)).collect();
        for object in fresh {
            let named = [(Kind::Data, object.clone())];
            let answer = match self.store.standing_of(&named).await {
                Ok(Standing::Kept) => {
                    self.recipe.objects.push(object.clone());
                    Answer::Named((self.recipe.objects.len() - 1) as u32)
                }
                Ok(Standing::Condemned | Standing::Gone) => Answer::Gone,
                Err(_) => Answer::Refused,
            };
            answers.push((object, answer));
        }
        self.naming.answers.extend(answers);
        for ask in asks {
            let answer = self.naming.answers.get(&ask.object).copied().unwrap_or(Answer::Refused);
            // One that does not wait any more has failed, and says so itself.
            let _ = ask.reply.send(answer);
        }
        Ok(())
    }

    async fn publish_with(&mut self, objects: &[String]) -> Result<()> {
        let mut pending = Recipe { extents: Vec::new(), ..self.recipe.clone() };
        pending.objects.extend_from_slice(objects);
        let when = Precondition::Matches(self.version.clone());
        let (version, _) = self.store.put_recipe(&self.id, pending, when).await.map_err(lost)?;
        self.version = version;
        Ok(())
    }
}
