//! CRC-32 of blocks and their parts (chunkserver §3.5).

use super::layout::BLOCK;
use crc32fast::Hasher;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// CRC of some bytes.
pub fn of(data: &[u8]) -> u32 {
    crc32fast::hash(data)
}

/// CRC of `count` zero bytes, at most a block.
pub fn of_zeros(count: usize) -> u32 {
    of(&ZEROS[..count.min(BLOCK)])
}

/// CRC of A‖B from the CRC of each and the length of B.
pub fn joined(a: u32, b: u32, b_len: usize) -> u32 {
    let mut first = Hasher::new_with_initial(a);
    first.combine(&Hasher::new_with_initial_len(b, b_len as u64));
    first.finalize()
}

/// CRC of a block that has `size` bytes with CRC `crc` from `offset` on, and zeros around them.
pub fn padded(crc: u32, offset: usize, size: usize) -> u32 {
    let tail = BLOCK.saturating_sub(offset + size);
    let crc = match offset {
        0 => crc,
        _ => joined(of_zeros(offset), crc, size),
    };
    match tail {
        0 => crc,
        _ => joined(crc, of_zeros(tail), tail),
    }
}

#[cfg(test)]
mod tests {
    use super::{joined, of, of_zeros, padded};
    use crate::store::layout::{BLOCK, EMPTY_CRC};

    #[test]
    fn known_values() {
        assert_eq!(of(b"123456789"), 0xcbf4_3926);
        assert_eq!(of(b""), 0);
        assert_eq!(of_zeros(BLOCK), EMPTY_CRC);
        assert_eq!(of_zeros(1), 0xd202_ef8d);
        assert_eq!(of_zeros(512), 0xb2aa_7578);
        assert_eq!(joined(of(b"1234"), of(b"56789"), 5), 0xcbf4_3926);
    }

    #[test]
    fn a_padded_block_is_the_block_itself() {
        for (offset, size) in [(0, BLOCK), (0, 5), (10, 3), (BLOCK - 1, 1), (7, 0), (0, 0)] {
            let mut block = vec![0; BLOCK];
            block[offset..offset + size].fill(7);
            assert_eq!(
                padded(of(&block[offset..offset + size]), offset, size),
                of(&block),
                "{offset} {size}"
            );
        }
        // The file of chunkserver §4.11: the CRC on the wire and the one in the table.
        assert_eq!(padded(0x4cb1_c90d, 0, 2051), 0xc577_c624);
    }
}
