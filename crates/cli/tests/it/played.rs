//! A played issuer, and a played MCP server behind it, on one loopback port. It grants whatever is asked for without a
//! page, asks for a nonce everywhere, gives tokens that are used up at once, rotates refresh tokens, and notes all that
//! it gives out and gets: every one of them is a canary.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What every nonce begins with.
const NONCE: &str = "canary-nonce-Yv3kQ8";

/// The server. It lives as long as the program of the tests.
pub(crate) struct Played {
    /// `http://127.0.0.1:PORT`
    pub(crate) origin: String,
    stage: Arc<Mutex<Stage>>,
}

#[derive(Default)]
struct Stage {
    origin: String,
    /// Parameters of the requests that were pushed, by the number in their `request_uri`.
    pushed: Vec<BTreeMap<String, String>>,
    codes: usize,
    access: Vec<String>,
    refresh: Vec<String>,
    proofs: Vec<String>,
    revoked: Vec<String>,
    calls: Vec<String>,
}

impl Played {
    pub(crate) fn start() -> Self {
        let stage: Arc<Mutex<Stage>> = Arc::default();
        let (played, (sender, receiver)) = (Arc::clone(&stage), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
                let origin = format!("http://{}", listener.local_addr().unwrap());
                played.lock().unwrap().origin.clone_from(&origin);
                sender.send(origin).unwrap();
                axum::serve(listener, Router::new().fallback(answer).with_state(played)).await.unwrap();
            });
        });
        Self { origin: receiver.recv().unwrap(), stage }
    }

    /// The URL of the MCP server.
    pub(crate) fn mcp(&self) -> String {
        format!("{}/mcp", self.origin)
    }

    /// Everything secret that went over the wire, whoever made it.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let stage = self.stage();
        let codes = (1..=stage.codes).map(code);
        [&stage.access, &stage.refresh, &stage.proofs].into_iter().flatten().cloned().chain(codes).collect()
    }

    /// What every nonce begins with.
    pub(crate) const fn nonce() -> &'static str {
        NONCE
    }

    /// How many access tokens were given out.
    pub(crate) fn grants(&self) -> usize {
        self.stage().access.len()
    }

    /// How often somebody was sent back from the page to log in.
    pub(crate) fn logins(&self) -> usize {
        self.stage().codes
    }

    /// The tokens that were revoked.
    pub(crate) fn revoked(&self) -> Vec<String> {
        self.stage().revoked.clone()
    }

    /// The tools that were called.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.stage().calls.clone()
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap()
    }
}

async fn answer(State(stage): State<Arc<Mutex<Stage>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let mut stage = stage.lock().unwrap();
    let nonce = format!("{NONCE}-{}", stage.proofs.len());
    stage.proofs.extend(head.headers.get_all("dpop").iter().map(|proof| proof.to_str().unwrap().to_owned()));
    let answered = match head.uri.path() {
        "/token" | "/par" | "/mcp" | "/mcp/repeat" if !has_nonce(&head.headers) => ask_for_nonce(head.uri.path()),
        "/mcp" => stage.message(&head.headers, &body),
        "/mcp/repeat" => format!("{:?}", head.headers).into_response(),
        "/stolen" => {
            [stage.access.last(), stage.refresh.last()].map(|token| token.unwrap().as_str()).join(" ").into_response()
        }
        path => stage.issue(path, head.uri.query().unwrap_or_default(), &form(&body)),
    };
    ([("dpop-nonce", nonce)], answered).into_response()
}

