//! Numbers that look random and are a function of where they stand.

/// A stream of numbers, the same for the same seed and event.
pub(super) struct Random(u64);

const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream of an event.
    pub(super) fn of(seed: u64, event: u64) -> Self {
        Self(mix(seed.wrapping_mul(STRIDE) ^ mix(event.wrapping_add(STRIDE))))
    }

    /// The next 64 bits (SplitMix64).
    #[inline]
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STRIDE);
        mix(self.0)
    }

    /// A number below `limit`.
    #[inline]
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(limit)) >> 64) as u64
    }

    /// True in that share of cases.
    #[inline]
    pub(super) fn in_share(&mut self, share: f64) -> bool {
        ((self.bits() >> 11) as f64) < share * (1u64 << 53) as f64
    }

    /// Appends `count` letters.
    #[inline]
    pub(super) fn letters(&mut self, count: usize, into: &mut Vec<u8>) {
        let end = into.len() + count;
        while into.len() < end {
            // A letter a byte: four random bits on top of `a`.
            let letters = (self.bits() & 0x0f0f_0f0f_0f0f_0f0f) + 0x6161_6161_6161_6161;
            into.extend_from_slice(&letters.to_le_bytes());
        }
        into.truncate(end);
    }
}

#[inline]
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
