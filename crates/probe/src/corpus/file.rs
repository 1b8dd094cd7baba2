use serde::Deserialize;

use super::case::Case;

/// One line of a file of the corpus.
#[derive(Clone, Debug)]
pub enum Line {
    /// A case that is judged here.
    Case(Box<Case>),
    /// A row that is judged elsewhere.
    NotHere(NotHere),
}

/// A row that none of the levels here can judge.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotHere {
    /// The row.
    pub row: u16,
    /// What is sent, for people.
    pub title: String,
    /// Why it is not judged here.
    pub not_here: String,
    /// What judges it, from the root of the repository: `FILE::TEST`, a file of cases that has the row, or what is to be
    /// read.
    pub judged_by: Vec<String>,
}

/// A line is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct CorpusError {
    /// Its number, from 1.
    line: usize,
    fault: serde_json::Error,
}

/// Reads a file of the corpus: one JSON object on each line; empty lines are passed over.
///
/// # Errors
/// [`CorpusError`] for the first line that cannot be read.
pub fn parse_lines(text: &str) -> Result<Vec<Line>, CorpusError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| parse(line).map_err(|fault| CorpusError { line: index + 1, fault })).collect()
}

fn parse(line: &str) -> Result<Line, serde_json::Error> {
    if line.contains("\"not_here\"") {
        return serde_json::from_str(line).map(Line::NotHere);
    }
    serde_json::from_str(line).map(|case| Line::Case(Box::new(case)))
}
