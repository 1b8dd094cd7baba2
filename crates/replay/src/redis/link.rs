//! What is said over a connection: the two scripts, each one call.

use std::sync::{PoisonError, RwLock};

use countersign_dpop::replay::{QuotaKey, ReplayEntry};
use countersign_dpop::time::Timestamp;
use redis::{Cmd, RedisError, Value};
use zeroize::Zeroizing;

use super::connect::{self, Line};
use super::reply::{Greeting, Refusal};
use super::shared::{RedisReplayFault, Shared};

pub(super) use super::reply::Judgement;

const GREET: &str = include_str!("greet.lua");
const RECORD: &str = include_str!("record.lua");
/// Every key has the same tag, so that a cluster keeps them together and a script may touch them together.
const STATE: &[u8] = b"{cs1}e";
const ENTRY: &[u8] = b"{cs1}:";
const PARTY: &[u8] = b"{cs1}q";
/// Seconds by which the clocks of two nodes may differ.
pub(super) const CLOCK_DIFFERENCE: i64 = 30;
/// The longest that an entry may live, in seconds: far more than any window needs.
const LONGEST_LIFE: i64 = 3 * 86_400;
/// Numbers beyond are not exact in the server's scripts. Far from any date that is acceptable.
const EXACT: i64 = 1 << 52;

/// A connection that has been greeted: the epoch of the memory behind it is known to be of that very memory.
#[derive(Debug)]
pub(super) struct Link {
    line: Line,
    record: Script,
    greet: Script,
    /// Which memory was greeted.
    memory: RwLock<Vec<u8>>,
}

/// A script with the name that the server has for it.
#[derive(Debug)]
struct Script {
    source: &'static str,
    sha: Option<String>,
}

impl Link {
    /// Connects and greets; in a cluster, the node that has the keys.
    pub(super) async fn establish(shared: &Shared) -> Result<(Self, Greeting), RedisReplayFault> {
        let server = &shared.config.server;
        let mut link = Self::over(connect::connect(server, None).await?).await;
        let mut greeting = link.say_hello(shared, None).await;
        if let Err(error) = &greeting
            && let Some(node) = connect::moved_to(error)
        {
            link = Self::over(connect::connect(server, Some(&node)).await?).await;
            greeting = link.say_hello(shared, None).await;
        }
        let greeting = link.note(Greeting::read(greeting?)?);
        Ok((link, greeting))
    }

    async fn over(mut line: Line) -> Self {
        let record = Script::load(&mut line, RECORD).await;
        let greet = Script::load(&mut line, GREET).await;
        Self { line, record, greet, memory: RwLock::default() }
    }

    /// Learns the epoch; begins a new one if the memory is another one than the epoch's, or if the epoch is the one
    /// that is to be `ended`.
    pub(super) async fn greet(&self, shared: &Shared, ended: Option<Vec<u8>>) -> Result<Greeting, RedisReplayFault> {
        let reply = self.say_hello(shared, ended).await?;
        Ok(self.note(Greeting::read(reply)?))
    }

    async fn say_hello(&self, shared: &Shared, ended: Option<Vec<u8>>) -> Result<Value, RedisError> {
        let mut fresh = Zeroizing::new([0; 48]);
        if aws_lc_rs::rand::fill(fresh.as_mut_slice()).is_err() {
            return Err((redis::ErrorKind::Client, "the system gave no random bytes").into());
        }
        let window = shared.reach();
        let (id, key) = fresh.split_at(16);
        self.greet
            .call(&self.line, 1, |command| {
                command.arg(STATE).arg(exact(shared.clock.now())).arg(window.max_ahead).arg(window.max_age);
                command.arg(id).arg(key).arg(CLOCK_DIFFERENCE).arg(ended.as_deref().unwrap_or_default());
            })
            .await
    }

    fn note(&self, greeting: Greeting) -> Greeting {
        self.memory.write().unwrap_or_else(PoisonError::into_inner).clone_from(&greeting.memory);
        greeting
    }

