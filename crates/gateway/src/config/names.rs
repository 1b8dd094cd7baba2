//! Values that are chosen by name.

use std::net::SocketAddr;

use countersign_dpop::NoncePolicy;
use countersign_dpop::jose::{Algorithm, Algorithms};
use countersign_dpop::time::Window;
use countersign_forward::{ForwardedFields, UpstreamHost};

use super::error::Problem;
use crate::logs::LineFormat;

pub(super) fn address(value: &str) -> Result<SocketAddr, Problem> {
    let numeric = value.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let numeric = numeric.as_deref().unwrap_or(value);
    numeric.parse().map_err(|_| Problem::Address { value: value.to_owned() })
}

pub(super) fn nonce(value: &str) -> Result<NoncePolicy, Problem> {
    match value {
        "never" => Ok(NoncePolicy::Never),
        "optional" => Ok(NoncePolicy::Optional),
        "required" => Ok(NoncePolicy::Required),
        _ => Err(not_a_choice(value, "never, optional, required")),
    }
}

pub(super) fn window(value: &str) -> Result<Window, Problem> {
    Window::preset(value).ok_or_else(|| not_a_choice(value, "rfc, strict, fapi2, mcp, atproto"))
}

pub(super) fn line_format(value: &str) -> Result<LineFormat, Problem> {
    value.parse().map_err(|()| not_a_choice(value, "json, text"))
}

pub(super) fn upstream_host(value: &str) -> Result<UpstreamHost, Problem> {
    match value {
        "upstream" => Ok(UpstreamHost::Upstream),
        "public" => Ok(UpstreamHost::Public),
        _ => Err(not_a_choice(value, "upstream, public")),
    }
}

pub(super) fn x_forwarded(value: &str) -> Result<ForwardedFields, Problem> {
    match value {
        "replace" => Ok(ForwardedFields::Replace),
        "append" => Ok(ForwardedFields::Append),
        "remove" => Ok(ForwardedFields::Remove),
        _ => Err(not_a_choice(value, "replace, append, remove")),
    }
}

/// A list separated by commas or blanks.
pub(super) fn algorithms(list: &str) -> Result<Algorithms, Problem> {
    let names = list.split([',', ' ']).filter(|name| !name.is_empty());
    let wanted = names.map(algorithm).collect::<Result<Vec<_>, _>>()?;
    Algorithms::all().narrowed_to(&wanted).ok_or_else(|| unknown_algorithm(list))
}

fn algorithm(name: &str) -> Result<Algorithm, Problem> {
    name.parse().map_err(|_| unknown_algorithm(name))
}

fn unknown_algorithm(value: &str) -> Problem {
    let known = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ");
    Problem::Algorithm { value: value.to_owned(), known }
}

pub(super) fn not_a_choice(value: &str, choices: &'static str) -> Problem {
    Problem::NotAChoice { value: value.to_owned(), choices }
}
