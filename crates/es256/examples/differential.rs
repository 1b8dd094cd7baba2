//! Judges good and mutated signatures by every engine and tier of this machine and by aws-lc-rs, and says whether all
//! agree:
//!
//! ```text
//! cargo run --release -p countersign-es256 --example differential -- KEYS SIGNATURES-PER-KEY [SEED]
//! ```
//!
//! Exit code 1 if one verdict differs.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "a program for a terminal")]

#[path = "../src/differential.rs"]
mod differential;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let numbers: Option<Vec<u64>> = std::env::args().skip(1).map(|argument| argument.parse().ok()).collect();
    let (keys, signatures, seed) = match numbers.as_deref() {
        Some([]) => (100, 100, 1),
        Some(&[keys, signatures]) => (keys, signatures, 1),
        Some(&[keys, signatures, seed]) => (keys, signatures, seed),
        _ => {
            eprintln!("usage: differential KEYS SIGNATURES-PER-KEY [SEED]");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let found = differential::run(keys, signatures, seed, |found| {
        if found.keys % 100 == 0 {
            println!("{:>6} s  {found:?}", began.elapsed().as_secs());
        }
    });
    println!("{:>6} s  {found:?}", began.elapsed().as_secs());
    ExitCode::from(u8::from(found.wrong > 0))
}
