//! Several ranges in one response (`multipart/byteranges`, RFC 9110, section 14.6).

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use pagevault_registry::Blob;

use crate::body::Bits;
use crate::range::content_range;

/// A response of several parts.
pub(crate) struct ByteRanges {
    boundary: String,
    ranges: Vec<Range<u64>>,
    size: u64,
}

impl ByteRanges {
    /// Parts of a whole of `size` bytes; the boundary is one that the content cannot foresee.
    pub(crate) fn new(ranges: Vec<Range<u64>>, size: u64, boundary: String) -> Self {
        Self { boundary, ranges, size }
    }

    pub(crate) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Bytes of the body: parts, what is between them, and the end.
    pub(crate) fn length(&self) -> u64 {
        let parts =
            self.ranges.iter().enumerate().map(|(index, range)| {
                self.head(index, range).len() as u64 + (range.end - range.start)
            });
        parts.sum::<u64>() + self.tail().len() as u64
    }

    /// The body. A part is opened when its turn comes.
    pub(crate) fn stream(self, blob: Blob) -> Bits {
        let tail = Bytes::from(self.tail());
        let heads: Vec<_> = self.ranges.iter().enumerate().map(|(i, r)| self.head(i, r)).collect();
        let parts = stream::iter(heads.into_iter().zip(self.ranges));
        parts
            .flat_map(move |(head, range)| {
                stream::iter([Ok(Bytes::from(head))]).chain(blob.stream(range))
            })
            .chain(stream::iter([Ok(tail)]))
            .boxed()
    }

    fn head(&self, index: usize, range: &Range<u64>) -> String {
        let before = if index == 0 { "" } else { "\r\n" };
        format!(
            "{before}--{}\r\nContent-Type: application/octet-stream\r\nContent-Range: {}\r\n\r\n",
            self.boundary,
            content_range(range, self.size)
        )
    }

    fn tail(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_as_they_are_written() {
        let parts = ByteRanges::new(vec![0..2, 10..14], 100, "b".to_owned());
        let body =
            format!("{}ab{}cdef{}", parts.head(0, &(0..2)), parts.head(1, &(10..14)), parts.tail());
        assert_eq!(body.len() as u64, parts.length());
        let expected = "--b\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 0-1/100\r\n\r\n\
             ab\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 10-13/100\r\n\r\n\
             cdef\r\n--b--\r\n";
        assert_eq!(body, expected);
    }
}
