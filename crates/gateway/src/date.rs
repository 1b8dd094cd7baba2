//! The field `Date`.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use countersign_dpop::time::Timestamp;
use http::HeaderValue;

/// The first second that an HTTP-date cannot name: the year 10000.
const END_OF_DATES: u64 = 253_402_300_800;

thread_local! {
    /// The date written last, which is that of all answers of its second.
    static LAST: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// The HTTP-date (RFC 9110 §5.6.7) of `now`; `None` for a time that has none.
pub(crate) fn at(now: Timestamp) -> Option<HeaderValue> {
    let seconds = u64::try_from(now.seconds()).ok().filter(|seconds| *seconds < END_OF_DATES)?;
    LAST.with_borrow_mut(|last| match last {
        Some((second, date)) if *second == seconds => Some(date.clone()),
        Some(_) | None => {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            let date = HeaderValue::from_str(&text).ok()?;
            *last = Some((seconds, date.clone()));
            Some(date)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(seconds: i64) -> Option<HeaderValue> {
        at(Timestamp::from_seconds(seconds))
    }

    #[test]
    fn every_second_has_its_own_date() {
        for _ in 0..2 {
            assert_eq!(date(784_111_777).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
            assert_eq!(date(784_111_778).unwrap(), "Sun, 06 Nov 1994 08:49:38 GMT");
        }
    }

    #[test]
    fn a_time_beyond_dates_has_none() {
        assert_eq!((date(-1), date(253_402_300_800)), (None, None));
    }
}
