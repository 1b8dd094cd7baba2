//! Key stores outside of this process, held to the contract of every key store: the kernel's keyring, the Secret Service
//! (GNOME Keyring in a session bus of its own), and PKCS#11 (SoftHSM with a token of its own).
//!
//! What needs variables in its environment runs in this program once more, as its own child.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use countersign_client::keys::{KeyClass, KeyName, KeyPlace, KeyStore, KeyStoreError, Keyring, SealedFileStore};
use countersign_dpop::jose::Algorithm;
use countersign_dpop::time::Timestamp;
use countersign_testkit::FakeClock;
use countersign_testkit::key_store_contract::{Abilities, holds};
use countersign_testkit::service::trial;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// Which test the child is to run.
const INNER: &str = "COUNTERSIGN_TEST_STORE";
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "8246";

fn main() {
    match env::var_os(INNER).as_deref().and_then(|inner| inner.to_str()) {
        Some("secret-service") => return keys_sealed_in(Keyring::SecretService),
        Some("pkcs11") => return keys_in_a_token(),
        Some("kernel") => return keys_sealed_in(Keyring::Kernel),
        Some("probe") => return probe_kernel(),
        _ => {}
    }
    let mut arguments = Arguments::from_args();
    // One token and one keyring at a time.
    arguments.test_threads = Some(1);
    let secret_service = ["dbus-run-session", "gnome-keyring-daemon"];
    let tests = vec![
        kernel_keyring(),
        trial("keys_sealed_in_the_secret_service_hold_the_contract", &secret_service, in_a_session_bus),
        trial("keys_in_a_pkcs11_token_hold_the_contract", &[SOFTHSM, "softhsm2-util"], with_a_token),
    ];
    libtest_mimic::run(&arguments, tests).exit();
}

fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::at(Timestamp::from_seconds(1_800_000_000)))
}

fn name(name: &str) -> KeyName {
    KeyName::parse(name).unwrap()
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Containers often have no keyrings: then the test is ignored, unless services are required. A login session has a
/// keyring of its own; so do the children of `keyctl session`.
fn kernel_keyring() -> Trial {
    let test = "keys_sealed_in_the_kernel_keyring_hold_the_contract";
    let in_a_session = || {
        let mut command = Command::new("keyctl");
        command.args(["session", "-"]).arg(env::current_exe().unwrap_or_default());
        command
    };
    let tools = countersign_testkit::service::find("keyctl").is_some();
    let may_be_missing = tools && !countersign_testkit::service::required();
    if may_be_missing && let Err(fault) = inner("probe", in_a_session()) {
        let reason = fault.message().and_then(|text| text.lines().last()).unwrap_or("no keyring").to_owned();
        return Trial::test(test, || Ok(())).with_kind(reason).with_ignored_flag(true);
    }
    trial(test, &["keyctl"], move || inner("kernel", in_a_session()))
}

fn probe_kernel() {
    let directory = TempDir::new().unwrap();
    let probe = SealedFileStore::new(directory.path().join("probe"), clock()).with_keyring(Keyring::Kernel);
    if let Err(fault) = probe.generate(&name("probe"), Algorithm::Es256) {
        std::io::Write::write_all(&mut std::io::stderr(), format!("{fault}\n").as_bytes()).unwrap();
        std::process::exit(1);
    }
}

fn keys_sealed_in(keyring: Keyring) {
    let directory = TempDir::new().unwrap();
    let open = |path: &Path| Arc::new(SealedFileStore::new(path, clock()).with_keyring(keyring));
    let path = directory.path().join("keys");
    let store = open(&path);
    assert_eq!(store.class(), KeyClass::FileKeyring(keyring));
    wait(holds(store, Abilities::SOFTWARE));
    assert!(!path.join(".device-key").exists(), "what opens the files is not beside them");

    // Another process finds the same sealing key; in another place the same files are worthless.
    open(&path).open(&name("made")).unwrap();
    let copy = directory.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let lost = open(&copy).open(&name("made")).unwrap_err();
    assert_eq!(lost, KeyStoreError::KeyringEmpty { name: name("made"), keyring });
    assert!(lost.remedy().unwrap().contains("log in again"), "{lost}");
}

/// Runs this program once more, in an environment that `command` makes.
fn inner(which: &str, mut command: Command) -> Result<(), Failed> {
    let output = command.env(INNER, which).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&text).into_owned().into())
}

