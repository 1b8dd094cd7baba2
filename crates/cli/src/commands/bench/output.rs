//! How answers come out, the same for every bench: a table or JSON on standard output, a progress bar beside it.

use std::path::PathBuf;

use clap::Args;
use countersign_resource::es256::Engine;
use indicatif::{ProgressBar, ProgressStyle};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::report::{self, Machine};
use super::row::Section;
use crate::error::CommandError;
use crate::render::{self, BOLD, DIM, styled};

/// Flags that every bench takes.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print JSON: an array of rows
    #[arg(long, global = true)]
    json: bool,
    /// Also write a page with plots to this file; it needs no network and runs no script
    #[arg(long, global = true, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Output {
    /// Says what would make the figures worthless, and tries whether the report can be written before hours pass.
    pub(crate) fn begin(&self, engine: Engine) -> Result<Machine, CommandError> {
        let machine = Machine::here(engine);
        if machine.is_debug_build() {
            render::error_line("note", "this is a debug build; its figures mean nothing");
        }
        if let Some(path) = &self.report {
            report::try_place(path)?;
        }
        Ok(machine)
    }

    /// Prints the answer of one bench.
    pub(crate) fn show(&self, machine: &Machine, section: &Section) -> Result<(), CommandError> {
        if self.json {
            render::json(section)?;
        } else {
            print(section);
        }
        self.write_report(machine, std::slice::from_ref(section))
    }

    /// Prints the answers of all benches: in JSON one object, the machine and an array of rows for each bench.
    pub(crate) fn show_all(&self, machine: &Machine, sections: &[Section]) -> Result<(), CommandError> {
        if self.json {
            render::json(&All { machine, sections })?;
        } else {
            for section in sections {
                render::line(styled(BOLD, format_args!("{} ({})", section.title, section.name)));
                print(section);
                render::line("");
            }
        }
        self.write_report(machine, sections)
    }

    fn write_report(&self, machine: &Machine, sections: &[Section]) -> Result<(), CommandError> {
        let Some(path) = &self.report else { return Ok(()) };
        report::write(path, machine, sections)?;
        render::status(format_args!("the report is in {}", path.display()));
        Ok(())
    }
}

struct All<'a> {
    machine: &'a Machine,
    sections: &'a [Section],
}

impl Serialize for All<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.sections.len()))?;
        map.serialize_entry("machine", self.machine)?;
        for section in self.sections {
            map.serialize_entry(section.name, section)?;
        }
        map.end()
    }
}

fn print(section: &Section) {
    let lines = section.lines();
    for (number, text) in lines.iter().enumerate() {
        if number == 0 {
            render::line(styled(BOLD, text));
        } else {
            render::line(text);
        }
    }
    for note in &section.notes {
        render::line(styled(DIM, note));
    }
}

/// A progress bar of `steps` steps on standard error; nothing where no terminal is.
pub(crate) fn progress(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:32} {bar:30} {percent:>3} %, {eta} left");
    let bar = ProgressBar::new(steps);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
