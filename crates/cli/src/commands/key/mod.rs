//! `countersign key`: keys, wherever they live.

mod delete;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign_client::keys::{KeyName, KeyStore};
use countersign_dpop::jose::{Algorithm, SoftwareKey};

use crate::error::CommandError;
use crate::keys::{self, Keys, Sealing, store_error};
use crate::{input, render};

/// Makes, keeps and shows keys; a private key is never printed
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign key new laptop\n  countersign key import work --from key.pem --passphrase\n  \
countersign key export --public laptop > laptop.jwk\n  countersign key new card --keys \
'pkcs11:/usr/lib/softhsm/libsofthsm2.so,my token' --passphrase"
)]
pub(crate) struct KeyCommand {
    #[command(flatten)]
    keys: Keys,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a new key
    #[command(after_help = "Example:\n  countersign key new laptop")]
    New {
        /// Name of the key
        name: KeyName,
        /// Algorithm it signs with: ES256, Ed25519, EdDSA, ES384, ES512, PS256, RS256
        #[arg(long, value_name = "ALG", default_value = "ES256")]
        alg: Algorithm,
        #[command(flatten)]
        sealing: Sealing,
        /// Print what was made as JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a private key from PEM (PKCS#8, SEC1) or JWK
    #[command(after_help = "Example:\n  countersign key import work --from key.pem")]
    Import {
        /// Name of the key
        name: KeyName,
        /// File to read; - for standard input
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Algorithm it is to sign with [default: the first that fits the key]
        #[arg(long, value_name = "ALG")]
        alg: Option<Algorithm>,
        #[command(flatten)]
        sealing: Sealing,
        /// Print what was taken as JSON
        #[arg(long)]
        json: bool,
    },
    /// List all keys with their class of storage
    #[command(after_help = "Example:\n  countersign key list")]
    List {
        #[command(flatten)]
        sealing: Sealing,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one key's public side
    #[command(after_help = "Example:\n  countersign key show laptop --json")]
    Show {
        /// Name of the key
        name: KeyName,
        #[command(flatten)]
        sealing: Sealing,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print the public key as a JWK
    #[command(
        after_help = "Example:\n  countersign key export --public laptop > laptop.jwk\n  countersign key new card --keys \
'pkcs11:/usr/lib/softhsm/libsofthsm2.so,my token' --passphrase"
    )]
    Export {
        /// Name of the key
        name: KeyName,
        /// Say that the public key is meant; private keys do not leave the store
        #[arg(long)]
        public: bool,
        #[command(flatten)]
        sealing: Sealing,
    },
    /// Delete a key for good
    #[command(after_help = "Example:\n  countersign key delete laptop --yes")]
    Delete {
        /// Name of the key
        name: KeyName,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        sealing: Sealing,
    },
}

impl KeyCommand {
    /// Runs the command.
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let place = self.keys.place()?;
        let kept = |sealing: &Sealing| keys::open(&place, sealing.passphrase_for_kept_key()?);
        match self.action {
            Action::New { name, alg, sealing, json } => {
                let store = keys::open(&place, sealing.passphrase_for_new_key()?)?;
                show::made(&store.generate(&name, alg).map_err(store_error)?, "made", json)
            }
            Action::Import { name, from, alg, sealing, json } => {
                let key = read_private_key(&from, alg)?;
                let store = keys::open(&place, sealing.passphrase_for_new_key()?)?;
                show::made(&store.import(&name, key).map_err(store_error)?, "taken", json)
            }
            Action::List { sealing, json } => show::list(&kept(&sealing)?.list().map_err(store_error)?, json),
            Action::Show { name, sealing, json } => show::one(&kept(&sealing)?.show(&name).map_err(store_error)?, json),
            Action::Export { name, public, sealing } => export(kept(&sealing)?.as_ref(), &name, public),
            Action::Delete { name, yes, sealing } => delete::delete(kept(&sealing)?.as_ref(), &name, yes),
        }
    }
}

fn read_private_key(from: &std::path::Path, alg: Option<Algorithm>) -> Result<SoftwareKey, CommandError> {
    let text = input::read_secret(from, "private key")?;
    SoftwareKey::from_text(&text, alg).map_err(|fault| {
        CommandError::configuration(format!("no key was taken from {}: {fault}", from.display()))
            .with_hint("PEM with PKCS#8 or SEC1 inside, unencrypted, or a private JWK is read; nothing was written")
    })
}

fn export(store: &dyn KeyStore, name: &KeyName, public: bool) -> Result<ExitCode, CommandError> {
    if !public {
        return Err(CommandError::configuration("private keys do not leave the store")
            .with_hint(format!("for the public half: countersign key export --public {name}")));
    }
    render::line(store.show(name).map_err(store_error)?.public.to_json());
    Ok(ExitCode::SUCCESS)
}
