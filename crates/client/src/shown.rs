//! Text of other people that is going to be shown: bounded, printable, without our secrets.

/// The longest text of others that is shown, in characters.
const MAX_SHOWN: usize = 256;
/// So much of a secret in a row counts as showing it.
const TELLING: usize = 12;

/// `text` fit to be shown on a terminal or in a log.
pub(crate) fn shown(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let mut shown: String = text.chars().take(MAX_SHOWN).map(printable).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

/// As [`shown`], but nothing at all when `text` repeats a part of one of `secrets`: some servers send back what they
/// were sent.
pub(crate) fn shown_without(text: &str, secrets: &[&str]) -> Option<String> {
    let shown = shown(text);
    let tells = |secret: &&str| repeats(&shown, secret);
    (!secrets.iter().any(tells)).then_some(shown)
}

fn repeats(shown: &str, secret: &str) -> bool {
    if secret.is_empty() {
        return false;
    }
    let length = secret.len().min(TELLING);
    shown.as_bytes().windows(length).any(|window| secret.as_bytes().windows(length).any(|part| part == window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_out_what_a_terminal_would_obey() {
        assert_eq!(shown("a\u{1b}[2Jb\r\nc\u{202e}é"), "a?[2Jb??c??");
        assert_eq!(shown(&"x".repeat(300)).len(), MAX_SHOWN + 3);
    }

    #[test]
    fn says_nothing_that_repeats_a_secret() {
        let secret = "0123456789abcdefghij";
        assert_eq!(shown_without("you sent 3456789abcdef", &[secret]), None);
        assert_eq!(shown_without("you sent 345", &[secret]).as_deref(), Some("you sent 345"));
        assert_eq!(shown_without("bad secret hunter2", &["x", "hunter2"]), None);
        assert_eq!(shown_without("fine", &[""]).as_deref(), Some("fine"));
    }
}
