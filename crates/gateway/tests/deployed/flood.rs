//! Every proof eight times, to nodes at random, while something is killed: nothing is served twice.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use countersign_gateway::config::ReplaySetting;
use countersign_testkit::service::free_address;
use http::StatusCode;

use crate::world::{HonestClient, World, redis, shared};

const COPIES: usize = 8;
const NODES: usize = 3;

/// How many proofs; 2,000 where `COUNTERSIGN_FLOOD` says so.
fn proofs() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a test that can be made longer")]
    let wanted = std::env::var("COUNTERSIGN_FLOOD").ok();
    wanted.and_then(|number| number.parse().ok()).unwrap_or(240)
}

struct Flood {
    client: Arc<HonestClient>,
    nodes: Vec<SocketAddr>,
    /// The newest nonce of each node.
    nonces: Vec<Mutex<Option<String>>>,
    /// The last proof made for each number.
    made: Mutex<HashMap<usize, Arc<String>>>,
    served: Mutex<HashMap<usize, u32>>,
    random: AtomicUsize,
}

pub(crate) async fn over_a_shared_store() {
    let address = free_address().unwrap();
    let mut server = redis(address, &[]);
    let world = World::start(NODES, shared(address)).await;
    let flood = Arc::new(Flood::over(&world));
    let (third, rest) = (proofs() / 3, proofs() - proofs() / 3);
    Flood::run(&flood, 0..third).await;
    let killing = tokio::task::spawn_blocking(move || {
        server.kill().unwrap();
        redis(address, &[])
    });
    // Those of before the kill again, and new ones, while it is away and when it is back.
    let (again, more) = (Flood::again(&flood, 0..third), Flood::run(&flood, third..rest));
    let ((), (), server) = tokio::join!(again, more, killing);
    let _server = server.unwrap();
    for place in 0..NODES {
        world.until_ready(place, StatusCode::OK).await;
    }
    Flood::again(&flood, 0..rest).await;
    Flood::run(&flood, rest..proofs()).await;
    flood.conclude(&world, rest..proofs());
}

pub(crate) async fn in_node_mode() {
    let replay = ReplaySetting::Node { capacity: ReplaySetting::DEFAULT_CAPACITY };
    let mut world = World::start(NODES, replay).await;
    let flood = Arc::new(Flood::over(&world));
    let (half, rest) = (proofs() / 2, proofs() - proofs() / 4);
    Flood::run(&flood, 0..half).await;
    let (again, more) = (Flood::again(&flood, 0..half), Flood::run(&flood, half..rest));
    tokio::join!(world.restart(1), again, more);
    Flood::again(&flood, 0..rest).await;
    Flood::run(&flood, rest..proofs()).await;
    flood.conclude(&world, rest..proofs());
}

impl Flood {
    fn over(world: &World) -> Self {
        Self {
            client: Arc::clone(&world.client),
            nodes: world.nodes.iter().map(|node| node.address).collect(),
            nonces: world.nodes.iter().map(|_| Mutex::default()).collect(),
            made: Mutex::default(),
            served: Mutex::default(),
            random: AtomicUsize::new(0),
        }
    }

    /// Sends each of `numbers` eight times at once, a few at a time.
    async fn run(flood: &Arc<Self>, numbers: Range<usize>) {
        Self::each(flood, numbers, async |flood, number| flood.make_and_send(number).await).await;
    }

    /// Sends the very proofs of `numbers` again.
    async fn again(flood: &Arc<Self>, numbers: Range<usize>) {
        Self::each(flood, numbers, async |flood, number| {
            let proof = flood.made.lock().unwrap().get(&number).cloned();
            flood.send_copies(number, &proof.unwrap(), flood.any()).await;
        })
        .await;
    }

    async fn each(flood: &Arc<Self>, numbers: Range<usize>, send: impl AsyncFn(Arc<Self>, usize)) {
        let next = AtomicUsize::new(numbers.start);
        let worker = async || loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                return;
            }
            send(Arc::clone(flood), number).await;
        };
        tokio::join!(worker(), worker(), worker(), worker());
    }

    /// Makes the proof of `number`, with a nonce of some node, and sends its copies. Where every node asks for a nonce,
    /// none was served, and it is made anew.
    async fn make_and_send(self: &Arc<Self>, number: usize) {
        for _ in 0..3 {
            let maker = self.any();
            let nonce = self.nonces[maker].lock().unwrap().clone();
            let proof = Arc::new(self.client.proof(nonce.as_deref()).await);
            self.made.lock().unwrap().insert(number, Arc::clone(&proof));
            if self.send_copies(number, &proof, maker).await {
                return;
            }
        }
    }

    /// Sends the copies of one proof, one of them to `maker`. False when all that came was the demand for a nonce.
    async fn send_copies(self: &Arc<Self>, number: usize, proof: &Arc<String>, maker: usize) -> bool {
        let copies = (0..COPIES).map(|copy| {
            let (flood, proof) = (Arc::clone(self), Arc::clone(proof));
            let node = if copy == 0 { maker } else { flood.any() };
            tokio::spawn(async move { flood.send(node, number, &proof).await })
        });
        let mut answered = false;
        for copy in copies.collect::<Vec<_>>() {
            answered |= copy.await.unwrap();
        }
        answered
    }

    /// Sends one copy. False when nothing came of it but the demand for a nonce.
    async fn send(&self, node: usize, number: usize, proof: &str) -> bool {
        let Some(answer) = self.client.present(self.nodes[node], &number.to_string(), proof).await else {
            return true;
        };
        if let Some(nonce) = answer.nonce() {
            *self.nonces[node].lock().unwrap() = Some(nonce);
        }
        match answer.status {
            StatusCode::OK => {
                *self.served.lock().unwrap().entry(number).or_default() += 1;
                true
            }
            StatusCode::SERVICE_UNAVAILABLE => true,
            StatusCode::UNAUTHORIZED => {
                let challenge = answer.headers["www-authenticate"].to_str().unwrap();
                !challenge.contains("use_dpop_nonce")
            }
            other => panic!("{other}: {}", answer.body),
        }
    }

    fn any(&self) -> usize {
        // Spread enough for a test, and the same each time.
        let step = self.random.fetch_add(1, Ordering::Relaxed).wrapping_mul(2_654_435_761);
        (step >> 7) % self.nodes.len()
    }

    /// None is served twice, neither as the client sees it nor as the API does; those of `quiet`, sent while all was
    /// well, were all served.
    fn conclude(&self, world: &World, quiet: Range<usize>) {
        let served = self.served.lock().unwrap();
        let seen = world.seen.lock().unwrap();
        assert!(served.len() >= proofs() / 2, "{} of {} served", served.len(), proofs());
        for (number, times) in &*served {
            assert_eq!(*times, 1, "proof {number} was served {times} times");
            assert!(seen.contains_key(&number.to_string()), "what was served, the API saw");
        }
        for (number, times) in &*seen {
            assert_eq!(*times, 1, "the API saw proof {number} {times} times");
        }
        for number in quiet {
            assert_eq!(served.get(&number), Some(&1), "proof {number}, sent while all was well");
        }
    }
}
