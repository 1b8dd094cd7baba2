//! `client_secret_basic` and `client_secret_post` (RFC 6749 §2.3.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{AuthenticatedClient, ClientError, wrong_method};
use crate::client::{AuthMethod, Credential};
use crate::config::sha256;
use crate::error::Refusal;
use crate::form::{Form, form_decode};
use crate::server::Shared;

/// Authenticates by the `Authorization` field.
pub(super) async fn authenticate_basic(server: &Shared, field: &HeaderValue) -> Result<AuthenticatedClient, Refusal> {
    let (id, secret) = read_basic(field)?;
    compare(server, &id, &secret, AuthMethod::ClientSecretBasic).await
}

/// Authenticates by `client_id` and `client_secret` in the form.
pub(super) async fn authenticate_post(server: &Shared, form: &Form) -> Result<AuthenticatedClient, Refusal> {
    let (Some(id), Some(secret)) = (form.get("client_id"), form.get("client_secret")) else {
        return Err(ClientError::Missing.into());
    };
    compare(server, id, secret, AuthMethod::ClientSecretPost).await
}

/// The secret is compared as a hash and in constant time; an unknown client costs the same.
async fn compare(server: &Shared, id: &str, secret: &str, used: AuthMethod) -> Result<AuthenticatedClient, Refusal> {
    let basic = used == AuthMethod::ClientSecretBasic;
    let presented = sha256(secret.as_bytes());
    let Some(client) = server.client(id).await? else {
        let _: bool = presented.ct_eq(&[0; 32]).into();
        return Err(ClientError::ClientUnknown { basic }.into());
    };
    let expected = match (&client.credential, used) {
        (Credential::SecretBasic { sha256 }, AuthMethod::ClientSecretBasic)
        | (Credential::SecretPost { sha256 }, AuthMethod::ClientSecretPost) => sha256,
        (other, _) => return Err(wrong_method(other, used, basic).into()),
    };
    if presented.ct_eq(expected).into() {
        Ok(AuthenticatedClient { client, assertion: None, key: None })
    } else {
        Err(ClientError::SecretWrong { basic }.into())
    }
}

/// The longest Basic credentials that are read, in bytes.
const MAX_LENGTH: usize = 8_192;

type Text = Zeroizing<String>;

/// Identifier and secret, each form-encoded before they were joined by a colon.
fn read_basic(field: &HeaderValue) -> Result<(Text, Text), ClientError> {
    let text = field.to_str().map_err(|_| ClientError::BasicMalformed)?;
    let (scheme, credentials) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Err(ClientError::SchemeUnknown);
    }
    let credentials = credentials.trim_matches(' ');
    if credentials.len() > MAX_LENGTH {
        return Err(ClientError::BasicMalformed);
    }
    let decoded = Zeroizing::new(STANDARD.decode(credentials).map_err(|_| ClientError::BasicMalformed)?);
    let colon = decoded.iter().position(|byte| *byte == b':').ok_or(ClientError::BasicMalformed)?;
    let decode = |text: &[u8]| form_decode(text).map_err(|_| ClientError::BasicMalformed);
    Ok((decode(&decoded[..colon])?, decode(&decoded[colon + 1..])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, String), ClientError> {
        read_basic(&HeaderValue::from_str(text).unwrap()).map(|(id, secret)| (id.to_string(), secret.to_string()))
    }

    #[test]
    fn decodes_base64_then_the_form_encoding_of_each_half() {
        let field = format!("basic {}", STANDARD.encode("a%3Ab+c:p%2Bq:r%25"));
        assert_eq!(read(&field), Ok(("a:b c".to_owned(), "p+q:r%".to_owned())));
    }

    #[test]
    fn refuses_what_is_no_basic_field() {
        assert_eq!(read("Bearer abc"), Err(ClientError::SchemeUnknown));
        assert_eq!(read("Basically"), Err(ClientError::SchemeUnknown));
        let no_colon = format!("Basic {}", STANDARD.encode("nocolon"));
        let bad_percent = format!("Basic {}", STANDARD.encode("a:%zz"));
        let long = format!("Basic {}", STANDARD.encode("a:".to_owned() + &"b".repeat(MAX_LENGTH)));
        for field in ["Basic", "Basic ", "Basic !!!!", "Basic YTpi=", &no_colon, &bad_percent, &long] {
            assert_eq!(read(field), Err(ClientError::BasicMalformed), "{field:.20}");
        }
    }
}
