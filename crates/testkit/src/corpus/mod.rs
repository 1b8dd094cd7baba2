//! Plays the corpus in `vectors/bad-inputs` against a site and prints what came of it, row by row.

pub mod settings;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_probe::corpus::{Case, Level, Line, Site, parse_lines, play};
use libtest_mimic::{Arguments, Failed, Trial};

/// Sets up a site for one case.
pub type MakeSite = fn(&Case) -> Box<dyn Site>;

/// The whole corpus, by rows.
#[derive(Clone, Debug)]
pub struct Corpus {
    rows: BTreeMap<u16, Vec<Line>>,
}

impl Corpus {
    /// How many rows there are.
    pub const ROWS: usize = 362;

    /// Reads every file.
    ///
    /// # Errors
    /// A sentence that says which file cannot be read, and where.
    pub fn load() -> Result<Self, String> {
        let mut rows: BTreeMap<u16, Vec<Line>> = BTreeMap::new();
        for path in files().map_err(|error| format!("vectors/bad-inputs cannot be listed: {error}"))? {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            for line in parse_lines(&text).map_err(|error| format!("{}: {error}", path.display()))? {
                rows.entry(row_of(&line)).or_default().push(line);
            }
        }
        Ok(Self { rows })
    }

    /// Every line, in the order of rows.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.rows.values().flatten()
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Runs every case that applies at the levels given as a test of its own, then prints the table of rows. For the
/// `main` of a test without the usual harness; takes its arguments.
#[expect(clippy::print_stdout, reason = "a test says what it found")]
pub fn run_corpus(corpus: &Corpus, levels: &[(Level, MakeSite)]) -> ExitCode {
    let arguments = Arguments::from_args();
    let results = Results::default();
    let trials = levels.iter().flat_map(|(level, make)| trials(corpus, *level, *make, &results)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list && arguments.filter.is_none() {
        let levels: Vec<Level> = levels.iter().map(|(level, _)| *level).collect();
        println!("{}", table(corpus, &levels, &results));
    }
    conclusion.exit_code()
}

/// Whether the cases of a row passed, by row and level.
type Results = Arc<Mutex<BTreeMap<(u16, Level), Vec<bool>>>>;

fn trials(corpus: &Corpus, level: Level, make: MakeSite, results: &Results) -> Vec<Trial> {
    let cases = corpus.lines().filter_map(|line| match line {
        Line::Case(case) if case.applies.contains(&level) => Some(case.clone()),
        Line::Case(_) | Line::NotHere(_) => None,
    });
    cases
        .map(|case| {
            let results = Arc::clone(results);
            Trial::test(format!("{}::{}", name(level), case.name()), move || {
                let played = play(&case, level, make(&case).as_mut());
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.entry((case.row, level)).or_default().push(played.is_ok());
                played.map_err(Failed::from)
            })
        })
        .collect()
}

fn table(corpus: &Corpus, levels: &[Level], results: &Results) -> String {
    let results = results.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = String::from("\nrow  ");
    for level in levels {
        let _ = write!(text, "{:<10}", name(*level));
    }
    text.push('\n');
    for (row, lines) in &corpus.rows {
        let _ = write!(text, "{row:<5}");
        for level in levels {
            let _ = write!(text, "{:<10}", cell(results.get(&(*row, *level))));
        }
        let _ = writeln!(text, "{}", words(lines));
    }
    for level in levels {
        let cells: Vec<&Vec<bool>> = results.iter().filter(|((_, at), _)| at == level).map(|(_, cell)| cell).collect();
        let (cases, right) = cells.iter().fold((0, 0), |(cases, right), cell| {
            (cases + cell.len(), right + cell.iter().filter(|passed| **passed).count())
        });
        let _ = writeln!(text, "{}: {} rows, {cases} cases, {right} right", name(*level), cells.len());
    }
    let elsewhere = corpus.rows.values().filter(|lines| lines.iter().all(|line| matches!(line, Line::NotHere(_))));
    let _ = write!(text, "{} rows in all, {} of them judged elsewhere", corpus.len(), elsewhere.count());
    text
}

fn cell(results: Option<&Vec<bool>>) -> String {
    match results {
        None => ".".to_owned(),
        Some(cases) => match cases.iter().filter(|passed| !**passed).count() {
            0 => format!("{} ok", cases.len()),
            wrong => format!("{wrong} WRONG"),
        },
    }
}

fn words(lines: &[Line]) -> String {
    let mut words: Vec<String> = Vec::new();
    for line in lines {
        match line {
            Line::Case(case) if words.is_empty() => words.push(case.title.clone()),
            Line::Case(_) => {}
            Line::NotHere(row) => words.push(format!("{}; {}: {}", row.title, row.not_here, row.judged_by.join(", "))),
        }
        if let Line::Case(case) = line
            && let Some(choice) = &case.choice
        {
            words.push(format!("[{choice}]"));
        }
    }
    words.dedup();
    words.join(" ")
}

const fn name(level: Level) -> &'static str {
    match level {
        Level::Core => "core",
        Level::Layer => "layer",
        Level::Gateway => "gateway",
    }
}

fn row_of(line: &Line) -> u16 {
    match line {
        Line::Case(case) => case.row,
        Line::NotHere(row) => row.row,
    }
}

fn files() -> std::io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/bad-inputs");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    Ok(files)
}