    /// Has `entry` judged and recorded at `now`.
    pub(super) async fn record(
        &self,
        entry: &ReplayEntry,
        now: Timestamp,
        quota: Option<(u32, QuotaKey)>,
    ) -> Result<Judgement, RedisError> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner).clone();
        let nonce = entry.nonce_epoch;
        let reply = self
            .record
            .call(&self.line, if quota.is_some() { 3 } else { 2 }, |command| {
                command.arg(STATE).arg(tagged(ENTRY, &entry.key.digest()));
                if let Some((_, party)) = &quota {
                    command.arg(tagged(PARTY, party.as_bytes()));
                }
                command.arg(exact(now)).arg(exact(entry.iat.floor())).arg(exact(entry.not_after));
                command.arg(nonce.as_ref().map_or(&[][..], |epoch| epoch.as_bytes())).arg(memory.as_slice());
                command.arg(CLOCK_DIFFERENCE).arg(LONGEST_LIFE);
                match quota {
                    Some((quota, _)) => command.arg(quota),
                    None => command.arg(""),
                };
            })
            .await?;
        Judgement::read(&reply)
    }
}

impl Script {
    async fn load(line: &mut Line, source: &'static str) -> Self {
        let mut command = Cmd::new();
        command.arg("SCRIPT").arg("LOAD").arg(source);
        // Where loading is not allowed, the source is sent each time.
        let sha = command.query_async(&mut line.connection).await.ok();
        Self { source, sha }
    }

    /// Calls it by its name, or by its source where the server has forgotten it.
    async fn call(&self, line: &Line, keys: usize, rest: impl Fn(&mut Cmd)) -> Result<Value, RedisError> {
        let command = |verb: &str, script: &str| {
            let mut command = Cmd::new();
            command.arg(verb).arg(script).arg(keys);
            rest(&mut command);
            command
        };
        let mut connection = line.connection.clone();
        if let Some(sha) = &self.sha {
            match connection.send_packed_command(&command("EVALSHA", sha)).await.and_then(Value::extract_error) {
                Err(error) if error.code() == Some("NOSCRIPT") => (),
                answer => return answer,
            }
        }
        connection.send_packed_command(&command("EVAL", self.source)).await.and_then(Value::extract_error)
    }
}

/// True when the server refuses for want of memory: it will refuse the next one too, over any connection.
pub(super) fn is_about_memory(error: &RedisError) -> bool {
    error.code() == Some("OOM") || error.detail().is_some_and(|detail| detail.contains("OOM"))
}

fn exact(time: Timestamp) -> i64 {
    time.seconds().clamp(-EXACT, EXACT)
}

/// A key of at most 38 bytes.
fn tagged(tag: &[u8], rest: &[u8]) -> Vec<u8> {
    [tag, rest].concat()
}

impl From<RedisError> for RedisReplayFault {
    fn from(error: RedisError) -> Self {
        Self::Away { reason: connect::describe(&error) }
    }
}

impl From<Refusal> for RedisReplayFault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotMaster => Self::Away { reason: "the server is a replica".to_owned() },
            Refusal::Evicts { policy } => Self::Evicts { policy },
            Refusal::Unreadable => Self::Away { reason: "an answer that is none of the script's".to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_want_of_memory_in_a_command_and_in_a_script() {
        let is_told = |says: &str| {
            is_about_memory(&redis::parse_redis_value(says.as_bytes()).and_then(Value::extract_error).unwrap_err())
        };
        assert!(is_told("-OOM command not allowed when used memory > 'maxmemory'.\r\n"));
        assert!(is_told("-ERR user_script:29: OOM command not allowed when used memory > 'maxmemory'.\r\n"));
        assert!(!is_told("-NOSCRIPT No matching script.\r\n"));
        assert!(!is_told("-MISCONF Redis is configured to save RDB snapshots\r\n"));
    }

    #[test]
    fn no_time_is_beyond_what_a_script_can_count() {
        let (most, least) = (1_i64 << 52, -(1_i64 << 52));
        for (time, sent) in [(0, 0), (-1, -1), (most, most), (most + 1, most), (i64::MAX, most), (i64::MIN, least)] {
            assert_eq!(exact(Timestamp::from_seconds(time)), sent);
        }
    }
}
