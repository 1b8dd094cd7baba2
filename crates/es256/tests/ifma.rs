//! The IFMA engine with real instructions against the portable one and aws-lc-rs. Where the machine has none of them the
//! trial is reported as ignored; the crate's own tests run the engine everywhere on an emulation of the instructions.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "what cannot be signed is a failed test")]

#[path = "../src/differential.rs"]
mod differential;

use std::process::ExitCode;

use countersign_es256::Engine;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let available = Engine::Ifma.is_available();
    let reason = if available { "" } else { ": this machine has no AVX-512 IFMA" };
    let name = format!("instructions_agree_with_the_library_and_the_portable_engine{reason}");
    let trial = Trial::test(name, agree).with_ignored_flag(!available);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn agree() -> Result<(), Failed> {
    let found = differential::run(20, 200, 3, |_| {});
    if found.wrong > 0 { Err(format!("{found:?}").into()) } else { Ok(()) }
}
