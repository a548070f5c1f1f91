//! The samples of all series in one range: a ring of slots that moves with the clock.

use proto::admin::{NO_DATA, SAMPLES};

use super::definition::{Merge, Series};

/// Seconds of a slot: a minute, six, thirty, and a day of local time.
pub(super) const STEPS_S: [u32; 4] = [60, 360, 1800, 86400];

/// Seconds of a minute.
const MINUTE_S: u32 = 60;

/// Local time: seconds since 1970 with the offset to UTC added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(pub u32);

impl LocalTime {
    /// A minute earlier: the samples of a finished minute belong there.
    pub(super) fn before_minute(self) -> LocalTime {
        LocalTime(self.0.saturating_sub(MINUTE_S))
    }
}

/// One range of all series.
#[derive(Clone, Debug)]
pub(super) struct Range {
    step_s: u32,
    /// Number of the newest slot: local time divided by the step.
    point: u32,
    /// Place of the newest slot in each ring.
    head: usize,
    /// A ring of [`SAMPLES`] slots for each series.
    rings: Vec<u64>,
}

impl Range {
    /// A range without data whose newest slot has `time` in it.
    pub(super) fn new(step_s: u32, series: usize, time: LocalTime) -> Range {
        Range {
            step_s,
            point: time.0 / step_s,
            head: SAMPLES - 1,
            rings: vec![NO_DATA; series * SAMPLES],
        }
    }

    /// Seconds of a slot.
    pub(super) fn step_s(&self) -> u32 {
        self.step_s
    }

    /// Number of the newest slot.
    pub(super) fn point(&self) -> u32 {
        self.point
    }

    /// Start of the newest slot in local time.
    pub(super) fn time_s(&self) -> u32 {
        self.point.saturating_mul(self.step_s)
    }

    /// Adds samples, one for each series, to the slot that has `time` in it.
    pub(super) fn record(&mut self, time: LocalTime, samples: &[u64], series: &[Series]) {
        self.advance_to(time);
        let Some(slot) = self.slot(time.0 / self.step_s) else {
            return;
        };
        let rings = self.rings.chunks_exact_mut(SAMPLES);
        for ((ring, sample), series) in rings.zip(samples).zip(series) {
            ring[slot] = merge(ring[slot], *sample, series.merge);
        }
    }

    /// Makes the slot that has `time` in it the newest one, unless a newer one is there; slots on
    /// the way have no data.
    pub(super) fn advance_to(&mut self, time: LocalTime) {
        let point = time.0 / self.step_s;
        let Some(count) = point.checked_sub(self.point) else {
            return;
        };
        let count = (count as usize).min(SAMPLES);
        for _ in 0..count {
            self.head = (self.head + 1) % SAMPLES;
            for ring in self.rings.chunks_exact_mut(SAMPLES) {
                ring[self.head] = NO_DATA;
            }
        }
        self.point = point;
    }

    /// Place of a slot in the rings; `None` if it is too old.
    fn slot(&self, point: u32) -> Option<usize> {
        let age = self.point.checked_sub(point)? as usize;
        (age < SAMPLES).then(|| (self.head + SAMPLES - age) % SAMPLES)
    }

    /// Samples of a series, newest first.
    pub(super) fn newest_first(&self, series: usize) -> impl Iterator<Item = u64> + use<'_> {
        let (new, old) = self.halves(series);
        new.iter().rev().chain(old.iter().rev()).copied()
    }

    /// Samples of a series, oldest first.
    pub(super) fn oldest_first(&self, series: usize) -> impl Iterator<Item = u64> + use<'_> {
        let (new, old) = self.halves(series);
        old.iter().chain(new).copied()
    }

    /// The ring up to the newest slot, and what is older.
    fn halves(&self, series: usize) -> (&[u64], &[u64]) {
        self.rings[series * SAMPLES..(series + 1) * SAMPLES].split_at(self.head + 1)
    }

    /// Replaces the newest samples of a series, given newest first.
    pub(super) fn restore(&mut self, series: usize, samples: impl Iterator<Item = u64>) {
        let ring = &mut self.rings[series * SAMPLES..(series + 1) * SAMPLES];
        for (age, sample) in samples.take(SAMPLES).enumerate() {
            ring[(self.head + SAMPLES - age) % SAMPLES] = sample;
        }
    }
}

fn merge(slot: u64, sample: u64, merge: Merge) -> u64 {
    match (slot, sample, merge) {
        (slot, NO_DATA, _) => slot,
        (NO_DATA, sample, _) => sample,
        (slot, sample, Merge::Add) => slot.wrapping_add(sample),
        (slot, sample, Merge::Max) => slot.max(sample),
    }
}
