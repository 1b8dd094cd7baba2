//! A verifier, honest clients and a thief, with a clock that goes any way: nothing is accepted twice, whatever
//! happens, and honest clients are served.

use std::collections::BTreeMap;

use countersign_dpop::replay::{EpochId, Recorded, ReplayEntry, ReplayKey, ReplayStore};
use countersign_dpop::time::{NumericDate, Timestamp, Window};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{MemoryReplayConfig, MemoryReplayStore};

const START: i64 = 1_700_000_000;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The clock moves by so many seconds, either way.
    Clock(i64),
    /// A client makes a proof, by a clock that is so many seconds ahead of the server's, and presents it.
    Fresh { ahead: i64, with_nonce: bool },
    /// The thief presents one of the proofs that he has seen.
    Again(prop::sample::Index),
    /// The thief presents every proof that he has seen.
    AllAgain,
    /// A request that read the clock so many seconds ago comes to its end with a proof that has been seen.
    Late { ago: i64, proof: prop::sample::Index },
    /// The configuration is read again and has this window.
    Reload(Window),
    /// The process ends and starts again.
    Restart,
}

fn events(restarts: bool) -> impl Strategy<Value = Vec<Event>> {
    let clock = prop_oneof![
        6 => 0..20_i64,
        2 => 20..200_i64,
        2 => -2..=0_i64,
        2 => -200..0_i64,
        1 => -100_000..100_000_i64,
    ];
    let windows = [Window::RFC, Window::STRICT, Window::MCP];
    let fresh = (-60..=12_i64, any::<bool>()).prop_map(|(ahead, with_nonce)| Event::Fresh { ahead, with_nonce });
    let late = (0..120_i64, any::<prop::sample::Index>()).prop_map(|(ago, proof)| Event::Late { ago, proof });
    let event = prop_oneof![
        6 => clock.prop_map(Event::Clock),
        8 => fresh,
        4 => any::<prop::sample::Index>().prop_map(Event::Again),
        1 => Just(Event::AllAgain),
        2 => late,
        1 => prop::sample::select(windows.to_vec()).prop_map(Event::Reload),
        u32::from(restarts) => Just(Event::Restart),
    ];
    vec(event, 1..120)
}

#[derive(Clone, Copy, Debug)]
struct Proof {
    number: u32,
    iat: i64,
    nonce: Option<EpochId>,
}

struct World {
    store: MemoryReplayStore,
    window: Window,
    now: i64,
    highest_ever: i64,
    proofs: Vec<Proof>,
    accepted: BTreeMap<u32, u32>,
}

impl World {
    fn new() -> Self {
        let store = new_store(Window::RFC, START);
        let (proofs, accepted) = (Vec::new(), BTreeMap::new());
        Self { store, window: Window::RFC, now: START, highest_ever: START, proofs, accepted }
    }

    fn run(&mut self, event: Event) {
        match event {
            Event::Clock(step) => self.now += step,
            Event::Fresh { ahead, with_nonce } => self.present_fresh(ahead, with_nonce),
            Event::Again(_) | Event::Late { .. } if self.proofs.is_empty() => {}
            Event::Again(index) => self.present(*index.get(&self.proofs), self.now),
            Event::AllAgain => self.proofs.clone().into_iter().for_each(|proof| self.present(proof, self.now)),
            Event::Late { ago, proof } => self.present_late(*proof.get(&self.proofs), self.now - ago),
            Event::Reload(window) => {
                self.store.widen(window, at(self.now));
                self.window = window;
            }
            // A process that starts behind its predecessor is the one thing that only nonces cover, and so is one
            // that starts with a smaller `max_ahead`.
            Event::Restart => {
                self.now = self.now.max(self.highest_ever);
                self.window = Window::MCP;
                self.store = new_store(self.window, self.now);
            }
        }
        self.highest_ever = self.highest_ever.max(self.now);
    }

