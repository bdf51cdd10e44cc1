//! When a checkpoint is stored against which base.
//!
//! A reader of a delta reads the deltas under it as well, so their number and their bytes are
//! bounded: at most [`CHAIN_MAX`] deltas, which sum to at most a third of the keyframe.

use crate::recipe::Recipe;

/// Most deltas on top of a keyframe.
pub(crate) const CHAIN_MAX: usize = 40;

/// Whether another delta of about `delta` stored bytes may be put on top of `base`.
pub(crate) fn may_extend(base: &Recipe, delta: u64) -> bool {
    base.chain.len() < CHAIN_MAX
        && (base.delta_bytes + delta).saturating_mul(3) <= base.keyframe_bytes
}

/// What the next delta on a recipe will probably take: as much as the last one did.
pub(crate) fn expected_delta(base: &Recipe) -> u64 {
    if base.chain.is_empty() { base.keyframe_bytes / 100 } else { base.stored_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(deltas: usize, delta_bytes: u64, keyframe_bytes: u64) -> Recipe {
        Recipe {
            chain: vec![String::new(); deltas],
            delta_bytes,
            keyframe_bytes,
            ..Recipe::default()
        }
    }

    #[test]
    fn chains_are_bounded_in_number_and_bytes() {
        assert!(may_extend(&base(0, 0, 300), 100));
        assert!(!may_extend(&base(0, 0, 300), 101));
        assert!(may_extend(&base(39, 60, 300), 40));
        assert!(!may_extend(&base(39, 61, 300), 40));
        assert!(!may_extend(&base(40, 0, 300), 1));
    }
}
