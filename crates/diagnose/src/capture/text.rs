//! From bytes to lines.

/// Text as it was meant: UTF-16 by its mark, else UTF-8; what is neither becomes replacement characters.
pub(super) fn decode(input: &[u8]) -> String {
    match input {
        [0xff, 0xfe, rest @ ..] => decode_utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => decode_utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(input).into_owned(),
    }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16_lossy(&units)
}

/// Takes off the blank lines before the text and the indentation that all its lines share.
pub(super) fn dedent(text: &str) -> String {
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let lines = || text.lines().skip_while(|line| line.trim().is_empty());
    let shared = lines().filter(|line| !line.trim().is_empty()).map(indentation).min().unwrap_or(0);
    let tidy: Vec<&str> = lines().map(|line| line.get(shared..).unwrap_or("")).collect();
    tidy.join("\n")
}