    fn present_fresh(&mut self, ahead: i64, with_nonce: bool) {
        let number = u32::try_from(self.proofs.len()).expect("not that many");
        let epoch = self.store.epoch(at(self.now));
        let proof = Proof { number, iat: self.now + ahead, nonce: with_nonce.then_some(epoch.id) };
        self.proofs.push(proof);
        self.present(proof, self.now);
        // By an honest clock, and with the nonce where one is asked for, the first time is the first time.
        let honest = ahead == 0 && (with_nonce || proof.iat > epoch.floor.seconds());
        assert!(!honest || self.accepted.contains_key(&number), "an honest client was refused: {proof:?}");
    }

    /// A request: the verifier's checks of time and nonce, then the record.
    fn present(&mut self, proof: Proof, now: i64) {
        let epoch = self.store.epoch(at(now));
        if proof.nonce.is_none_or(|nonce| nonce == epoch.id) {
            self.present_late(proof, now);
        }
    }

    /// The rest of a request whose clock reading was `now`.
    fn present_late(&mut self, proof: Proof, now: i64) {
        let iat = NumericDate::from_seconds(proof.iat);
        let not_after = self.window.not_after(iat);
        if proof.iat - self.window.max_ahead() > now || at(now) > not_after {
            return;
        }
        let key = ReplayKey::from_bytes([&proof.number.to_be_bytes()[..], &[0; 92]].concat().try_into().expect("96"));
        let entry = ReplayEntry { key, iat, not_after, nonce_epoch: proof.nonce, quota: None };
        if self.store.record_now(&entry, at(now)) == Ok(Recorded::First) {
            *self.accepted.entry(proof.number).or_default() += 1;
        }
        let accepted = self.accepted.get(&proof.number).copied().unwrap_or_default();
        assert!(accepted <= 1, "accepted twice: {proof:?} at {now}");
    }
}

fn new_store(window: Window, now: i64) -> MemoryReplayStore {
    let config = MemoryReplayConfig { capacity: 1_000, window, quota_percent: 100 };
    MemoryReplayStore::new(config, at(now)).expect("the configuration is good")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_is_accepted_twice_whatever_the_clock_does(events in events(false)) {
        let mut world = World::new();
        for event in events {
            world.run(event);
        }
    }

    #[test]
    fn nothing_is_accepted_twice_across_restarts(events in events(true)) {
        let mut world = World::new();
        for event in events {
            world.run(event);
        }
    }

    /// The edge: a proof that was taken at any moment of its life is known at every later moment of it.
    #[test]
    fn every_record_outlives_its_proof(
        window in prop::sample::select(vec![Window::RFC, Window::STRICT, Window::MCP]),
        offsets in vec((0.0..1.0_f64, 0.0..1.0_f64), 1..30),
        offset_of_slots in 0..200_i64,
    ) {
        let start = START + offset_of_slots;
        let store = new_store(window, start - 1_000);
        // Taken in order of time, each with an iat from the whole of the window.
        let span = window.max_age() + window.max_ahead();
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small numbers")]
        let scale = |part: f64, whole: i64| (part * whole as f64) as i64;
        let mut taken: Vec<_> = offsets.iter().map(|(when, age)| (scale(*when, 300), scale(*age, span + 1))).collect();
        taken.sort_unstable();
        let entry = |number: usize, iat: i64| {
            let iat = NumericDate::from_seconds(iat);
            let key = ReplayKey::from_bytes([u8::try_from(number).expect("few"); ReplayKey::LENGTH]);
            ReplayEntry { key, iat, not_after: window.not_after(iat), nonce_epoch: None, quota: None }
        };
        let iat = |when: i64, age: i64| start + when + window.max_ahead() - age;
        let mut next = 0;
        for now in start..=start + 300 + span {
            while let Some((when, age)) = taken.get(next).filter(|(when, _)| start + when == now) {
                let answer = store.record_now(&entry(next, iat(*when, *age)), at(now));
                prop_assert_eq!(answer, Ok(Recorded::First));
                next += 1;
            }
            for (number, (when, age)) in taken[..next].iter().enumerate() {
                let entry = entry(number, iat(*when, *age));
                if at(now) <= entry.not_after {
                    prop_assert_eq!(store.record_now(&entry, at(now)), Ok(Recorded::Replayed));
                } else {
                    prop_assert_ne!(store.record_now(&entry, at(now)), Ok(Recorded::First));
                }
            }
        }
        prop_assert_eq!(next, taken.len());
    }
}
