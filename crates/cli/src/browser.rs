//! Sending a person to a page.

use std::io;
use std::process::{Command, Stdio};

use crate::render::{self, NAME, styled};

/// How people get to a page.
#[derive(Clone, Debug)]
pub(crate) enum Browser {
    /// The system's.
    System,
    /// A command of the user's, to which the address is added as its last argument.
    Command(String),
    /// None: the address is printed.
    Printed,
}

impl Browser {
    /// What the flags say.
    pub(crate) fn of(command: Option<String>, none: bool) -> Self {
        match (command, none) {
            (_, true) => Self::Printed,
            (Some(command), false) => Self::Command(command),
            (None, false) => Self::System,
        }
    }

    /// Prints the address, and opens it where there is something to open it with.
    pub(crate) fn visit(&self, url: &str) -> io::Result<()> {
        render::status(format_args!("to log in, open this page:\n  {}", styled(NAME, url)));
        match self {
            Self::Printed => Ok(()),
            // The address is an argument of the shell, never a part of what it runs.
            Self::Command(command) => {
                start(Command::new("sh").arg("-c").arg(format!("{command} \"$1\"")).arg("sh").arg(url))
            }
            // Without a desktop there is still the address above.
            Self::System => start(Command::new(OPENER).arg(url)).or_else(|fault| match fault.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(fault),
            }),
        }
    }
}

/// What opens a page on this system.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Starts a command that nobody waits for; what it prints belongs to nobody.
fn start(command: &mut Command) -> io::Result<()> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    std::thread::spawn(move || child.wait());
    Ok(())
}
