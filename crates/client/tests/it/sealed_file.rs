//! Sealed key files: what stands in them, who may read them, and what becomes of damaged ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use countersign_client::keys::{KdfCost, KeyClass, KeyStore, KeyStoreError, SealedFileStore};
use countersign_dpop::jose::{Algorithm, SoftwareKey, encode_base64url};
use tempfile::TempDir;

use crate::played::{NOW, name, set_clock};

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: TempDir::new().expect("a directory") }
    }

    fn keys(&self) -> PathBuf {
        self.directory.path().join("keys")
    }

    fn file(&self, key: &str) -> PathBuf {
        self.keys().join(format!("{key}.key"))
    }

    fn plain(&self) -> SealedFileStore {
        SealedFileStore::new(self.keys(), set_clock()).with_kdf_cost(KdfCost::new(8_192, 1).expect("the least"))
    }

    fn with(&self, passphrase: &str) -> SealedFileStore {
        self.plain().with_passphrase(passphrase.into()).expect("a passphrase")
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

fn failure(store: &SealedFileStore) -> KeyStoreError {
    store.open(&name("a")).expect_err("not opened")
}

/// Replaces the header by `change` of it, with a right checksum.
fn rewrite(path: &Path, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(path).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let body = format!("{}\n{}\n", change(lines[0]), lines[1]);
    let checksum = encode_base64url(digest(&SHA256, body.as_bytes()));
    fs::write(path, format!("{body}{checksum}\n")).expect("written");
}

#[test]
fn a_key_survives_its_process() {
    let place = Place::new();
    let made = place.plain().generate(&name("a"), Algorithm::Es256).expect("a key");
    let opened = place.plain().open(&name("a")).expect("row 514");
    assert_eq!(opened.public_jwk(), &made.public, "row 514");
    assert_eq!(made.created.seconds(), NOW);
}

#[test]
fn only_the_owner_can_read_files_and_directory() {
    let place = Place::new();
    place.plain().generate(&name("a"), Algorithm::Es256).expect("a key");
    place.with("p").generate(&name("b"), Algorithm::Es256).expect("a key");
    assert_eq!(mode(&place.keys()), 0o700);
    let files: Vec<_> = fs::read_dir(place.keys()).expect("a list").map(|file| file.expect("a file").path()).collect();
    assert_eq!(files.len(), 3, "two keys, the device key, no rest of writing: {files:?}");
    assert!(files.iter().all(|path| mode(path) == 0o600), "{files:?}");
}

#[test]
fn files_that_others_can_read_are_not_used() {
    let place = Place::new();
    place.plain().generate(&name("a"), Algorithm::Es256).expect("a key");
    for path in [place.file("a"), place.keys().join(".device-key")] {
        for open in [0o640, 0o604, 0o620, 0o666] {
            set_mode(&path, open);
            let expected = KeyStoreError::Access { path: path.clone(), mode: open, wanted: 0o600 };
            assert_eq!(failure(&place.plain()), expected);
        }
        set_mode(&path, 0o600);
    }
    place.plain().open(&name("a")).expect("private again");

    set_mode(&place.keys(), 0o770);
    let error = place.plain().generate(&name("b"), Algorithm::Es256).expect_err("no key");
    assert_eq!(error, KeyStoreError::Access { path: place.keys(), mode: 0o770, wanted: 0o700 });
    assert!(!place.file("b").exists());
}

#[test]
fn nothing_of_the_private_key_stands_in_the_file() {
    let place = Place::new();
    let key = SoftwareKey::generate(Algorithm::Ed25519).expect("a key");
    let pkcs8 = key.to_pkcs8().expect("PKCS#8");
    // The 32 bytes of an Ed25519 key stand at 16 in its PKCS#8 form (RFC 8410 §7).
    let secret = pkcs8[16..48].to_vec();
    place.plain().import(&name("a"), key).expect("a key");
    let bytes = fs::read(place.file("a")).expect("a file");
    assert!(!bytes.windows(8).any(|window| secret.windows(8).any(|part| part == window)));
    let text = String::from_utf8(bytes).expect("text");
    let sealed = text.lines().nth(1).expect("a line");
    assert!(!sealed.contains(&encode_base64url(&secret)[..20]));
}

#[test]
fn the_header_can_be_read_without_a_passphrase() {
    let place = Place::new();
    let made = place.with("correct horse").generate(&name("a"), Algorithm::Es256).expect("a key");
    assert_eq!(place.plain().show(&name("a")), Ok(made.clone()));
    assert_eq!(made.class, KeyClass::FilePassphrase);
    assert_eq!(place.plain().list().expect("a list")[0].key, Ok(made));
    assert_eq!(failure(&place.plain()), KeyStoreError::PassphraseNeeded { name: name("a") });
    let text = fs::read_to_string(place.file("a")).expect("text");
    let header: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&header["countersign_key"], &header["sealing"]["by"]), (&1.into(), &"argon2id".into()));
    assert_eq!((&header["sealing"]["memory_kib"], &header["sealing"]["passes"]), (&8_192.into(), &1.into()));
}

