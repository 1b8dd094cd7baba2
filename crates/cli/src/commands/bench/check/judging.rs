//! Requests that a resource server judges: by clients it knows, by clients it has never seen, and by nobody's friends.

use countersign_dpop::ProofMaker;
use countersign_dpop::jose::{Algorithm, InvalidSignature, PublicJwk, VerifyAlgorithm};
use http::HeaderMap;

use super::super::fixture::{BenchClient, Fixture, elsewhere, new_key, url};
use super::super::measure::Work;
use crate::error::CommandError;

/// Right requests by clients that the server knows, in turn.
pub(super) struct Known<'a> {
    fixture: &'a Fixture,
    clients: &'a [BenchClient],
    next: usize,
    requests: Requests,
}

/// Requests made before a round, each judged once in it.
#[derive(Default)]
struct Requests {
    list: Vec<HeaderMap>,
    judged: usize,
}

impl<'a> Known<'a> {
    pub(super) fn new(fixture: &'a Fixture, clients: &'a [BenchClient]) -> Self {
        Self { fixture, clients, next: 0, requests: Requests::default() }
    }
}

impl Work for Known<'_> {
    fn prepare(&mut self, calls: usize) -> Result<(), CommandError> {
        let clients = self.clients.iter().cycle().skip(self.next).take(calls);
        self.requests = Requests::new(clients.map(BenchClient::right_request))?;
        self.next = (self.next + calls) % self.clients.len();
        Ok(())
    }

    fn call(&mut self) -> bool {
        self.requests.judge_next(self.fixture)
    }
}

impl Requests {
    fn new(requests: impl Iterator<Item = Result<HeaderMap, CommandError>>) -> Result<Self, CommandError> {
        Ok(Self { list: requests.collect::<Result<_, _>>()?, judged: 0 })
    }

    /// Judges the next one. Requests are dropped after the round: in a server that is its HTTP stack's work.
    fn judge_next(&mut self, fixture: &Fixture) -> bool {
        self.judged += 1;
        fixture.judge(&self.list[self.judged - 1])
    }
}

/// What of a client that comes for the first time the server has seen before.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Seen {
    /// Its token, but never a proof by its key.
    Token,
    /// Neither token nor key.
    Nothing,
}

/// Right requests by clients whose keys the server does not hold, on a server of their own.
pub(super) struct Cold<'a> {
    fixture: &'a Fixture,
    algorithm: Algorithm,
    seen: Seen,
    /// Keys that are slow to make are used again, after the server has forgotten them.
    keys: Vec<ProofMaker>,
    requests: Requests,
}

impl<'a> Cold<'a> {
    pub(super) fn new(fixture: &'a Fixture, algorithm: Algorithm, seen: Seen) -> Self {
        Self { fixture, algorithm, seen, keys: Vec::new(), requests: Requests::default() }
    }

    fn keys(&mut self, calls: usize) -> Result<&[ProofMaker], CommandError> {
        let is_slow = super::is_slow_to_make(self.algorithm);
        if !is_slow || self.keys.len() != calls {
            self.keys = (0..calls).map(|_| new_key(self.algorithm)).collect::<Result<_, _>>()?;
        }
        Ok(&self.keys)
    }
}

impl Work for Cold<'_> {
    fn prepare(&mut self, calls: usize) -> Result<(), CommandError> {
        let fixture = self.fixture;
        let clients = self.keys(calls)?.iter().map(|key| fixture.client_with(key));
        let clients: Vec<_> = clients.collect::<Result<_, _>>()?;
        if self.seen == Seen::Token {
            clients.iter().try_for_each(|client| fixture.warm(client))?;
        }
        fixture.server.key_cache().forget();
        self.requests = Requests::new(clients.iter().map(BenchClient::right_request))?;
        Ok(())
    }

    fn call(&mut self) -> bool {
        self.requests.judge_next(self.fixture)
    }
}

/// What a stranger without a private key for it may send.
#[derive(Clone, Copy)]
pub(super) enum Bad {
    /// Well formed, for another URL, never signed: what a flood of junk looks like.
    Junk,
    /// Right in everything but the signature: as dear as a stranger can make it.
    Forged,
}

/// Requests with bad proofs, each under a key of its own that the server has never seen; each has to be refused.
pub(super) struct Refused<'a> {
    fixture: &'a Fixture,
    client: &'a BenchClient,
    bad: Bad,
    requests: Requests,
}

impl<'a> Refused<'a> {
    pub(super) fn new(fixture: &'a Fixture, client: &'a BenchClient, bad: Bad) -> Self {
        Self { fixture, client, bad, requests: Requests::default() }
    }

    fn request(&self) -> Result<HeaderMap, CommandError> {
        let stranger = self.client.with_key(new_key(Algorithm::Es256)?);
        let url = match self.bad {
            Bad::Junk => elsewhere(),
            Bad::Forged => url(),
        };
        let proof = stranger.proof(&url)?;
        let unsigned = proof.rsplit_once('.').map_or(proof.as_str(), |(input, _)| input);
        // A signature of another proof: in range, so that nothing but verifying it finds it wrong.
        let foreign = self.client.proof(&url)?;
        let signature = foreign.rsplit_once('.').map_or("", |(_, signature)| signature);
        self.client.request_with(&format!("{unsigned}.{signature}"))
    }
}

impl Work for Refused<'_> {
    fn prepare(&mut self, calls: usize) -> Result<(), CommandError> {
        self.requests = Requests::new((0..calls).map(|_| self.request()))?;
        Ok(())
    }

    fn call(&mut self) -> bool {
        !self.requests.judge_next(self.fixture)
    }
}

/// Takes every signature, so that everything else can be measured. For this bench only.
#[derive(Debug)]
pub(super) struct BelieveAnything;

impl VerifyAlgorithm for BelieveAnything {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn verify(&self, _: &PublicJwk, _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
        Ok(())
    }
}
