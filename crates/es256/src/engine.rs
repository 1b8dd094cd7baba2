//! The engines, and which of them this machine can run.

use std::fmt;
use std::sync::OnceLock;

use crate::{native, self_test};

/// Who verifies.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Engine {
    /// aws-lc-rs, without tables.
    Library,
    /// Tables, and arithmetic in 64-bit words. Runs everywhere.
    Portable,
    /// Tables, and eight additions at a time by AVX-512 IFMA.
    Ifma,
}

impl Engine {
    /// All engines, the fastest last.
    pub const ALL: [Self; 3] = [Self::Library, Self::Portable, Self::Ifma];

    /// The fastest that this machine can run and that [`Self::is_trusted`] here.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|engine| engine.is_trusted()).unwrap_or(Self::Library)
    }

    /// True if the engine is available and judged signatures rightly that were made to try it, once in this process and
    /// on this machine. It takes a few milliseconds when it is asked first. The library is always trusted.
    pub fn is_trusted(self) -> bool {
        static PORTABLE: OnceLock<bool> = OnceLock::new();
        static IFMA: OnceLock<bool> = OnceLock::new();
        let passed = match self {
            Self::Library => return true,
            Self::Portable => &PORTABLE,
            Self::Ifma => &IFMA,
        };
        *passed.get_or_init(|| self.is_available() && self_test::passes(self))
    }

    /// The engine of that name, if it can be relied on here: for a choice that somebody made on purpose, which must not
    /// be replaced by another one in silence.
    ///
    /// # Errors
    /// [`UnusableEngine`] says what stands against it.
    pub fn usable(name: &str) -> Result<Self, UnusableEngine> {
        let engine = Self::named(name).ok_or_else(|| UnusableEngine::Unknown { name: name.to_owned() })?;
        if !engine.is_available() {
            return Err(UnusableEngine::Absent { engine });
        }
        if engine.is_trusted() { Ok(engine) } else { Err(UnusableEngine::Untrusted { engine }) }
    }

    /// The engine of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }

    /// Its name: `library`, `portable` or `ifma`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Library => "library",
            Self::Portable => "portable",
            Self::Ifma => "ifma",
        }
    }

    /// True if this machine has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            Self::Library | Self::Portable => true,
            // Tests run it everywhere, without the instructions.
            Self::Ifma => cfg!(test) || native::has_ifma(),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why an engine cannot be had.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UnusableEngine {
    /// There is none of that name.
    Unknown {
        /// The name.
        name: String,
    },
    /// This machine lacks its instructions.
    Absent {
        /// The engine.
        engine: Engine,
    },
    /// It judged signatures wrongly that were made to try it on this machine.
    Untrusted {
        /// The engine.
        engine: Engine,
    },
}

impl fmt::Display for UnusableEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => {
                write!(formatter, "{name:?} is no ES256 engine; there are library, portable, ifma")
            }
            Self::Absent { engine } => write!(
                formatter,
                "the ES256 engine {engine} needs AVX-512 IFMA, BMI2 and ADX, which this machine lacks; portable runs everywhere"
            ),
            Self::Untrusted { engine } => write!(
                formatter,
                "the ES256 engine {engine} judged signatures wrongly that were made to try it on this machine; use library"
            ),
        }
    }
}

impl std::error::Error for UnusableEngine {}
