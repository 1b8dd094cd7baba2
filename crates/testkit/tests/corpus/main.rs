//! Every case of the corpus against the core and the layer.
#![expect(clippy::unwrap_used, reason = "a site that cannot be set up fails its test")]

mod core;
mod layer;
mod setup;

use std::process::ExitCode;

use countersign_probe::corpus::Level;
use countersign_testkit::corpus::{Corpus, run_corpus};

fn main() -> ExitCode {
    let corpus = Corpus::load().unwrap();
    assert_eq!(corpus.len(), Corpus::ROWS, "every row is judged, here or elsewhere");
    run_corpus(&corpus, &[(Level::Core, core::site), (Level::Layer, layer::site)])
}