#[test]
fn a_wrong_passphrase_is_told_from_damage() {
    let place = Place::new();
    place.with("correct horse").generate(&name("a"), Algorithm::Es256).expect("a key");
    for wrong in ["correct horsf", "Correct horse", "correct horse ", "x"] {
        assert_eq!(failure(&place.with(wrong)), KeyStoreError::WrongPassphrase { name: name("a") });
    }
    place.with("correct horse").open(&name("a")).expect("nothing happened to it");
    let empty = place.plain().with_passphrase("".into()).expect_err("no passphrase");
    assert_eq!(empty, KeyStoreError::PassphraseEmpty);
}

#[test]
fn a_store_with_a_passphrase_opens_keys_of_the_device_key_too() {
    let place = Place::new();
    place.plain().generate(&name("a"), Algorithm::Es256).expect("a key");
    place.with("p").open(&name("a")).expect("an open key");
}

#[test]
fn a_changed_byte_is_found_wherever_it_stands() {
    for passphrase in [None, Some("p")] {
        let place = Place::new();
        let store = || passphrase.map_or_else(|| place.plain(), |passphrase| place.with(passphrase));
        store().generate(&name("a"), Algorithm::Es256).expect("a key");
        let whole = fs::read(place.file("a")).expect("a file");
        for position in (0..whole.len()).step_by(13) {
            let mut changed = whole.clone();
            changed[position] ^= 2;
            fs::write(place.file("a"), &changed).expect("written");
            let error = failure(&store());
            assert_eq!(store().show(&name("a")), Err(error.clone()));
            let (damaged, cut_off) =
                (KeyStoreError::Damaged { name: name("a") }, KeyStoreError::Truncated { name: name("a") });
            assert_eq!(error, if whole[position] == b'\n' { cut_off } else { damaged }, "byte {position}");
            assert_eq!(fs::read(place.file("a")).expect("a file"), changed, "nothing is overwritten");
        }
        fs::write(place.file("a"), &whole).expect("written");
        store().open(&name("a")).expect("whole again");
    }
}

#[test]
fn a_cut_is_found_and_nothing_is_overwritten() {
    let place = Place::new();
    place.plain().generate(&name("a"), Algorithm::Es256).expect("a key");
    let whole = fs::read(place.file("a")).expect("a file");
    for length in (0..whole.len()).step_by(13) {
        fs::write(place.file("a"), &whole[..length]).expect("written");
        assert_eq!(failure(&place.plain()), KeyStoreError::Truncated { name: name("a") }, "{length} bytes");
        let taken = place.plain().generate(&name("a"), Algorithm::Es256);
        assert_eq!(taken, Err(KeyStoreError::Exists { name: name("a") }));
        assert_eq!(fs::read(place.file("a")).expect("a file"), &whole[..length]);
    }
    for longer in [&b"\n"[..], b"x", b"\n\n", b"{}\n"] {
        fs::write(place.file("a"), [&whole[..], longer].concat()).expect("written");
        let error = failure(&place.plain());
        let cut_off = KeyStoreError::Truncated { name: name("a") };
        assert!(error == KeyStoreError::Damaged { name: name("a") } || error == cut_off, "{error:?}");
    }
}

