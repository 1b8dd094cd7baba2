use std::fmt::{Display, Write};

/// Metrics in the text format of Prometheus. Writing to a string cannot fail.
#[derive(Default)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    }

    /// One line of a family. `labels` are with their braces, or empty.
    pub(crate) fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, "", value);
    }

    pub(crate) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample(name, "", value);
    }

    /// A whole histogram: `counts` has a class for each of `bounds`, and one for what lies above.
    pub(crate) fn histogram<B: Display>(
        &mut self,
        (name, help): (&str, &str),
        bounds: &[B],
        counts: impl IntoIterator<Item = u64>,
        sum: impl Display,
    ) {
        self.family(name, "histogram", help);
        let mut total = 0;
        for (class, count) in counts.into_iter().enumerate() {
            total += count;
            let bound = bounds.get(class).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            self.sample(&format!("{name}_bucket"), &format!("{{le=\"{bound}\"}}"), total);
        }
        self.sample(&format!("{name}_sum"), "", sum);
        self.sample(&format!("{name}_count"), "", total);
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn a_histogram_counts_up_to_each_bound() {
        let mut text = Text::default();
        text.histogram(("x_seconds", "Seconds"), &[0.5, 1.0], [1, 2, 3], 4.5);
        let expected = "# HELP x_seconds Seconds.\n# TYPE x_seconds histogram\n\
                        x_seconds_bucket{le=\"0.5\"} 1\nx_seconds_bucket{le=\"1\"} 3\n\
                        x_seconds_bucket{le=\"+Inf\"} 6\nx_seconds_sum 4.5\nx_seconds_count 6\n";
        assert_eq!(text.into_string(), expected);
    }
}
