//! Times for people and for files: RFC 3339 in UTC, in whole seconds. Status pages and
//! subcommands write it, key manifests write it and read it back, configurations and command lines are read with it.

use super::clock::UnixTime;

/// `2026-01-31T12:00:00Z`; what is left of a second is cut off. The civil calendar from days since the epoch, counted in eras of 400 years that
/// begin on 1 March, so that a leap day is the last of its year.
#[must_use]
pub fn rfc3339(time: UnixTime) -> String {
    let seconds = time.as_millis().div_euclid(1000);
    let (days, second) =
        (seconds.div_euclid(86_400) + DAYS_BEFORE_EPOCH, seconds.rem_euclid(86_400));
    let (era, day) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads exactly what [`rfc3339`] writes for the years 0 to 9999: no other offset, no fraction.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<UnixTime> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // Months are counted from March here too.
    let (march_year, march_month) =
        if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (march_year.div_euclid(400), march_year.rem_euclid(400));
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let days = era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    let days = days - DAYS_BEFORE_EPOCH;
    let time = UnixTime::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second)?;
    // Whatever is out of its range, signed, or punctuated otherwise is written differently.
    (rfc3339(time) == text).then_some(time)
}

const DAYS_PER_ERA: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_EPOCH: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: [(i64, &str); 7] = [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (951_868_800, "2000-03-01T00:00:00Z"),
        (1_767_225_599, "2025-12-31T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
    ];

    #[test]
    fn times_are_written_as_rfc_3339_says_and_read_back() {
        for (seconds, text) in TIMES {
            let time = UnixTime::from_secs(seconds).unwrap();
            assert_eq!(rfc3339(time), text);
            assert_eq!(parse_rfc3339(text), Some(time));
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_read_back() {
        for day in -150_000..150_000 {
            let time = UnixTime::from_secs(day * 86_400 + 7).unwrap();
            assert_eq!(parse_rfc3339(&rfc3339(time)), Some(time));
        }
    }

    #[test]
    fn what_is_not_such_a_time_is_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:00:60Z",
            "2026-01-31T12:00:00+00:00",
            "2026-01-31T12:00:00.000Z",
            "2026-01-31 12:00:00Z",
            "+026-01-31T12:00:00Z",
            "2026-01-31T12:00:00Zx",
            "２026-01-31T12:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
