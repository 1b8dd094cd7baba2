//! The configuration file of a gateway, and the lines of what is wrong in it.

use std::collections::BTreeSet;
use std::path::Path;

use countersign_gateway::GatewayConfig;
use countersign_gateway::config::{ConfigErrors, Key};

use crate::config_lines::{ConfigLines, Line, Step};
use crate::error::CommandError;
use crate::input;

const WHAT: &str = "the configuration";

/// A file that was read.
pub(super) struct ConfigFile<'p> {
    path: &'p Path,
    text: String,
    config: GatewayConfig,
}

impl<'p> ConfigFile<'p> {
    /// # Errors
    /// As [`input::read_toml`].
    pub(super) fn read(path: &'p Path) -> Result<Self, CommandError> {
        let text = input::read_text(path, WHAT)?;
        let config = input::parse_toml(&text, path, WHAT)?;
        Ok(Self { path, text, config })
    }

    pub(super) const fn config(&self) -> &GatewayConfig {
        &self.config
    }

    /// What files that it names count from.
    pub(super) fn directory(&self) -> &'p Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// What is wrong with a configuration that was made of it, with the lines. What flags and variables say stands in
    /// none.
    pub(super) fn explain(&self, faults: &ConfigErrors) -> String {
        let alone = self.config.clone().resolve(self.directory());
        let own: BTreeSet<_> = alone.err().into_iter().flat_map(|faults| faults.0).map(|own| own.to_string()).collect();
        let explained = faults.0.iter().map(|fault| {
            let said = fault.to_string();
            match self.line_of(fault.key).filter(|_| own.contains(&said)) {
                Some(line) => format!("line {}: {said}\n{line}", line.number),
                None => said,
            }
        });
        explained.collect::<Vec<_>>().join("\n")
    }

    fn line_of(&self, key: Key) -> Option<Line> {
        let table = key.table.map(|(array, index)| [Step::Key(array), Step::Item(index)]);
        let names = key.name.split('.').map(Step::Key);
        let steps: Vec<_> = table.into_iter().flatten().chain(names).collect();
        // People write passwords into the URLs of upstreams and stores.
        ConfigLines::of(&self.text).place(&steps)
    }
}
