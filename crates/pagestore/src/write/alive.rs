//! What a writer does so that collection lets it be.

use std::time::{Duration, Instant};

use pagevault_objects::Precondition;

use super::commit::lost;
use crate::Result;
use crate::collect::{Kind, Standing};
use crate::recipe::{Recipe, State};
use crate::store::PageStore;
use crate::write::LayerWriter;

/// Half of the time after which collectors of a shared store take a writer for dead.
const RENEW_AFTER: Duration = Duration::from_secs(30 * 60);

impl LayerWriter {
    /// Writes the pending recipe again, so that it is young, if half of its time is spent.
    pub(super) async fn renew(&mut self) -> Result<()> {
        if self.store.options.exclusive || self.renewed.elapsed() < RENEW_AFTER {
            return Ok(());
        }
        let pending =
            Recipe { state: State::Pending as i32, extents: Vec::new(), ..self.recipe.clone() };
        let when = Precondition::Matches(self.version.clone());
        let put = self.store.put_recipe(&self.id, pending, when).await;
        (self.version, _) = put.map_err(lost)?;
        self.renewed = Instant::now();
        Ok(())
    }
}

impl PageStore {
    /// Whether a new recipe may stand on its base. It names the base already, so the answer holds
    /// unless it is given up for dead; asked early, as a base that is condemned already is of no use.
    pub(super) async fn may_stand_on(&self, recipe: &Recipe) -> Result<bool> {
        let below = recipe.chain.iter().take(1).map(|name| (Kind::Recipe, name.clone()));
        Ok(self.standing_of(&below.collect::<Vec<_>>()).await? == Standing::Kept)
    }
}
