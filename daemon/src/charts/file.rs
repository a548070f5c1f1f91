//! Charts as the content of `stats.mfs` and `csstats.mfs` (wire-admin §7).

use proto::Malformed;
use proto::admin::{NO_DATA, RANGES, SAMPLES, StatsFile, StatsSeries};
use proto::list::List;

use super::Charts;
use super::definition::Definition;
use super::range::{LocalTime, Range, STEPS_S};

const _: () = assert!(RANGES == STEPS_S.len());

/// The file is not one of charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wrong version or length of the charts data file")]
pub struct LoadError;

impl From<Malformed> for LoadError {
    fn from(_: Malformed) -> LoadError {
        LoadError
    }
}

impl Charts {
    /// Charts with the samples of a file, and no data from then until now. Series are found by their
    /// names; those that the file lacks have no data, others in the file are left out. Sums since
    /// the start begin at 0.
    pub fn load(
        definition: &'static Definition,
        file: &[u8],
        now: LocalTime,
    ) -> Result<Charts, LoadError> {
        let file = StatsFile::decode(file)?;
        let newest = LocalTime(file.point.saturating_mul(STEPS_S[0]));
        let count = definition.series.len();
        let mut charts = Charts {
            definition,
            ranges: STEPS_S.map(|step_s| Range::new(step_s, count, newest)),
            totals: vec![0; count],
        };
        for series in file.series() {
            let Some((place, factor)) = definition.place_in_file(series.name, file.samples())
            else {
                continue;
            };
            for (range, samples) in charts.ranges.iter_mut().zip(series.ranges) {
                let samples = samples.iter().rev().map(|sample| match sample {
                    NO_DATA => NO_DATA,
                    sample => sample.wrapping_mul(factor),
                });
                range.restore(place, samples);
            }
        }
        for range in &mut charts.ranges {
            range.advance_to(now);
        }
        Ok(charts)
    }

    /// The content of the file.
    pub fn to_file(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut buffers: [Vec<u8>; RANGES] = Default::default();
        StatsFile::begin(
            self.ranges[0].point(),
            SAMPLES,
            self.definition.series.len(),
            &mut out,
        );
        for (place, series) in self.definition.series.iter().enumerate() {
            let mut buffers = buffers.iter_mut();
            let ranges = self.ranges.each_ref().map(|range| match buffers.next() {
                Some(buffer) => List::write(range.oldest_first(place), buffer),
                None => List::EMPTY,
            });
            StatsSeries {
                name: series.name.as_bytes(),
                ranges,
            }
            .encode(&mut out);
        }
        out
    }
}

impl Definition {
    /// Where a series of a file belongs, and what its samples are to be multiplied by.
    fn place_in_file(&self, name: &[u8], samples: usize) -> Option<(usize, u64)> {
        let import = self.imports.iter().find(|import| {
            import.from.as_bytes() == name && import.samples.is_none_or(|count| count == samples)
        });
        let (name, factor) = match import {
            Some(import) => (import.to.as_bytes(), import.factor),
            None => (name, 1),
        };
        let mut series = self.series.iter();
        let place = series.position(|series| series.name.as_bytes() == name)?;
        Some((place, factor))
    }
}
