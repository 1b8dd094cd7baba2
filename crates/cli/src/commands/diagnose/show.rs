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
        if label.is_empty() {
            render::line(format_args!("  {text}"));
        } else {
            render::line(format_args!("  {}  {text}", styled(NAME, format_args!("{label:width$}"))));
        }
    }
}
