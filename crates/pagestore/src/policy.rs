//! When a checkpoint is stored against which base.
//!
//! A reader of a delta reads the deltas under it as well, so their number and their bytes are
//! bounded: at most [`CHAIN_MAX`] deltas, which sum to at most half of the keyframe. Where the
//! newest checkpoint has no room above it, the next one goes on an earlier one: a delta grows more
//! slowly than the distance to its base. On which one is a matter of cost: the further back, the
//! larger this delta is, and the more small ones fit on top of it.

use crate::recipe::Recipe;

/// Most deltas on top of a keyframe.
pub(crate) const CHAIN_MAX: usize = 40;

/// Most bytes that the deltas on a keyframe may sum to.
///
/// Half of it costs a reader about a third more than the keyframe alone. With a third a hundred
/// checkpoints of a redis that changes by half a percent needed a second keyframe, with a half none.
fn bytes_max(keyframe_bytes: u64) -> u64 {
    keyframe_bytes / 2
}

/// Whether a delta of `delta` stored bytes may be put on top of `base`.
pub(crate) fn may_extend(base: &Recipe, delta: u64) -> bool {
    base.chain.len() < CHAIN_MAX
        && base.delta_bytes.saturating_add(delta) <= bytes_max(base.keyframe_bytes)
}

/// Which recipe of a chain, newest first, the next delta is put on; none for a new keyframe.
pub(crate) fn choose(chain: &[&Recipe]) -> Option<usize> {
    let newest = chain.first()?;
    let step = step_bytes(chain);
    let delta = |base: &Recipe| grown(step, distance(newest, base) + 1);
    if may_extend(newest, step) {
        return Some(0);
    }
    let keyframe_bytes = newest.keyframe_bytes;
    let fresh = Recipe { keyframe_bytes, ..Recipe::default() };
    let mut least = (cost_each(&fresh, keyframe_bytes, step, 0), None);
    // One that turns out too large is written twice, the second time as a keyframe: leave a margin.
    let fits = |base: &Recipe| may_extend(base, delta(base) + delta(base) / 8);
    for (number, base) in chain.iter().enumerate().filter(|(_, base)| fits(base)) {
        let cost = cost_each(base, delta(base), step, 1);
        if cost < least.0 {
            least = (cost, Some(number));
        }
    }
    least.1
}

/// What each checkpoint costs from the next one on, which takes `next` bytes and is `deltas` above
/// `base`, until there is no room above it for small deltas any more.
fn cost_each(base: &Recipe, next: u64, step: u64, deltas: usize) -> u64 {
    let under = base.delta_bytes + next * deltas as u64;
    let bytes_left = bytes_max(base.keyframe_bytes).saturating_sub(under);
    let number_left = CHAIN_MAX.saturating_sub(base.chain.len() + deltas) as u64;
    let room = number_left.min(bytes_left / step.max(1));
    next.saturating_add(room.saturating_mul(step)) / (room + 1)
}

/// What a delta takes from one checkpoint to the next, by what the newest one took.
fn step_bytes(chain: &[&Recipe]) -> u64 {
    match chain {
        [newest, base, ..] => newest.stored_bytes * 5 / (u64::from(distance(newest, base)) * 3 + 2),
        [keyframe] => keyframe.keyframe_bytes / 100,
        [] => 0,
    }
}

/// What a delta takes over so many checkpoints: 1, 1.6, 2.2 … times what it takes over one (redis;
/// 18 times over 29).
pub(crate) fn grown(step: u64, checkpoints: u32) -> u64 {
    step.saturating_mul(u64::from(checkpoints) * 3 + 2) / 5
}

/// Checkpoints from one to a later one.
fn distance(newest: &Recipe, base: &Recipe) -> u32 {
    newest.generation.saturating_sub(base.generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(deltas: usize, delta_bytes: u64, keyframe_bytes: u64) -> Recipe {
        Recipe {
            chain: vec![String::new(); deltas],
            delta_bytes,
            keyframe_bytes,
            generation: deltas as u32,
            ..Recipe::default()
        }
    }

    #[test]
    fn chains_are_bounded_in_number_and_bytes() {
        assert!(may_extend(&base(0, 0, 300), 150));
        assert!(!may_extend(&base(0, 0, 300), 151));
        assert!(may_extend(&base(39, 110, 300), 40));
        assert!(!may_extend(&base(39, 111, 300), 40));
        assert!(!may_extend(&base(40, 0, 300), 1));
    }

    /// Stores so many checkpoints, each of which changes `step` bytes more; gives what all take.
    fn store(checkpoints: u32, keyframe_bytes: u64, step: u64) -> u64 {
        let keyframe = Recipe { keyframe_bytes, ..Recipe::default() };
        let mut all = vec![Recipe { stored_bytes: keyframe_bytes, ..keyframe }];
        let mut chain = vec![0];
        let mut sum = keyframe_bytes;
        for _ in 1..checkpoints {
            let recipes: Vec<&Recipe> = chain.iter().map(|&at: &usize| &all[at]).collect();
            let newest = recipes[0];
            let delta = |base: &Recipe| grown(step, distance(newest, base) + 1);
            // What turns out larger than expected becomes a keyframe.
            let chosen = choose(&recipes).filter(|&n| may_extend(recipes[n], delta(recipes[n])));
            let next = match chosen {
                None => Recipe { stored_bytes: keyframe_bytes, keyframe_bytes, ..base(0, 0, 0) },
                Some(number) => {
                    let (under, stored_bytes) = (recipes[number], delta(recipes[number]));
                    chain.drain(..number);
                    Recipe {
                        chain: vec![String::new(); chain.len()],
                        generation: newest.generation + 1,
                        stored_bytes,
                        delta_bytes: under.delta_bytes + stored_bytes,
                        keyframe_bytes,
                        ..Recipe::default()
                    }
                }
            };
            if next.chain.is_empty() {
                chain.clear();
            }
            sum += next.stored_bytes;
            chain.insert(0, all.len());
            all.push(next);
        }
        sum
    }

    #[test]
    fn a_long_series_costs_little_more_than_its_keyframe() {
        let cost = |checkpoints, step| store(checkpoints, 1_000_000, step);
        assert!(cost(100, 2000) < 1_400_000);
        // A redis of 50 MB, of which each checkpoint changes 0.27 MB: no second keyframe.
        assert!(cost(100, 5500) < 1_900_000);
        assert!(cost(1000, 500) < 2_100_000);
        // So much changes that each is a keyframe.
        assert_eq!(store(10, 1000, 900), 10 * 1000);
    }

    #[test]
    fn without_a_base_there_is_nothing_to_choose() {
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&[&base(0, 0, 300)]), Some(0));
    }
}
