//! A chart as a picture: numbers at the left, a column for each slot, the newest at the right,
//! marks of time below (wire-admin §6.4).

use proto::admin::{NO_DATA, SAMPLES};

use super::definition::{Merge, Part, Series, Unit};
use super::font;
use super::png::Canvas;
use super::range::Range;
use super::scale::{self, Scale};

/// Pixels beside the columns, of which [`LEFT`] are for the numbers.
const BORDER_WIDTH: usize = 50;
const LEFT: usize = 43;
/// Pixels above and below the columns.
const BORDER_HEIGHT: usize = 20;
const TOP: usize = 6;
/// Pixels between two lines of the grid.
const GRID: usize = 20;

const BACKGROUND: u8 = 1;
const AXIS: u8 = 2;
const GRID_LINE: u8 = 3;
const TEXT: u8 = 4;
const MISSING: u8 = 5;
/// First colour of the layers; each has [`SHADES`].
const LAYERS: u8 = 6;
const SHADES: u8 = 32;

/// Size of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Size {
    const DEFAULT: Size = Size {
        width: 1000,
        height: 120,
    };
    const COLUMNS_MIN: usize = 100;
    const HEIGHT_MIN: usize = 100;
    const HEIGHT_MAX: usize = 1000;

    /// The nearest size that there is; without a size, or with 0 × 0, the default one.
    pub(super) fn of_request(size: Option<(u16, u16)>) -> Size {
        let Some((width, height)) = size.filter(|size| *size != (0, 0)) else {
            return Size::DEFAULT;
        };
        let columns = usize::from(width).saturating_sub(BORDER_WIDTH);
        let height = usize::from(height).saturating_sub(BORDER_HEIGHT);
        let height = height.clamp(Size::HEIGHT_MIN, Size::HEIGHT_MAX);
        Size {
            width: columns.clamp(Size::COLUMNS_MIN, SAMPLES) + BORDER_WIDTH,
            height: height / GRID * GRID + BORDER_HEIGHT,
        }
    }

    fn columns(self) -> usize {
        self.width - BORDER_WIDTH
    }

    fn lines(self) -> usize {
        self.height - BORDER_HEIGHT
    }
}

/// The PNG file of a chart with these layers, from bottom to top.
pub(super) fn draw(
    range: &Range,
    series: &[Series],
    unit: Unit,
    parts: &[Part],
    size: Size,
) -> Vec<u8> {
    let layers: Vec<Vec<Option<f64>>> = parts
        .iter()
        .map(|part| layer(range, series, unit, *part, size.columns()))
        .collect();
    let sum = |age: usize| layers.iter().filter_map(|layer| layer[age]).sum();
    let highest = (0..size.columns()).map(sum).fold(0.0, f64::max);
    let scale = Scale::new(highest, (size.lines() / GRID) as u32, unit);

    let mut picture = Picture {
        canvas: Canvas::new(size.width, size.height),
        size,
    };
    picture.columns(&layers, scale.top);
    picture.axes();
    picture.numbers(&scale);
    picture.times(range);
    picture.canvas.to_png(&palette())
}

/// Values of a layer in the unit of the picture, newest first; `None` where there is no data.
fn layer(
    range: &Range,
    series: &[Series],
    unit: Unit,
    part: Part,
    columns: usize,
) -> Vec<Option<f64>> {
    let values = |place: usize| {
        let merge = series.get(place).map_or(Merge::Max, |series| series.merge);
        range.newest_first(place).take(columns).map(move |sample| {
            (sample != NO_DATA).then(|| scale::value(sample, merge, range.step_s(), unit))
        })
    };
    match part {
        Part::Series(place) => values(place).collect(),
        Part::Excess(place, beyond) => values(place)
            .zip(values(beyond))
            .map(|(value, beyond)| Some((value? - beyond?).max(0.0)))
            .collect(),
    }
}

struct Picture {
    canvas: Canvas,
    size: Size,
}

