//! The configuration file of the authorization server, and the lines that its faults are shown with.

use std::path::Path;

use countersign_authserver::config::{ConfigError, Key};
use countersign_authserver::storage::StorageOpenError;
use countersign_authserver::{AuthServerConfig, OpenError, Settings};

use crate::config_lines::{ConfigLines, Line, Step};
use crate::error::CommandError;
use crate::input;

/// Where the database is, as `postgres://…`; over the file. There is no flag for it: everybody sees flags.
const DATABASE_VARIABLE: &str = "COUNTERSIGN_DATABASE";

/// A configuration file that was read.
pub(super) struct ConfigFile {
    text: String,
    /// Whether [`DATABASE_VARIABLE`] says where the database is.
    has_variable: bool,
}

impl ConfigFile {
    /// Reads the configuration; files it names count from its own directory.
    pub(super) fn read(path: &Path) -> Result<(Self, Settings), CommandError> {
        let text = input::read_text(path, "the configuration")?;
        let mut config: AuthServerConfig = input::parse_toml(&text, path, "the configuration")?;
        let variable = std::env::var_os(DATABASE_VARIABLE);
        let file = Self { text, has_variable: variable.is_some() };
        if let Some(url) = variable {
            let not_text = |_| CommandError::configuration(format!("{DATABASE_VARIABLE} is not UTF-8 text"));
            config.database = Some(url.into_string().map_err(not_text)?.into());
            config.database_file = None;
        }
        match config.resolve(path.parent().unwrap_or(Path::new("."))) {
            Ok(settings) => Ok((file, settings)),
            Err(faults) => {
                let faults: Vec<String> = faults.0.iter().map(|fault| file.explain(fault)).collect();
                let message = format!("the configuration {} is not right:\n{}", path.display(), faults.join("\n"));
                Err(CommandError::configuration(message)
                    .with_hint("nothing was started; countersign authserver init writes an example"))
            }
        }
    }

    /// Why the server that the file describes cannot be opened.
    pub(super) fn cannot_open(&self, fault: &OpenError) -> CommandError {
        let key = match fault {
            OpenError::Storage(
                StorageOpenError::File { .. }
                | StorageOpenError::Database { .. }
                | StorageOpenError::NewerSchema { .. },
            )
            | OpenError::SealFile(_) => Some("data"),
            OpenError::Storage(StorageOpenError::PostgresRefused { .. } | StorageOpenError::Postgres { .. })
                if self.has_variable =>
            {
                None
            }
            OpenError::Storage(StorageOpenError::PostgresRefused { .. } | StorageOpenError::Postgres { .. }) => {
                Some(if self.line_of(Key::top("database"), None).is_some() { "database" } else { "database_file" })
            }
            OpenError::StorageAway(_)
            | OpenError::Secret(_)
            | OpenError::Keys(_)
            | OpenError::NoRandomness(_)
            | OpenError::Htu(_)
            | OpenError::Algorithms => None,
        };
        let line = key.and_then(|key| self.line_of(Key::top(key), None));
        let said = fault.to_string();
        CommandError::configuration(line.map_or_else(|| said.clone(), |line| format!("{said}\n{line}")))
    }

    /// A fault, after the line it is in, if it is in one.
    fn explain(&self, fault: &ConfigError) -> String {
        if self.has_variable && fault.key == Key::top("database") {
            return format!("{DATABASE_VARIABLE}: {}", fault.problem);
        }
        let line = self.line_of(fault.key, fault.problem.item());
        line.map_or_else(|| fault.to_string(), |line| format!("line {}: {fault}\n{line}", line.number))
    }

    fn line_of(&self, key: Key, item: Option<&str>) -> Option<Line> {
        let table = key.table.map(|(table, index)| (Step::Key(table), (index != Key::ALONE).then_some(index)));
        let (table, index) = table.unzip();
        let item_of_array = index.flatten().map(Step::Item);
        let steps: Vec<Step<'_>> = table.into_iter().chain(item_of_array).chain([Step::Key(key.name)]).collect();
        ConfigLines::of(&self.text).find(&steps, item)
    }
}
