use memchr::memchr;

/// The first component in which two URIs differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HtuDifference {
    /// http against https.
    Scheme,
    /// Another host.
    Host,
    /// Another port.
    Port,
    /// The paths differ by a slash at the end only.
    TrailingSlash,
    /// One path ends with the other: a prefix was added or cut off.
    PathPrefix,
    /// The paths differ in letter case only.
    PathCase,
    /// The paths are equal once `%2F` and several slashes are read as one slash.
    PathSlashes,
    /// Another path.
    Path,
}

impl HtuDifference {
    /// The component as one word or two, for logs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheme => "scheme",
            Self::Host => "host",
            Self::Port => "port",
            Self::TrailingSlash => "trailing-slash",
            Self::PathPrefix => "path-prefix",
            Self::PathCase => "path-case",
            Self::PathSlashes => "path-slashes",
            Self::Path => "path",
        }
    }

    /// Compares two normalised URIs.
    pub(super) fn between(one: &str, other: &str) -> Option<Self> {
        if let Some((one, other)) = paths_of_one_origin(one, other) {
            return (one != other).then(|| Self::between_paths(one, other));
        }
        let (one, other) = (Components::of(one), Components::of(other));
        if one.scheme != other.scheme {
            Some(Self::Scheme)
        } else if one.host != other.host {
            Some(Self::Host)
        } else if one.port != other.port {
            Some(Self::Port)
        } else if one.path != other.path {
            Some(Self::between_paths(one.path, other.path))
        } else {
            None
        }
    }

    fn between_paths(one: &str, other: &str) -> Self {
        let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
        if long.strip_suffix('/') == Some(short) {
            Self::TrailingSlash
        } else if one.eq_ignore_ascii_case(other) {
            Self::PathCase
        } else if (has_odd_slashes(one) || has_odd_slashes(other))
            && with_single_slashes(one) == with_single_slashes(other)
        {
            Self::PathSlashes
        } else if short.len() > 1 && long.ends_with(short) {
            Self::PathPrefix
        } else {
            Self::Path
        }
    }
}

struct Components<'a> {
    scheme: &'a str,
    host: &'a str,
    port: &'a str,
    path: &'a str,
}

impl<'a> Components<'a> {
    fn of(normal: &'a str) -> Self {
        let (scheme, rest) = normal.split_once("://").unwrap_or(("", normal));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // In `[::1]` the last colon is the address's own.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, ""),
        };
        Self { scheme, host, port, path }
    }
}

/// The paths, where all that comes before them is the same: what nearly always is.
fn paths_of_one_origin<'a>(one: &'a str, other: &'a str) -> Option<(&'a str, &'a str)> {
    let authority = memchr(b':', one.as_bytes())? + "://".len();
    let path = authority + memchr(b'/', one.as_bytes().get(authority..)?)?;
    let (origin, one) = one.split_at_checked(path)?;
    let other = other.strip_prefix(origin)?;
    other.starts_with('/').then_some((one, other))
}

/// Without any, reading slashes differently changes nothing.
fn has_odd_slashes(path: &str) -> bool {
    // Bytes, because searching for a text costs more to set up than so short a path takes.
    let path = path.as_bytes();
    path.windows(2).any(|pair| pair == b"//") || path.windows(3).any(|three| three == b"%2F")
}

fn with_single_slashes(path: &str) -> String {
    let mut single = String::with_capacity(path.len());
    for segment in path.replace("%2F", "/").split('/').filter(|segment| !segment.is_empty()) {
        single.push('/');
        single.push_str(segment);
    }
    single
}