#[test]
fn a_damaged_file_is_listed_with_its_fault_and_can_be_deleted() {
    let place = Place::new();
    place.plain().generate(&name("good"), Algorithm::Es256).expect("a key");
    fs::write(place.file("bad"), "").expect("written");
    set_mode(&place.file("bad"), 0o600);
    fs::write(place.keys().join("no name!.key"), "").expect("written");
    fs::write(place.keys().join(".new-rest"), "").expect("written");
    let listed = place.plain().list().expect("a list");
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].key, Err(KeyStoreError::Truncated { name: name("bad") }));
    assert!(listed[1].key.is_ok());
    place.plain().delete(&name("bad")).expect("gone");
    assert!(!place.file("bad").exists());
}

#[test]
fn a_header_changed_with_its_checksum_does_not_open() {
    let place = Place::new();
    place.plain().generate(&name("a"), Algorithm::Es256).expect("a key");
    let other = SoftwareKey::generate(Algorithm::Es256).expect("a key").public_jwk().to_json();
    let whole = fs::read(place.file("a")).expect("a file");
    let header = String::from_utf8(whole.clone()).expect("text").lines().next().expect("a line").to_owned();
    let value: serde_json::Value = serde_json::from_str(&header).expect("JSON");
    let changes: [(&str, serde_json::Value); 3] =
        [("created", 1.into()), ("algorithm", "ES384".into()), ("jwk", serde_json::from_str(&other).expect("JSON"))];
    for (member, replacement) in changes {
        let mut changed = value.clone();
        changed[member] = replacement;
        rewrite(&place.file("a"), |_| changed.to_string());
        assert_eq!(failure(&place.plain()), KeyStoreError::OtherDeviceKey { name: name("a") }, "{member}");
        fs::write(place.file("a"), &whole).expect("written");
    }
    place.plain().open(&name("a")).expect("whole again");
}

#[test]
fn headers_that_make_no_sense_are_damage() {
    let place = Place::new();
    place.with("p").generate(&name("a"), Algorithm::Es256).expect("a key");
    let whole = fs::read(place.file("a")).expect("a file");
    let damaged = KeyStoreError::Damaged { name: name("a") };
    let too_costly = |memory_kib, passes| KeyStoreError::KdfTooCostly { name: name("a"), memory_kib, passes };
    for (from, to, expected) in [
        ("\"memory_kib\":8192", "\"memory_kib\":67108864", too_costly(67_108_864, 1)),
        ("\"memory_kib\":8192", "\"memory_kib\":4294967295", too_costly(u32::MAX, 1)),
        ("\"memory_kib\":8192", "\"memory_kib\":4294967296", damaged.clone()),
        ("\"memory_kib\":8192", "\"memory_kib\":0", too_costly(0, 1)),
        ("\"passes\":1", "\"passes\":1000000", too_costly(8_192, 1_000_000)),
        ("\"lanes\":1", "\"lanes\":1000000", damaged.clone()),
        ("\"lanes\":1", "\"lanes\":1,\"lanes\":1", damaged.clone()),
        ("\"lanes\":1", "\"lanes\":1,\"more\":1", damaged.clone()),
        ("argon2id", "argon2d", damaged.clone()),
        ("\"algorithm\":\"ES256\"", "\"algorithm\":\"HS256\"", damaged.clone()),
        ("\"algorithm\":\"ES256\"", "\"algorithm\":\"none\"", damaged.clone()),
        ("\"kty\":\"EC\"", "\"kty\":\"oct\"", damaged.clone()),
        ("\"name\":\"a\"", "\"name\":\"../a\"", damaged.clone()),
        ("\"countersign_key\":1", "\"countersign_key\":0", damaged.clone()),
        ("\"countersign_key\":1", "\"countersign_key\":-1", damaged.clone()),
        ("\"salt\":\"", "\"salt\":\"A", damaged.clone()),
    ] {
        rewrite(&place.file("a"), |header| {
            assert!(header.contains(from), "{from} stands in {header}");
            header.replace(from, to)
        });
        assert_eq!(failure(&place.with("p")), expected, "{to}");
        fs::write(place.file("a"), &whole).expect("written");
    }
}