impl Picture {
    fn columns(&mut self, layers: &[Vec<Option<f64>>], top: f64) {
        let (columns, lines) = (self.size.columns(), self.size.lines());
        for age in 0..columns {
            let x = LEFT + columns - 1 - age;
            let mut bottom = 0;
            let mut sum = 0.0;
            for (place, layer) in layers.iter().enumerate() {
                let Some(value) = layer[age] else { continue };
                sum += value;
                let end = ((sum / top * lines as f64).round() as usize).min(lines);
                for line in bottom..end {
                    let shade = (line * usize::from(SHADES) / lines) as u8;
                    let colour = LAYERS + SHADES * (place % 2) as u8 + shade;
                    self.canvas.set(x, TOP + lines - 1 - line, colour);
                }
                bottom = bottom.max(end);
            }
            let missing = layers.iter().all(|layer| layer[age].is_none());
            for line in bottom..lines {
                let y = TOP + lines - 1 - line;
                let hatched = missing && (x + y).is_multiple_of(3);
                self.canvas
                    .set(x, y, if hatched { MISSING } else { BACKGROUND });
            }
        }
    }

    /// The frame and the lines at every number.
    fn axes(&mut self) {
        let (right, bottom) = (LEFT + self.size.columns(), TOP + self.size.lines());
        for y in 2..bottom + 3 {
            self.canvas.set(LEFT - 1, y, AXIS);
            self.canvas.set(right, y, AXIS);
        }
        for x in LEFT - 3..right + 3 {
            self.canvas.set(x, bottom, AXIS);
        }
        for y in (TOP..bottom).step_by(GRID) {
            self.canvas.set(LEFT - 3, y, AXIS);
            self.canvas.set(LEFT - 2, y, AXIS);
            for x in (LEFT..right).step_by(2) {
                self.canvas.set(x, y, GRID_LINE);
            }
        }
    }

    fn numbers(&mut self, scale: &Scale) {
        let lines = self.size.lines();
        for line in (0..=lines).step_by(GRID) {
            let text = scale.text(scale.top * (lines - line) as f64 / lines as f64);
            let x = (LEFT - 4).saturating_sub(text.len() * font::PITCH);
            self.text(x, TOP + line - font::HEIGHT / 2, &text);
        }
    }

    /// Lines and texts at full hours, quarters of days, days or months.
    fn times(&mut self, range: &Range) {
        let (columns, lines) = (self.size.columns(), self.size.lines());
        for column in 0..columns {
            let age = (columns - 1 - column) as u32;
            let Some(point) = range.point().checked_sub(age) else {
                continue;
            };
            let Some(mark) = Mark::of_slot(point, range.step_s()) else {
                continue;
            };
            let x = LEFT + column;
            // The start of a day, a month or a year stands out.
            let step = if mark.strong { 2 } else { 4 };
            for y in (TOP..TOP + lines).step_by(step) {
                self.canvas.set(x, y, GRID_LINE);
            }
            self.canvas.set(x, TOP + lines + 1, AXIS);
            self.canvas.set(x, TOP + lines + 2, AXIS);
            let width = mark.text.len() * font::PITCH - 1;
            if let Some(left) = x.checked_sub(width / 2)
                && left >= LEFT - 6
                && left + width <= self.size.width
            {
                self.text(left, TOP + lines + 4, &mark.text);
            }
        }
    }

    fn text(&mut self, x: usize, y: usize, text: &str) {
        for (place, letter) in text.chars().enumerate() {
            for (line, bits) in font::glyph(letter).into_iter().enumerate() {
                for column in (0..5).filter(|column| bits & 0x10 >> column != 0) {
                    self.canvas
                        .set(x + place * font::PITCH + column, y + line, TEXT);
                }
            }
        }
    }
}

/// Mark of time at the beginning of a slot.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    text: String,
    strong: bool,
}

const HOUR_S: u32 = 3600;
const DAY_S: u32 = 86400;

