//! The agent over real sockets, with a real authorization server and a real gateway behind it.

mod approving;
mod controlling;
mod forwarding;
mod hostile;
mod http;
mod isolation;
mod journal;
mod panics;
mod ports;
mod world;
