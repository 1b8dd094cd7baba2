use crate::time::Timestamp;

/// Reads an `IMF-fixdate` of RFC 9110 §5.6.7, `Sun, 06 Nov 1994 08:49:37 GMT`; the obsolete forms are not read. The
/// day of the week is not compared.
pub(super) fn parse_http_date(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day = number(parts.next()?, 2)?;
    let name = parts.next()?;
    let month = 1 + i64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()?;
    let year = number(parts.next()?, 4)?;
    let mut time = parts.next()?.split(':');
    let (hour, minute, second) = (number(time.next()?, 2)?, number(time.next()?, 2)?, number(time.next()?, 2)?);
    let is_good = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let ends_well = parts.next() == Some("GMT") && parts.next().is_none() && time.next().is_none();
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    (is_good && ends_well).then_some(Timestamp::from_seconds(seconds))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn number(digits: &str, length: usize) -> Option<i64> {
    (digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Days in the Gregorian calendar, years counted from March so that the leap day is the last of a year.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse_http_date;
    use crate::time::Timestamp;

    fn seconds(text: &str) -> Option<i64> {
        parse_http_date(text).map(Timestamp::seconds)
    }

    #[test]
    fn reads_the_date_of_an_answer() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds("Thu, 29 Feb 2024 23:59:60 GMT"), Some(1_709_251_200));
        assert_eq!(seconds("Tue, 14 Nov 2023 22:13:20 GMT"), Some(1_700_000_000));
        assert_eq!(seconds("Wed, 31 Dec 0001 23:59:59 GMT"), Some(-62_104_060_801));
    }

    #[test]
    fn reads_nothing_else() {
        let bad = [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
        ];
        for text in bad {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
