//! A server that is killed again and again, with SIGKILL, while clients ask it for all that it gives: nothing is taken
//! twice, nothing that was answered is lost, and the next process begins by itself.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::{Notify, watch};
use tokio::task::{JoinSet, LocalSet};

use crate::Check;
use crate::browser::Browser;
use crate::client::{Answer, As, Client, Lost, Sent, VERIFIER};
use crate::server::{CALLBACK, Database, Issuer};

pub(crate) const CHECKS: &[(&str, Check)] = &[("a_killed_server_loses_nothing", |database| Box::pin(killed(database)))];

/// How many clients of each kind ask at a time.
const TOGETHER: usize = 6;

fn kills() -> usize {
    let wanted = std::env::var_os("COUNTERSIGN_KILLS").and_then(|kills| kills.into_string().ok()?.parse().ok());
    wanted.unwrap_or(5)
}

#[expect(clippy::print_stderr, reason = "what a long run has seen is worth a line")]
async fn killed(database: Database) {
    let issuer = Issuer::new(database);
    let tokens = issuer.refresh_tokens(TOGETHER).await;
    let (lives, life) = watch::channel(0);
    let answers = Rc::new(Answers::default());
    let clients = LocalSet::new();
    let mut tasks = JoinSet::new();
    let mut away = Vec::new();
    for token in tokens {
        let load = Load::new(&issuer, &life, &answers);
        tasks.spawn_local_on(load.refresh(token), &clients);
        let load = Load::new(&issuer, &life, &answers);
        tasks.spawn_local_on(load.credentials(), &clients);
    }
    for _ in 0..TOGETHER / 2 {
        let load = Load::new(&issuer, &life, &answers);
        tasks.spawn_local_on(load.codes(), &clients);
    }
    clients
        .run_until(async {
            for life in 1..=kills() + 1 {
                let server = issuer.start(issuer.address()).await;
                lives.send_replace(life);
                // Sooner, later, in the middle of whatever it is doing; the last one lives until all have asked again.
                let until = if life > kills() { 300 } else { 1 + (life * 37) % 150 };
                tokio::select! {
                    () = answers.reach(until) => {}
                    ended = tasks.join_next() => panic!("a client found something wrong: {ended:?}"),
                }
                away.extend(complaints(&server.kill().await));
            }
        })
        .await;
    let Totals { tokens, replays, codes } = answers.totals.get();
    assert!(tokens > 0 && replays > 0 && codes > 0, "{tokens} tokens, {replays} replays, {codes} codes");
    eprintln!("{} kills: {tokens} tokens, {replays} replays refused, {codes} codes redeemed", kills());
    for line in away.iter().take(5) {
        eprintln!("without a verdict: {line}");
    }
}

/// What a server says of its database, where it could not judge requests: worth a look when a run fails.
fn complaints(said: &str) -> impl Iterator<Item = String> {
    let is_one = |line: &&str| ["status=503", "the database"].iter().any(|sign| line.contains(sign));
    said.lines().filter(is_one).map(str::to_owned)
}

/// What was answered, to tell when it is time.
#[derive(Default)]
struct Answers {
    seen: Cell<usize>,
    more: Notify,
    totals: Cell<Totals>,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    tokens: usize,
    replays: usize,
    codes: usize,
}

impl Answers {
    fn count(&self, change: impl FnOnce(&mut Totals)) {
        let mut totals = self.totals.get();
        change(&mut totals);
        self.totals.set(totals);
        self.seen.set(self.seen.get() + 1);
        self.more.notify_one();
    }

    /// Waits for so many answers more.
    async fn reach(&self, wanted: usize) {
        let until = self.seen.get() + wanted;
        while self.seen.get() < until {
            self.more.notified().await;
        }
    }
}

/// One client that asks without end.
struct Load {
    client: Client,
    server: String,
    life: watch::Receiver<usize>,
    answers: Rc<Answers>,
}

impl Load {
    fn new(issuer: &Issuer, life: &watch::Receiver<usize>, answers: &Rc<Answers>) -> Self {
        let (client, server) = (issuer.client.clone(), issuer.url.clone());
        Self { client, server, life: life.clone(), answers: answers.clone() }
    }

    /// Waits until a process is ready that was not there before.
    async fn next_life(&mut self) {
        self.life.changed().await.unwrap();
    }

    /// Waits until it is worth asking again.
    async fn wait(&mut self, lost: Lost) {
        match lost {
            Lost::Gone => self.next_life().await,
            Lost::Away => tokio::task::yield_now().await,
        }
    }

