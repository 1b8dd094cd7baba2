//! The path of a port, which cannot be guessed, and where it is kept, so that what programs were told is right after a
//! restart too.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::rand;
use countersign_dpop::jose::encode_base64url;
use rustix::process::getuid;
use zeroize::Zeroizing;

use crate::listener::{ListenError, OTHERS};

/// The path in bytes, and in characters of base64url.
const PATH_BYTES: usize = 24;
const PATH_LENGTH: usize = 32;
/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 64;

/// The path that stands before every path of a port's requests, without its slash. Whoever knows it can send requests.
pub(crate) struct SecretPath(Zeroizing<String>);

/// What is kept of a port between two starts.
pub(crate) struct KeptPort {
    pub(crate) number: u16,
    pub(crate) path: SecretPath,
}

impl SecretPath {
    pub(crate) fn draw() -> Result<Self, ListenError> {
        let mut bytes = Zeroizing::new([0; PATH_BYTES]);
        rand::fill(bytes.as_mut()).map_err(|_| ListenError::NoRandomness)?;
        Ok(Self(Zeroizing::new(encode_base64url(bytes.as_ref()))))
    }

    fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (text.len() == PATH_LENGTH && plain).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeptPort {
    /// What is kept in `file`; `None` when nothing is, when it cannot be read, and when others than the owner could
    /// have read or written it.
    pub(crate) fn read(file: &Path) -> Option<Self> {
        let opened = fs::File::open(file).ok()?;
        let facts = opened.metadata().ok()?;
        if facts.permissions().mode() & OTHERS != 0 || facts.uid() != getuid().as_raw() {
            tracing::warn!(file = %file.display(), "not for its owner only: the address is made anew");
            return None;
        }
        let mut text = Zeroizing::new(String::new());
        opened.take(MAX_FILE).read_to_string(&mut text).ok()?;
        let (number, path) = text.trim_end().split_once(' ')?;
        Some(Self { number: number.parse().ok()?, path: SecretPath::parse(path)? })
    }

    /// Keeps it in `file`, for its owner only. A killed agent leaves the old one or the new one, nothing in between.
    pub(crate) fn write(file: &Path, address: SocketAddr, path: &SecretPath) -> io::Result<()> {
        let new = file.with_extension("new");
        let _ = fs::remove_file(&new);
        let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let text = Zeroizing::new(format!("{} {}\n", address.port(), path.as_str()));
        opened.write_all(text.as_bytes())?;
        opened.sync_all()?;
        fs::rename(&new, file)
    }
}

impl std::fmt::Debug for SecretPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretPath")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_kept_for_the_owner_alone_is_taken() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("reader.port");
        assert!(KeptPort::read(&file).is_none(), "nothing there");
        let path = SecretPath::draw().expect("random bytes");
        assert_eq!(path.as_str().len(), PATH_LENGTH);
        KeptPort::write(&file, "127.0.0.1:4711".parse().expect("an address"), &path).expect("written");
        let mode = |file: &Path| fs::metadata(file).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        let kept = KeptPort::read(&file).expect("kept");
        assert_eq!((kept.number, kept.path.as_str()), (4711, path.as_str()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
        assert!(KeptPort::read(&file).is_none(), "somebody else may know it");
        let text = format!("4711 {}", path.as_str());
        let long = format!("{text}{}", "x".repeat(100));
        for wrong in
            ["", "4711", "70000 x", &text[..text.len() - 1], &text.replace(path.as_str(), &"/".repeat(32)), &long]
        {
            fs::write(&file, wrong).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
            assert!(KeptPort::read(&file).is_none(), "{wrong}");
        }
        assert!(!format!("{path:?}").contains(path.as_str()));
    }
}
