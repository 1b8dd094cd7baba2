//! What a journal tells when it is read as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use serde::Serialize;

use crate::journal::{Entry, Event};

/// Use of the agent, and what is unusual in it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Use by day, binding and tool.
    pub rows: Vec<Row>,
    /// What a person should look at.
    pub unusual: Vec<Unusual>,
}

/// Use of one tool of one binding on one day.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Row {
    /// Days since 1970, as a date.
    pub day: String,
    /// The binding.
    pub binding: String,
    /// The MCP tool or method, or the HTTP method.
    pub tool: String,
    /// Requests that were signed.
    pub signed: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Answers of 400 and above.
    pub failed: u64,
}

/// Something unusual.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Unusual {
    /// When, in seconds since 1970.
    pub time: i64,
    /// The binding.
    pub binding: String,
    /// `new_tool`, `new_path`, `burst`, `refused` or `leaked`.
    pub kind: &'static str,
    /// In words.
    pub what: String,
}

/// Requests of one binding in one minute from which on it is a burst.
const BURST: u64 = 120;
const DAY: i64 = 86_400;

/// Reads a journal. Lines that cannot be read are left out: [`crate::journal::verify`] is for them.
///
/// # Errors
/// The system's.
pub fn report(journal: impl BufRead) -> std::io::Result<Report> {
    let mut reading = Reading::default();
    for line in journal.lines() {
        let line = line?;
        if let Ok(entry) = serde_json::from_str::<Entry<'_>>(&line) {
            reading.take(&entry);
        }
    }
    Ok(Report { rows: reading.rows.into_values().collect(), unusual: reading.unusual })
}

#[derive(Default)]
struct Reading {
    rows: BTreeMap<(i64, String, String), Row>,
    unusual: Vec<Unusual>,
    first_day: BTreeMap<String, i64>,
    seen: BTreeSet<(String, &'static str, String)>,
    minute: BTreeMap<String, (i64, u64)>,
    tools: BTreeMap<u64, String>,
}

impl Reading {
    fn take(&mut self, entry: &Entry<'_>) {
        let Some(binding) = entry.binding.as_deref() else { return };
        let day = entry.time.div_euclid(DAY);
        match entry.event {
            Event::Signed => {
                let tool = tool_of(entry);
                if let Some(request) = entry.request {
                    self.tools.insert(request, tool.clone());
                }
                self.row(day, binding, &tool).signed += 1;
                self.look(entry, binding, day, &tool);
            }
            Event::Refused => {
                let tool = tool_of(entry);
                self.row(day, binding, &tool).refused += 1;
                let code = entry.code.as_deref().unwrap_or_default();
                let note = entry.note.as_deref().unwrap_or_default();
                self.tell(entry, binding, "refused", format!("{code} {tool}: {note}"));
            }
            Event::Answered if entry.status.is_none_or(|status| status >= 400) => {
                let tool = entry.request.and_then(|request| self.tools.get(&request)).cloned().unwrap_or_default();
                self.row(day, binding, &tool).failed += 1;
            }
            Event::Leaked => self.tell(entry, binding, "leaked", entry.note.as_deref().unwrap_or_default().to_owned()),
            _ => {}
        }
    }

    fn row(&mut self, day: i64, binding: &str, tool: &str) -> &mut Row {
        let row = self.rows.entry((day, binding.to_owned(), tool.to_owned())).or_default();
        row.day = date(day);
        binding.clone_into(&mut row.binding);
        tool.clone_into(&mut row.tool);
        row
    }

    /// What is new after a binding's first day, and what comes in bursts.
    fn look(&mut self, entry: &Entry<'_>, binding: &str, day: i64, tool: &str) {
        let first = *self.first_day.entry(binding.to_owned()).or_insert(day);
        let path = entry.path.as_deref().unwrap_or_default();
        for (kind, value) in [("new_tool", tool), ("new_path", path)] {
            if self.seen.insert((binding.to_owned(), kind, value.to_owned())) && day > first {
                self.tell(entry, binding, kind, value.to_owned());
            }
        }
        let minute = entry.time.div_euclid(60);
        let count = self.minute.entry(binding.to_owned()).or_insert((minute, 0));
        if count.0 != minute {
            *count = (minute, 0);
        }
        count.1 += 1;
        if count.1 == BURST {
            self.tell(entry, binding, "burst", format!("{BURST} requests and more in one minute"));
        }
    }

    fn tell(&mut self, entry: &Entry<'_>, binding: &str, kind: &'static str, what: String) {
        self.unusual.push(Unusual { time: entry.time, binding: binding.to_owned(), kind, what });
    }
}

fn tool_of(entry: &Entry<'_>) -> String {
    let tool = entry.tool.as_deref().or(entry.mcp.as_deref()).or(entry.method.as_deref());
    tool.unwrap_or_default().to_owned()
}

/// Seconds since 1970 as people read them: date and time in UTC.
pub fn time_in_utc(seconds: i64) -> String {
    let of_day = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3_600, of_day % 3_600 / 60, of_day % 60);
    format!("{} {hour:02}:{minute:02}:{second:02}Z", date(seconds.div_euclid(DAY)))
}

/// The date of a day since 1970 (the civil calendar by Howard Hinnant's method).
fn date(day: i64) -> String {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: i64, event: Event, tool: &str) -> String {
        let mut entry = Entry::new(event).of("reader");
        entry.time = time;
        entry.request = Some(7);
        entry.tool = Some(tool.to_owned().into());
        entry.path = Some("/mcp".into());
        entry.status = (event == Event::Answered).then_some(403);
        format!("{}\n", serde_json::to_string(&entry).expect("JSON"))
    }

    #[test]
    fn counts_use_and_names_what_is_new_refused_or_a_burst() {
        let day = 1_735_689_600;
        let mut journal = line(day, Event::Signed, "read") + &line(day, Event::Answered, "read");
        journal += &line(day + DAY, Event::Signed, "write");
        journal += &line(day + DAY, Event::Refused, "drop");
        for _ in 0..BURST {
            journal += &line(day + 2 * DAY, Event::Signed, "read");
        }
        let report = report(journal.as_bytes()).expect("read");
        let first = &report.rows[0];
        assert_eq!((first.day.as_str(), first.tool.as_str(), first.signed, first.failed), ("2025-01-01", "read", 1, 1));
        let kinds: Vec<_> = report.unusual.iter().map(|unusual| (unusual.kind, unusual.what.as_str())).collect();
        assert_eq!(
            kinds,
            [("new_tool", "write"), ("refused", " drop: "), ("burst", "120 requests and more in one minute")]
        );
    }

    #[test]
    fn knows_the_calendar() {
        for (day, expected) in [(0, "1970-01-01"), (19_782, "2024-02-29"), (20_088, "2024-12-31"), (-1, "1969-12-31")] {
            assert_eq!(date(day), expected);
        }
        assert_eq!(time_in_utc(1_795_875_206), "2026-11-28 14:13:26Z");
        assert_eq!(time_in_utc(-1), "1969-12-31 23:59:59Z");
    }
}
