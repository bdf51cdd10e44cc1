//! Which segment of a recipe holds a byte.

use crate::recipe::{Extent, Recipe};

/// Where the segments of each extent end, counted from the extent's start. Empty where all but the
/// last are of one size, as a division finds those.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<Vec<u64>>);

impl Places {
    pub(crate) fn of(recipe: &Recipe) -> Self {
        let ends = |extent: &Extent| {
            let mut end = 0;
            let next = extent.segments.iter().map(|segment| {
                end += u64::from(segment.bytes);
                end
            });
            if extent.is_varied() { next.collect() } else { Vec::new() }
        };
        Self(recipe.extents.iter().map(ends).collect())
    }

    /// The extent and segment that hold the byte at `offset`, and where the segment begins.
    pub(crate) fn locate(&self, recipe: &Recipe, offset: u64) -> Option<(usize, usize, u64)> {
        let extent = recipe.extents.partition_point(|e| e.offset + e.bytes <= offset);
        let found = recipe.extents.get(extent)?;
        let within = offset - found.offset;
        let ends = self.0.get(extent)?;
        if ends.is_empty() {
            let segment = usize::try_from(within / found.grain()).ok()?;
            return Some((extent, segment, found.offset + segment as u64 * found.grain()));
        }
        let segment = ends.partition_point(|end| *end <= within);
        let start = segment.checked_sub(1).and_then(|before| ends.get(before)).unwrap_or(&0);
        Some((extent, segment, found.offset + start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Segment;

    fn recipe(extents: &[&[u32]]) -> Recipe {
        let mut offset = 0;
        let extent = |sizes: &&[u32]| {
            let bytes = sizes.iter().copied().map(u64::from).sum();
            let segment = |&bytes: &u32| Segment { bytes, ..Segment::default() };
            let segments = sizes.iter().map(segment).collect();
            offset += bytes;
            Extent { offset: offset - bytes, bytes, segments, ..Extent::default() }
        };
        let extents = extents.iter().map(extent).collect();
        Recipe { bytes: offset, extents, ..Recipe::default() }
    }

    #[test]
    fn every_byte_is_in_the_segment_that_is_found() {
        let recipe = recipe(&[&[1000], &[1024, 476], &[7, 300, 2, 1], &[5, 5, 6]]);
        let places = Places::of(&recipe);
        let mut expected = Vec::new();
        for (number, extent) in recipe.extents.iter().enumerate() {
            let mut start = extent.offset;
            for (segment, found) in extent.segments.iter().enumerate() {
                let place = (number, segment, start);
                expected.extend(std::iter::repeat_n(place, found.bytes as usize));
                start += u64::from(found.bytes);
            }
        }
        for (offset, place) in (0..).zip(expected) {
            assert_eq!(places.locate(&recipe, offset), Some(place), "byte {offset}");
        }
        assert_eq!(places.locate(&recipe, recipe.bytes), None);
    }
}
