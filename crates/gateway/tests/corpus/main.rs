//! Every case of the corpus that applies to a gateway, over sockets.
#![expect(clippy::unwrap_used, reason = "a site that cannot be set up fails its test")]

mod client;
mod site;
mod upstream;

use std::process::ExitCode;

use countersign_probe::corpus::Level;
use countersign_testkit::corpus::{Corpus, run_corpus};

fn main() -> ExitCode {
    run_corpus(&Corpus::load().unwrap(), &[(Level::Gateway, site::site)])
}
