//! Sealing secrets at rest: AES-256-GCM by a key that lives in a file of its own, so that the database alone, or a
//! copy of it, opens nothing.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

/// The sealing key.
pub(crate) struct Seal(RandomizedNonceKey);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

/// A secret that cannot be sealed or opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    /// Not sealed by this key, or damaged.
    #[error("it was not sealed by the key in this data directory, or it is damaged")]
    NotOurs,
    /// The cryptographic library failed.
    #[error("sealing failed")]
    Failed,
}

/// The file with the sealing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealFileError {
    /// It cannot be read or written.
    #[error("{}: {fault}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        fault: io::Error,
    },
    /// It is not there, and there are secrets that only it opens.
    #[error("{} is missing, and the database is sealed by it; restore it from a backup, or copy it from another instance", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// It does not hold a key.
    #[error("{} does not hold a sealing key of {LENGTH} bytes; restore it from a backup", path.display())]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// No randomness for a new key.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl Seal {
    /// Reads the key from `path`.
    pub(crate) fn open_file(path: &Path) -> Result<Self, SealFileError> {
        match File::open(path) {
            Ok(found) => Self::read(found, path),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                Err(SealFileError::Missing { path: path.to_owned() })
            }
            Err(fault) => Err(SealFileError::File { path: path.to_owned(), fault }),
        }
    }

    /// Reads the key from `path`, or makes the file, readable by its owner only.
    pub(crate) fn open_or_make(path: &Path) -> Result<Self, SealFileError> {
        match Self::open_file(path) {
            Err(SealFileError::Missing { .. }) => {
                make_key_file(path)?;
                Self::open_file(path)
            }
            other => other,
        }
    }

    fn read(file: File, path: &Path) -> Result<Self, SealFileError> {
        let mut key = Zeroizing::new(Vec::with_capacity(LENGTH + 1));
        file.take(LENGTH as u64 + 1)
            .read_to_end(&mut key)
            .map_err(|fault| SealFileError::File { path: path.to_owned(), fault })?;
        Self::from_bytes(&key).map_err(|_| SealFileError::NotAKey { path: path.to_owned() })
    }

    fn from_bytes(key: &[u8]) -> Result<Self, SealError> {
        Ok(Self(RandomizedNonceKey::new(&AES_256_GCM, key)?))
    }

    /// Seals `secret` as `label`.
    pub(crate) fn seal(&self, label: &str, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = secret.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(label.as_bytes()), &mut sealed)?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut sealed);
        Ok(whole)
    }

    /// Opens what was sealed as `label`.
    pub(crate) fn open(&self, label: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::NotOurs)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let mut rest = Zeroizing::new(rest.to_vec());
        let length =
            self.0.open_in_place(nonce, Aad::from(label.as_bytes()), &mut rest).map_err(|_| SealError::NotOurs)?.len();
        rest.truncate(length);
        Ok(rest)
    }
}

const LENGTH: usize = 32;

/// Writes a new key beside `path` and links it there: the file appears whole or not at all, and of two processes that
/// start at once one wins.
fn make_key_file(path: &Path) -> Result<(), SealFileError> {
    let mut key = Zeroizing::new([0; LENGTH]);
    let mut suffix = [0; 8];
    for bytes in [&mut key[..], &mut suffix[..]] {
        aws_lc_rs::rand::fill(bytes).map_err(|_| SealFileError::NoRandomness)?;
    }
    // With a database elsewhere nobody else has made the directory.
    let directory = path.parent().unwrap_or(Path::new("."));
    private_directory(directory).map_err(|fault| SealFileError::File { path: directory.to_owned(), fault })?;
    let draft = path.with_extension(format!("{:016x}.new", u64::from_be_bytes(suffix)));
    let written = write_private(&draft, &key[..]).and_then(|()| match fs::hard_link(&draft, path) {
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = fs::remove_file(&draft);
    written.and(removed).map_err(|fault| SealFileError::File { path: path.to_owned(), fault })
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private_file(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a directory that only its owner can look into, unless it is there.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Creates a file that only its owner can read.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_under_the_same_label_only() {
        let seal = Seal::from_bytes(&[7; LENGTH]).unwrap();
        let sealed = seal.seal("a", b"secret").unwrap();
        assert_eq!(seal.open("a", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(seal.open("b", &sealed), Err(SealError::NotOurs));
        assert_ne!(seal.seal("a", b"secret").unwrap(), sealed, "every sealing draws its own nonce");
        let other = Seal::from_bytes(&[8; LENGTH]).unwrap();
        assert_eq!(other.open("a", &sealed), Err(SealError::NotOurs));
        for length in 0..sealed.len() {
            assert_eq!(seal.open("a", &sealed[..length]), Err(SealError::NotOurs), "cut to {length} bytes");
        }
    }

    #[test]
    fn makes_the_file_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/sealing.key");
        let sealed = Seal::open_or_make(&path).unwrap().seal("a", b"secret").unwrap();
        assert_eq!(Seal::open_or_make(&path).unwrap().open("a", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(fs::read_dir(dir.path().join("data")).unwrap().count(), 1, "no draft is left behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn refuses_a_file_that_holds_something_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealing.key");
        for content in [&b""[..], &[1; LENGTH - 1], &[1; LENGTH + 1]] {
            fs::write(&path, content).unwrap();
            assert!(matches!(Seal::open_or_make(&path), Err(SealFileError::NotAKey { .. })), "{}", content.len());
        }
    }
}
