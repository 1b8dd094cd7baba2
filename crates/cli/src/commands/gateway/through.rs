//! `countersign gateway check --through URL`: what a proxy between client and gateway changes.
//!
//! The gateway tells nobody what it saw, so there is nothing that could leak. It is asked the other way round: a proof
//! says "I was sent so", and the refusal says whether that is what arrived. The token is none, so a request whose proof
//! is right is refused for its token, and one that was changed on the way for its proof. When it was changed, proofs
//! for what it may have become are tried until one is right.

use std::sync::Arc;

use bytes::Bytes;
use countersign_dpop::headers::{DPOP, DPOP_NONCE};
use countersign_dpop::jose::{Algorithm, SoftwareKey};
use countersign_dpop::time::{Clock, SystemClock};
use countersign_dpop::{Challenge, ErrorCode, ProofMaker, ProofRequest, PublicOrigin, Scheme};
use countersign_gateway::Settings;
use countersign_resource::fetch::Fetch;
use http::{Method, Request, Response, StatusCode, header};

use super::check::{Tried, ahead};
use crate::error::CommandError;

/// What stands in place of a token. No issuer made it.
const NO_TOKEN: &str = "countersign-gateway-check";
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
/// Spellings of paths that proxies are known to change, behind the URL's own path.
const SPELLINGS: [(&str, &str); 5] = [
    ("a slash at the end", "countersign-check/"),
    ("an encoded slash", "countersign-check/a%2Fb"),
    ("an encoded letter", "countersign-check/%7Ea"),
    ("two slashes", "countersign-check//a"),
    ("a query", "countersign-check?a=b%20c"),
];

/// What the gateway made of a request.
#[derive(Debug)]
enum Seen {
    /// The proof was right for what arrived.
    Right,
    /// Another method arrived.
    Method,
    /// Another URL arrived.
    Url,
    /// No proof arrived, or several.
    Proof(&'static str),
    /// No token arrived.
    Token,
    /// Another authority arrived.
    Authority,
    /// The proof's time was not right.
    Clock,
    /// A nonce was asked for and none was given.
    NonceLost,
    /// No answer of a guard.
    Other(String),
}

/// Tries the way to the gateway that serves `url`.
pub(super) async fn try_way(url: &str, settings: &Settings, fetch: &dyn Fetch) -> Result<Vec<Tried>, CommandError> {
    let usable = PublicOrigin::parse(url).or_else(|_| PublicOrigin::danger_parse_plain_http(url));
    usable.map_err(|fault| CommandError::configuration(format!("--through {url} is not usable: {fault}")))?;
    let key = SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?;
    let way = Way { maker: ProofMaker::new(Arc::new(key)), fetch, settings };
    let mut tried = vec![way.first(url).await?];
    if tried.iter().all(|one| one.todo.is_none()) {
        for method in ["POST", "DELETE"] {
            tried.push(way.method(url, method).await?);
        }
        for (what, path) in SPELLINGS {
            let longer = format!("{}/{path}", url.trim_end_matches('/'));
            tried.push(way.spelling(&longer, what).await?);
        }
    }
    Ok(tried)
}

struct Way<'a> {
    maker: ProofMaker,
    fetch: &'a dyn Fetch,
    settings: &'a Settings,
}

