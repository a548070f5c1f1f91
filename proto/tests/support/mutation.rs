//! Damage to packets, the same in every run.

/// Damages a payload in one place.
pub fn mutate(payload: &mut Vec<u8>, random: &mut Random) {
    let place = random.below(payload.len() + 1);
    match random.below(6) {
        0 => payload.truncate(place),
        1 => payload.extend((0..random.below(20)).map(|value| value as u8)),
        2 if place < payload.len() => payload[place] = random.below(256) as u8,
        3 if place < payload.len() => payload[place] ^= 1 << random.below(8),
        4 => {
            let end = payload.len().min(place + 4);
            payload[place..end].fill(0xff);
        }
        _ => {
            let end = payload.len().min(place + random.below(20));
            payload.drain(place..end);
        }
    }
}

/// xorshift64: the same mutations in every run.
pub struct Random(u64);

impl Random {
    /// The same start for every test.
    pub fn new() -> Random {
        Random(0x9e37_79b9_7f4a_7c15)
    }

    /// A number in `0..limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
