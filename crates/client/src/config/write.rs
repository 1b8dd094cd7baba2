//! Writing `client.toml`.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::config::{AssertionKey, Authentication, ClientConfig, ClientSecret};
use crate::keys::KeyPlace;

impl ClientConfig {
    /// The text of a `client.toml` that [`ClientConfig::parse`] reads back. It may hold a client secret, so write it
    /// to a file that only its owner can read; it never holds a private key.
    pub fn to_toml(&self) -> SecretString {
        let mut text = Text::default();
        text.line("issuer", &self.issuer);
        text.line("client_id", &self.client_id);
        text.optional("resource", self.resource.as_deref());
        text.optional("scope", self.scope.as_deref());
        text.optional("base_url", self.base_url.as_deref());
        if self.allow_bearer {
            text.raw("allow_bearer = true\n");
        }
        if self.assume_dpop {
            text.raw("assume_dpop = true\n");
        }
        text.raw("\n[auth]\n");
        self.write_authentication(&mut text);
        text.raw("\n[keys]\n");
        match &self.keys.store {
            KeyPlace::Files(directory) => text.line("directory", &directory.to_string_lossy()),
            store => text.line("store", &store.to_string()),
        }
        text.line("dpop", self.keys.dpop.as_str());
        text.0.as_str().into()
    }

    fn write_authentication(&self, text: &mut Text) {
        match &self.authentication {
            Authentication::PrivateKeyJwt { key, kid } => {
                text.line("method", "private_key_jwt");
                match key {
                    AssertionKey::Stored(name) => text.line("key", name.as_str()),
                    AssertionKey::File(path) => text.line("key_file", &path.to_string_lossy()),
                }
                text.optional("kid", kid.as_deref());
            }
            Authentication::ClientSecretBasic { secret } => {
                text.line("method", "client_secret_basic");
                match secret {
                    ClientSecret::Inline(secret) => text.line("secret", secret.expose_secret()),
                    ClientSecret::File(path) => text.line("secret_file", &path.to_string_lossy()),
                }
            }
            Authentication::None => text.line("method", "none"),
        }
    }
}

#[derive(Default)]
struct Text(Zeroizing<String>);

impl Text {
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn line(&mut self, key: &str, value: &str) {
        let value = Zeroizing::new(toml::Value::String(value.to_owned()).to_string());
        self.raw(key);
        self.raw(" = ");
        self.raw(&value);
        self.raw("\n");
    }

    fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }
}
