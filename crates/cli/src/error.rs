//! What a command that fails says, and with which exit code.

use std::fmt;
use std::process::ExitCode;

use crate::render;

/// Why a command ends without success. One sentence that says what is wrong, and a hint that says what to do.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

/// Whose doing it is. The exit code is 2 either way; 1 is for answers that say no.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ErrorKind {
    /// A wrong flag, file or value.
    Configuration,
    /// Not the user's doing.
    Internal,
}

impl CommandError {
    /// A wrong flag, file or value.
    pub(crate) fn configuration(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Configuration, message)
    }

    /// Something that is not the user's doing.
    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// What is wrong, without the hint.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Prints the error on stderr and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self.kind {
            ErrorKind::Configuration => render::error_line("error", &self.message),
            ErrorKind::Internal => render::error_line("failed", &self.message),
        }
        if let Some(hint) = &self.hint {
            render::error_line("hint", hint);
        }
        ExitCode::from(2)
    }

    fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), hint: None }
    }
}
