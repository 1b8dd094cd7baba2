//! The engines, and which of them this machine can run.

use std::fmt;

use crate::native;

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

    /// The fastest that this machine can run.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|engine| engine.is_available()).unwrap_or(Self::Library)
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
