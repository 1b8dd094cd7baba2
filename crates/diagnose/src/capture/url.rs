//! The URL that a captured request was sent to.

use http::header::HOST;

use super::{Exchange, Note};

/// The URL, and what was taken for granted about its scheme. `None` when the capture does not say enough.
pub(crate) fn public_url(exchange: &Exchange) -> Option<(String, Option<Note>)> {
    let target = exchange.target.as_deref()?;
    if target.contains("://") && !target.starts_with('/') {
        return Some((without_user(target), None));
    }
    let authority = exchange.authority.as_deref().or_else(|| exchange.request.only(HOST))?;
    let (scheme, note) = scheme(exchange, authority);
    target.starts_with('/').then(|| (format!("{scheme}://{authority}{target}"), note))
}

/// The value of the parameter in `application/x-www-form-urlencoded` text, not decoded.
pub(crate) fn form_parameter<'a>(form: &'a str, name: &str) -> Option<&'a str> {
    form.trim().split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Without user information: no client sends it in the target.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn scheme(exchange: &Exchange, authority: &str) -> (&'static str, Option<Note>) {
    let named = |name: &str| ["https", "http"].into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme));
    if let Some(scheme) = exchange.scheme {
        return (scheme, None);
    }
    if let Some(scheme) = exchange.request.only("x-forwarded-proto").and_then(named) {
        return (scheme, Some(Note::SchemeForwarded));
    }
    if is_loopback(authority) { ("http", Some(Note::SchemeLoopback)) } else { ("https", Some(Note::SchemeAssumed)) }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => authority.split(':').next().unwrap_or(""),
    };
    let is_name = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    is_name || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
