//! Which authority a request is for (RFC 9110 §7.2, RFC 9112 §3.2, RFC 9113 §8.3.1).

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Version};

/// A request that does not say clearly which authority it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BadAuthority {
    /// More than one `Host` field.
    HostRepeated,
    /// No `Host` field where HTTP/1.1 demands one.
    HostMissing,
    /// A `Host` field that no host and port can be.
    HostMalformed,
    /// Two authorities that differ.
    Contradiction,
}

/// The authority that `request` is for; `None` where an old client names none.
///
/// A target in absolute form counts more than `Host` (RFC 9112 §3.2.2). When it is one that `is_ours` knows, `Host`
/// has to agree, as `:authority` and `Host` have to over HTTP/2: what stands behind might read the other one.
pub(crate) fn authority(request: &Parts, is_ours: impl Fn(&str) -> bool) -> Result<Option<&str>, BadAuthority> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let host = hosts.next().map(text).transpose()?;
    if hosts.next().is_some() {
        return Err(BadAuthority::HostRepeated);
    }
    let target = request.uri.authority().map(Authority::as_str);
    match (target, host) {
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(host) => {
            if request.version == Version::HTTP_2 || is_ours(target) {
                Err(BadAuthority::Contradiction)
            } else {
                Ok(Some(target))
            }
        }
        (None, None) if request.version == Version::HTTP_10 => Ok(None),
        // HTTP/1.1 wants the field even beside an absolute target.
        (_, None) if request.version == Version::HTTP_11 => Err(BadAuthority::HostMissing),
        (None, None) => Err(BadAuthority::HostMissing),
        (Some(target), _) => Ok(Some(target)),
        (None, Some(host)) => Ok(Some(host)),
    }
}

fn text(host: &HeaderValue) -> Result<&str, BadAuthority> {
    host.to_str().map_err(|_| BadAuthority::HostMalformed)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn judge(version: Version, target: &str, hosts: &[&str]) -> Result<Option<String>, BadAuthority> {
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        authority(&parts, |name| name == "api.example").map(|found| found.map(ToOwned::to_owned))
    }

    #[test]
    fn one_clear_authority_is_found_wherever_it_stands() {
        let found = Ok(Some("api.example".to_owned()));
        assert_eq!(judge(Version::HTTP_11, "/a", &["api.example"]), found);
        assert_eq!(judge(Version::HTTP_11, "http://api.example/a", &["API.example"]), found);
        assert_eq!(judge(Version::HTTP_2, "http://api.example/a", &[]), found);
        assert_eq!(judge(Version::HTTP_2, "http://api.example/a", &["api.example"]), found);
        assert_eq!(judge(Version::HTTP_10, "/a", &[]), Ok(None));
    }

    #[test]
    fn what_is_unclear_is_refused() {
        for (version, target, hosts, expected) in [
            (Version::HTTP_11, "/a", &["api.example", "api.example"][..], BadAuthority::HostRepeated),
            (Version::HTTP_10, "/a", &["api.example", "evil.example"], BadAuthority::HostRepeated),
            (Version::HTTP_11, "/a", &[], BadAuthority::HostMissing),
            (Version::HTTP_11, "http://api.example/a", &[], BadAuthority::HostMissing),
            (Version::HTTP_11, "/a", &["api.ex\u{e4}mple"], BadAuthority::HostMalformed),
            (Version::HTTP_11, "http://api.example/a", &["evil.example"], BadAuthority::Contradiction),
            (Version::HTTP_2, "http://api.example/a", &["evil.example"], BadAuthority::Contradiction),
            (Version::HTTP_2, "http://evil.example/a", &["api.example"], BadAuthority::Contradiction),
        ] {
            assert_eq!(judge(version, target, hosts), Err(expected), "{version:?} {target} {hosts:?}");
        }
    }

    #[test]
    fn a_foreign_target_counts_more_than_host() {
        let found = judge(Version::HTTP_11, "http://evil.example/a", &["api.example"]);
        assert_eq!(found, Ok(Some("evil.example".to_owned())));
    }
}
