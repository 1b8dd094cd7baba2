//! Bars: one for each row of a group, on one scale. Places are in percent of the plot's width, so that a page of any
//! width can show it.

use std::fmt::Write;

use super::super::row::{Column, Group, Row};

/// The bars of a group.
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) ticks: Vec<Tick>,
    /// Where the measure of a ratio is.
    pub(super) one: Option<f64>,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Tick {
    pub(super) place: f64,
    pub(super) label: String,
}

pub(super) struct Bar {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) figure: String,
    pub(super) width: f64,
    /// From the lower to the upper quartile.
    pub(super) spread: Option<[f64; 2]>,
    pub(super) goal: Option<f64>,
    /// What is drawn, in words.
    pub(super) words: String,
    /// How it is drawn: as the measure itself, as a goal that is met or missed, or plainly.
    pub(super) kind: &'static str,
}

impl Plot {
    /// The plot of `group`; `None` when no row has what it plots.
    pub(super) fn of(group: &Group) -> Option<Self> {
        let rows: Vec<(&Row, f64)> =
            group.rows.iter().filter_map(|row| Some((row, row.figure(group.plotted)?))).collect();
        let reaches = rows.iter().map(|(row, figure)| figure.max(row.goal().unwrap_or(0.0)));
        let most = reaches.fold(0.0, f64::max);
        if most <= 0.0 {
            return None;
        }
        let scale = Scale { end: most * 1.06 };
        Some(Self {
            title: group.title.clone(),
            ticks: scale.ticks(),
            one: (is_ratio(group.plotted) && scale.end >= 1.0).then(|| scale.place(1.0)),
            bars: rows.iter().map(|(row, figure)| bar(row, *figure, group.plotted, &scale)).collect(),
        })
    }
}

fn bar(row: &Row, figure: f64, plotted: &Column, scale: &Scale) -> Bar {
    let (shown, is_ratio) = (row.shown(plotted), is_ratio(plotted));
    let mut words = shown.clone();
    if let Some([low, high]) = row.spread() {
        let _ = write!(words, "; half of the rounds between {low:.3} and {high:.3}");
    }
    if let Some(goal) = row.goal() {
        let _ = write!(words, "; goal {goal}");
    }
    let kind = match row.goal() {
        Some(goal) if plotted.reaches(figure, goal) => "met",
        Some(_) => "missed",
        None if is_ratio && (figure - 1.0).abs() < f64::EPSILON => "measure",
        None => "plain",
    };
    Bar {
        name: row.name().to_owned(),
        about: row.about().to_owned(),
        figure: shown,
        width: scale.place(figure),
        spread: row.spread().map(|quartiles| quartiles.map(|figure| scale.place(figure))),
        goal: row.goal().map(|goal| scale.place(goal)),
        words,
        kind,
    }
}

fn is_ratio(column: &Column) -> bool {
    column.key.contains("ratio")
}

/// From zero to `end`.
struct Scale {
    end: f64,
}

impl Scale {
    /// In percent, rounded to hundredths; never beyond the end.
    fn place(&self, figure: f64) -> f64 {
        ((figure / self.end).clamp(0.0, 1.0) * 10_000.0).round() / 100.0
    }

    /// Four to eight round numbers.
    fn ticks(&self) -> Vec<Tick> {
        let power = 10_f64.powf((self.end / 4.0).log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
        let step = steps.into_iter().find(|step| self.end / step <= 7.0).unwrap_or(self.end);
        let numbers = (0..=8_u8).map(|number| f64::from(number) * step);
        let shown = |number: f64| format!("{number:.3}").trim_end_matches('0').trim_end_matches('.').to_owned();
        numbers
            .take_while(|number| *number <= self.end)
            .map(|number| Tick { place: self.place(number), label: shown(number) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::row::{KEYS, RATIO_TO_LIBRARY_VERIFY};
    use super::*;

    fn group(rows: Vec<Row>) -> Group {
        Group { title: String::new(), plotted: &RATIO_TO_LIBRARY_VERIFY, rows }
    }

    #[test]
    fn the_longest_bar_nearly_fills_the_width_and_the_rest_is_to_scale() {
        let row = |ratio: f64| Row::new("row", "").with(&RATIO_TO_LIBRARY_VERIFY, ratio);
        let plot =
            Plot::of(&group(vec![row(1.0), row(2.0).with_goal(Some(1.5)), row(0.5).with_goal(Some(0.6))])).unwrap();
        let widths: Vec<_> = plot.bars.iter().map(|bar| bar.width).collect();
        assert_eq!(widths, [47.17, 94.34, 23.58]);
        let kinds: Vec<_> = plot.bars.iter().map(|bar| bar.kind).collect();
        assert_eq!((kinds.as_slice(), plot.one), (&["measure", "missed", "met"][..], Some(47.17)));
        let labels: Vec<_> = plot.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["0", "0.5", "1", "1.5", "2"]);
    }

    #[test]
    fn rows_without_the_figure_are_not_drawn_and_none_make_no_plot() {
        let without = Row::new("row", "").with(&KEYS, 1_usize);
        assert!(Plot::of(&group(vec![without.clone()])).is_none());
        let with = Row::new("row", "").with(&RATIO_TO_LIBRARY_VERIFY, 0.1);
        let plot = Plot::of(&group(vec![without, with])).unwrap();
        assert_eq!((plot.bars.len(), plot.one), (1, None));
    }

    #[test]
    fn scales_of_any_size_have_round_ticks() {
        for end in [0.02, 0.3, 1.0, 7.3, 41.0, 9_000.0] {
            let ticks = Scale { end }.ticks();
            assert!((3..=9).contains(&ticks.len()), "{} ticks up to {end}", ticks.len());
        }
    }
}