impl Way<'_> {
    async fn first(&self, url: &str) -> Result<Tried, CommandError> {
        let bad = |said: &str, todo: &str| Tried::bad("through", url, said, todo);
        Ok(match self.ask("GET", url, "GET", url).await? {
            Seen::Right => Tried::good("through", url, "method, URL and the DPoP field arrive as they were sent"),
            Seen::Url => self.explain_url(url).await?,
            Seen::Method => self.explain_method(url, "GET").await?,
            Seen::Proof(said) => bad(said, "let the proxy pass the field DPoP on, once and unchanged"),
            Seen::Token => bad(
                "the field Authorization does not arrive",
                "let the proxy pass Authorization on; some take it off or check it themselves",
            ),
            Seen::Authority => bad(
                "another host arrives than was asked for",
                "let the proxy pass Host on (nginx: proxy_set_header Host $host), or list that host in aliases",
            ),
            Seen::Clock => bad("this machine's clock and the gateway's differ", "set both clocks"),
            Seen::NonceLost => bad(
                "the gateway asks for a nonce, and the answer's field DPoP-Nonce does not come back",
                "let the proxy pass the answer's field DPoP-Nonce on",
            ),
            Seen::Other(said) => Tried::bad(
                "through",
                url,
                said,
                "make sure that the URL reaches the gateway and that its stage there is not observe",
            ),
        })
    }

    async fn method(&self, url: &str, method: &str) -> Result<Tried, CommandError> {
        Ok(match self.ask(method, url, method, url).await? {
            Seen::Right => Tried::good("through", format!("{method} {url}"), "arrives as it was sent"),
            Seen::Method => self.explain_method(url, method).await?,
            other => Tried::note(
                "through",
                format!("{method} {url}"),
                format!("no verdict on the method: {}", other.said()),
                "a firewall or proxy may refuse this method on the way",
            ),
        })
    }

    async fn spelling(&self, url: &str, what: &str) -> Result<Tried, CommandError> {
        let name = format!("{what} ({url})");
        let bare = url.split('?').next().unwrap_or(url);
        Ok(match self.ask("GET", url, "GET", bare).await? {
            Seen::Right => Tried::good("through", name, "arrives as it was sent"),
            Seen::Url => {
                let found = self.search(url, bare).await?;
                let said = found.map_or("is changed on the way".to_owned(), |found| format!("arrives as {found}"));
                Tried::bad(
                    "through",
                    name,
                    said,
                    "let the proxy pass paths on as they came (nginx: proxy_pass without a path)",
                )
            }
            other => {
                Tried::note("through", name, format!("no verdict: {}", other.said()), "try a path that is guarded")
            }
        })
    }

    async fn explain_url(&self, url: &str) -> Result<Tried, CommandError> {
        let origin = self.settings.public_origin.as_str();
        let todo = format!(
            "set public_origin to the URL that clients use (it is {origin}), and let the proxy leave the path as it is"
        );
        Ok(match self.search(url, url).await? {
            Some(found) => Tried::bad("through", url, format!("the gateway takes it for {found}"), todo),
            None => Tried::bad("through", url, "the gateway takes it for another URL", todo),
        })
    }

    async fn explain_method(&self, url: &str, sent: &str) -> Result<Tried, CommandError> {
        let mut said = format!("another method than {sent} arrives");
        for method in METHODS.into_iter().filter(|method| *method != sent) {
            if matches!(self.ask(sent, url, method, url).await?, Seen::Right) {
                said = format!("{sent} arrives as {method}");
                break;
            }
        }
        Ok(Tried::bad(
            "through",
            url,
            said,
            "let the proxy leave the method as it is; in forward-auth, pass the original one",
        ))
    }

    /// The URL that `url` arrives as, if it is one that is easily thought of.
    async fn search(&self, url: &str, bare: &str) -> Result<Option<String>, CommandError> {
        for guess in guesses(bare, self.settings) {
            if matches!(self.ask("GET", url, "GET", &guess).await?, Seen::Right) {
                return Ok(Some(guess));
            }
        }
        Ok(None)
    }

    /// Sends `method` to `url` with a proof for `htm` and `htu`; once more with a nonce where one is asked for.
    async fn ask(&self, method: &str, url: &str, htm: &str, htu: &str) -> Result<Seen, CommandError> {
        let answer = match self.send(method, url, htm, htu, None).await? {
            Ok(answer) => answer,
            Err(fault) => return Ok(Seen::Other(fault)),
        };
        if code(&answer) != Some(ErrorCode::UseDpopNonce) {
            return Ok(judge(&answer));
        }
        let Some(nonce) = answer.headers().get(DPOP_NONCE).and_then(|nonce| nonce.to_str().ok()) else {
            return Ok(Seen::NonceLost);
        };
        Ok(match self.send(method, url, htm, htu, Some(nonce)).await? {
            Ok(answer) => judge(&answer),
            Err(fault) => Seen::Other(fault),
        })
    }

    async fn send(
        &self,
        method: &str,
        url: &str,
        htm: &str,
        htu: &str,
        nonce: Option<&str>,
    ) -> Result<Result<Response<Bytes>, String>, CommandError> {
        let htu = htu.split('?').next().unwrap_or(htu);
        let request = ProofRequest { method: htm, url: htu, token: Some(NO_TOKEN), nonce };
        let proof = self.maker.make_now(&request, SystemClock.now()).map_err(CommandError::internal)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(CommandError::internal)?;
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::AUTHORIZATION, format!("DPoP {NO_TOKEN}"))
            .header(DPOP, proof)
            .body(Bytes::new())
            .map_err(CommandError::configuration)?;
        Ok(self.fetch.fetch(request).await.map_err(|fault| fault.to_string()))
    }
}

