//! Random choices from one seed, so that a run can be repeated.

/// SplitMix64: small, fast, good enough for spreading load.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// A generator that gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // Multiply-shift: the bias is below bound / 2^64.
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A fraction in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Puts a list into random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.below(last + 1);
            list.swap(last, other);
        }
    }
}

/// A fraction in [0, 1) that is fixed for its three numbers.
pub fn fixed_fraction(seed: u64, a: u64, b: u64) -> f64 {
    let bits = mix(mix(seed ^ a.wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ b.rotate_left(32));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::{Random, fixed_fraction};

    #[test]
    fn the_same_seed_gives_the_same_choices_inside_the_bounds() {
        let (mut one, mut two) = (Random::new(7), Random::new(7));
        let mut seen = [0u32; 5];
        for _ in 0..1000 {
            let choice = one.below(5);
            assert_eq!(choice, two.below(5));
            seen[choice] += 1;
        }
        assert!(seen.iter().all(|&count| count > 120), "{seen:?}");
        assert_eq!(one.below(0), 0);
        assert!((0..100).all(|n| (0.0..1.0).contains(&fixed_fraction(1, n, 2))));
        assert!((0.0..1.0).contains(&one.fraction()));
    }

    #[test]
    fn a_shuffle_keeps_everything() {
        let mut list: Vec<u32> = (0..50).collect();
        Random::new(3).shuffle(&mut list);
        assert_ne!(list, (0..50).collect::<Vec<_>>());
        list.sort_unstable();
        assert_eq!(list, (0..50).collect::<Vec<_>>());
    }
}
