//! How a local address maps to the resource's URL.

use std::borrow::Cow;

use countersign_client::{Endpoint, EndpointError};

/// The resource that a binding stands for: what is appended to the local address is appended to its URL.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    url: Endpoint,
    /// The path without a slash at its end.
    base: String,
}

/// Why a request's target is not one below the resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("the target has a segment that leads upwards")]
    Dots,
    #[error("the target has a character that no path has")]
    Character,
    #[error("the target makes no URL that may be called: {0}")]
    Url(EndpointError),
}

impl Place {
    pub(crate) fn parse(url: &str) -> Result<Self, EndpointError> {
        let url = Endpoint::parse(url)?;
        let base = url.path().trim_end_matches('/').to_owned();
        Ok(Self { url, base })
    }

    pub(crate) const fn url(&self) -> &Endpoint {
        &self.url
    }

    pub(crate) fn origin(&self) -> &str {
        self.url.origin()
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The URL that `rest` stands for: what follows the local address, path and query as they came.
    pub(crate) fn resolve(&self, rest: &str) -> Result<Endpoint, TargetError> {
        let (path, query) = match memchr::memchr(b'?', rest.as_bytes()) {
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at.saturating_add(1)..)),
            None => (rest, None),
        };
        // Most are such that one look tells all that is asked below.
        if path.len() > 1
            && let Some(endpoint) = self.url.with_plain_target(&self.base, path, query)
        {
            return Ok(endpoint);
        }
        // Only a path may follow: anything else would become part of the authority.
        if !matches!(path.bytes().next(), None | Some(b'/')) {
            return Err(TargetError::Character);
        }
        if path.bytes().any(|byte| matches!(byte, b'\\' | b'#') || byte <= b' ' || byte == 0x7f) {
            return Err(TargetError::Character);
        }
        if leads_upwards(path) {
            return Err(TargetError::Dots);
        }
        let path = match path {
            "" | "/" => Cow::Borrowed(self.url.path()),
            path if self.base.is_empty() => Cow::Borrowed(path),
            path => Cow::Owned(format!("{}{path}", self.base)),
        };
        self.url.with_target(&path, query).map_err(TargetError::Url)
    }

    /// What is left of `location`, a redirect's target, below the local address; `None` when it leads elsewhere.
    pub(crate) fn below(&self, location: &str) -> Option<String> {
        let path = if location.starts_with('/') && !location.starts_with("//") {
            location
        } else {
            location.strip_prefix(self.origin())?
        };
        let path = if path.is_empty() { "/" } else { path };
        let rest = path.strip_prefix(self.base.as_str())?;
        (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then(|| rest.to_owned())
    }
}

/// True when some server could read a segment as `.` or `..`, encoded once or twice or not at all.
fn leads_upwards(path: &str) -> bool {
    if !path.contains('%') {
        return has_dots(path);
    }
    let lower = path.to_ascii_lowercase().replace("%25", "%");
    let decoded = lower.replace("%2f", "/").replace("%5c", "/").replace("%2e", ".");
    has_dots(&decoded)
}

fn has_dots(path: &str) -> bool {
    // Most have none, which is quick to see.
    path.as_bytes().windows(2).any(|pair| pair == b"/.")
        && path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(resource: &str, rest: &str) -> Result<String, TargetError> {
        let place = Place::parse(resource).expect("a resource");
        place.resolve(rest).map(|url| format!("{}{}", url.origin(), url.path_and_query()))
    }

    #[test]
    fn what_is_appended_is_appended_to_the_resource() {
        for (resource, rest, expected) in [
            ("https://a.example", "", "https://a.example/"),
            ("https://a.example", "/", "https://a.example/"),
            ("https://a.example", "/x?y=%20z", "https://a.example/x?y=%20z"),
            ("https://a.example/mcp", "", "https://a.example/mcp"),
            ("https://a.example/mcp", "/", "https://a.example/mcp"),
            ("https://a.example/mcp", "?a", "https://a.example/mcp?a"),
            ("https://a.example/mcp/", "/", "https://a.example/mcp/"),
            ("https://a.example/mcp/", "/x", "https://a.example/mcp/x"),
            ("https://a.example/v1", "/a//b", "https://a.example/v1/a//b"),
            ("https://a.example/v1", "/a%2Fb", "https://a.example/v1/a%2Fb"),
        ] {
            assert_eq!(resolved(resource, rest).as_deref(), Ok(expected), "{resource} {rest}");
        }
    }

    #[test]
    fn nothing_leads_out_of_it() {
        for rest in ["/..", "/x/../y", "/%2e%2e/y", "/.%2E/", "/..%2fy", "/%252e%252e%252fy", "/..;/y", "/./y"] {
            assert_eq!(resolved("https://a.example/v1", rest), Err(TargetError::Dots), "{rest}");
        }
        assert_eq!(resolved("https://a.example/v1", "/x\\..\\y"), Err(TargetError::Character));
        for elsewhere in ["@evil.example/", ".evil.example/", ":8443/"] {
            assert_eq!(resolved("https://a.example", elsewhere), Err(TargetError::Character), "{elsewhere}");
        }
    }

    #[test]
    fn a_redirect_below_it_is_a_local_one() {
        let place = Place::parse("https://a.example/v1").expect("a resource");
        assert_eq!(place.below("https://a.example/v1/x").as_deref(), Some("/x"));
        assert_eq!(place.below("/v1/x?y").as_deref(), Some("/x?y"));
        assert_eq!(place.below("/v1").as_deref(), Some(""));
        for elsewhere in ["/v10/x", "/x", "https://b.example/v1/x", "//b.example/v1", "https://a.example.evil/v1"] {
            assert_eq!(place.below(elsewhere), None, "{elsewhere}");
        }
    }
}