impl Seen {
    fn said(&self) -> String {
        match self {
            Self::Other(said) => said.clone(),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}

/// The DPoP challenge of an answer.
fn challenge(answer: &Response<Bytes>) -> Option<Challenge> {
    let fields = answer.headers().get_all(header::WWW_AUTHENTICATE).iter();
    let challenges = fields.filter_map(|field| Challenge::parse_field(field.to_str().ok()?).ok()).flatten();
    challenges.into_iter().find(|challenge| challenge.scheme == Scheme::Dpop)
}

fn code(answer: &Response<Bytes>) -> Option<ErrorCode> {
    challenge(answer)?.error
}

fn judge(answer: &Response<Bytes>) -> Seen {
    if answer.status() == StatusCode::MISDIRECTED_REQUEST {
        return Seen::Authority;
    }
    let Some(challenge) = challenge(answer) else {
        return Seen::Other(format!("the answer is {} without a DPoP challenge", answer.status().as_u16()));
    };
    let words = challenge.error_description.as_deref().unwrap_or_default();
    match challenge.error {
        Some(ErrorCode::InvalidToken) => Seen::Right,
        Some(ErrorCode::InvalidDpopProof) if words.contains("htm") => Seen::Method,
        Some(ErrorCode::InvalidDpopProof) if words.contains("htu") => Seen::Url,
        Some(ErrorCode::InvalidDpopProof) if words.contains("missing") => Seen::Proof("the field DPoP does not arrive"),
        Some(ErrorCode::InvalidDpopProof) if words.contains("more than one") => {
            Seen::Proof("the field DPoP arrives more than once")
        }
        Some(ErrorCode::InvalidDpopProof) if words.contains("too old") || words.contains("future") => {
            let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
            match date.and_then(|date| ahead(date, SystemClock.now())) {
                Some(apart) if apart.abs() < 5 => {
                    Seen::Other("the gateway's clock is not that of the proxy before it".to_owned())
                }
                Some(_) | None => Seen::Clock,
            }
        }
        Some(ErrorCode::InvalidDpopProof) => Seen::Proof("the field DPoP arrives changed"),
        None => Seen::Token,
        Some(other) => Seen::Other(format!("the answer is {} {}", answer.status().as_u16(), other.as_str())),
    }
}

/// What a URL may have become on its way, the likeliest first.
fn guesses(url: &str, settings: &Settings) -> Vec<String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let other = if scheme == "https" { "http" } else { "https" };
    let origin = settings.public_origin.as_str();
    let mut paths = vec![path.to_owned()];
    let mut shorter = path;
    while let Some(next) = shorter.get(1..).and_then(|rest| rest.find('/')).map(|at| &shorter[at + 1..]) {
        paths.push(next.to_owned());
        shorter = next;
    }
    paths.push("/".to_owned());
    let bare = path.trim_end_matches('/');
    paths.extend([bare.to_owned(), format!("{bare}/"), path.replace("//", "/")]);
    paths.extend([path.replace("%2F", "/"), path.replace("%2F", "%2f"), path.replace("%2F", "%252F")]);
    let origins = [format!("{scheme}://{authority}"), origin.to_owned(), format!("{other}://{authority}")];
    let aliases = settings.aliases.iter().map(|alias| alias.as_str().to_owned());
    let mut guesses: Vec<String> = Vec::new();
    for origin in origins.into_iter().chain(aliases) {
        for path in &paths {
            let guess = format!("{origin}{path}");
            if guess != url && !guesses.contains(&guess) {
                guesses.push(guess);
            }
        }
    }
    guesses
}
