//! Numbers as bars: where they stand and how high they are.

use serde::Serialize;

/// The height of the plot, in pixels.
const HEIGHT: u64 = 100;

/// How many of something were in time, and how many were late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(in crate::report) struct Parts {
    /// In time: drawn solid, at the foot of its bar.
    pub met: u64,
    /// Late: drawn hatched, above.
    pub late: u64,
}

impl Parts {
    /// One more.
    pub fn count(&mut self, is_met: bool) {
        match is_met {
            true => self.met += 1,
            false => self.late += 1,
        }
    }

    /// How many together.
    pub fn total(self) -> u64 {
        self.met + self.late
    }
}

/// A bar. Across it is measured in percent of the chart's width, so that text
/// keeps its size at every width; down in pixels from the plot's top.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Bar {
    /// Its left side.
    pub x: String,
    /// Its middle.
    pub middle: String,
    /// How wide it is.
    pub width: String,
    /// Where it begins.
    pub top: u64,
    /// How high the late part is.
    pub late: u64,
    /// Where the part in time begins.
    pub met_top: u64,
    /// How high that is.
    pub met: u64,
}

/// Bars side by side, as high as their numbers against the highest of all.
pub(super) fn by_number(all: &[Parts]) -> Vec<Bar> {
    let highest = all.iter().map(|parts| parts.total()).max().unwrap_or(0);
    bars(all, |_| highest)
}

/// Bars side by side, each of the full height: shares.
pub(super) fn by_share(all: &[Parts]) -> Vec<Bar> {
    bars(all, Parts::total)
}

fn bars(all: &[Parts], whole: impl Fn(Parts) -> u64) -> Vec<Bar> {
    let count = all.len();
    let bar = |(place, parts): (usize, &Parts)| {
        // What is there at all can be seen.
        let high = |part: u64| match (part, whole(*parts)) {
            (0, _) | (_, 0) => 0,
            (part, whole) => (part.saturating_mul(HEIGHT) / whole).max(1),
        };
        let met = high(parts.met);
        let late = high(parts.late).min(HEIGHT - met);
        Bar {
            x: percent(place * 10 + 1, count * 10),
            middle: percent(place * 2 + 1, count * 2),
            width: percent(8, count * 10),
            top: HEIGHT - met - late,
            late,
            met_top: HEIGHT - met,
            met,
        }
    };
    all.iter().enumerate().map(bar).collect()
}

/// Where the left side of a bar's place is.
pub(super) fn place(place: usize, count: usize) -> String {
    percent(place, count)
}

fn percent(part: usize, whole: usize) -> String {
    let hundredths = part * 10_000 / whole.max(1);
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(met: u64, late: u64) -> Parts {
        Parts { met, late }
    }

    fn heights(bars: &[Bar]) -> Vec<(u64, u64)> {
        bars.iter().map(|bar| (bar.met, bar.late)).collect()
    }

    #[test]
    fn bars_are_as_high_as_their_numbers() {
        let all = [parts(0, 0), parts(3, 1), parts(10, 10), parts(0, 1)];
        assert_eq!(
            heights(&by_number(&all)),
            [(0, 0), (15, 5), (50, 50), (0, 5)]
        );
        assert_eq!(
            heights(&by_share(&all)),
            [(0, 0), (75, 25), (50, 50), (0, 100)]
        );
    }

    #[test]
    fn what_is_there_is_seen_and_nothing_leaves_the_plot() {
        let all = [parts(1, 0), parts(1_000_000, 1), parts(1, 1_000_000)];
        for bar in by_number(&all).iter().chain(&by_share(&all)) {
            assert_eq!(bar.top + bar.late + bar.met, HEIGHT);
            assert!(bar.met > 0);
        }
        assert!(by_number(&[]).is_empty());
    }

    #[test]
    fn bars_stand_side_by_side() {
        let all = by_number(&[parts(1, 0); 4]);
        let places: Vec<_> = all.iter().map(|bar| (&*bar.x, &*bar.middle)).collect();
        assert_eq!(
            places,
            [
                ("2.50%", "12.50%"),
                ("27.50%", "37.50%"),
                ("52.50%", "62.50%"),
                ("77.50%", "87.50%"),
            ]
        );
        assert!(all.iter().all(|bar| bar.width == "20.00%"));
    }
}
