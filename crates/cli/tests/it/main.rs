//! The binary as people start it: real processes on loopback, judged by exit code, stdout, stderr and answers.
#![expect(clippy::unwrap_used, reason = "what a test relies on")]

mod agent;
mod authserver;
mod backup;
mod bench;
mod call;
mod configuration;
mod demo;
mod desktop;
mod gateway;
mod gateway_tools;
mod healing;
mod help;
mod http;
mod isolation;
mod key;
mod layers;
mod login;
mod played;
mod process;
mod revocation;
mod run;
mod secrets;
mod system;
mod up;
