//! The store in Redis against real servers, which the tests start themselves on loopback.
#![expect(clippy::unwrap_used, reason = "what a test relies on")]

mod impostor;
mod log;
mod places;
mod server;
mod store;
mod trouble;
mod world;

use countersign_testkit::service::trial;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    log::keep();
    let arguments = Arguments::from_args();
    let trials = [store::trials(), trouble::trials(), places::trials(), impostor::trials()].concat_all();
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test that needs a server, on a runtime of its own.
fn with_redis<T>(name: &str, test: impl FnOnce() -> T + Send + 'static) -> Trial
where
    T: Future<Output = ()>,
{
    let name = name.to_owned();
    trial(name, &["redis-server"], move || -> Result<(), Failed> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(test());
        Ok(())
    })
}

trait ConcatAll {
    fn concat_all(self) -> Vec<Trial>;
}

impl<const N: usize> ConcatAll for [Vec<Trial>; N] {
    fn concat_all(self) -> Vec<Trial> {
        self.into_iter().flatten().collect()
    }
}
