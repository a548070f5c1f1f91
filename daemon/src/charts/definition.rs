//! What a daemon measures: series, and pictures that combine them.

/// All charts of a daemon. The place of a series is its number on the wire.
#[derive(Debug)]
pub struct Definition {
    /// Series in the order of their numbers.
    pub series: &'static [Series],
    /// Pictures numbered from 100.
    pub combined: &'static [Combined],
    /// Names in files of older versions.
    pub imports: &'static [Import],
}

/// Something that is measured every minute.
#[derive(Debug)]
pub struct Series {
    /// Name in the file.
    pub name: &'static str,
    /// Four characters that name it in requests.
    pub code: &'static str,
    /// How samples become those of a longer range.
    pub merge: Merge,
    /// What a picture shows.
    pub unit: Unit,
}

/// How samples of a slot are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Their sum.
    Add,
    /// The greatest.
    Max,
}

/// Unit of the numbers beside a picture, and how to get there from the sample of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The sample itself.
    Count,
    /// Samples are microseconds: percent of a minute.
    CpuPercent,
    /// Samples are nanoseconds: percent of a minute.
    TimePercent,
    /// Per second.
    PerSecond,
    /// Samples are bytes: bits per second.
    BitsPerSecond,
}

/// A picture of several series, stacked.
#[derive(Debug)]
pub struct Combined {
    /// Four characters that name it in requests.
    pub code: &'static str,
    /// What a picture shows.
    pub unit: Unit,
    /// From bottom to top.
    pub parts: &'static [Part],
}

/// A layer of a picture. Series are given by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A series.
    Series(usize),
    /// By how much the first exceeds the second, at least 0.
    Excess(usize, usize),
}

/// A series that other versions wrote under another name or in another unit (wire-admin §7).
#[derive(Debug)]
pub struct Import {
    /// Name in the file.
    pub from: &'static str,
    /// Only in files with that many samples a range; `None`: in all.
    pub samples: Option<usize>,
    /// Name of the series here.
    pub to: &'static str,
    /// What the samples are multiplied by.
    pub factor: u64,
}
