//! What the scripts answer.

use countersign_dpop::NonceKey;
use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::Timestamp;
use redis::{ErrorKind, RedisError, Value};
use zeroize::Zeroizing;

/// What `record.lua` says of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Judgement {
    Replayed,
    First,
    NonceDemanded,
    /// The memory has no epoch, or one of another memory.
    Unknown,
    /// The memory is past the time at which it could have dropped a record of the entry.
    TimeDiffers {
        epoch: Vec<u8>,
    },
    QuotaExhausted,
    TooLong,
}

/// What `greet.lua` says.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) begun: bool,
    pub(super) epoch: Epoch,
    pub(super) key: NonceKey,
    /// The server's clock.
    pub(super) time: Timestamp,
    pub(super) memory: Vec<u8>,
}

/// Why the server is not to be used.
#[derive(Debug)]
pub(super) enum Refusal {
    NotMaster,
    Evicts { policy: String },
    Unreadable,
}

impl Judgement {
    pub(super) fn read(reply: &Value) -> Result<Self, RedisError> {
        let Value::Array(parts) = reply else { return Err(unreadable()) };
        match parts.as_slice() {
            [Value::Int(0)] => Ok(Self::Replayed),
            [Value::Int(1)] => Ok(Self::First),
            [Value::Int(2)] => Ok(Self::NonceDemanded),
            [Value::Int(3)] => Ok(Self::Unknown),
            [Value::Int(4), Value::BulkString(epoch)] => Ok(Self::TimeDiffers { epoch: epoch.clone() }),
            [Value::Int(5)] => Ok(Self::QuotaExhausted),
            [Value::Int(6)] => Ok(Self::TooLong),
            _ => Err(unreadable()),
        }
    }
}

impl Greeting {
    pub(super) fn read(reply: Value) -> Result<Self, Refusal> {
        let Value::Array(parts) = reply else { return Err(Refusal::Unreadable) };
        match parts.as_slice() {
            [Value::Int(-1), Value::BulkString(role), Value::BulkString(policy)] => Err(refusal(role, policy)),
            [
                Value::Int(begun),
                Value::BulkString(id),
                Value::Int(floor),
                Value::BulkString(key),
                Value::Int(time),
                Value::BulkString(memory),
            ] if !memory.is_empty() => {
                let id = id.as_slice().try_into().map_err(|_| Refusal::Unreadable)?;
                let key = Zeroizing::<[u8; 32]>::new(key.as_slice().try_into().map_err(|_| Refusal::Unreadable)?);
                Ok(Self {
                    begun: *begun == 1,
                    epoch: Epoch { id: EpochId::from_bytes(id), floor: Timestamp::from_seconds(*floor) },
                    key: NonceKey::from_bytes(*key),
                    time: Timestamp::from_seconds(*time),
                    memory: memory.clone(),
                })
            }
            _ => Err(Refusal::Unreadable),
        }
    }
}

fn refusal(role: &[u8], policy: &[u8]) -> Refusal {
    if role != b"master" {
        return Refusal::NotMaster;
    }
    Refusal::Evicts { policy: String::from_utf8_lossy(policy).into_owned() }
}

fn unreadable() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "an answer that is none of the script's").into()
}
