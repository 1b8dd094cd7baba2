//! Paths as routes are chosen by them.
//!
//! What a path means is decided by the API behind, and APIs differ: some decode `%2f`, take `\` for `/`, drop what
//! follows a `;` or ignore letter case. A request that would fall under another route by such a reading could evade
//! what its route asks for, so both readings are looked at.

use std::borrow::Cow;

/// The path by RFC 3986 §6.2.2: unreserved characters decoded, dot segments resolved.
pub(super) fn plain(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let decoded = decode(path, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    Cow::Owned(resolve(&String::from_utf8_lossy(&decoded), false))
}

/// The path as the most generous reader takes it: everything decoded, twice, back-slashes for slashes, no
/// parameters, no empty segments, no letter case.
pub(super) fn loosest(path: &str) -> Cow<'_, str> {
    let odd = |byte: u8| byte.is_ascii_uppercase() || b"%\\;".contains(&byte);
    if !path.bytes().any(odd) && !path.contains("//") && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let once = decode(path, |_| true);
    let twice = decode(&String::from_utf8_lossy(&once), |_| true);
    let text = String::from_utf8_lossy(&twice).to_lowercase().replace('\\', "/");
    let bare: Vec<&str> = text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    Cow::Owned(resolve(&bare.join("/"), true))
}

/// True when `prefix`, without a slash at its end, is `path` or ends at one of its slashes.
pub(super) fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn decode(path: &str, wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut rest = path.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    loop {
        rest = match rest {
            [] => return decoded,
            [b'%', high, low, after @ ..] if hex(*high, *low).is_some_and(&wanted) => {
                decoded.extend(hex(*high, *low));
                after
            }
            [byte, after @ ..] => {
                decoded.push(*byte);
                after
            }
        };
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// Resolves dot segments (RFC 3986 §5.2.4), and with `merge` takes several slashes for one.
fn resolve(path: &str, merge: bool) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            "" if merge && !last => (),
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_paths_plainly_and_loosely() {
        for (path, plainly, loosely) in [
            ("/", "/", "/"),
            ("/orders", "/orders", "/orders"),
            ("/%6frders/%41", "/orders/A", "/orders/a"),
            ("/a%2Fb", "/a%2Fb", "/a/b"),
            ("/a%252fb", "/a%252fb", "/a/b"),
            ("/x/../orders", "/orders", "/orders"),
            ("/x/%2e%2E/orders", "/orders", "/orders"),
            ("/x/..;v=1/orders", "/x/..;v=1/orders", "/orders"),
            ("/x\\..\\orders", "/x\\..\\orders", "/orders"),
            ("//orders//1", "//orders//1", "/orders/1"),
            ("/orders;v=1/2", "/orders;v=1/2", "/orders/2"),
            ("/orders/.", "/orders/", "/orders/"),
            ("/a/..", "/", "/"),
            ("/../../a", "/a", "/a"),
            ("/Orders", "/Orders", "/orders"),
            ("/%", "/%", "/%"),
            ("/%zz", "/%zz", "/%zz"),
        ] {
            assert_eq!((&*plain(path), &*loosest(path)), (plainly, loosely), "{path}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        assert!(is_below("/orders", "/orders") && is_below("/orders/1", "/orders") && is_below("/any", ""));
        assert!(!is_below("/ordersx", "/orders") && !is_below("/order", "/orders"));
    }

    proptest! {
        #[test]
        fn reading_again_changes_nothing(path in "/[a-zA-Z./;%\\\\0-9]{0,24}") {
            let plainly = plain(&path).into_owned();
            prop_assert!(plainly.starts_with('/'));
            let loosely = loosest(&path).into_owned();
            prop_assert!(loosely.starts_with('/') && !loosely.contains("/../"));
        }
    }
}
