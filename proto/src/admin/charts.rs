//! Counters and charts of a master or a chunkserver (wire-admin §5.1, §6.3, §6.4).

use super::disks::Disk;
use crate::frame::put_frame;
use crate::list::{List, Rest};
use crate::message::messages;
use crate::wire::{Malformed, Put, Reader};

/// A sample that does not exist.
pub const NO_DATA: u64 = u64::MAX;

/// Which chart and which range: `series * 10 + range`, or four characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChartId(pub u32);

/// First number that is four characters.
const FIRST_CODE: u32 = 0x0100_0000;

/// A chart as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartName {
    /// Number of the series; 100 and above are combined ones.
    Number(u32),
    /// Four-character code in upper case, such as `UCPU`.
    Code([u8; 4]),
}

impl ChartId {
    /// Series and number of the range. Ranges above 3 do not exist.
    pub fn parts(self) -> (ChartName, u32) {
        if self.0 < FIRST_CODE {
            return (ChartName::Number(self.0 / 10), self.0 % 10);
        }
        let letters = self.0.to_be_bytes();
        let range = letters
            .iter()
            .rev()
            .enumerate()
            .filter(|(_, letter)| letter.is_ascii_lowercase())
            .map(|(place, _)| 1 << place)
            .sum();
        (
            ChartName::Code(letters.map(|l| l.to_ascii_uppercase())),
            range,
        )
    }
}

/// Asks for a picture of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetChartImage {
    /// Chart.
    pub id: ChartId,
    /// Width and height in pixels (2.0); absent: 1000 × 120.
    pub size: Option<(u16, u16)>,
}

impl GetChartImage {
    /// Message type.
    pub const KIND: u32 = 504;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<GetChartImage, Malformed> {
        let mut reader = Reader::new(payload);
        let id = ChartId(reader.u32()?);
        let size = match reader.is_empty() {
            true => None,
            false => Some((reader.u16()?, reader.u16()?)),
        };
        reader.finish()?;
        Ok(GetChartImage { id, size })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put_u32(self.id.0);
            if let Some((width, height)) = self.size {
                out.put_u16(width);
                out.put_u16(height);
            }
        });
    }
}

messages! {
    /// Answer to [`GetChartImage`].
    ChartImage<'a> = 505 {
        /// A PNG file.
        image: Rest<'a>,
    }

    /// Asks for the counters since the start of the daemon (3.0).
    GetMonotonic = 502 {}
}

/// Asks for the samples of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetChartData {
    /// Chart.
    pub id: ChartId,
    /// Most samples in the answer (2.0.15); absent: all.
    pub entries_max: Option<u32>,
}

impl GetChartData {
    /// Message type.
    pub const KIND: u32 = 506;

    /// Reads the payload of a packet of this type. The form of 4.31 with nine bytes is not known.
    pub fn decode(payload: &[u8]) -> Result<GetChartData, Malformed> {
        let mut reader = Reader::new(payload);
        let id = ChartId(reader.u32()?);
        let entries_max = match reader.is_empty() {
            true => None,
            false => Some(reader.u32()?),
        };
        reader.finish()?;
        Ok(GetChartData { id, entries_max })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put_u32(self.id.0);
            if let Some(entries_max) = self.entries_max {
                out.put_u32(entries_max);
            }
        });
    }
}

/// Answer to [`GetChartData`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartData<'a> {
    /// There is no such chart, or only as a picture.
    Unknown,
    /// Samples, newest first (2.0.15).
    Samples {
        /// Time of the newest sample in seconds, local time counted as if it were UTC.
        time: u32,
        /// Samples; [`NO_DATA`] where there is none.
        samples: List<'a, u64>,
    },
    /// 950 samples, oldest first; before 2.0.15.
    Old {
        /// Time of the newest sample.
        time: u32,
        /// Samples.
        samples: List<'a, u64>,
    },
}

/// Bytes of an answer before 2.0.15.
const OLD_LEN: usize = 4 + 950 * 8;

impl<'a> ChartData<'a> {
    /// Message type.
    pub const KIND: u32 = 507;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<ChartData<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let data = match payload.len() {
            0 => ChartData::Unknown,
            OLD_LEN => ChartData::Old {
                time: reader.u32()?,
                samples: reader.get()?,
            },
            _ => {
                let (time, count) = (reader.u32()?, reader.u32()?);
                let count = usize::try_from(count).map_err(|_| Malformed)?;
                ChartData::Samples {
                    time,
                    samples: List::get_counted(&mut reader, count)?,
                }
            }
        };
        reader.finish()?;
        Ok(data)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| match *self {
            ChartData::Unknown => {}
            ChartData::Samples { time, samples } => {
                out.put_u32(time);
                out.put_u32(u32::try_from(samples.len()).unwrap_or(u32::MAX));
                out.put(samples);
            }
            ChartData::Old { time, samples } => {
                out.put_u32(time);
                out.put(samples);
            }
        });
    }
}

/// Answer to [`GetMonotonic`]: sums of all minute samples since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monotonic<'a> {
    /// One for each series, in the order of the charts.
    pub counters: List<'a, u64>,
    /// Disks of a chunkserver with one period each; `None` from a master.
    pub disks: Option<Vec<Disk<'a>>>,
}

impl<'a> Monotonic<'a> {
    /// Message type.
    pub const KIND: u32 = 503;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<Monotonic<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let count = reader.u16()?;
        let counters = List::get_counted(&mut reader, usize::from(count))?;
        let disks = match reader.is_empty() {
            true => None,
            false => {
                let count = reader.u16()?;
                let disks = (0..count).map(|_| Disk::get(&mut reader));
                Some(disks.collect::<Result<Vec<_>, Malformed>>()?)
            }
        };
        reader.finish()?;
        Ok(Monotonic { counters, disks })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put_u16(u16::try_from(self.counters.len()).unwrap_or(u16::MAX));
            out.put(self.counters);
            if let Some(disks) = &self.disks {
                out.put_u16(u16::try_from(disks.len()).unwrap_or(u16::MAX));
                for disk in disks {
                    disk.put(out);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{ChartId, ChartName};

    #[test]
    fn a_chart_is_a_number_or_four_letters() {
        let code = |letters: &[u8; 4]| ChartId(u32::from_be_bytes(*letters)).parts();
        let ucpu = ChartName::Code(*b"UCPU");
        assert_eq!(ChartId(200).parts(), (ChartName::Number(20), 0));
        assert_eq!(ChartId(1003).parts(), (ChartName::Number(100), 3));
        assert_eq!(code(b"UCPU"), (ucpu, 0));
        assert_eq!(code(b"UCPu"), (ucpu, 1));
        assert_eq!(code(b"UCpU"), (ucpu, 2));
        assert_eq!(code(b"UCpu"), (ucpu, 3));
        assert_eq!(code(b"ucpu"), (ucpu, 15));
    }
}
