//! A client of the server: signs assertions and proofs, takes nonces, and keeps what it sent, to send it once more.

use std::sync::{Arc, Mutex};

use countersign_dpop::jose::{Jkt, SoftwareKey, encode_base64url, sign_compact};
use countersign_dpop::time::{Clock, SystemClock};
use countersign_dpop::{ProofMaker, ProofRequest};
use serde_json::{Value, json};

pub(crate) const VERIFIER: &str = "correct-horse-battery-staple-0123456789-abcdef";

/// SHA-256 of [`VERIFIER`].
pub(crate) fn challenge() -> String {
    encode_base64url(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes()))
}

/// Clients of one issuer that share their keys.
#[derive(Clone)]
pub(crate) struct Client {
    issuer: Arc<str>,
    http: reqwest::Client,
    key: Arc<SoftwareKey>,
    maker: ProofMaker,
    nonce: Arc<Mutex<Option<String>>>,
}

/// How a request says which client it is of.
#[derive(Clone, Copy)]
pub(crate) enum As {
    App,
    Spa,
}

/// A request for a token with all that is good once, so that it can be sent again as it is.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) form: Vec<(String, String)>,
    pub(crate) proof: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Value,
    nonce: Option<String>,
}

impl Answer {
    pub(crate) fn is_granted(&self) -> bool {
        self.status == 200
    }

    pub(crate) fn error(&self) -> &str {
        self.json["error"].as_str().unwrap_or_default()
    }

    pub(crate) fn text(&self, member: &str) -> String {
        self.json[member].as_str().unwrap_or_else(|| panic!("no {member} in {self:?}")).to_owned()
    }
}

/// There was no answer, or none that says what was done: the server may have done it, or not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lost {
    /// The process is gone.
    Gone,
    /// It says that it cannot tell now (503). On a busy machine Postgres may take longer for a connection than a server
    /// waits (3 s), or for a write (5 s): it then asks everybody to come again. Nothing is accepted by guess, so that is as
    /// good as no answer.
    Away,
}

impl Client {
    pub(crate) fn new(issuer: &str, key: SoftwareKey) -> Self {
        let proof_key = SoftwareKey::generate(key.algorithm()).unwrap();
        // A connection each: one that was kept would be lost with the process at its other end.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).redirect(reqwest::redirect::Policy::none());
        Self {
            issuer: issuer.into(),
            http: http.no_proxy().build().unwrap(),
            key: Arc::new(key),
            maker: ProofMaker::new(Arc::new(proof_key)),
            nonce: Arc::default(),
        }
    }

    pub(crate) fn key(&self) -> &SoftwareKey {
        &self.key
    }

    pub(crate) fn jkt(&self) -> Jkt {
        *self.maker.jkt()
    }

    pub(crate) const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// A fresh proof for the token endpoint.
    pub(crate) fn proof(&self) -> String {
        let nonce = self.nonce.lock().unwrap().clone();
        let url = format!("{}/token", self.issuer);
        let request = ProofRequest { method: "POST", url: &url, token: None, nonce: nonce.as_deref() };
        self.maker.make_now(&request, SystemClock.now()).unwrap()
    }

    /// A fresh assertion.
    pub(crate) async fn assertion(&self) -> String {
        let mut jti = [0; 16];
        aws_lc_rs::rand::fill(&mut jti).unwrap();
        let now = SystemClock.now().seconds();
        let claims = json!({
            "iss": "app", "sub": "app", "aud": &*self.issuer, "jti": encode_base64url(jti), "iat": now, "exp": now + 300,
        });
        sign_compact(self.key.as_ref(), r#"{"typ":"JWT","alg":"ES256"}"#, &claims.to_string()).await.unwrap()
    }

    /// The form with who it is of, and a fresh proof.
    pub(crate) async fn request(&self, of: As, form: &[(&str, &str)]) -> Sent {
        let mut form: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut add = |name: &str, value: String| form.push((name.to_owned(), value));
        match of {
            As::Spa => add("client_id", "spa".to_owned()),
            As::App => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                add("client_assertion_type", kind.to_owned());
                add("client_assertion", self.assertion().await);
            }
        }
        Sent { form, proof: self.proof() }
    }

    /// Sends a request to the token endpoint of the process at `server`, as it is.
    pub(crate) async fn send(&self, server: &str, sent: &Sent) -> Result<Answer, Lost> {
        let answer = self.post(&format!("{server}/token"), &sent.form, Some(&sent.proof)).await?;
        if let Some(nonce) = &answer.nonce {
            *self.nonce.lock().unwrap() = Some(nonce.clone());
        }
        Ok(answer)
    }

    /// Sends a form.
    pub(crate) async fn post(&self, url: &str, form: &[(String, String)], proof: Option<&str>) -> Result<Answer, Lost> {
        let mut request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        let answer = request.body(encode(form)).send().await.map_err(|_| Lost::Gone)?;
        let nonce = answer.headers().get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let says_when = answer.headers().contains_key("retry-after");
        let body = answer.bytes().await.map_err(|_| Lost::Gone)?;
        if status == 503 {
            assert!(says_when, "503 without a word when to come again");
            return Err(Lost::Away);
        }
        let json = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Answer { status, json, nonce })
    }

    /// Makes and sends a request, once more with a nonce when one is asked for. What was answered last comes back.
    pub(crate) async fn ask(&self, server: &str, of: As, form: &[(&str, &str)]) -> (Sent, Result<Answer, Lost>) {
        let first = self.request(of, form).await;
        match self.send(server, &first).await {
            Ok(answer) if answer.error() == "use_dpop_nonce" => {
                let again = self.request(of, form).await;
                let answer = self.send(server, &again).await;
                (again, answer)
            }
            answer => (first, answer),
        }
    }

    /// Has the next proofs carry a nonce: a database that is new asks for one.
    pub(crate) async fn learn_nonce(&self, server: &str) {
        let (_, answer) = self.ask(server, As::App, &[("grant_type", "client_credentials")]).await;
        assert!(answer.unwrap().is_granted());
    }
}

/// A form as it is sent.
pub(crate) fn encode(form: &[(String, String)]) -> String {
    let escape = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    form.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}
