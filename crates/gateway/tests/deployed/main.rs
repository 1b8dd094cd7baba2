//! Gateways as they are deployed: three in front of one API, with one Redis between them or nothing; behind nginx and
//! Caddy.
#![expect(clippy::unwrap_used, reason = "what a test relies on")]

mod flood;
mod fronts;
mod redis;
mod world;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let shared = ["redis-server"];
    let trials = vec![
        trial("a shared store: each proof is served once or never", &shared, flood::over_a_shared_store),
        trial("node mode: each proof is served once or never", &[], flood::in_node_mode),
        trial("a shared store away: 503, not ready, and healing", &shared, redis::away_and_back),
        trial("a shared store that evicts stops the start", &shared, redis::evicting),
        trial("a shared store with a password", &shared, redis::with_a_password),
        trial("a clock that differs from a shared store's", &shared, redis::a_clock_differs),
        trial("a nonce of one node is good at the other", &shared, redis::nonces_are_shared),
        trial("behind nginx, by its example", &["nginx"], fronts::nginx),
        trial("behind nginx at observe, by its example", &["nginx"], fronts::nginx_observes),
        trial("behind Caddy, by its example", &["caddy"], fronts::caddy),
        trial("behind nginx, before an API that checks itself", &["nginx"], fronts::both_check),
        trial("behind Envoy, by its example", &["envoy"], fronts::envoy),
        trial("behind Envoy, before an API that checks itself", &["envoy"], fronts::envoy_and_the_api),
        trial("asked as traefik asks", &[], fronts::traefik),
        trial("asked by nobody who may, or unclearly", &[], fronts::who_may_ask),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial<T: Future<Output = ()>>(name: &str, programs: &[&str], test: impl FnOnce() -> T + Send + 'static) -> Trial {
    countersign_testkit::service::trial(name, programs, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(test());
        Ok(())
    })
}
