//! Layout of `stats.mfs` and `csstats.mfs`, the charts across restarts (wire-admin §7).
//!
//! Which series exist and how samples are added is the charts' business.

use crate::list::{Entry, List};
use crate::wire::{Malformed, Put, Reader};

/// Ranges of every series: 1, 6 and 30 minutes, and a day a sample.
pub const RANGES: usize = 4;
/// Samples per range since 2.0; 1.6.27 has 950.
pub const SAMPLES: usize = 4096;

const VERSION: u32 = 0x0001_0000;
const HEADER_LEN: usize = 16;
/// Bytes of a name, zero-padded.
const NAME_LEN: usize = 100;

/// A file as it lies on disk; series are read on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatsFile<'a> {
    /// Samples per range.
    samples: usize,
    /// Number of the newest slot of the shortest range: minutes of local time since 1970.
    pub point: u32,
    /// The series, each of the same number of bytes.
    series: &'a [u8],
}

/// One series of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatsSeries<'a> {
    /// Name without padding; series are matched by it.
    pub name: &'a [u8],
    /// Samples of each range, oldest first; `u64::MAX` where there is none.
    pub ranges: [List<'a, u64>; RANGES],
}

impl<'a> StatsFile<'a> {
    /// Reads a whole file. Its length must be exactly what its header says.
    pub fn decode(file: &'a [u8]) -> Result<StatsFile<'a>, Malformed> {
        let mut reader = Reader::new(file);
        let version = reader.u32()?;
        let samples = to_usize(reader.u32()?)?;
        let count = to_usize(reader.u32()?)?;
        let point = reader.u32()?;
        let series = reader.rest();
        let length = series_len(samples)
            .and_then(|length| length.checked_mul(count))
            .ok_or(Malformed)?;
        if version != VERSION || series.len() != length {
            return Err(Malformed);
        }
        Ok(StatsFile {
            samples,
            point,
            series,
        })
    }

    /// Samples per range.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The series in the order of the file.
    pub fn series(&self) -> impl Iterator<Item = StatsSeries<'a>> + use<'a> {
        let samples = self.samples;
        // A file without series has no bytes to cut, whatever length its header tells.
        let length = series_len(samples).unwrap_or(NAME_LEN);
        self.series.chunks_exact(length).filter_map(move |series| {
            let mut reader = Reader::new(series);
            let name = reader.bytes(NAME_LEN).ok()?;
            let mut range = || List::get_counted(&mut reader, samples).ok();
            Some(StatsSeries {
                name: name.split(|byte| *byte == 0).next().unwrap_or(name),
                ranges: [range()?, range()?, range()?, range()?],
            })
        })
    }

    /// Appends the beginning of a file; `count` series follow with [`StatsSeries::encode`].
    pub fn begin(point: u32, samples: usize, count: usize, out: &mut Vec<u8>) {
        let series = series_len(samples).and_then(|length| length.checked_mul(count));
        out.reserve(HEADER_LEN + series.unwrap_or(0));
        out.put_u32(VERSION);
        out.put_u32(u32::try_from(samples).unwrap_or(u32::MAX));
        out.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
        out.put_u32(point);
    }
}

impl StatsSeries<'_> {
    /// Appends a series. Every range must have as many samples as the file says.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.name.len() < NAME_LEN);
        let name = &self.name[..self.name.len().min(NAME_LEN)];
        out.put_bytes(name);
        out.resize(out.len() + NAME_LEN - name.len(), 0);
        for range in self.ranges {
            out.put(range);
        }
    }
}

/// Bytes of a series.
fn series_len(samples: usize) -> Option<usize> {
    samples
        .checked_mul(RANGES * u64::LEN)?
        .checked_add(NAME_LEN)
}

fn to_usize(number: u32) -> Result<usize, Malformed> {
    usize::try_from(number).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::{StatsFile, StatsSeries};
    use crate::list::List;
    use crate::wire::Malformed;

    fn file() -> Vec<u8> {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let up = List::write([1, 2, u64::MAX], &mut up);
        let down = List::write([3, 2, 1], &mut down);
        let series = [
            StatsSeries {
                name: b"ucpu",
                ranges: [up, down, up, down],
            },
            StatsSeries {
                name: b"scpu",
                ranges: [down; 4],
            },
        ];
        let mut out = Vec::new();
        StatsFile::begin(0x01c8_980b, 3, series.len(), &mut out);
        for series in series {
            series.encode(&mut out);
        }
        out
    }

    #[test]
    fn a_file_reads_back_and_starts_like_a_real_one() {
        let bytes = file();
        assert_eq!(bytes.len(), 16 + 2 * (100 + 4 * 3 * 8));
        assert_eq!(bytes[..4], [0, 1, 0, 0]);
        assert_eq!(bytes[12..22], *b"\x01\xc8\x98\x0bucpu\0\0");

        let stats = StatsFile::decode(&bytes).unwrap();
        assert_eq!((stats.samples(), stats.point), (3, 0x01c8_980b));
        let series: Vec<_> = stats.series().collect();
        assert_eq!(series[0].name, b"ucpu");
        assert_eq!(series[1].name, b"scpu");
        let samples: Vec<_> = series[0].ranges[0].iter().collect();
        assert_eq!(samples, [1, 2, u64::MAX]);
        let mut again = Vec::new();
        StatsFile::begin(stats.point, 3, series.len(), &mut again);
        for series in series {
            series.encode(&mut again);
        }
        assert_eq!(again, bytes);
    }

    #[test]
    fn any_other_length_is_malformed() {
        let bytes = file();
        for length in [0, 15, 16, bytes.len() - 1] {
            assert_eq!(StatsFile::decode(&bytes[..length]), Err(Malformed));
        }
        let huge = [
            0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
        ];
        assert_eq!(StatsFile::decode(&huge), Err(Malformed));
        let none = [0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(StatsFile::decode(&none).unwrap().series().count(), 0);
    }
}
