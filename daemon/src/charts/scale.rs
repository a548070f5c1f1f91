//! From samples to the numbers beside a picture.

use super::definition::{Merge, Unit};

/// Letters for powers of 1000, from 10⁻⁶.
const PREFIXES: [&str; 8] = ["u", "m", "", "k", "M", "G", "T", "P"];
/// Place of the empty prefix.
const NO_PREFIX: usize = 2;

/// Value of a sample in the unit of the picture. Sums over more than a minute become the average
/// of a minute.
pub(super) fn value(sample: u64, merge: Merge, step_s: u32, unit: Unit) -> f64 {
    let minutes = match merge {
        Merge::Add => f64::from(step_s) / 60.0,
        Merge::Max => 1.0,
    };
    let factor = match unit {
        Unit::Count => 1.0,
        Unit::CpuPercent => 100.0 / 60e6,
        Unit::TimePercent => 100.0 / 60e9,
        Unit::PerSecond => 1.0 / 60.0,
        Unit::BitsPerSecond => 8.0 / 60.0,
    };
    sample as f64 * factor / minutes
}

/// The numbers beside a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// Value at the top.
    pub(super) top: f64,
    /// Value of 1 with this prefix.
    unit: f64,
    prefix: usize,
    decimals: usize,
    suffix: &'static str,
}

impl Scale {
    /// A scale that holds `highest`, with numbers of three digits at `lines` equal distances.
    pub(super) fn new(highest: f64, lines: u32, unit: Unit) -> Scale {
        let highest = if highest > 0.0 { highest } else { 1.0 };
        let percent = matches!(unit, Unit::CpuPercent | Unit::TimePercent);
        let (mut factor, mut prefix) = (1.0, NO_PREFIX);
        while !percent && highest / factor >= 1000.0 && prefix + 1 < PREFIXES.len() {
            factor *= 1000.0;
            prefix += 1;
        }
        while !percent && highest / factor < 0.1 && prefix > 0 {
            factor /= 1000.0;
            prefix -= 1;
        }
        let shown = highest / factor;
        let decimals = match shown {
            100.0.. => 0,
            10.0.. => 1,
            _ => 2,
        };
        let grain = f64::from(lines) * 0.1f64.powi(decimals as i32);
        Scale {
            top: (shown / grain).ceil() * grain * factor,
            unit: factor,
            prefix,
            decimals,
            suffix: if percent { "%" } else { "" },
        }
    }

    /// Text of a value.
    pub(super) fn text(&self, value: f64) -> String {
        format!(
            "{:.*}{}{}",
            self.decimals,
            value / self.unit,
            PREFIXES[self.prefix],
            self.suffix
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Scale, Unit, value};
    use crate::charts::Merge;

    #[test]
    fn the_top_is_the_next_number_that_five_lines_divide() {
        for (highest, unit, top, half) in [
            (0.0, Unit::Count, "1.00", "0.60"),
            (0.83, Unit::Count, "0.85", "0.51"),
            (682_754_048.0, Unit::Count, "685M", "411M"),
            (97.3, Unit::CpuPercent, "97.5%", "58.5%"),
            (0.02, Unit::CpuPercent, "0.05%", "0.03%"),
            (0.02, Unit::PerSecond, "20.0m", "12.0m"),
            (1500.0, Unit::BitsPerSecond, "1.50k", "0.90k"),
            (2e18, Unit::Count, "2000P", "1200P"),
        ] {
            let scale = Scale::new(highest, 5, unit);
            assert_eq!(scale.text(scale.top), top);
            assert_eq!(scale.text(scale.top * 0.6), half);
        }
    }

    #[test]
    fn sums_become_averages_of_a_minute() {
        let percent = |sample, merge, step_s| value(sample, merge, step_s, Unit::CpuPercent);
        assert_eq!(percent(30_000_000, Merge::Add, 60).round(), 50.0);
        assert_eq!(percent(180_000_000, Merge::Add, 360).round(), 50.0);
        assert_eq!(value(600, Merge::Max, 1800, Unit::Count), 600.0);
        assert_eq!(value(600, Merge::Add, 60, Unit::BitsPerSecond), 80.0);
    }
}
