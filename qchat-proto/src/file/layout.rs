//! How large things are: the padded size, and what becomes of it in chunks and segments.

use std::ops::Range;

use crate::crypto::aead::TAG;

/// Plaintext of a chunk, bytes: 64 KiB.
pub const CHUNK: usize = 64 * 1024;
/// Chunks of a segment.
const CHUNKS: usize = 64;
/// Plaintext of a segment, bytes: 4 MiB. Every segment but the last has as much.
pub const SEGMENT: usize = CHUNKS * CHUNK;
/// The salt before a segment's chunks, bytes.
pub(super) const SALT: usize = 32;
/// A full segment as it travels and is kept, bytes: 4,195,360.
pub const SEALED_SEGMENT: usize = SALT + CHUNKS * (CHUNK + TAG);
/// Largest file, bytes: 1 TiB.
pub const MAX_SIZE: u64 = 1 << 40;
/// Smallest padded size, bytes.
const SMALLEST: u64 = 1024;

/// The size that a file of `size` bytes is padded to: PADMÉ (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files
/// and Communication with PURBs", 2019, §4.2), 1 KiB at least. It adds 12 % at most, and less to larger files.
pub fn padme(size: u64) -> u64 {
    let size = size.clamp(SMALLEST, MAX_SIZE);
    let exponent = size.ilog2();
    // As many of the highest bits are kept as the exponent has.
    let kept = exponent.ilog2() + 1;
    let mask = (1_u64 << (exponent - kept)) - 1;
    (size + mask) & !mask
}

/// The sizes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: u64,
}

impl Layout {
    /// Of a file with `size` bytes; `None` when it has more than [`MAX_SIZE`].
    pub fn new(size: u64) -> Option<Self> {
        (size <= MAX_SIZE).then_some(Self { size })
    }

    /// Bytes of the file.
    pub const fn size(self) -> u64 {
        self.size
    }

    /// Bytes of the file and its padding.
    pub fn padded(self) -> u64 {
        padme(self.size)
    }

    /// Segments: one at least.
    pub fn segments(self) -> u64 {
        self.padded().div_ceil(SEGMENT as u64)
    }

    /// Bytes of all segments as they are kept.
    pub fn sealed(self) -> u64 {
        let chunks = self.padded().div_ceil(CHUNK as u64);
        self.padded() + self.segments() * SALT as u64 + chunks * TAG as u64
    }

    /// Where a segment's plaintext stands in the padded file; empty when there is no such segment.
    pub fn plain(self, segment: u64) -> Range<u64> {
        let start = segment.saturating_mul(SEGMENT as u64).min(self.padded());
        start..start.saturating_add(SEGMENT as u64).min(self.padded())
    }

    /// Bytes of a segment as it is kept.
    pub fn sealed_segment(self, segment: u64) -> usize {
        let plain = self.plain(segment);
        let plain = usize::try_from(plain.end - plain.start).unwrap_or(SEGMENT);
        SALT + plain + plain.div_ceil(CHUNK) * TAG
    }

    /// How many bytes of a segment's plaintext are the file's; the rest is padding.
    pub fn content(self, segment: u64) -> usize {
        let plain = self.plain(segment);
        usize::try_from(plain.end.min(self.size).saturating_sub(plain.start)).unwrap_or(SEGMENT)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_padded_as_the_paper_says() {
        for (size, padded) in [
            (0, 1024),
            (1, 1024),
            (1024, 1024),
            (1025, 1088),
            (65_535, 65_536),
            (65_537, 67_584),
            (1_000_000, 1_015_808),
            (10_000_000_000, 10_066_329_600),
        ] {
            assert_eq!(padme(size), padded, "{size}");
        }
        assert!(Layout::new(MAX_SIZE).is_some() && Layout::new(MAX_SIZE + 1).is_none());
        assert_eq!(Layout { size: SEGMENT as u64 }.sealed_segment(0), SEALED_SEGMENT);
    }

    proptest! {
        #[test]
        fn segments_add_up_and_padding_is_small(size in 0..=MAX_SIZE) {
            let layout = Layout::new(size).unwrap();
            let padded = layout.padded();
            prop_assert!(padded >= size && padme(padded) == padded);
            prop_assert!(size < SMALLEST || (padded - size).saturating_mul(100) <= size.saturating_mul(12));
            let last = layout.segments() - 1;
            prop_assert_eq!(layout.plain(last).end, padded);
            prop_assert!(layout.plain(last).start < padded && layout.plain(last + 1).is_empty());
            let sealed = last * SEALED_SEGMENT as u64 + layout.sealed_segment(last) as u64;
            prop_assert_eq!(sealed, layout.sealed());
            // What is padded may be segments of its own.
            let full = size / SEGMENT as u64;
            prop_assert_eq!(full * SEGMENT as u64 + layout.content(full) as u64, size);
            prop_assert!(full == 0 || layout.content(full - 1) == SEGMENT);
            prop_assert!(last <= full || layout.content(last) == 0);
        }
    }
}
