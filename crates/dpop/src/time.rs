//! Time as this crate sees it: whole seconds, always an argument, never read here except by [`SystemClock`].

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment in whole seconds since 1970-01-01T00:00:00Z; may lie before it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last moment that can be expressed; stands for "never ends".
    pub const MAX: Self = Self(i64::MAX);
    /// The first moment that can be expressed.
    pub const MIN: Self = Self(i64::MIN);

    /// Takes seconds since the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The moment `seconds` later (earlier when negative); stops at the ends of the range instead of wrapping.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to `self`, negative when `self` is the earlier one; stops at the ends of the range.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A `NumericDate` (RFC 7519 §2) as it stood in a claim: an integer or a fraction, of any size.
///
/// Kept as the whole second below it and whether a fraction follows, so that comparisons with whole seconds are
/// exact over the whole range of `i64` and `f64`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NumericDate {
    floor: i64,
    fraction: bool,
}

impl NumericDate {
    /// Takes whole seconds since the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { floor: seconds, fraction: false }
    }

    /// Takes seconds with a fraction. Values beyond the range of `i64` stop at its ends; a value that is no number
    /// gives `None`.
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, which is what is wanted")]
    pub fn from_f64(seconds: f64) -> Option<Self> {
        if seconds.is_nan() {
            return None;
        }
        let floor = seconds.floor();
        Some(Self { floor: floor as i64, fraction: seconds > floor })
    }

    /// Takes a number as it stands in JSON (RFC 8259 §6). Exact without an exponent, and otherwise as exact as `f64`;
    /// stops at the ends of `i64`. `None` when it is no number or beyond the range of `f64`, like `1e400`.
    pub(crate) fn from_json_number(number: &str) -> Option<Self> {
        if let Some(seconds) = plain_number(number) {
            return Some(Self::from_seconds(seconds));
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if !whole.bytes().chain(fraction.bytes()).all(|byte| byte == b'-' || byte.is_ascii_digit()) {
            return Self::from_f64(number.parse().ok().filter(|value: &f64| value.is_finite())?);
        }
        let negative = whole.starts_with('-');
        let fraction = fraction.bytes().any(|digit| digit != b'0');
        let end = if negative { i64::MIN } else { i64::MAX };
        let toward_zero = whole.parse().unwrap_or(end);
        Some(Self { floor: toward_zero.saturating_sub(i64::from(negative && fraction)), fraction })
    }

    /// The last whole second at or before the date.
    pub const fn floor(self) -> Timestamp {
        Timestamp(self.floor)
    }

    /// The first whole second at or after the date.
    pub const fn ceil(self) -> Timestamp {
        Timestamp(self.floor.saturating_add(self.fraction as i64))
    }
}

impl fmt::Display for NumericDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.floor, if self.fraction { ".…" } else { "" })
    }
}

/// The value of a text that is nothing but digits, so few of them that no sum can be too large.
pub(crate) fn plain_number(text: &str) -> Option<i64> {
    if !(1..=18).contains(&text.len()) {
        return None;
    }
    text.bytes().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// How long before and after its `iat` a proof is taken (RFC 9449 §11.1).
///
/// A proof is acceptable iff `iat − max_ahead ≤ now ≤ iat + max_age`, both edges included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    max_age: i64,
    max_ahead: i64,
}

impl Window {
    /// 60 s past, 10 s ahead, with a nonce always: what AT Protocol servers do.
    pub const ATPROTO: Self = Self { max_age: 60, max_ahead: 10 };
    /// 60 s past, 10 s ahead: what the FAPI 2.0 Security Profile asks for.
    pub const FAPI2: Self = Self { max_age: 60, max_ahead: 10 };
    /// 300 s past and ahead: what the MCP extension allows.
    pub const MCP: Self = Self { max_age: 300, max_ahead: 300 };
    /// 60 s past, 10 s ahead: the default.
    pub const RFC: Self = Self { max_age: 60, max_ahead: 10 };
    /// 10 s past, 5 s ahead.
    pub const STRICT: Self = Self { max_age: 10, max_ahead: 5 };

