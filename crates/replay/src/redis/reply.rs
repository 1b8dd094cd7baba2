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

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(parts: Vec<Value>) -> Option<Judgement> {
        Judgement::read(&Value::Array(parts)).ok()
    }

    fn bulk(text: &[u8]) -> Value {
        Value::BulkString(text.to_vec())
    }

    #[test]
    fn reads_every_judgement_of_the_script_and_no_other() {
        let number = |number| judgement(vec![Value::Int(number)]);
        assert_eq!(number(0), Some(Judgement::Replayed));
        assert_eq!(number(1), Some(Judgement::First));
        assert_eq!(number(2), Some(Judgement::NonceDemanded));
        assert_eq!(number(3), Some(Judgement::Unknown));
        let epoch = b"epoch".to_vec();
        assert_eq!(judgement(vec![Value::Int(4), bulk(&epoch)]), Some(Judgement::TimeDiffers { epoch }));
        assert_eq!(number(5), Some(Judgement::QuotaExhausted));
        assert_eq!(number(6), Some(Judgement::TooLong));
        for nothing in [-1, 4, 7] {
            assert_eq!(number(nothing), None);
        }
        assert_eq!(judgement(vec![Value::Int(1), Value::Int(1)]), None);
        assert_eq!(judgement(vec![]), None);
        assert_eq!(Judgement::read(&Value::Int(1)).ok(), None);
    }

    #[test]
    fn a_greeting_names_the_memory_and_has_everything_in_its_length() {
        let greeting = |begun, id: usize, key: usize, memory: &[u8]| {
            let (id, key) = (bulk(&vec![1; id]), bulk(&vec![2; key]));
            Greeting::read(Value::Array(vec![Value::Int(begun), id, Value::Int(7), key, Value::Int(9), bulk(memory)]))
        };
        let good = greeting(1, 16, 32, b"run").unwrap();
        let epoch = Epoch { id: EpochId::from_bytes([1; 16]), floor: Timestamp::from_seconds(7) };
        assert_eq!((good.begun, good.epoch, good.time.seconds(), &*good.memory), (true, epoch, 9, &b"run"[..]));
        assert!(!greeting(0, 16, 32, b"run").unwrap().begun);
        for unreadable in [greeting(1, 16, 32, b""), greeting(1, 15, 32, b"run"), greeting(1, 16, 33, b"run")] {
            assert!(matches!(unreadable, Err(Refusal::Unreadable)), "{unreadable:?}");
        }
    }

    #[test]
    fn a_replica_and_a_server_that_evicts_are_refused() {
        let refused = |role, policy| Greeting::read(Value::Array(vec![Value::Int(-1), bulk(role), bulk(policy)]));
        assert!(matches!(refused(b"slave", b"allkeys-lru"), Err(Refusal::NotMaster)));
        let evicts = refused(b"master", b"allkeys-lru").unwrap_err();
        assert!(matches!(evicts, Refusal::Evicts { policy } if policy == "allkeys-lru"));
    }
}
