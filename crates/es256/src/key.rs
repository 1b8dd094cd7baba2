//! Public keys, and keys with a table.

use std::fmt;

use crate::comb::Comb;
use crate::engine::Engine;
use crate::field::Element;
use crate::ifma::{self, Line};
use crate::library;
use crate::native;
use crate::point::AffinePoint;
use crate::portable;
use crate::signature::Question;

/// The coordinates are no point of P-256: not below p, or no solution of the curve's equation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the coordinates are no point of P-256")
    }
}

impl std::error::Error for InvalidKey {}

/// A point of P-256 other than infinity. Its order is n: the curve has no other subgroup.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct PublicKey {
    uncompressed: [u8; 65],
    point: AffinePoint,
}

impl PublicKey {
    /// The key with these coordinates, big-endian (RFC 7518 §6.2.1).
    ///
    /// # Errors
    /// [`InvalidKey`] if they are not canonical or not on the curve.
    pub fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Result<Self, InvalidKey> {
        let coordinate = |bytes| Element::from_be_bytes(bytes).ok_or(InvalidKey);
        let point = AffinePoint { x: coordinate(x)?, y: coordinate(y)? };
        if !point.is_on_curve() {
            return Err(InvalidKey);
        }
        let mut uncompressed = [4; 65];
        uncompressed[1..33].copy_from_slice(x);
        uncompressed[33..].copy_from_slice(y);
        Ok(Self { uncompressed, point })
    }

    /// The key in the uncompressed form of SEC 1 §2.3.3.
    pub fn uncompressed(&self) -> &[u8; 65] {
        &self.uncompressed
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PublicKey(")?;
        self.uncompressed.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))?;
        formatter.write_str(")")
    }
}

/// How large a key's table is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Tier {
    /// 64 points, 4 KiB: built in less time than a library verifies.
    Small,
    /// 512 points, 32 KiB.
    Hot,
}

/// A key with a table of its multiples.
pub struct PreparedKey {
    public: PublicKey,
    tier: Tier,
    table: Table,
}

/// The points, in the form that one engine reads.
enum Table {
    /// Every signature goes to the library.
    None,
    Portable(Box<[AffinePoint]>),
    Ifma(Box<[Line]>),
}

impl PreparedKey {
    /// The key with a small table for the best engine of this machine.
    pub fn new(key: &PublicKey) -> Self {
        Self::with(key, Engine::best(), Tier::Small)
    }

    /// The key with a table for `engine`; without a table if that is the library or cannot run here.
    pub fn with(key: &PublicKey, engine: Engine, tier: Tier) -> Self {
        let table = match engine {
            Engine::Portable => portable_table(&key.point, tier).map_or(Table::None, Table::Portable),
            Engine::Ifma if engine.is_available() => ifma_table(&key.point, tier).map_or(Table::None, Table::Ifma),
            Engine::Library | Engine::Ifma => Table::None,
        };
        Self { public: *key, tier, table }
    }

    /// The same key with a hot table for the same engine.
    #[must_use]
    pub fn grown(&self) -> Self {
        Self::with(&self.public, self.engine(), Tier::Hot)
    }

    /// The key itself.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// How large the table is.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Whose table it is.
    pub fn engine(&self) -> Engine {
        match self.table {
            Table::None => Engine::Library,
            Table::Portable(_) => Engine::Portable,
            Table::Ifma(_) => Engine::Ifma,
        }
    }

    /// All memory that the key takes, in bytes.
    pub fn size(&self) -> usize {
        let table = match &self.table {
            Table::None => 0,
            Table::Portable(points) => size_of_val::<[_]>(points),
            Table::Ifma(points) => size_of_val::<[_]>(points),
        };
        size_of::<Self>() + table
    }

    /// Whether the signature is good, by the table; `None` if the engine cannot say.
    pub(crate) fn decide(&self, question: &Question) -> Option<bool> {
        match (&self.table, self.tier) {
            (Table::None, _) => None,
            (Table::Portable(points), Tier::Small) => {
                native::decide::<portable::Small>(question, points, portable::base())
            }
            (Table::Portable(points), Tier::Hot) => native::decide::<portable::Hot>(question, points, portable::base()),
            (Table::Ifma(points), Tier::Small) => native::decide_by_ifma::<ifma::Small>(question, points, ifma::base()),
            (Table::Ifma(points), Tier::Hot) => native::decide_by_ifma::<ifma::Hot>(question, points, ifma::base()),
        }
    }

    /// Whether the signature is good, by the library.
    pub(crate) fn decide_by_library(&self, hash: &[u8; 32], signature: &[u8]) -> bool {
        library::decide(&self.public, hash, signature)
    }
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("PreparedKey");
        shown
            .field("public", &self.public)
            .field("tier", &self.tier)
            .field("engine", &self.engine())
            .finish_non_exhaustive()
    }
}

fn portable_table(point: &AffinePoint, tier: Tier) -> Option<Box<[AffinePoint]>> {
    match tier {
        Tier::Small => native::table(Comb::<5, 4, 13>, point),
        Tier::Hot => native::table(Comb::<8, 4, 8>, point),
    }
}

fn ifma_table(point: &AffinePoint, tier: Tier) -> Option<Box<[Line]>> {
    match tier {
        Tier::Small => ifma::table(Comb::<4, 8, 8>, point),
        Tier::Hot => ifma::table(Comb::<7, 8, 5>, point),
    }
}
