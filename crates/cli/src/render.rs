//! Everything that reaches the terminal goes through here: colours only where a person looks on, broken pipes are
//! no error.

use std::fmt::Display;
use std::io::Write;

use anstyle::{AnsiColor, Style};

/// Dim text for what is context.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Bold text for headings.
pub(crate) const BOLD: Style = Style::new().bold();
/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Bad news.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Names, values, commands to type.
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();

/// Prints a line on stdout. A reader that has gone away ends nothing here; the exit code stays what it is.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}

/// Prints a line on stderr.
pub(crate) fn status(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints `label: text` on stderr, the label in colour.
pub(crate) fn error_line(label: &str, text: &str) {
    let style = if matches!(label, "error" | "failed") { BAD } else { NAME };
    status(format_args!("{style}{label}{style:#}: {text}"));
}

/// Prints a value as JSON on stdout.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), crate::error::CommandError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|fault| crate::error::CommandError::internal(format!("cannot write JSON: {fault}")))?;
    line(text);
    Ok(())
}

/// Wraps `text` in `style`.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