#[test]
fn a_newer_version_is_said_to_be_one() {
    let place = Place::new();
    place.plain().generate(&name("a"), Algorithm::Es256).expect("a key");
    rewrite(&place.file("a"), |_| r#"{"countersign_key":2,"what":["we","cannot","know"]}"#.to_owned());
    let expected = KeyStoreError::NewerVersion { name: name("a"), found: 2, known: 1 };
    assert_eq!(failure(&place.plain()), expected);
}

#[test]
fn a_file_under_another_name_is_not_taken_for_that_key() {
    let place = Place::new();
    place.plain().generate(&name("old"), Algorithm::Es256).expect("a key");
    fs::rename(place.file("old"), place.file("a")).expect("renamed");
    let expected = KeyStoreError::NameMismatch { name: name("a"), found: name("old") };
    assert_eq!(failure(&place.plain()), expected);
}

#[test]
fn a_lost_or_foreign_device_key_is_said_to_be_the_cause() {
    let place = Place::new();
    place.plain().generate(&name("a"), Algorithm::Es256).expect("a key");
    let path = place.keys().join(".device-key");
    fs::remove_file(&path).expect("gone");
    assert_eq!(failure(&place.plain()), KeyStoreError::DeviceKeyMissing { name: name("a"), path: path.clone() });
    assert!(!path.exists(), "opening makes no new one");
    place.plain().generate(&name("b"), Algorithm::Es256).expect("a key");
    assert_eq!(failure(&place.plain()), KeyStoreError::OtherDeviceKey { name: name("a") });
    place.plain().open(&name("b")).expect("an open key");
    for bad in [&b""[..], &[7; 31], &[7; 33]] {
        fs::write(&path, bad).expect("written");
        assert_eq!(failure(&place.plain()), KeyStoreError::DeviceKeyDamaged { path: path.clone() });
        let error = place.plain().generate(&name("c"), Algorithm::Es256).expect_err("no key");
        assert_eq!(error, KeyStoreError::DeviceKeyDamaged { path: path.clone() });
        assert_eq!(fs::read(&path).expect("a file"), bad, "nothing is overwritten");
    }
}

#[test]
fn what_is_no_plain_file_is_not_read() {
    let place = Place::new();
    place.plain().generate(&name("b"), Algorithm::Es256).expect("a key");
    let damaged = KeyStoreError::Damaged { name: name("a") };
    std::os::unix::fs::symlink(place.file("b"), place.file("a")).expect("a link");
    assert_eq!(failure(&place.plain()), damaged);
    fs::remove_file(place.file("a")).expect("gone");
    std::os::unix::fs::symlink("/nowhere", place.file("a")).expect("a link");
    assert_eq!(place.plain().generate(&name("a"), Algorithm::Es256), Err(KeyStoreError::Exists { name: name("a") }));
    fs::remove_file(place.file("a")).expect("gone");
    fs::create_dir(place.file("a")).expect("a directory");
    assert_eq!(failure(&place.plain()), damaged);
    fs::remove_dir(place.file("a")).expect("gone");
    fs::write(place.file("a"), vec![b'x'; 70_000]).expect("written");
    set_mode(&place.file("a"), 0o600);
    assert_eq!(failure(&place.plain()), damaged);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let place = Place::new();
    fs::write(place.keys(), "a file").expect("written");
    let error = place.plain().generate(&name("a"), Algorithm::Es256).expect_err("no key");
    assert!(matches!(&error, KeyStoreError::File { .. }), "{error:?}");
    assert!(error.to_string().contains("keys"), "{error}");
}

#[test]
fn no_error_and_no_debug_shows_a_passphrase() {
    let place = Place::new();
    let store = place.with("canary-passphrase");
    store.generate(&name("a"), Algorithm::Es256).expect("a key");
    let signer = store.open(&name("a")).expect("a key");
    let error = failure(&place.with("canary-other"));
    let printed = format!("{store:?} {signer:?} {error} {error:?} {:?}", store.show(&name("a")));
    assert!(!printed.contains("canary"), "{printed}");
}
