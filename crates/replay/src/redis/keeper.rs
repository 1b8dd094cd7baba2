//! Keeps a link to the server: looks for one while there is none, and after it while there is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::link::Link;
use super::shared::{RedisReplayFault, Shared};

/// How often the server is greeted: an epoch that another node began is known by then.
const TICK: Duration = Duration::from_millis(500);
/// How long a greeting may take.
const GREETING: Duration = Duration::from_secs(1);
/// Between two tries to connect, at first and in the end.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn keep(shared: Arc<Shared>) {
    let mut pause = PAUSE;
    loop {
        match shared.link() {
            Ok(link) => {
                pause = PAUSE;
                look_after(&shared, &link).await;
            }
            Err(_) => match establish(&shared).await {
                Ok(()) => (),
                Err(fault) => {
                    shared.miss(fault);
                    sleep(spread(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            },
        }
    }
}

async fn establish(shared: &Shared) -> Result<(), RedisReplayFault> {
    let (link, greeting) = timeout(2 * super::connect::CONNECT, Link::establish(shared))
        .await
        .unwrap_or_else(|_| Err(RedisReplayFault::Away { reason: "no greeting in time".to_owned() }))?;
    shared.establish(link, &greeting);
    Ok(())
}

/// Waits for the next tick, or for somebody in doubt, and greets.
async fn look_after(shared: &Shared, link: &Arc<Link>) {
    // Early or late, the greeting is the same.
    let _ = timeout(TICK, shared.kick.notified()).await;
    let greeting = timeout(GREETING, link.greet(shared, None))
        .await
        .unwrap_or_else(|_| Err(RedisReplayFault::Away { reason: "no answer in time".to_owned() }));
    match greeting {
        Ok(greeting) => shared.learn(&greeting),
        Err(fault) => shared.lose(link, fault),
    }
}

/// As long and up to half as much again, so that nodes do not come back all at once.
fn spread(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness there is no spread, which does no harm.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    pause + pause * u32::from(byte[0]) / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_as_long_as_said_and_up_to_half_as_much_again() {
        let pauses: Vec<_> = (0..200).map(|_| spread(LONGEST_PAUSE)).collect();
        assert!(pauses.iter().all(|pause| (LONGEST_PAUSE..LONGEST_PAUSE * 3 / 2).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause > LONGEST_PAUSE * 5 / 4), "{pauses:?}");
    }
}
