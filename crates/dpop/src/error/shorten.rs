use crate::scan;

/// The most characters of a value from the wire that are kept as evidence.
const LIMIT: usize = 256;

/// Makes a value from the wire fit for logs: at most 256 characters, those that could steer a terminal or start a
/// new line replaced.
pub(crate) fn shorten(text: &str) -> String {
    if is_fit(text) {
        return text.to_owned();
    }
    let mut short: String =
        text.chars().take(LIMIT).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '\u{fffd}' }).collect();
    if text.chars().nth(LIMIT).is_some() {
        short.push('…');
    }
    short
}

/// [`shorten`] of a text that is no longer needed.
pub(crate) fn shortened(text: String) -> String {
    if is_fit(&text) { text } else { shorten(&text) }
}

fn is_fit(text: &str) -> bool {
    text.len() <= LIMIT && scan::all(text.as_bytes(), |byte| byte.is_ascii_graphic() || byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::{shorten, shortened};

    #[test]
    fn keeps_plain_text() {
        assert_eq!(shorten("https://api.example/a b"), "https://api.example/a b");
    }

    #[test]
    fn replaces_what_could_steer_a_terminal() {
        assert_eq!(shorten("a b\n"), "a b\u{fffd}");
        assert_eq!(shorten("a\u{1b}[2J\r\nb\u{202e}c"), "a\u{fffd}[2J\u{fffd}\u{fffd}b\u{fffd}c");
    }

    #[test]
    fn cuts_after_the_limit() {
        let short = shorten(&"x".repeat(1_000));
        assert_eq!(short.chars().count(), 257);
        assert!(short.ends_with('…'));
        assert_eq!(shortened("x".repeat(1_000)), short);
        assert_eq!(shortened("x".repeat(256)), "x".repeat(256));
    }
}
