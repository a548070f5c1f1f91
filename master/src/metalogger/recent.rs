//! Recent changelog lines, for metaloggers that come back after a break.

use metadata::tx::Lines;
use proto::MetaVersion;
use std::collections::VecDeque;

/// Bytes in a block before a new one is begun.
const BLOCK_BYTES: usize = 64 << 10;
/// Memory for all recent lines. A burst that needs more shortens the time that they reach back.
const BYTES_MAX: usize = 64 << 20;

/// Lines one behind the other, in the form of the stream.
#[derive(Debug)]
struct Block {
    first: MetaVersion,
    /// When the block was begun, monotonic milliseconds.
    began_ms: u64,
    bytes: Vec<u8>,
    /// Where each line ends in `bytes`.
    ends: Vec<u32>,
}

/// The lines of the last `CHANGELOG_PRESERVE_SECONDS`.
#[derive(Debug, Default)]
pub struct RecentLines {
    blocks: VecDeque<Block>,
    next: MetaVersion,
    bytes: usize,
}

impl RecentLines {
    /// Takes the lines of a turn.
    pub fn push(&mut self, lines: &Lines, now_ms: u64) {
        for (version, text) in lines.iter() {
            let full = self
                .blocks
                .back()
                .is_none_or(|block| block.bytes.len() >= BLOCK_BYTES);
            if full || version != self.next {
                if version != self.next {
                    // A gap would be served as if it were none.
                    self.blocks.clear();
                    self.bytes = 0;
                }
                self.blocks.push_back(Block {
                    first: version,
                    began_ms: now_ms,
                    bytes: Vec::with_capacity(BLOCK_BYTES + text.len()),
                    ends: Vec::new(),
                });
            }
            if let Some(block) = self.blocks.back_mut() {
                block.bytes.extend_from_slice(text);
                block
                    .ends
                    .push(u32::try_from(block.bytes.len()).unwrap_or(u32::MAX));
                self.bytes += text.len() + size_of::<u32>();
            }
            self.next = MetaVersion(version.0 + 1);
        }
    }

    /// Forgets what is older than `age_ms`, and what does not fit into memory.
    pub fn forget(&mut self, now_ms: u64, age_ms: u64) {
        while let Some(block) = self.blocks.front() {
            let old = self
                .blocks
                .get(1)
                .is_some_and(|next| now_ms.saturating_sub(next.began_ms) > age_ms);
            if !old && self.bytes <= BYTES_MAX {
                return;
            }
            self.bytes -= block.bytes.len() + block.ends.len() * size_of::<u32>();
            self.blocks.pop_front();
        }
    }

    /// Every line from `version` on, or `None` when that line is not here.
    pub fn from(&self, version: MetaVersion) -> Option<impl Iterator<Item = (MetaVersion, &[u8])>> {
        let oldest = self.blocks.front()?.first;
        if version < oldest || version > self.next {
            return None;
        }
        let block = self
            .blocks
            .partition_point(|block| block.first <= version)
            .saturating_sub(1);
        Some(
            self.blocks
                .iter()
                .skip(block)
                .flat_map(Block::lines)
                .skip_while(move |&(number, _)| number < version),
        )
    }
}

impl Block {
    fn lines(&self) -> impl Iterator<Item = (MetaVersion, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        (self.first.0..)
            .zip(starts.zip(self.ends.iter().copied()))
            .map(|(version, (start, end))| {
                let text = self.bytes.get(start as usize..end as usize);
                (MetaVersion(version), text.unwrap_or_default())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::RecentLines;
    use metadata::tx::Lines;
    use proto::MetaVersion;

    fn lines(versions: std::ops::Range<u64>) -> Lines {
        let mut lines = Lines::default();
        for version in versions {
            lines
                .begin(MetaVersion(version))
                .extend_from_slice(format!("5|ACCESS({version})").as_bytes());
            lines.end();
        }
        lines
    }

    fn versions_from(recent: &RecentLines, version: u64) -> Option<Vec<u64>> {
        let found = recent.from(MetaVersion(version))?;
        Some(
            found
                .map(|(number, text)| {
                    assert_eq!(text, format!("5|ACCESS({})", number.0).as_bytes());
                    number.0
                })
                .collect(),
        )
    }

    #[test]
    fn lines_are_found_by_number_across_blocks() {
        let mut recent = RecentLines::default();
        recent.push(&lines(10..9000), 0);
        recent.push(&lines(9000..20_000), 1);
        assert!(recent.blocks.len() > 1);
        assert_eq!(versions_from(&recent, 9), None);
        assert_eq!(versions_from(&recent, 20_001), None);
        assert_eq!(versions_from(&recent, 20_000), Some(vec![]));
        for first in [10, 5000, 8999, 9000, 19_999] {
            let expected: Vec<u64> = (first..20_000).collect();
            assert_eq!(versions_from(&recent, first), Some(expected));
        }
    }

    #[test]
    fn old_blocks_go_and_a_gap_forgets_everything_before_it() {
        let mut recent = RecentLines::default();
        recent.push(&lines(1..9000), 0);
        recent.push(&lines(9000..9001), 5000);
        recent.forget(5000, 4000);
        assert_eq!(versions_from(&recent, 1), None);
        assert!(versions_from(&recent, 9000).is_some());
        recent.push(&lines(9500..9502), 5001);
        assert_eq!(versions_from(&recent, 9000), None);
        assert_eq!(versions_from(&recent, 9500), Some(vec![9500, 9501]));
    }
}
