use std::fmt;

use countersign_dpop::time::Timestamp;

use super::case::{Case, Level, Server, Step};
use super::change::ChangeError;
use super::expect::{Answer, Expect};
use super::forge_step::{Surroundings, forge_request};
use super::request::ForgedRequest;
use super::rules::broken_rule;

/// When every case begins, by the clock of forge and site: a number of seconds that an exponent can express exactly.
pub const NOW: Timestamp = Timestamp::from_seconds(1_750_000_000);

/// A server that cases are played against, set up for one case. Its clock stands at [`NOW`] at first and it has been
/// running for an hour. It takes tokens of [`super::ISSUER`], signed by [`super::ISSUER_KEY`].
pub trait Site {
    /// The public origin of a server, which is the audience of its tokens as well unless the case sets another.
    fn origin(&self, server: Server) -> String;

    /// Sends all requests at the same instant and gives the answers in the same order.
    fn send(&mut self, server: Server, requests: &[ForgedRequest]) -> Vec<Answer>;

    /// Lets `seconds` pass by the site's clock, or sets it back.
    fn wait(&mut self, seconds: i64);

    /// Starts the servers anew. What they keep in memory only is lost.
    fn restart(&mut self);
}

/// The verdict was another one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mismatch {
    /// Which step, from 1.
    step: usize,
    what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.what)
    }
}

impl std::error::Error for Mismatch {}

/// Plays `case` against `site`, which stands for `level`.
///
/// # Errors
/// [`Mismatch`] at the first step whose verdict is another one, or that cannot be forged.
pub fn play(case: &Case, level: Level, site: &mut dyn Site) -> Result<(), Mismatch> {
    let mut player = Player { level, site, now: NOW, nonce: None, last: None };
    for (index, step) in case.steps.iter().enumerate() {
        player.play(index, step).map_err(|what| Mismatch { step: index + 1, what })?;
    }
    Ok(())
}

struct Player<'a> {
    level: Level,
    site: &'a mut dyn Site,
    now: Timestamp,
    nonce: Option<String>,
    last: Option<ForgedRequest>,
}

impl Player<'_> {
    fn play(&mut self, index: usize, step: &Step) -> Result<(), String> {
        if step.wait != 0 {
            self.site.wait(step.wait);
            self.now = self.now.plus(step.wait);
        }
        if step.restart {
            self.site.restart();
        }
        let request = self.request(index, step)?;
        let requests = vec![request.clone(); step.copies.unwrap_or(1)];
        let answers = self.site.send(step.server, &requests);
        self.last = Some(request.clone());
        if let Some(nonce) = answers.iter().find_map(|answer| answer.nonce.clone()) {
            self.nonce = Some(nonce);
        }
        self.judge(step, &request, &answers)
    }

    fn request(&self, index: usize, step: &Step) -> Result<ForgedRequest, String> {
        if step.again {
            return self.last.clone().ok_or_else(|| "there is no request to send again".to_owned());
        }
        let surroundings =
            Surroundings { index, now: self.now, origin: self.site.origin(step.server), nonce: self.nonce.as_deref() };
        forge_request(step, &surroundings).map_err(|error: ChangeError| format!("cannot be forged: {error}"))
    }

    fn judge(&self, step: &Step, request: &ForgedRequest, answers: &[Answer]) -> Result<(), String> {
        let expect = *step.expect_at.get(&self.level).unwrap_or(&step.expect);
        let accepted = answers.iter().filter(|answer| is(answer, Expect::Accept)).count();
        if step.copies.is_some() && accepted != 1 {
            return Err(format!("{accepted} copies were accepted instead of one"));
        }
        let others = answers.iter().filter(|answer| step.copies.is_none() || !is(answer, Expect::Accept));
        for answer in others {
            if !is(answer, expect) {
                let expected = format!("{} {}", expect.status().as_u16(), expect.code().map_or("", |c| c.as_str()));
                return Err(format!("expected {}, found {}", expected.trim_end(), answer.summary()));
            }
            if let Some(found) = answer.diagnosis
                && !step.because.iter().any(|because| because == found.id())
            {
                return Err(format!("refused because of {found} instead of {}", step.because.join(" or ")));
            }
            if self.level != Level::Core {
                broken_rule(step, request, answer, self.level).map_or(Ok(()), Err)?;
            }
        }
        Ok(())
    }
}

fn is(answer: &Answer, expect: Expect) -> bool {
    answer.status == expect.status() && answer.code == expect.code()
}