    async fn ask(&self, of: As, form: &[(&str, &str)]) -> (Sent, Result<Answer, Lost>) {
        let (sent, answer) = self.client.ask(&self.server, of, form).await;
        if answer.as_ref().is_ok_and(Answer::is_granted) {
            self.answers.count(|totals| totals.tokens += 1);
        }
        (sent, answer)
    }

    /// What was granted once is not granted again, by whichever process. Without an answer nothing is said.
    async fn is_over(&self, sent: &Sent) -> Result<(), Lost> {
        let answer = self.client.send(&self.server, sent).await?;
        assert!(!answer.is_granted(), "granted a second time: {sent:?}");
        assert_ne!(answer.status, 500, "{answer:?}");
        self.answers.count(|totals| totals.replays += 1);
        Ok(())
    }

    /// Assertions and proofs: every one that was answered, and every one whose answer was lost and that is then taken
    /// or refused, is never taken again.
    async fn credentials(mut self) {
        self.next_life().await;
        let mut taken: Option<Sent> = None;
        loop {
            if let Some(sent) = &taken
                && let Err(lost) = self.is_over(sent).await
            {
                self.wait(lost).await;
                continue;
            }
            let (sent, answer) = self.ask(As::App, &[("grant_type", "client_credentials")]).await;
            match answer {
                Ok(answer) => assert!(answer.is_granted(), "{answer:?}"),
                Err(lost) => {
                    self.wait(lost).await;
                    // Whether it was recorded or not: from here on it is.
                    if let Err(lost) = self.client.send(&self.server, &sent).await {
                        self.wait(lost).await;
                        continue;
                    }
                }
            }
            taken = Some(sent);
        }
    }

    /// Refresh tokens that rotate: the newest one that was answered is always good, whatever answer was lost.
    async fn refresh(mut self, mut token: String) {
        self.next_life().await;
        loop {
            let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
            match self.ask(As::Spa, &form).await.1 {
                Ok(answer) => {
                    assert!(answer.is_granted(), "a refresh token that was answered is lost: {answer:?}");
                    token = answer.text("refresh_token");
                }
                Err(lost) => self.wait(lost).await,
            }
        }
    }

    /// Codes: one that was answered is good, and good once. Its grant ends when it comes a second time.
    async fn codes(mut self) {
        self.next_life().await;
        let mut browser = Browser::new(self.client.clone());
        loop {
            let code = match browser.allow(&self.server, "app").await {
                Ok(code) => code,
                Err(lost) => {
                    self.wait(lost).await;
                    continue;
                }
            };
            let (mut is_in_doubt, mut refreshed) = (false, None);
            let refresh_token = loop {
                let form = redemption(&code);
                match self.ask(As::App, &form.each_ref().map(|(name, value)| (*name, value.as_str()))).await.1 {
                    Ok(answer) if answer.is_granted() => break Some(answer.text("refresh_token")),
                    // It was redeemed, and only the answer was lost.
                    Ok(answer) if is_in_doubt && answer.error() == "invalid_grant" => break None,
                    Ok(answer) => panic!("a code that was answered is lost: {answer:?}"),
                    Err(lost) => {
                        is_in_doubt = true;
                        self.wait(lost).await;
                    }
                }
            };
            self.answers.count(|totals| totals.codes += 1);
            while let Some(token) = refresh_token.as_ref().filter(|_| refreshed.is_none()) {
                match self.ask(As::App, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await.1 {
                    Ok(answer) => refreshed = Some(answer),
                    Err(lost) => self.wait(lost).await,
                }
            }
            assert!(refreshed.as_ref().is_none_or(Answer::is_granted), "a grant is lost: {refreshed:?}");
            self.is_redeemed(&code, refresh_token.as_deref()).await;
        }
    }

    /// The code is refused, whoever is asked; and what came of it has ended.
    async fn is_redeemed(&mut self, code: &str, refresh_token: Option<&str>) {
        let refused = async |load: &mut Self, form: &[(&str, &str)]| loop {
            match load.ask(As::App, form).await.1 {
                Ok(answer) => {
                    assert_eq!((answer.status, answer.error()), (400, "invalid_grant"), "{answer:?}");
                    load.answers.count(|totals| totals.replays += 1);
                    break;
                }
                Err(lost) => load.wait(lost).await,
            }
        };
        let form = redemption(code);
        refused(self, &form.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
        if let Some(token) = refresh_token {
            refused(self, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
        }
    }
}

fn redemption(code: &str) -> [(&'static str, String); 4] {
    [
        ("grant_type", "authorization_code".to_owned()),
        ("code", code.to_owned()),
        ("redirect_uri", CALLBACK.to_owned()),
        ("code_verifier", VERIFIER.to_owned()),
    ]
}
