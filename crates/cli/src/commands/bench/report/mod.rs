//! `--report FILE`: one page that needs nothing but itself. No script, no network; its one style is named by its hash.

mod machine;
mod plot;

use std::path::Path;
use std::{fs, io};

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

pub(super) use self::machine::Machine;
use self::plot::Plot;
use super::row::{Column, Row, Section};
use crate::error::CommandError;

const STYLE: &str = include_str!("../../../../templates/bench.css");

#[derive(Template)]
#[template(path = "bench.html")]
struct Page<'a> {
    style: &'static str,
    style_hash: String,
    machine: &'a Machine,
    command: &'a str,
    goals: Vec<Goal<'a>>,
    sections: Vec<SectionOfPage<'a>>,
}

/// A row that the project wants something of.
struct Goal<'a> {
    name: &'a str,
    about: &'a str,
    figure: String,
    wanted: String,
    is_met: bool,
}

struct SectionOfPage<'a> {
    name: &'static str,
    title: &'static str,
    notes: &'a [String],
    plots: Vec<Plot>,
    headings: Vec<Heading>,
    rows: Vec<RowOfPage<'a>>,
}

struct Heading {
    text: &'static str,
    is_text: bool,
}

struct RowOfPage<'a> {
    name: &'a str,
    begins_group: bool,
    cells: Vec<Cell>,
}

struct Cell {
    text: String,
    is_text: bool,
}

/// Makes an empty file at `path`.
///
/// # Errors
/// It cannot be written.
pub(super) fn try_place(path: &Path) -> Result<(), CommandError> {
    let made = fs::OpenOptions::new().append(true).create(true).open(path);
    made.map(|_| ()).map_err(|error| unwritable(path, &error))
}

/// Writes the page to `path`.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(path: &Path, machine: &Machine, sections: &[Section]) -> Result<(), CommandError> {
    let command: Vec<_> = std::env::args().skip(1).collect();
    let page = page(machine, &format!("countersign {}", command.join(" ")), sections)?;
    fs::write(path, page).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> CommandError {
    CommandError::configuration(format!("the report cannot be written to {}: {error}", path.display()))
}

fn page(machine: &Machine, command: &str, sections: &[Section]) -> Result<String, CommandError> {
    let page = Page {
        style: STYLE,
        style_hash: BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes())),
        machine,
        command,
        goals: sections.iter().flat_map(goals).collect(),
        sections: sections.iter().map(SectionOfPage::new).collect(),
    };
    page.render().map_err(CommandError::internal)
}

fn goals(section: &Section) -> impl Iterator<Item = Goal<'_>> {
    section.groups.iter().flat_map(|group| {
        group.rows.iter().filter_map(|row| {
            let (figure, wanted) = (row.figure(group.plotted)?, row.goal()?);
            Some(Goal {
                name: row.name(),
                about: row.about(),
                figure: row.shown(group.plotted),
                wanted: wanted.to_string(),
                is_met: group.plotted.reaches(figure, wanted),
            })
        })
    })
}

impl<'a> SectionOfPage<'a> {
    fn new(section: &'a Section) -> Self {
        let columns = section.columns();
        let heading = |column: &&'static Column| Heading { text: column.heading, is_text: section.is_text(column) };
        let row = |(number, row): (usize, &'a Row)| RowOfPage {
            name: row.name(),
            begins_group: number == 0,
            cells: columns
                .iter()
                .map(|column| Cell { text: row.shown(column), is_text: section.is_text(column) })
                .collect(),
        };
        Self {
            name: section.name,
            title: section.title,
            notes: &section.notes,
            plots: section.groups.iter().filter_map(Plot::of).collect(),
            headings: columns.iter().map(heading).collect(),
            rows: section.groups.iter().flat_map(|group| group.rows.iter().enumerate().map(row)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::{Group, NS_MEDIAN, RATIO_TO_LIBRARY_VERIFY};
    use super::*;

    fn hostile() -> String {
        let row = |name: &'static str, ratio: f64| {
            Row::new(name, "<script>alert(1)</script> & \"more\"")
                .with(&NS_MEDIAN, ratio * 1_000.0)
                .with(&RATIO_TO_LIBRARY_VERIFY, ratio)
                .with_spread(ratio * 0.9, ratio * 1.1)
        };
        let rows = vec![row("library-verify", 1.0), row("<b>warm</b>", 0.25).with_goal(Some(0.4))];
        let rows = [rows, vec![row("cold", 1.2).with_goal(Some(1.15))]].concat();
        let group = Group { title: "ES256".to_owned(), plotted: &RATIO_TO_LIBRARY_VERIFY, rows };
        let section = Section { name: "check", title: "Check", notes: vec!["a note".to_owned()], groups: vec![group] };
        page(
            &Machine::here(countersign_resource::es256::Engine::best()),
            "countersign bench check --report '<i>'",
            &[section],
        )
        .unwrap()
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let page = hostile();
        for markup in ["<script", "<b>warm", "<i>"] {
            assert!(!page.contains(markup), "{markup} in {page}");
        }
    }

    #[test]
    fn nothing_is_fetched_and_nothing_runs() {
        let page = hostile();
        let policy = "default-src &#39;none&#39;; style-src &#39;sha256-";
        assert!(page.contains("default-src 'none'; style-src 'sha256-") || page.contains(policy), "{page}");
        for reference in ["http:", "https:", "//", "src=", "href=\"h", "@import", "url(", " style=", "onload"] {
            assert!(!page.contains(reference), "{reference} in {page}");
        }
    }

    #[test]
    fn every_element_is_closed() {
        let page = hostile();
        let mut open = Vec::new();
        for tag in page.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "in {page}");
            } else if !tag.ends_with('/') && !["!doctype", "meta"].contains(&name) {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn goals_are_met_or_missed() {
        let page = hostile();
        assert_eq!((page.matches("class=\"goal met\"").count(), page.matches("class=\"goal missed\"").count()), (1, 1));
    }
}
