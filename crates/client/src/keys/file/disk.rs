//! The directory of sealed keys: private to its owner, written atomically, never written over.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::keys::file::seal::DeviceKey;
use crate::keys::{KeyName, KeyStoreError};

/// The longest key file that is read, in bytes.
const MAX_FILE: u64 = 65_536;
const SUFFIX: &str = ".key";
/// No [`KeyName`] begins with a dot.
const DEVICE_KEY: &str = ".device-key";

#[derive(Debug)]
pub(crate) struct PrivateDirectory {
    path: PathBuf,
}

impl PrivateDirectory {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn device_key_path(&self) -> PathBuf {
        self.path.join(DEVICE_KEY)
    }

    fn key_path(&self, name: &KeyName) -> PathBuf {
        self.path.join(format!("{name}{SUFFIX}"))
    }

    /// Makes the directory, private to its owner, unless it is there.
    pub(crate) fn make(&self) -> Result<(), KeyStoreError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.path).map_err(|fault| at(&self.path, &fault))?;
        refuse_foreign_access(&self.path, 0o022, 0o700)
    }

    /// The names of all key files, in order. A directory that is not there has none.
    pub(crate) fn names(&self) -> Result<Vec<KeyName>, KeyStoreError> {
        let names = self.file_names(SUFFIX)?;
        Ok(names.iter().filter_map(|name| KeyName::parse(name).ok()).collect())
    }

    /// The names of the files that end in `suffix`, without it, in order. A directory that is not there has none.
    pub(crate) fn file_names(&self, suffix: &str) -> Result<Vec<String>, KeyStoreError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(fault) => return Err(at(&self.path, &fault)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file_name = entry.map_err(|fault| at(&self.path, &fault))?.file_name();
            let name = file_name.to_str().filter(|name| !name.starts_with('.'));
            names.extend(name.and_then(|name| name.strip_suffix(suffix)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Reads a file that only its owner may read; `None` when it is not there.
    pub(crate) fn read_file(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        let path = self.path.join(name);
        match read_private(&path)? {
            Found::Bytes(bytes) => Ok(Some(bytes)),
            Found::Nothing => Ok(None),
            Found::Unfit => Err(KeyStoreError::File { path, kind: io::ErrorKind::InvalidData }),
        }
    }

    /// Puts a file in the place of what was there: after a crash it is the old one or the new one, and whole.
    pub(crate) fn replace_file(&self, name: &str, bytes: &[u8]) -> Result<(), KeyStoreError> {
        let path = self.path.join(name);
        let here = |fault: &io::Error| at(&path, fault);
        let mut file = self.new_file().map_err(|fault| here(&fault))?;
        file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(|fault| here(&fault))?;
        file.persist(&path).map_err(|refused| here(&refused.error))?;
        self.flush()
    }

    /// Removes a file; false when there is none.
    pub(crate) fn remove_file(&self, name: &str) -> Result<bool, KeyStoreError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Ok(()) => self.flush().map(|()| true),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(fault) => Err(at(&path, &fault)),
        }
    }

    /// Opens a file to hold a lock on, made if it is not there. It stays: one that is removed while others wait for
    /// it would be two locks.
    pub(crate) fn lock_file(&self, name: &str) -> Result<fs::File, KeyStoreError> {
        let path = self.path.join(name);
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(|fault| at(&path, &fault))
    }

    /// Waits for the lock on a file, until the file is closed.
    pub(crate) fn lock(&self, name: &str) -> Result<fs::File, KeyStoreError> {
        let file = self.lock_file(name)?;
        file.lock().map_err(|fault| at(&self.path_of(name), &fault))?;
        Ok(file)
    }

    /// The directory as others may call it: whole, whatever the current directory is.
    pub(crate) fn name(&self) -> Result<String, KeyStoreError> {
        let whole = fs::canonicalize(&self.path).map_err(|fault| at(&self.path, &fault))?;
        Ok(whole.to_string_lossy().into_owned())
    }

    /// The crate makes temporary files with mode 0600.
    fn new_file(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new().prefix(".new-").tempfile_in(&self.path)
    }

    /// Refuses early what [`PrivateDirectory::write_key`] would refuse in the end.
    pub(crate) fn refuse_taken(&self, name: &KeyName) -> Result<(), KeyStoreError> {
        let path = self.key_path(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => Err(KeyStoreError::Exists { name: name.clone() }),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(fault) => Err(at(&path, &fault)),
        }
    }

    pub(crate) fn read_key(&self, name: &KeyName) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        match read_private(&self.key_path(name))? {
            Found::Bytes(bytes) => Ok(bytes),
            Found::Nothing => Err(KeyStoreError::NotFound { name: name.clone() }),
            Found::Unfit => Err(KeyStoreError::Damaged { name: name.clone() }),
        }
    }

    pub(crate) fn write_key(&self, name: &KeyName, bytes: &[u8]) -> Result<(), KeyStoreError> {
        if self.write_new(&self.key_path(name), bytes)? {
            Ok(())
        } else {
            Err(KeyStoreError::Exists { name: name.clone() })
        }
    }

    pub(crate) fn delete_key(&self, name: &KeyName) -> Result<(), KeyStoreError> {
        let path = self.key_path(name);
        match fs::remove_file(&path) {
            Ok(()) => self.flush(),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                Err(KeyStoreError::NotFound { name: name.clone() })
            }
            Err(fault) => Err(at(&path, &fault)),
        }
    }

    /// The device key, if there is one.
    pub(crate) fn read_device_key(&self) -> Result<Option<DeviceKey>, KeyStoreError> {
        let path = self.device_key_path();
        let key = match read_private(&path)? {
            Found::Bytes(bytes) => DeviceKey::from_bytes(&bytes),
            Found::Nothing => return Ok(None),
            Found::Unfit => None,
        };
        key.map(Some).ok_or(KeyStoreError::DeviceKeyDamaged { path })
    }

    /// The device key, made now if there is none. Of several processes at once, one makes it and all get it.
    pub(crate) fn make_device_key(&self) -> Result<DeviceKey, KeyStoreError> {
        if let Some(key) = self.read_device_key()? {
            return Ok(key);
        }
        let key = DeviceKey::generate()?;
        let path = self.device_key_path();
        if self.write_new(&path, key.as_bytes())? {
            return Ok(key);
        }
        self.read_device_key()?.ok_or(KeyStoreError::DeviceKeyDamaged { path })
    }

    /// Writes a file that is whole or not there at all; false when there is one of that name.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<bool, KeyStoreError> {
        let here = |fault: &io::Error| at(path, fault);
        let mut file = self.new_file().map_err(|fault| here(&fault))?;
        file.write_all(bytes).map_err(|fault| here(&fault))?;
        file.as_file().sync_all().map_err(|fault| here(&fault))?;
        match file.persist_noclobber(path) {
            Ok(_) => self.flush().map(|()| true),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(refused) => Err(here(&refused.error)),
        }
    }

    /// Makes sure that a change of the directory itself has reached the disk.
    fn flush(&self) -> Result<(), KeyStoreError> {
        #[cfg(unix)]
        fs::File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(|fault| at(&self.path, &fault))?;
        Ok(())
    }
}