impl Stage {
    fn issue(&mut self, path: &str, query: &str, form: &BTreeMap<String, String>) -> Response {
        let origin = self.origin.clone();
        match path {
            "/.well-known/oauth-authorization-server" => axum::Json(metadata(&origin)).into_response(),
            "/.well-known/oauth-protected-resource/mcp" => axum::Json(json!({
                "resource": format!("{origin}/mcp"), "authorization_servers": [origin], "scopes_supported": ["read"],
            }))
            .into_response(),
            "/register" => (StatusCode::CREATED, axum::Json(json!({ "client_id": "registered-1" }))).into_response(),
            "/par" => {
                self.pushed.push(form.clone());
                let uri = format!("urn:request:{}", self.pushed.len());
                (StatusCode::CREATED, axum::Json(json!({ "request_uri": uri, "expires_in": 60 }))).into_response()
            }
            "/authorize" => self.authorize(query),
            "/token" => self.token(form),
            "/revoke" => {
                self.revoked.push(form["token"].clone());
                StatusCode::OK.into_response()
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    /// Nobody is asked: whoever comes is sent back with a code.
    fn authorize(&mut self, query: &str) -> Response {
        let number: usize = query.rsplit_once("%3A").unwrap().1.parse().unwrap();
        let pushed = &self.pushed[number - 1];
        self.codes += 1;
        let (code, state, issuer) = (code(self.codes), &pushed["state"], self.origin.replace(':', "%3A"));
        let back = format!("{}?code={code}&state={state}&iss={issuer}", pushed["redirect_uri"]);
        (StatusCode::FOUND, [(header::LOCATION, back)]).into_response()
    }

    fn token(&mut self, form: &BTreeMap<String, String>) -> Response {
        let good = match form["grant_type"].as_str() {
            "authorization_code" => form["code"] == code(self.codes),
            _ => self.refresh.last() == Some(&form["refresh_token"]) && !self.revoked.contains(&form["refresh_token"]),
        };
        if !good {
            return (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": "invalid_grant" }))).into_response();
        }
        let number = self.access.len() + 1;
        self.access.push(format!("canary-access-{number}-Zp7R2m"));
        self.refresh.push(format!("canary-refresh-{number}-Kd4W9x"));
        axum::Json(json!({ "access_token": self.access.last(), "refresh_token": self.refresh.last(),
                           "token_type": "DPoP", "expires_in": 1 }))
        .into_response()
    }

    /// An MCP server with two tools, for whoever shows the newest token.
    fn message(&mut self, headers: &HeaderMap, body: &[u8]) -> Response {
        let shown = headers[header::AUTHORIZATION].to_str().unwrap().strip_prefix("DPoP ");
        if shown != self.access.last().map(String::as_str) {
            return (StatusCode::UNAUTHORIZED, [("www-authenticate", "DPoP error=\"invalid_token\"")]).into_response();
        }
        let message: Value = serde_json::from_slice(body).unwrap();
        let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
        let result = match message["method"].as_str().unwrap() {
            "initialize" => json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                                    "serverInfo": { "name": "played", "version": "1" } }),
            "tools/list" => json!({ "tools": [tool("read_ledger"), tool("write_ledger")] }),
            "tools/call" => {
                self.calls.push(message["params"]["name"].as_str().unwrap().to_owned());
                json!({ "content": [{ "type": "text", "text": "line 1" }] })
            }
            _ => return StatusCode::ACCEPTED.into_response(),
        };
        axum::Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).into_response()
    }
}

fn metadata(origin: &str) -> Value {
    let at = |path: &str| format!("{origin}{path}");
    json!({
        "issuer": origin,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "pushed_authorization_request_endpoint": at("/par"),
        "registration_endpoint": at("/register"),
        "revocation_endpoint": at("/revoke"),
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "dpop_signing_alg_values_supported": ["ES256"],
    })
}

fn code(number: usize) -> String {
    format!("canary-code-{number}-Rt5mB1")
}

/// Whether the proof carries one of our nonces.
fn has_nonce(headers: &HeaderMap) -> bool {
    let proof = headers.get("dpop").and_then(|proof| proof.to_str().ok()).unwrap_or_default();
    let claims = proof.split('.').nth(1).unwrap_or_default();
    let claims = countersign_dpop::jose::decode_base64url(claims).unwrap_or_default();
    String::from_utf8_lossy(&claims).contains(NONCE)
}

fn ask_for_nonce(path: &str) -> Response {
    if path.starts_with("/mcp") {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "DPoP error=\"use_dpop_nonce\"")]).into_response();
    }
    (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": "use_dpop_nonce" }))).into_response()
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| {
        let (hex, rest) = part.split_at(2);
        format!("{whole}{}{rest}", char::from(u8::from_str_radix(hex, 16).unwrap()))
    })
}
