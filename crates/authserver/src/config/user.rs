//! `[[user]]`, resolved.

use std::collections::HashMap;

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::resolve::{Faults, shorten};
use super::{AuthServerConfig, Key, Problem, UserConfig};
use crate::people::{MAX_USERNAME, hash_password, is_password_hash, is_username};

impl AuthServerConfig {
    pub(super) fn resolve_users(&self, faults: &mut Faults) -> HashMap<String, Zeroizing<String>> {
        let mut users = HashMap::new();
        for (index, written) in self.users.iter().enumerate() {
            let key = |name| Key::of("user", index, name);
            let name = &written.username;
            if !is_username(name) {
                faults.add(key("username"), Problem::Username { limit: MAX_USERNAME });
            }
            if self.clients.iter().any(|client| client.client_id == *name) {
                faults.add(key("username"), Problem::UserIsClient);
            }
            let Some(hash) = resolve_password(written, key, faults) else { continue };
            if users.insert(name.clone(), hash).is_some() {
                faults.add(key("username"), Problem::Repeated { found: shorten(name) });
            }
        }
        users
    }
}

fn resolve_password(
    written: &UserConfig,
    key: impl Fn(&'static str) -> Key,
    faults: &mut Faults,
) -> Option<Zeroizing<String>> {
    match (&written.password, &written.password_hash) {
        (Some(password), None) => faults.note(key("password"), hash_password(password.expose_secret())),
        (None, Some(hash)) if is_password_hash(hash.expose_secret()) => {
            Some(Zeroizing::new(hash.expose_secret().to_owned()))
        }
        (None, Some(_)) => {
            faults.add(key("password_hash"), Problem::PasswordHash);
            None
        }
        (Some(_), Some(_)) => {
            faults.add(key("password_hash"), Problem::Ambiguous { other: "password" });
            None
        }
        (None, None) => {
            faults.add(key("password_hash"), Problem::Missing { what: "write password_hash or password" });
            None
        }
    }
}