impl Mark {
    fn of_slot(point: u32, step_s: u32) -> Option<Mark> {
        let time = point.checked_mul(step_s)?;
        let (day, second) = (time / DAY_S, time % DAY_S);
        let clock = |every_s: u32| {
            second.is_multiple_of(every_s).then(|| Mark {
                text: format!("{:02}:00", second / HOUR_S),
                strong: second == 0,
            })
        };
        match step_s {
            60 => clock(HOUR_S),
            360 => clock(6 * HOUR_S),
            1800 => {
                let (_, month, day) = date(day);
                (second == 0).then(|| Mark {
                    text: format!("{month:02}-{day:02}"),
                    strong: day == 1,
                })
            }
            _ => {
                let (year, month, day) = date(day);
                (day == 1).then(|| Mark {
                    text: match month {
                        1 => year.to_string(),
                        _ => format!("{month:02}"),
                    },
                    strong: month == 1,
                })
            }
        }
    }
}

/// Year, month and day of a day counted from 1970-01-01: years begin in March, so that the day
/// that comes every four years is the last one.
fn date(day: u32) -> (u32, u32, u32) {
    const DAYS_TO_1970: u32 = 719_468;
    const DAYS_OF_400_YEARS: u32 = 146_097;
    let day = day + DAYS_TO_1970;
    let (era, day) = (day / DAYS_OF_400_YEARS, day % DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + 400 * era + u32::from(month <= 2);
    (year, month, day_of_month)
}

/// Colours by number; the layers go from light below to dark above.
fn palette() -> Vec<[u8; 3]> {
    let mut colours = vec![
        [0xff, 0xff, 0xff],
        [0xff, 0xff, 0xff],
        [0, 0, 0],
        [0, 0, 0],
        [0x5f, 0x20, 0],
        [0xc0, 0xc0, 0xc0],
    ];
    for (light, dark) in [
        ([0x1c, 0x5b, 0x8a], [0x0b, 0x19, 0x44]),
        ([0x04, 0xec, 0xf1], [0x1d, 0x60, 0x8f]),
    ] {
        colours.extend(
            (0..SHADES).map(|shade| {
                std::array::from_fn(|channel| mix(light[channel], dark[channel], shade))
            }),
        );
    }
    colours
}

/// A shade between two brightnesses.
fn mix(light: u8, dark: u8, shade: u8) -> u8 {
    let last = u16::from(SHADES - 1);
    let (from, to, shade) = (u16::from(light), u16::from(dark), u16::from(shade));
    ((from * (last - shade) + to * shade) / last) as u8
}

#[cfg(test)]
mod tests {
    use super::{Mark, Size, date};

    #[test]
    fn sizes_are_those_of_the_original() {
        for (request, width, height) in [
            (None, 1000, 120),
            (Some((0, 0)), 1000, 120),
            (Some((500, 333)), 500, 320),
            (Some((100, 100)), 150, 120),
            (Some((5000, 2000)), 4146, 1020),
            (Some((0, 500)), 150, 500),
            (Some((500, 0)), 500, 120),
        ] {
            assert_eq!(Size::of_request(request), Size { width, height });
        }
    }

    #[test]
    fn days_have_dates() {
        for (day, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_781, (2026, 11, 24)),
            (49_709, (2106, 2, 6)),
        ] {
            assert_eq!(date(day), expected);
        }
    }

    #[test]
    fn slots_at_round_times_are_marked() {
        let mark = |time: u32, step_s| {
            Mark::of_slot(time / step_s, step_s).map(|mark| (mark.text, mark.strong))
        };
        let some = |text: &str, strong| Some((text.to_owned(), strong));
        // 2026-12-01 00:00
        let midnight = 20_788 * 86400;
        assert_eq!(mark(midnight, 60), some("00:00", true));
        assert_eq!(mark(midnight + 3600, 60), some("01:00", false));
        assert_eq!(mark(midnight + 3660, 60), None);
        assert_eq!(mark(midnight + 3600, 360), None);
        assert_eq!(mark(midnight + 6 * 3600, 360), some("06:00", false));
        assert_eq!(mark(midnight, 1800), some("12-01", true));
        assert_eq!(mark(midnight + 1800, 1800), None);
        assert_eq!(mark(midnight, 86400), some("12", false));
        assert_eq!(mark(midnight + 31 * 86400, 86400), some("2027", true));
        assert_eq!(mark(midnight + 86400, 86400), None);
    }
}
