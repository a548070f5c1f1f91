//! Charts: samples of every minute in four ranges, kept across restarts in `stats.mfs`
//! (wire-admin §6, §7).
//!
//! Pure, but for [`store`]: time comes as a value and files as bytes. Which series a daemon has is
//! its [`Definition`]; when to sample and to save is its business too.

mod chunkserver;
mod definition;
mod file;
mod font;
mod master;
mod picture;
mod png;
mod range;
mod scale;
pub mod store;

pub use chunkserver::CHUNKSERVER;
pub use definition::{Combined, Definition, Import, Merge, Part, Series, Unit};
pub use file::LoadError;
pub use master::MASTER;
pub use range::LocalTime;

use proto::admin::{
    ChartData, ChartId, ChartImage, ChartName, GetChartData, GetChartImage, Monotonic, NO_DATA,
    SAMPLES,
};
use proto::list::{List, Rest};
use range::{Range, STEPS_S};

/// First number of the charts that combine series.
const FIRST_COMBINED: u32 = 100;

/// All series of a daemon.
#[derive(Clone, Debug)]
pub struct Charts {
    definition: &'static Definition,
    /// From the shortest to the longest.
    ranges: [Range; STEPS_S.len()],
    /// Sums of all samples since the start, a missing one counted as −1 as in 3.0.117.
    totals: Vec<u64>,
}

/// What an id stands for.
#[derive(Clone, Copy, Debug)]
enum Chart {
    Series(usize),
    Combined(&'static Combined),
}

impl Charts {
    /// Charts without data, whose newest slots are the current ones.
    pub fn new(definition: &'static Definition, now: LocalTime) -> Charts {
        let count = definition.series.len();
        Charts {
            definition,
            ranges: STEPS_S.map(|step_s| Range::new(step_s, count, now)),
            totals: vec![0; count],
        }
    }

    /// Adds the samples of the minute that ends at `now`, one for each series in the order of the
    /// definition; [`NO_DATA`] where there is none. Minutes between the last call and this one
    /// stay without data. If the clock went back, the samples go where they belong.
    pub fn record(&mut self, now: LocalTime, samples: &[u64]) {
        debug_assert_eq!(samples.len(), self.definition.series.len());
        let minute = now.before_minute();
        for range in &mut self.ranges {
            range.record(minute, samples, self.definition.series);
        }
        for (total, sample) in self.totals.iter_mut().zip(samples) {
            *total = total.wrapping_add(*sample);
        }
    }

    /// Appends the answer to a request for samples (507), newest first.
    pub fn put_data(&self, request: GetChartData, out: &mut Vec<u8>) {
        let mut buffer = Vec::new();
        self.data(request, &mut buffer).encode(out);
    }

    fn data<'b>(&self, request: GetChartData, buffer: &'b mut Vec<u8>) -> ChartData<'b> {
        let Some((Chart::Series(series), range)) = self.find(request.id) else {
            return ChartData::Unknown;
        };
        let count = request.entries_max.map_or(SAMPLES, |max| {
            usize::try_from(max).unwrap_or(SAMPLES).min(SAMPLES)
        });
        ChartData::Samples {
            time: range.time_s(),
            samples: List::write(range.newest_first(series).take(count), buffer),
        }
    }

    /// Appends the answer to a request for a picture (505).
    pub fn put_image(&self, request: GetChartImage, out: &mut Vec<u8>) {
        let image = match self.find(request.id) {
            Some((chart, range)) => {
                let size = picture::Size::of_request(request.size);
                let (unit, parts) = self.parts(chart);
                picture::draw(range, self.definition.series, unit, &parts, size)
            }
            None => png::NOTHING.to_vec(),
        };
        let image = Rest(&image);
        ChartImage { image }.encode(out);
    }

    /// Appends the sums since the start (503) of a daemon without disks.
    pub fn put_monotonic(&self, out: &mut Vec<u8>) {
        let mut buffer = Vec::new();
        Monotonic {
            counters: self.totals(&mut buffer),
            disks: None,
        }
        .encode(out);
    }

    /// Sums since the start, in the order of the definition, for the answer of a daemon with disks.
    pub fn totals<'b>(&self, buffer: &'b mut Vec<u8>) -> List<'b, u64> {
        List::write(self.totals.iter().copied(), buffer)
    }

    /// The newest sample of a series in the range of minutes; `None` where there is none.
    pub fn newest(&self, series: usize) -> Option<u64> {
        let sample = self.ranges[0].newest_first(series).next()?;
        (sample != NO_DATA).then_some(sample)
    }

    fn find(&self, id: ChartId) -> Option<(Chart, &Range)> {
        let (name, range) = id.parts();
        let range = self.ranges.get(usize::try_from(range).ok()?)?;
        let chart = match name {
            ChartName::Number(number @ ..FIRST_COMBINED) => {
                let series = usize::try_from(number).ok()?;
                (series < self.definition.series.len()).then_some(Chart::Series(series))?
            }
            ChartName::Number(number) => {
                let place = usize::try_from(number - FIRST_COMBINED).ok()?;
                Chart::Combined(self.definition.combined.get(place)?)
            }
            ChartName::Code(code) => self.find_code(code)?,
        };
        Some((chart, range))
    }

    fn find_code(&self, code: [u8; 4]) -> Option<Chart> {
        let code = &code[..];
        let series = self.definition.series.iter();
        let combined = self.definition.combined.iter();
        series
            .enumerate()
            .find_map(|(place, series)| {
                (series.code.as_bytes() == code).then_some(Chart::Series(place))
            })
            .or_else(|| {
                combined.into_iter().find_map(|chart| {
                    (chart.code.as_bytes() == code).then_some(Chart::Combined(chart))
                })
            })
    }

    /// What a picture shows, from bottom to top.
    fn parts(&self, chart: Chart) -> (Unit, Vec<Part>) {
        match chart {
            Chart::Series(series) => (
                self.definition.series[series].unit,
                vec![Part::Series(series)],
            ),
            Chart::Combined(combined) => (combined.unit, combined.parts.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests;
