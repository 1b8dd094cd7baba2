//! What every bench answers with: a section of rows, each a name and figures in columns. One shape for the table, for
//! JSON and for the report, so that a bench only measures.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// A figure's name in JSON, its heading in tables, and how many digits follow the point there.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) key: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) digits: usize,
    /// Whether more of it is better; of most figures less is.
    pub(crate) more_is_better: bool,
}

impl Column {
    pub(crate) const fn new(key: &'static str, heading: &'static str, digits: usize) -> Self {
        Self { key, heading, digits, more_is_better: false }
    }

    /// Of this figure more is better.
    pub(crate) const fn more_is_better(mut self) -> Self {
        self.more_is_better = true;
        self
    }

    /// True when `figure` is at least as good as `goal`.
    pub(crate) fn reaches(&self, figure: f64, goal: f64) -> bool {
        if self.more_is_better { figure >= goal } else { figure <= goal }
    }
}

/// CPU time of one operation, the median of all rounds, in nanoseconds.
pub(crate) static NS_MEDIAN: Column = Column::new("ns_median", "ns (median)", 0);
/// CPU time of one operation, the median of all rounds, in microseconds.
pub(crate) static US_CPU_MEDIAN: Column = Column::new("us_cpu_median", "µs (CPU)", 1);
/// Time on the wall for one operation, the median of all rounds, in microseconds.
pub(crate) static US_WALL_MEDIAN: Column = Column::new("us_wall_median", "µs (wall)", 1);
/// Operations a second that one core serves: a second by the CPU time of one.
pub(crate) static PER_SECOND: Column = Column::new("per_second_one_core", "a second, core", 0).more_is_better();
/// CPU time as a ratio to one bare verification by the cryptographic library, with the row's algorithm.
pub(crate) static RATIO_TO_LIBRARY_VERIFY: Column = Column::new("ratio_to_library_verify", "ratio", 3);
/// Who verifies the signatures of the row.
pub(crate) static ENGINE: Column = Column::new("engine", "engine", 0);
/// How many client keys take part.
pub(crate) static KEYS: Column = Column::new("keys", "keys", 0);

/// What stands in a row under a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Count(u64),
    Text(Cow<'static, str>),
}

impl Value {
    /// As a person reads it; `digits` follow the point of a number.
    pub(crate) fn shown(&self, digits: usize) -> String {
        match self {
            Self::Number(number) => format!("{number:.digits$}"),
            Self::Count(count) => count.to_string(),
            Self::Text(text) => text.clone().into_owned(),
        }
    }

    /// The figure, where it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "figures for people; nothing is counted up to 2^52")]
            Self::Count(count) => Some(*count as f64),
            Self::Text(_) => None,
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// One row of an answer. In JSON an object of `name` and the cells, in the order they were set.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    name: Cow<'static, str>,
    about: Cow<'static, str>,
    cells: Vec<(&'static Column, Value)>,
    spread: Option<[f64; 2]>,
    goal: Option<f64>,
}

impl Row {
    /// A row without figures yet. `about` says in a few words what one operation of it is.
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, about: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), about: about.into(), cells: Vec::new(), spread: None, goal: None }
    }

    /// Sets a cell; a column that is set already gets the new value.
    pub(crate) fn set(&mut self, column: &'static Column, value: impl Into<Value>) {
        let value = value.into();
        match self.cells.iter_mut().find(|(known, _)| known.key == column.key) {
            Some((_, known)) => *known = value,
            None => self.cells.push((column, value)),
        }
    }

    /// [`Row::set`] while building.
    #[must_use]
    pub(crate) fn with(mut self, column: &'static Column, value: impl Into<Value>) -> Self {
        self.set(column, value);
        self
    }

    /// The quartiles of what the group plots, for the report.
    #[must_use]
    pub(crate) fn with_spread(mut self, low: f64, high: f64) -> Self {
        self.spread = Some([low, high]);
        self
    }

    /// What the project wants of the figure that the group plots, for the report.
    #[must_use]
    pub(crate) fn with_goal(mut self, goal: Option<f64>) -> Self {
        self.goal = goal;
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn about(&self) -> &str {
        &self.about
    }

    pub(crate) fn spread(&self) -> Option<[f64; 2]> {
        self.spread
    }

    pub(crate) fn goal(&self) -> Option<f64> {
        self.goal
    }

    /// What stands under `column`.
    pub(crate) fn get(&self, column: &Column) -> Option<&Value> {
        self.cells.iter().find(|(known, _)| known.key == column.key).map(|(_, value)| value)
    }

    /// What stands under `column`, as a person reads it; empty where nothing does.
    pub(crate) fn shown(&self, column: &Column) -> String {
        self.get(column).map_or(String::new(), |value| value.shown(column.digits))
    }

    /// The figure under `column`, where there is one.
    pub(crate) fn figure(&self, column: &Column) -> Option<f64> {
        self.get(column).and_then(Value::number)
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.cells.len()))?;
        map.serialize_entry("name", &self.name)?;
        for (column, value) in &self.cells {
            map.serialize_entry(column.key, value)?;
        }
        map.end()
    }
}

