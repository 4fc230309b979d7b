//! Medians, percentiles and how they are written.

/// The middle one; NaN of none, which meets no target.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Latencies of one round, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(pub(crate) Vec<u32>);

impl Latencies {
    /// Which latency this share of all stays within, in microseconds.
    pub(crate) fn within(&mut self, share: f64) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        let rank = ((self.0.len() as f64 * share).ceil() as usize).saturating_sub(1);
        let rank = rank.min(self.0.len() - 1);
        let (_, found, _) = self.0.select_nth_unstable(rank);
        f64::from(*found) / 1000.0
    }
}

/// Nanoseconds, in a unit that reads well.
pub(crate) fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 10.0 => format!("{n:.1} ns"),
        n if n < 1_000.0 => format!("{n:.0} ns"),
        n if n < 10_000.0 => format!("{:.2} µs", n / 1e3),
        n if n < 1_000_000.0 => format!("{:.1} µs", n / 1e3),
        n if n.is_nan() => "-".to_owned(),
        n => format!("{:.1} ms", n / 1e6),
    }
}

pub(crate) fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / (1024.0 * 1024.0))
}

/// `12 345`, for people.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
