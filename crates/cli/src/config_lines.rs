//! The lines of a configuration file, to be shown where something in it is wrong. No secret is among what is shown.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A configuration file, with the places of its keys when it is TOML at all.
pub(crate) struct ConfigLines<'t> {
    text: &'t str,
    root: Option<Spanned<DeTable<'t>>>,
}

/// A step from a table or an array to what is in it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'k> {
    Key(&'k str),
    Item(usize),
}

/// A line, counted from 1, as it may be shown.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Line {
    pub(crate) number: usize,
    shown: String,
}

/// Keys whose values are secrets.
const SECRET_KEYS: [&str; 5] = ["secret", "password", "password_hash", "initial_access_token", "database"];

impl<'t> ConfigLines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        Self { text, root: DeTable::parse(text).ok() }
    }

    /// The line where `steps` lead to, or as far as they lead. When a list stands there and `item` is in it, the line
    /// of that.
    pub(crate) fn find(&self, steps: &[Step<'_>], item: Option<&str>) -> Option<Line> {
        let (at, value) = self.follow(steps);
        let named = item.and_then(|item| find_item(value?.get_ref(), item));
        named.or(at).map(|start| self.line_at(start, Values::OfKnownKeys))
    }

    /// The same line without its value, for files in whose values people write passwords.
    pub(crate) fn place(&self, steps: &[Step<'_>]) -> Option<Line> {
        self.follow(steps).0.map(|start| self.line_at(start, Values::None))
    }

    /// Where `steps` lead, and what stands there.
    fn follow(&self, steps: &[Step<'_>]) -> (Option<usize>, Option<&Spanned<DeValue<'t>>>) {
        let mut at = None;
        let mut value: Option<&Spanned<DeValue<'t>>> = None;
        for step in steps {
            let next = match (step, value.map(Spanned::get_ref), &self.root) {
                (Step::Key(key), None, Some(root)) if at.is_none() => entry(root.get_ref(), key),
                (Step::Key(key), Some(DeValue::Table(table)), _) => entry(table, key),
                (Step::Item(index), Some(DeValue::Array(items)), _) => {
                    items.get(*index).map(|item| (item.span().start, item))
                }
                _ => None,
            };
            let Some((start, inner)) = next else { break };
            at = Some(start);
            value = Some(inner);
        }
        (at, value)
    }

    /// The line at an offset of which nothing is known: no value is shown.
    pub(crate) fn at(&self, offset: usize) -> Line {
        self.line_at(offset, Values::None)
    }

    fn line_at(&self, offset: usize, values: Values) -> Line {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = self.text[start..].lines().next().unwrap_or_default().trim();
        Line { number: before.matches('\n').count() + 1, shown: shown(line, values) }
    }
}

/// Which values may be shown.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Values {
    None,
    OfKnownKeys,
}

fn entry<'a, 't>(table: &'a DeTable<'t>, name: &str) -> Option<(usize, &'a Spanned<DeValue<'t>>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span().start, value))
}

/// The last one that begins so: of two that are the same the second is too many.
fn find_item(value: &DeValue<'_>, wanted: &str) -> Option<usize> {
    let DeValue::Array(items) = value else { return None };
    let is_wanted = |item: &&Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::String(text) => text.chars().take(wanted.chars().count()).eq(wanted.chars()),
        _ => false,
    };
    items.iter().rfind(is_wanted).map(|item| item.span().start)
}

/// A line without secrets: of one that holds any, or may hold one, the key only.
fn shown(line: &str, values: Values) -> String {
    let is_key = |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte));
    let is_table = line.starts_with('[') && line.ends_with(']') && is_key(line.trim_matches(['[', ']']));
    let is_plain = values == Values::OfKnownKeys && !SECRET_KEYS.iter().any(|key| sets(line, key));
    if is_table || is_plain {
        return shorten(line);
    }
    match line.split_once('=') {
        Some((key, _)) if is_key(key) => format!("{} = …", shorten(key.trim())),
        Some(_) | None => "…".to_owned(),
    }
}

/// Whether `key` is given a value anywhere in `line`, as in an inline table.
fn sets(line: &str, key: &str) -> bool {
    line.match_indices(key).any(|(at, _)| {
        let rest = line[at + key.len()..].trim_start_matches(['"', '\'']);
        rest.trim_start().starts_with('=')
    })
}

fn shorten(line: &str) -> String {
    const MOST: usize = 100;
    let cut: String = line.chars().take(MOST).collect();
    if cut.len() < line.len() { format!("{cut}…") } else { cut }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5} | {}", self.number, self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"issuer = "idp"
database = "postgres://canary@db/as"

[limits]
drain_seconds = 0

[[client]]
client_id = "a"
secret = "canary"

[[client]]
client_id = "b"
scopes = [
  "read",
  "nobodys", # why
  "read",
]
[[user]]
inline = { username = "u", password = "canary" }
"#;

    fn find(steps: &[Step<'_>], item: Option<&str>) -> (usize, String) {
        let line = ConfigLines::of(FILE).find(steps, item).unwrap();
        (line.number, line.shown)
    }

    #[test]
    fn finds_the_line_of_a_key_and_of_an_item_of_a_list() {
        use Step::{Item, Key};
        assert_eq!(find(&[Key("issuer")], None), (1, "issuer = \"idp\"".to_owned()));
        assert_eq!(find(&[Key("limits"), Key("drain_seconds")], None), (5, "drain_seconds = 0".to_owned()));
        let second = |key| [Key("client"), Item(1), Key(key)];
        assert_eq!(find(&second("client_id"), None), (12, "client_id = \"b\"".to_owned()));
        assert_eq!(find(&second("scopes"), Some("nobodys")), (15, "\"nobodys\", # why".to_owned()));
        assert_eq!(find(&second("scopes"), Some("read")).0, 16);
        assert_eq!(find(&second("scopes"), Some("gone")).0, 13);
    }

    #[test]
    fn shows_the_table_where_the_key_is_absent_and_nothing_where_that_is() {
        assert_eq!(find(&[Step::Key("client"), Step::Item(1), Step::Key("auth")], None), (11, "[[client]]".to_owned()));
        assert_eq!(find(&[Step::Key("limits"), Step::Key("x")], None), (4, "[limits]".to_owned()));
        assert_eq!(ConfigLines::of(FILE).find(&[Step::Key("data")], None), None);
        assert_eq!(ConfigLines::of("no toml").find(&[Step::Key("data")], None), None);
    }

    #[test]
    fn shows_no_secret() {
        assert_eq!(find(&[Step::Key("database")], None), (2, "database = …".to_owned()));
        let secret = find(&[Step::Key("client"), Step::Item(0), Step::Key("secret")], None);
        assert_eq!(secret, (9, "secret = …".to_owned()));
        let inline = [Step::Key("user"), Step::Item(0), Step::Key("inline"), Step::Key("username")];
        assert_eq!(find(&inline, None), (19, "inline = …".to_owned()));
        let place = ConfigLines::of(FILE).place(&[Step::Key("issuer")]).unwrap();
        assert_eq!((place.number, place.shown.as_str()), (1, "issuer = …"));
        let lines = ConfigLines::of("scret = 'canary'\n'''canary\n");
        assert_eq!((lines.at(3).shown.as_str(), lines.at(20).shown.as_str()), ("scret = …", "…"));
    }
}