/// Rows that are compared with each other: they stand together and share a plot.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// A heading for people.
    pub(crate) title: String,
    /// The ratio or figure that the report plots.
    pub(crate) plotted: &'static Column,
    pub(crate) rows: Vec<Row>,
}

/// The answer of one bench. In JSON an array of all its rows.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// The bench's name on the command line.
    pub(crate) name: &'static str,
    /// A heading for people.
    pub(crate) title: &'static str,
    /// What the figures are, what the ratio is to, what could not be measured.
    pub(crate) notes: Vec<String>,
    pub(crate) groups: Vec<Group>,
}

impl Section {
    /// All rows, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.groups.iter().flat_map(|group| &group.rows)
    }

    /// Every column that a row has, in the order they first appear.
    pub(crate) fn columns(&self) -> Vec<&'static Column> {
        let mut columns: Vec<&'static Column> = Vec::new();
        for (column, _) in self.rows().flat_map(|row| &row.cells) {
            if columns.iter().all(|known| known.key != column.key) {
                columns.push(column);
            }
        }
        columns
    }

    /// True for columns whose cells are texts, which stand on the left.
    pub(crate) fn is_text(&self, column: &Column) -> bool {
        self.rows().any(|row| matches!(row.get(column), Some(Value::Text(_))))
    }

    /// The table for a terminal: a heading, then a line for each row, groups apart by an empty line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.columns();
        let name_width = self.rows().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = columns.iter().map(|column| self.width(column)).collect();
        let line = |name: &str, cells: &[String]| {
            let mut line = format!("{name:name_width$}");
            for ((column, &width), cell) in columns.iter().zip(&widths).zip(cells) {
                let padded =
                    if self.is_text(column) { format!("  {cell:width$}") } else { format!("  {cell:>width$}") };
                line.push_str(&padded);
            }
            line.trim_end().to_owned()
        };
        let headings: Vec<_> = columns.iter().map(|column| column.heading.to_owned()).collect();
        let mut lines = vec![line("", &headings)];
        for (number, group) in self.groups.iter().enumerate() {
            if number > 0 {
                lines.push(String::new());
            }
            lines.extend(group.rows.iter().map(|row| {
                let cells: Vec<_> = columns.iter().map(|column| row.shown(column)).collect();
                line(&row.name, &cells)
            }));
        }
        lines
    }

    fn width(&self, column: &Column) -> usize {
        let cells = self.rows().map(|row| row.shown(column).chars().count());
        cells.chain([column.heading.chars().count()]).max().unwrap_or(0)
    }
}

impl Serialize for Section {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        let library = Row::new("library-verify", "one verification")
            .with(&NS_MEDIAN, 56_000.4)
            .with(&RATIO_TO_LIBRARY_VERIFY, 1.0)
            .with(&ENGINE, "library")
            .with(&KEYS, 1_usize);
        let other = Row::new("other", "").with(&KEYS, 10_000_usize).with(&PER_SECOND, 3.2);
        let group = |row| Group { title: String::new(), plotted: &RATIO_TO_LIBRARY_VERIFY, rows: vec![row] };
        Section { name: "check", title: "", notes: Vec::new(), groups: vec![group(library), group(other)] }
    }

    #[test]
    fn json_is_an_array_of_objects_with_a_name_and_the_cells_in_order() {
        let json = serde_json::to_string(&section()).unwrap();
        let expected = r#"[{"name":"library-verify","ns_median":56000.4,"ratio_to_library_verify":1.0,"engine":"library","keys":1},{"name":"other","keys":10000,"per_second_one_core":3.2}]"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn the_table_aligns_figures_right_and_texts_left_and_parts_groups() {
        let expected = [
            "                ns (median)  ratio  engine    keys  a second, core",
            "library-verify        56000  1.000  library      1",
            "",
            "other                                        10000               3",
        ];
        assert_eq!(section().lines(), expected);
    }

    #[test]
    fn a_goal_is_reached_from_below_or_from_above() {
        assert!(NS_MEDIAN.reaches(1.0, 1.0) && NS_MEDIAN.reaches(0.9, 1.0) && !NS_MEDIAN.reaches(1.1, 1.0));
        assert!(PER_SECOND.reaches(1.0, 1.0) && PER_SECOND.reaches(1.1, 1.0) && !PER_SECOND.reaches(0.9, 1.0));
    }

    #[test]
    fn a_cell_is_set_once() {
        let mut row = Row::new("row", "").with(&NS_MEDIAN, 1.0);
        row.set(&NS_MEDIAN, 2.0);
        assert_eq!((row.figure(&NS_MEDIAN), row.cells.len()), (Some(2.0), 1));
    }
}