fn in_a_session_bus() -> Result<(), Failed> {
    let home = TempDir::new()?;
    let unlocked = "printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec \"$0\"";
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", unlocked]).arg(env::current_exe()?);
    for variable in ["HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
        command.env(variable, home.path());
    }
    inner("secret-service", command)
}

fn with_a_token() -> Result<(), Failed> {
    let directory = TempDir::new()?;
    let tokens = directory.path().join("tokens");
    fs::create_dir(&tokens)?;
    let configuration = directory.path().join("softhsm2.conf");
    fs::write(&configuration, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()))?;
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "countersign test", "--so-pin", PIN, "--pin", PIN])
        .env("SOFTHSM2_CONF", &configuration)
        .output()?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
    }
    let mut command = Command::new(env::current_exe()?);
    command.env("SOFTHSM2_CONF", &configuration);
    inner("pkcs11", command)
}

fn keys_in_a_token() {
    let place = KeyPlace::parse(&format!("pkcs11:{SOFTHSM},countersign test")).unwrap();
    let open = |pin: Option<&str>| place.open(pin.map(Into::into), clock());
    let locked = |pin: Option<&str>| match open(pin) {
        Err(fault @ KeyStoreError::Locked { .. }) => assert!(fault.remedy().unwrap().contains("PIN"), "{fault}"),
        other => panic!("{other:?}"),
    };
    locked(None);
    locked(Some("0000"));
    let elsewhere = KeyPlace::Pkcs11 { module: SOFTHSM.into(), token: "another".to_owned() };
    assert!(matches!(elsewhere.open(Some(PIN.into()), clock()), Err(KeyStoreError::Device { .. })));

    let store = open(Some(PIN)).unwrap();
    assert_eq!(store.class(), KeyClass::Pkcs11);
    wait(holds(store.clone(), Abilities { other: Algorithm::Es384, imports: false }));
    let refused = store.generate(&name("rsa"), Algorithm::Ps256).unwrap_err();
    assert_eq!(refused, KeyStoreError::AlgorithmNotOfStore { class: KeyClass::Pkcs11, algorithm: Algorithm::Ps256 });
    wait(es512_signs(store.as_ref()));
    never_leave_the_token();
}

async fn es512_signs(store: &dyn KeyStore) {
    let made = store.generate(&name("large"), Algorithm::Es512).unwrap();
    let signature = store.open(&name("large")).unwrap().sign(b"message").await.unwrap();
    let algorithms = countersign_dpop::jose::Algorithms::all();
    assert_eq!(algorithms.verify(Algorithm::Es512, &made.public, b"message", &signature), Ok(()));
}

/// Asks the token itself.
fn never_leave_the_token() {
    let context = Pkcs11::new(SOFTHSM).unwrap();
    let _ = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let slot = context.get_slots_with_initialized_token().unwrap()[0];
    let session = context.open_ro_session(slot).unwrap();
    let _ = session.login(UserType::User, Some(&AuthPin::from(PIN)));
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
    assert!(keys.len() >= 4, "{keys:?}");
    for key in keys {
        let asked = [
            AttributeType::Sensitive,
            AttributeType::AlwaysSensitive,
            AttributeType::Extractable,
            AttributeType::NeverExtractable,
            AttributeType::Local,
        ];
        let found = session.get_attributes(key, &asked).unwrap();
        let expected = [
            Attribute::Sensitive(true),
            Attribute::AlwaysSensitive(true),
            Attribute::Extractable(false),
            Attribute::NeverExtractable(true),
            Attribute::Local(true),
        ];
        assert_eq!(found, expected);
        let value = session.get_attributes(key, &[AttributeType::Value]).unwrap_or_default();
        assert_eq!(value, [], "the token gives no private key out");
    }
}
