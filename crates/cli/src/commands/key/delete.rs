//! Deleting a key, after a question.

use std::io::{BufRead, IsTerminal, Read, stdin};
use std::process::ExitCode;

use countersign_client::keys::{KeyName, KeyStore};

use crate::error::CommandError;
use crate::keys::store_error;
use crate::render;

/// Deletes a key. Asks unless told not to; without a terminal to ask on it refuses.
pub(crate) fn delete(store: &dyn KeyStore, name: &KeyName, yes: bool) -> Result<ExitCode, CommandError> {
    if !yes && !confirmed(name)? {
        render::status("the key was left as it is");
        return Ok(ExitCode::from(1));
    }
    store.delete(name).map_err(store_error)?;
    render::line(format_args!("key {name} deleted; tokens bound to it are of no use any more"));
    Ok(ExitCode::SUCCESS)
}

fn confirmed(name: &KeyName) -> Result<bool, CommandError> {
    if !stdin().is_terminal() {
        return Err(CommandError::configuration("there is no terminal to ask on; nothing was deleted")
            .with_hint(format!("to delete without a question: countersign key delete {name} --yes")));
    }
    render::status(format_args!("delete key {name} for good? tokens bound to it become useless [y/N]"));
    let mut answer = String::new();
    let read = stdin().lock().take(16).read_line(&mut answer);
    read.map_err(|fault| CommandError::internal(format!("no answer could be read: {fault}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
