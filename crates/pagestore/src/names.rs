//! Names that a test can foretell: a run that is repeated must meet the same keys in the same order.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on names that are given on this thread follow from `seed`; with none, they are random
/// again.
pub fn seed(seed: Option<u64>) {
    STATE.set(seed);
}

pub(crate) fn next() -> Option<String> {
    let state = STATE.get()?;
    STATE.set(Some(state.wrapping_add(2)));
    Some(format!("{:016x}{:016x}", mix(state), mix(state.wrapping_add(1))))
}

/// splitmix64.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