enum Found {
    Bytes(Zeroizing<Vec<u8>>),
    Nothing,
    /// No plain file, or too long.
    Unfit,
}

/// Reads a file that only its owner may read.
fn read_private(path: &Path) -> Result<Found, KeyStoreError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(fault) => return Err(at(path, &fault)),
    };
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Ok(Found::Unfit);
    }
    refuse_foreign_access(path, 0o077, 0o600)?;
    let mut bytes = Zeroizing::new(Vec::new());
    let file = fs::File::open(path).map_err(|fault| at(path, &fault))?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|fault| at(path, &fault))?;
    Ok(Found::Bytes(bytes))
}

#[cfg(unix)]
fn refuse_foreign_access(path: &Path, forbidden: u32, wanted: u32) -> Result<(), KeyStoreError> {
    use std::os::unix::fs::PermissionsExt;

    let mode = fs::metadata(path).map_err(|fault| at(path, &fault))?.permissions().mode() & 0o777;
    if mode & forbidden == 0 { Ok(()) } else { Err(KeyStoreError::Access { path: path.to_owned(), mode, wanted }) }
}

#[cfg(not(unix))]
fn refuse_foreign_access(_: &Path, _: u32, _: u32) -> Result<(), KeyStoreError> {
    Ok(())
}

fn at(path: &Path, fault: &io::Error) -> KeyStoreError {
    KeyStoreError::File { path: path.to_owned(), kind: fault.kind() }
}
