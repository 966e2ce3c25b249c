//! The one bucket function of latency histograms, the same in the kernel and in the collector.
//!
//! Log-linear: 8 buckets an octave, in units of 1,024 ns; the last bucket holds everything over 73 minutes.
//! Must not know who counts what.

/// Number of buckets; a power of two, so that the verifier accepts `index & (BUCKETS - 1)`.
pub const BUCKETS: usize = 256;

/// The highest index [`index`] returns.
pub const LAST: usize = 239;

/// A de Bruijn number: times a number whose bits are set from the lowest to the n-th, and its high five bits are another for
/// each n.
const DE_BRUIJN: u32 = 0x07c4_acdd;
/// n, by those five bits.
static HIGHEST_BIT: [u8; 32] = {
    let mut highest = [0; 32];
    let mut bit = 0;
    while bit < 32 {
        let smeared = ((1u64 << (bit + 1)) - 1) as u32;
        highest[(smeared.wrapping_mul(DE_BRUIJN) >> 27) as usize] = bit;
        bit += 1;
    }
    highest
};

/// Bucket of a duration in ns. The BPF target has no leading-zeros instruction, and each branch would double the paths
/// its verifier follows: the highest bit is smeared downwards and looked up.
#[inline(always)]
pub fn index(duration_ns: u64) -> usize {
    let mut units = duration_ns >> 10;
    if units > 0xffff_ffff {
        units = 0xffff_ffff;
    }
    if units < 8 {
        return units as usize;
    }
    let mut bits = units;
    bits |= bits >> 1;
    bits |= bits >> 2;
    bits |= bits >> 4;
    bits |= bits >> 8;
    bits |= bits >> 16;
    let log2 = u64::from(HIGHEST_BIT[((bits as u32).wrapping_mul(DE_BRUIJN) >> 27) as usize]);
    ((log2 - 2) * 8 + ((units >> (log2 - 3)) & 7)) as usize
}

/// The smallest duration in ns that falls into bucket `index`.
pub fn lower_bound_ns(index: usize) -> u64 {
    if index < 8 {
        return (index as u64) << 10;
    }
    let log2 = (index / 8 + 2) as u32;
    let sub = (index % 8) as u64;
    ((8 + sub) << (log2 - 3)) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lower_bound_falls_into_its_own_bucket_and_the_ns_before_into_the_one_below() {
        for bucket in 0..=LAST {
            assert_eq!(index(lower_bound_ns(bucket)), bucket);
            if bucket > 0 {
                assert_eq!(index(lower_bound_ns(bucket) - 1), bucket - 1);
            }
        }
    }

    #[test]
    fn the_longest_duration_falls_into_the_last_bucket() {
        assert_eq!(index(u64::MAX), LAST);
    }
}
