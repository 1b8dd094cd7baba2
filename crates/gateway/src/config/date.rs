//! Dates in the configuration.

use countersign_dpop::time::Timestamp;
use serde::Deserialize;
use toml::value::{Datetime, Offset};

/// A date, or a date with a time, as TOML has them, quoted or not. Without an offset it is UTC.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(untagged)]
pub enum Date {
    /// `2027-01-31` or `2027-01-31T12:00:00Z`.
    Plain(Datetime),
    /// The same in quotes.
    Quoted(String),
}

impl Date {
    /// Its first second; `None` when it is none, or a time without a date.
    pub fn timestamp(&self) -> Option<Timestamp> {
        let parsed;
        let date = match self {
            Self::Plain(date) => date,
            Self::Quoted(text) => {
                parsed = text.parse::<Datetime>().ok()?;
                &parsed
            }
        };
        let day = date.date?;
        let (hour, minute, second) =
            date.time.map_or((0, 0, 0), |time| (time.hour, time.minute, time.second.unwrap_or(0)));
        let offset = match date.offset {
            Some(Offset::Custom { minutes }) => i64::from(minutes),
            Some(Offset::Z) | None => 0,
        };
        let days = days_since_1970(i64::from(day.year), i64::from(day.month), i64::from(day.day));
        let minutes = (days * 24 + i64::from(hour)) * 60 + i64::from(minute) - offset;
        Some(Timestamp::from_seconds(minutes * 60 + i64::from(second)))
    }

    /// Its last second: of the day for a date alone.
    pub fn last_second(&self) -> Option<Timestamp> {
        let is_day = match self {
            Self::Plain(date) => date.time.is_none(),
            Self::Quoted(text) => text.parse::<Datetime>().ok()?.time.is_none(),
        };
        self.timestamp().map(|first| if is_day { first.plus(86_399) } else { first })
    }

    /// As it is written.
    pub fn shown(&self) -> String {
        match self {
            Self::Plain(date) => date.to_string(),
            Self::Quoted(text) => text.chars().take(64).collect(),
        }
    }
}

/// Days from 1 January 1970 in the Gregorian calendar; years begin in March here, so that the leap day is their last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds() {
        for (text, first, last) in [
            ("1970-01-01", 0, 86_399),
            ("2000-02-29", 951_782_400, 951_868_799),
            ("2026-11-21T04:31:46Z", 1_795_235_506, 1_795_235_506),
            ("2026-11-21T05:31:46+01:00", 1_795_235_506, 1_795_235_506),
            ("2027-01-01 00:00:00", 1_798_761_600, 1_798_761_600),
        ] {
            let date = Date::Quoted(text.to_owned());
            assert_eq!(date.timestamp(), Some(Timestamp::from_seconds(first)), "{text}");
            assert_eq!(date.last_second(), Some(Timestamp::from_seconds(last)), "{text}");
        }
        for text in ["", "tomorrow", "12:00:00", "2027-13-01", "2027-02-30x"] {
            assert_eq!(Date::Quoted(text.to_owned()).timestamp(), None, "{text}");
        }
    }
}