    /// The largest `max_age` or `max_ahead` that can be configured, in seconds: a day.
    pub const LIMIT: i64 = 86_400;

    /// A window of `max_age` seconds past and `max_ahead` seconds ahead; `None` unless both are within 0 to
    /// [`Window::LIMIT`].
    pub fn new(max_age: i64, max_ahead: i64) -> Option<Self> {
        let fits = |seconds| (0..=Self::LIMIT).contains(&seconds);
        (fits(max_age) && fits(max_ahead)).then_some(Self { max_age, max_ahead })
    }

    /// The preset of that name: `rfc`, `strict`, `fapi2`, `mcp` or `atproto`.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "rfc" => Some(Self::RFC),
            "strict" => Some(Self::STRICT),
            "fapi2" => Some(Self::FAPI2),
            "mcp" => Some(Self::MCP),
            "atproto" => Some(Self::ATPROTO),
            _ => None,
        }
    }

    /// Seconds a proof stays acceptable after its `iat`.
    pub const fn max_age(self) -> i64 {
        self.max_age
    }

    /// Seconds a proof's `iat` may lie ahead of the server's clock.
    pub const fn max_ahead(self) -> i64 {
        self.max_ahead
    }

    /// The last second at which a proof of this `iat` is acceptable. The check and the replay record use this one
    /// value, so a record cannot end before its proof does.
    pub const fn not_after(self, iat: NumericDate) -> Timestamp {
        iat.floor().plus(self.max_age)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::RFC
    }
}

/// Where the current time comes from. Servers read it once per request and pass the value on.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the real clock is read")]
    fn now(&self) -> Timestamp {
        let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
        };
        Timestamp(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock as _, NumericDate, SystemClock, Timestamp, Window, plain_number};

    /// The short way for plain numbers and the long way for all others come to the same.
    #[test]
    fn plain_numbers_are_read_as_other_numbers_are() {
        for digits in ["0", "7", "1800000000", "999999999999999999", "9223372036854775807", "9223372036854775808"] {
            let long = NumericDate::from_json_number(&format!("{digits}.0")).expect("a number");
            assert_eq!(NumericDate::from_json_number(digits), Some(long), "{digits}");
        }
        assert_eq!(plain_number("999999999999999999"), Some(999_999_999_999_999_999));
        for other in ["", "-1", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "1000000000000000000"] {
            assert_eq!(plain_number(other), None, "{other:?}");
        }
    }

    #[test]
    fn the_clock_of_the_system_goes() {
        assert!(SystemClock.now() > Timestamp::from_seconds(1_700_000_000));
    }

    #[test]
    fn windows_have_names() {
        let presets = [
            ("rfc", Window::RFC),
            ("strict", Window::STRICT),
            ("fapi2", Window::FAPI2),
            ("mcp", Window::MCP),
            ("atproto", Window::ATPROTO),
        ];
        for (name, window) in presets {
            assert_eq!(Window::preset(name), Some(window), "{name}");
        }
        assert_eq!(Window::preset("RFC"), None);
    }

    #[test]
    fn is_shown_as_a_number() {
        assert_eq!(Timestamp::from_seconds(-7).to_string(), "-7");
        assert_eq!(NumericDate::from_seconds(7).to_string(), "7");
        assert_eq!(NumericDate::from_f64(7.5).expect("a date").to_string(), "7.…");
    }

    #[test]
    fn stops_at_the_ends_of_the_range() {
        let (first, last) = (Timestamp::from_seconds(i64::MIN), Timestamp::from_seconds(i64::MAX));
        assert_eq!((last.plus(1), first.plus(-1)), (last, first));
        assert_eq!((last.since(first), first.since(last)), (i64::MAX, i64::MIN));
        assert_eq!(
            NumericDate::from_f64(-7.5).map(|date| (date.floor().seconds(), date.ceil().seconds())),
            Some((-8, -7))
        );
        assert_eq!(Window::RFC.not_after(NumericDate::from_seconds(i64::MAX)), last);
    }
}
