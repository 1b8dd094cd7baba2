//! What came back.

use axum::body::to_bytes;
use axum::response::Response;
use countersign_dpop::jose::{JwkSet, JwsBuffer, decode_base64url};
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Self { status: parts.status, headers: parts.headers, text, json }
    }

    /// Asserts an OAuth error by status and code, and that it looks as every error must (rows 457, 458).
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status.as_u16(), self.json["error"].as_str()), (status, Some(code)), "{}", self.text);
        self.looks_like_an_error()
    }

    /// Asserts a refusal that is the server's own fault: a status and no OAuth code.
    #[track_caller]
    pub(crate) fn unavailable(&self, status: u16) -> &Self {
        assert_eq!((self.status.as_u16(), self.json.get("error")), (status, None), "{}", self.text);
        assert!(self.headers.contains_key(header::RETRY_AFTER));
        self.looks_like_an_error()
    }

    #[track_caller]
    fn looks_like_an_error(&self) -> &Self {
        assert_eq!(self.field("content-type"), Some("application/json"));
        self.is_not_cached();
        let description = self.json["error_description"].as_str().unwrap();
        let plain = |byte: u8| (0x20..0x7f).contains(&byte) && !b"\"\\".contains(&byte);
        assert!(description.bytes().all(plain), "{description}");
        assert!(self.json.get("access_token").is_none());
        self
    }

    /// Asserts a token of this type.
    #[track_caller]
    pub(crate) fn granted(&self, token_type: &str) -> &Self {
        assert_eq!(
            (self.status, self.json["token_type"].as_str()),
            (StatusCode::OK, Some(token_type)),
            "{}",
            self.text
        );
        assert_eq!(self.json["expires_in"], 300);
        assert!(self.json.get("refresh_token").is_none());
        self.is_not_cached();
        self
    }

    #[track_caller]
    pub(crate) fn is_not_cached(&self) {
        assert_eq!(self.field("cache-control"), Some("no-store"));
        assert_eq!(self.field("pragma"), Some("no-cache"));
    }

    pub(crate) fn is_granted(&self) -> bool {
        self.status == StatusCode::OK
    }

    /// The only field of this name.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.get_all(name).iter();
        let field = fields.next();
        assert!(fields.next().is_none(), "{name} twice");
        field.map(|field| field.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn nonce(&self) -> Option<String> {
        let nonce = self.field("dpop-nonce")?;
        // row 368: printable, no quote, no back-slash
        let fits = |byte: u8| (0x21..0x7f).contains(&byte) && !b"\"\\".contains(&byte);
        assert!(!nonce.is_empty() && nonce.bytes().all(fits), "{nonce}");
        Some(nonce.to_owned())
    }

    pub(crate) fn token(&self) -> &str {
        self.json["access_token"].as_str().unwrap()
    }

    /// Header and claims of the access token, whose signature must verify with one of `keys`.
    pub(crate) fn read_token(&self, keys: &JwkSet) -> (Value, Value) {
        let mut buffer = JwsBuffer::new();
        let jws = countersign_dpop::jose::CompactJws::split(self.token().as_bytes(), &mut buffer, 8_192).unwrap();
        let header: Value = serde_json::from_slice(jws.header()).unwrap();
        let algorithm = header["alg"].as_str().unwrap().parse().unwrap();
        let key = keys.candidates(header["kid"].as_str(), algorithm).next().expect("the key is published");
        countersign_dpop::jose::Algorithms::all()
            .verify(algorithm, &key.key, jws.signing_input(), jws.signature())
            .unwrap();
        (header, serde_json::from_slice(jws.payload()).unwrap())
    }

    /// The claims, unverified.
    pub(crate) fn claims(&self) -> Value {
        let payload = self.token().split('.').nth(1).unwrap();
        serde_json::from_slice(&decode_base64url(payload).unwrap()).unwrap()
    }
}
