//! Names of chunk files: `chunk_IIIIIIIIIIIIIIII_VVVVVVVV.mfs` (chunkserver §4.1).

use proto::{ChunkId, ChunkVersion};

/// Bytes of every name.
const LEN: usize = 35;

/// Name of the file of a copy.
pub fn of(chunk: ChunkId, version: ChunkVersion) -> String {
    format!("chunk_{:016X}_{:08X}.mfs", chunk.0, version.0)
}

/// Name of the temporary file of a move from another disk, in the data folder itself.
pub fn of_move(chunk: ChunkId) -> String {
    format!("reptmp_chunk_{:016X}", chunk.0)
}

/// Reads a name. Anything that is not exactly such a name, lower-case digits among it, is no chunk.
pub fn parse(name: &[u8]) -> Option<(ChunkId, ChunkVersion)> {
    if name.len() != LEN || !name.starts_with(b"chunk_") || !name.ends_with(b".mfs") {
        return None;
    }
    if name.get(22) != Some(&b'_') {
        return None;
    }
    let chunk = hexadecimal(name.get(6..22)?)?;
    let version = hexadecimal(name.get(23..31)?)?;
    Some((ChunkId(chunk), ChunkVersion(u32::try_from(version).ok()?)))
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum: u64, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        Some(sum << 4 | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::{of, parse};
    use proto::{ChunkId, ChunkVersion};

    #[test]
    fn only_exact_names_are_chunks() {
        let name = of(ChunkId(0xABCD), ChunkVersion(0x12));
        assert_eq!(name, "chunk_000000000000ABCD_00000012.mfs");
        assert_eq!(
            parse(name.as_bytes()),
            Some((ChunkId(0xABCD), ChunkVersion(0x12)))
        );
        for bad in [
            "chunk_000000000000abcd_00000012.mfs",
            "chunk_000000000000ABCD_00000012.mf",
            "chunk_000000000000ABCD_00000012.mfs.",
            "chunk_000000000000ABCD-00000012.mfs",
            "chunk_000000000000ABC_000000012.mfs",
            "chunk_00000000000+ABCD_00000012.mfs",
            "",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
