//! The explanation on a terminal.

use countersign_diagnose::{Explanation, Headline, Row, Section};

use crate::render::{self, BAD, BOLD, DIM, GOOD, NAME, styled};

/// Prints the verdict and what belongs to it.
pub(super) fn explanation(explanation: &Explanation) {
    headline(&explanation.headline);
    for one in &explanation.sections {
        section(one);
    }
}

fn headline(headline: &Headline) {
    match headline.code {
        Some(code) => render::line(format_args!("{}  {}", styled(BAD, code), styled(BOLD, headline.title))),
        None => render::line(styled(GOOD, headline.title)),
    }
    render::line(styled(DIM, &headline.remark));
}

fn section(section: &Section) {
    render::line("");
    render::line(styled(BOLD, section.title));
    let width = section.rows.iter().map(|row| row.label.len()).max().unwrap_or(0);
    for Row { label, text } in &section.rows {
        let margin = if label.is_empty() { 2 } else { width + 4 };
        // A line of configuration is there to be copied.
        let is_to_copy = section.title == "fix" && !label.is_empty();
        let mut lines = if is_to_copy { vec![text.clone()] } else { wrapped(text, COLUMNS - margin) }.into_iter();
        let first = lines.next().unwrap_or_default();
        if label.is_empty() {
            render::line(format_args!("  {first}"));
        } else {
            render::line(format_args!("  {}  {first}", styled(NAME, format_args!("{label:width$}"))));
        }
        for line in lines {
            render::line(format_args!("{:margin$}{line}", ""));
        }
    }
}

/// Lines of at most `columns` characters, broken at blanks; a longer word stands alone.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// How wide the text is set.
const COLUMNS: usize = 100;

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn breaks_lines_at_blanks() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a-very-long-word b", 7), ["a-very-long-word", "b"]);
        assert_eq!(wrapped("", 7), [""]);
    }
}
