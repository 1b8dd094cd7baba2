//! The issuer's web server, played, and a resource that fetches its keys there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use countersign_dpop::PublicOrigin;
use countersign_dpop::jose::SoftwareKey;
use countersign_dpop::time::Timestamp;
use countersign_resource::fetch::{Fetch, FetchError, Fetching};
use countersign_resource::{DpopLayer, IssuerConfig, Issuers, ResourceConfig, Stage};
use http::{Request, Response};
use serde_json::json;
use tower::Layer;

use crate::world::{Answer, Backend, Guarded, ISSUER, RESOURCE, World, changed, key};

pub(crate) const KEYS: &str = "https://issuer.example/keys";

/// The issuer's web server, played: answers by URL, counts, and can be made to hang.
#[derive(Debug, Default)]
pub(crate) struct Web {
    pub(crate) pages: Mutex<HashMap<String, (u16, String)>>,
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) away: Mutex<Option<FetchError>>,
    /// Fields and bodies of what was asked by POST.
    pub(crate) posted: Mutex<Vec<(http::HeaderMap, String)>>,
    pub(crate) gate: Mutex<Option<Arc<tokio::sync::Semaphore>>>,
}

impl Web {
    pub(crate) fn put(&self, url: &str, status: u16, page: impl Into<String>) {
        self.pages.lock().unwrap().insert(url.to_owned(), (status, page.into()));
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub(crate) fn set_away(&self, away: bool) {
        let fault = FetchError::Failed { reason: "connection refused".to_owned() };
        *self.away.lock().unwrap() = away.then_some(fault);
    }
}

impl Fetch for Web {
    fn fetch(&self, request: Request<Bytes>) -> Fetching {
        let url = request.uri().to_string();
        self.asked.lock().unwrap().push(url.clone());
        if request.method() == http::Method::POST {
            let body = String::from_utf8(request.body().to_vec()).unwrap();
            self.posted.lock().unwrap().push((request.headers().clone(), body));
        }
        let away = self.away.lock().unwrap().clone();
        let page = self.pages.lock().unwrap().get(&url).cloned().unwrap_or((404, String::new()));
        let gate = self.gate.lock().unwrap().clone();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            match away {
                Some(fault) => Err(fault),
                None => Ok(Response::builder().status(page.0).body(Bytes::from(page.1)).unwrap()),
            }
        })
    }
}

pub(crate) fn key_set(keys: &[(&SoftwareKey, &str)]) -> String {
    let each = keys.iter().map(|(key, kid)| {
        let mut jwk: serde_json::Value = serde_json::from_str(&key.public_jwk().to_json()).unwrap();
        jwk["kid"] = json!(kid);
        jwk
    });
    json!({ "keys": each.collect::<Vec<_>>() }).to_string()
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) web: Arc<Web>,
    pub(crate) issuers: Issuers,
    pub(crate) guarded: Guarded,
}

impl Scene {
    /// An issuer whose keys stand at [`KEYS`].
    pub(crate) fn new() -> Self {
        Self::of(IssuerConfig::with_key_set_url(ISSUER, KEYS).unwrap())
    }

    pub(crate) fn of(issuer: IssuerConfig) -> Self {
        let world = World::new();
        let web = Arc::new(Web::default());
        web.put(KEYS, 200, key_set(&[(&world.issuer_key, "k1")]));
        let fetch: Arc<dyn Fetch> = web.clone();
        let issuers = Issuers::new(vec![issuer], &fetch).unwrap();
        let origin = PublicOrigin::parse(RESOURCE).unwrap();
        let config = ResourceConfig::new(RESOURCE, origin, issuers.clone()).unwrap();
        let guarded = Guarded(DpopLayer::new(world.server(config)).layer(Backend));
        Self { world, web, issuers, guarded }
    }

    /// Guards at the stage `observe` from now on.
    pub(crate) fn observe(&mut self) {
        let origin = PublicOrigin::parse(RESOURCE).unwrap();
        let config = ResourceConfig::new(RESOURCE, origin, self.issuers.clone()).unwrap().with_stage(Stage::Observe);
        self.guarded = Guarded(DpopLayer::new(self.world.server(config)).layer(Backend));
    }

    pub(crate) fn rotate(&mut self, kid: &str) {
        self.world.issuer_key = key();
        self.web.put(KEYS, 200, key_set(&[(&self.world.issuer_key, kid)]));
    }

    pub(crate) async fn token(&self, kid: &str) -> String {
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid });
        let claims = changed(self.world.claims(), &json!({ "exp": self.world.now() + 100_000 }));
        self.world.token_of(header, claims).await
    }

    pub(crate) async fn send(&self, token: &str) -> Answer {
        self.guarded.get_dpop(token, &self.world.proof(token).await).await
    }

    pub(crate) fn missing(&self) -> Option<String> {
        let now = Timestamp::from_seconds(self.world.now());
        self.issuers.readiness(now).pop().map(|missing| missing.fault.to_string())
    }
}
