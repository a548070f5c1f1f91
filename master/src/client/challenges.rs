//! Challenges for passwords: 32 bytes that nobody foresees (wire-client-master §6.1).

use md5::{Digest, Md5};

/// A sequence of challenges out of one seed.
#[derive(Debug)]
pub struct Challenges {
    seed: u64,
    count: u64,
}

impl Challenges {
    /// The sequence of a seed, which must stay secret.
    pub fn new(seed: u64) -> Challenges {
        Challenges { seed, count: 0 }
    }

    /// The next challenge.
    pub fn next(&mut self) -> [u8; 32] {
        let mut challenge = [0; 32];
        for half in challenge.chunks_exact_mut(16) {
            self.count += 1;
            let digest = Md5::new()
                .chain_update(self.seed.to_be_bytes())
                .chain_update(self.count.to_be_bytes())
                .finalize();
            half.copy_from_slice(&digest);
        }
        challenge
    }
}

#[cfg(test)]
mod tests {
    use super::Challenges;

    #[test]
    fn no_challenge_and_no_half_of_one_repeats() {
        let mut challenges = Challenges::new(7);
        let (first, second) = (challenges.next(), challenges.next());
        let halves = [&first[..16], &first[16..], &second[..16], &second[16..]];
        for (at, half) in halves.iter().enumerate() {
            assert!(!halves[..at].contains(half));
        }
        assert_ne!(Challenges::new(8).next(), first, "the seed matters");
    }
}
