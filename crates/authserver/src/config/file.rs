//! Reading the files that a configuration names.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::Problem;

/// Reads a file of text of at most `limit` bytes.
pub(super) fn read_text(path: PathBuf, limit: u64) -> Result<Zeroizing<String>, Problem> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(&path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    match read {
        Err(fault) => Err(Problem::File { path, fault }),
        Ok(_) if bytes.len() as u64 > limit => Err(Problem::FileTooLarge { path, limit }),
        Ok(_) => match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(_) => Err(Problem::FileNotText { path }),
        },
    }
}

/// The text without one line end at its end.
pub(super) fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
