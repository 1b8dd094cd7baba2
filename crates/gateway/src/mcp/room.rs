//! The memory for bodies that are read, and how much of it one client may have.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_dpop::error::McpError;
use countersign_dpop::jose::Jkt;
use countersign_resource::Caller;

/// What all bodies that are being read may take together, in bytes.
const ROOM: usize = 64 * 1_024 * 1_024;
/// What those of one client may take.
const SHARE: usize = ROOM / 8;

/// Whose a body is. Keys are free to make, and tokens for them are as many as a client asks for, so what the issuer calls
/// it comes first: its subject, or the client; the key where the token has neither, and where the request came from for
/// unbound ones.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Sender {
    Named { issuer: Box<str>, name: Box<str> },
    Key(Jkt),
    Address(IpAddr),
}

impl Sender {
    pub(super) fn of(caller: Caller<'_>, peer: IpAddr) -> Self {
        if let Some(name) = caller.subject().or(caller.client_id()) {
            return Self::Named { issuer: caller.issuer().into(), name: name.into() };
        }
        caller.jkt().map_or(Self::Address(peer), |jkt| Self::Key(*jkt))
    }
}

/// The memory for bodies that are read. One for the whole gateway.
#[derive(Debug, Default)]
pub(crate) struct Room(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// By sender, as long as there is a body of theirs.
    each: HashMap<Sender, usize>,
}

/// The part of the room that one body takes. Given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    sender: Sender,
    share: usize,
    bytes: usize,
}

impl Room {
    /// A place for a body of `sender` that has at most `longest` bytes. One such body has room in the share of a client,
    /// however long it may be.
    pub(super) fn place(self: &Arc<Self>, sender: Sender, longest: usize) -> Place {
        Place { room: Arc::clone(self), sender, share: SHARE.max(longest), bytes: 0 }
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Takes room for `bytes` more.
    ///
    /// # Errors
    /// The client has its share, or there is no room for anybody.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), McpError> {
        let mut taken = self.room.taken();
        let own = taken.each.get(&self.sender).copied().unwrap_or(0).saturating_add(bytes);
        let all = taken.all.saturating_add(bytes);
        if own > self.share {
            return Err(McpError::ShareExhausted);
        }
        if all > ROOM {
            return Err(McpError::Busy);
        }
        taken.each.insert(self.sender.clone(), own);
        taken.all = all;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.all = taken.all.saturating_sub(self.bytes);
        let left = taken.each.get(&self.sender).copied().unwrap_or(0).saturating_sub(self.bytes);
        if left > 0 {
            taken.each.insert(self.sender.clone(), left);
        } else {
            taken.each.remove(&self.sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1_024 * 1_024;

    fn key(number: u8) -> Sender {
        Sender::Key(Jkt::from_bytes([number; 32]))
    }

    fn take(room: &Arc<Room>, sender: Sender, bytes: usize) -> Result<Place, McpError> {
        let mut place = room.place(sender, MIB);
        place.grow(bytes).map(|()| place)
    }

    #[test]
    fn one_client_has_an_eighth_and_leaves_the_rest_to_others() {
        let room = Arc::<Room>::default();
        let held: Vec<_> = (0..8).map(|_| take(&room, key(1), MIB).unwrap()).collect();
        assert_eq!(take(&room, key(1), 1).unwrap_err(), McpError::ShareExhausted);
        let other = take(&room, key(2), MIB).unwrap();
        let near = take(&room, Sender::Address([127, 0, 0, 1].into()), 8 * MIB).unwrap();
        drop(held);
        assert!(take(&room, key(1), 8 * MIB).is_ok(), "all of it came back");
        drop((other, near));
        let taken = room.taken();
        assert!(taken.all == 0 && taken.each.is_empty(), "{taken:?}");
    }

    #[test]
    fn when_nothing_is_left_it_is_nobody_s_fault() {
        let room = Arc::<Room>::default();
        let held: Vec<_> = (0..8).map(|number| take(&room, key(number), 8 * MIB).unwrap()).collect();
        assert_eq!(take(&room, key(9), 1).unwrap_err(), McpError::Busy);
        drop(held);
        assert!(take(&room, key(9), 1).is_ok());
    }

    #[test]
    fn a_body_as_long_as_its_route_takes_has_room_in_a_share() {
        let room = Arc::<Room>::default();
        let mut long = room.place(key(1), 16 * MIB);
        for _ in 0..16 {
            long.grow(MIB).unwrap();
        }
        assert_eq!(long.grow(1), Err(McpError::ShareExhausted));
        assert_eq!(take(&room, key(1), 1).unwrap_err(), McpError::ShareExhausted);
    }
}
