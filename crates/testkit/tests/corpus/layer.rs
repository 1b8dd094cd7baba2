//! The resource layer in front of a small service, in process.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use countersign_dpop::jose::{JwkSet, PublicJwk, VerificationKey};
use countersign_dpop::replay::ReplayStore;
use countersign_dpop::{NonceKey, PublicOrigin};
use countersign_probe::corpus::{
    Answer, Case, ForgedRequest, ISSUER, ISSUER_KEY, ISSUER_KID, NOW, Server, Site, SiteSettings,
};
use countersign_probe::forge::ForgeKey;
use countersign_resource::fetch::Offline;
use countersign_resource::{
    Cors, DpopLayer, IssuerConfig, Issuers, Refusal, ResourceConfig, ResourceServer, Route, Stage,
};
use countersign_testkit::FakeClock;
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt};

use crate::setup;

pub(crate) fn site(case: &Case) -> Box<dyn Site> {
    Box::new(LayerSite::new(case.site.clone()))
}

struct LayerSite {
    settings: SiteSettings,
    clock: FakeClock,
    layers: [DpopLayer; 2],
}

impl LayerSite {
    fn new(settings: SiteSettings) -> Self {
        let clock = FakeClock::at(NOW);
        let layers = layers(&settings, &clock, &setup::store(&settings, setup::an_hour_ago()), setup::NONCE_KEY);
        Self { settings, clock, layers }
    }
}

impl Site for LayerSite {
    fn origin(&self, server: Server) -> String {
        setup::origin(&self.settings, server)
    }

    fn send(&mut self, server: Server, requests: &[ForgedRequest]) -> Vec<Answer> {
        let layer = &self.layers[usize::from(server == Server::Second)];
        let answers = requests.iter().map(|request| {
            let service = layer.layer(tower::service_fn(serve));
            async move {
                let answer = service.oneshot(to_http(request)).await.unwrap_or_else(|never| match never {});
                let refusal = answer.extensions().get::<Refusal>();
                let diagnosis = refusal.map(|refusal| refusal.rejection().diagnosis().code());
                Answer { diagnosis, ..Answer::read(answer.status(), answer.headers().clone()) }
            }
        });
        join_all(answers).now_or_never().unwrap()
    }

    fn wait(&mut self, seconds: i64) {
        self.clock.advance(seconds);
    }

    fn restart(&mut self) {
        use countersign_dpop::time::Clock as _;
        let store = setup::store(&self.settings, self.clock.now());
        self.layers = layers(&self.settings, &self.clock, &store, [8; 32]);
    }
}

async fn serve(request: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
    let mut answer = Response::new(Bytes::new());
    if request.uri().path() == "/fail" {
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(answer)
}

fn layers(
    settings: &SiteSettings,
    clock: &FakeClock,
    store: &Arc<dyn ReplayStore>,
    nonce_key: [u8; 32],
) -> [DpopLayer; 2] {
    [Server::First, Server::Second].map(|server| {
        let origin = setup::origin(settings, server);
        let public = PublicOrigin::parse(&origin).unwrap();
        let config = ResourceConfig::new(&origin, public, issuers())
            .unwrap()
            .with_algorithms(setup::algorithms(settings))
            .with_window(setup::window(settings))
            .with_nonce_policy(setup::nonce_policy(settings))
            .with_stage(stage(settings));
        let key = NonceKey::from_bytes(nonce_key);
        let layer = DpopLayer::new(ResourceServer::new(config, Arc::clone(store), clock.shared(), key));
        let layer = match &settings.scope {
            Some(scope) => layer.with_route(Route::new(stage(settings)).with_scopes([scope.as_str()])),
            None => layer,
        };
        match &settings.cors {
            Some(origin) => layer.with_cors(Cors::new([origin]).unwrap()),
            None => layer,
        }
    })
}

fn stage(settings: &SiteSettings) -> Stage {
    settings.stage.as_deref().map_or(Stage::Require, |name| name.parse().unwrap())
}

fn issuers() -> Issuers {
    let key = PublicJwk::parse(ForgeKey::named(ISSUER_KEY).unwrap().jwk().to_string().as_bytes()).unwrap();
    let key = VerificationKey { kid: Some(ISSUER_KID.to_owned()), alg: None, key };
    let issuer = IssuerConfig::with_key_set(ISSUER, JwkSet::from_keys(vec![key])).unwrap();
    Issuers::new(vec![issuer], &(Arc::new(Offline) as _)).unwrap()
}

fn to_http(request: &ForgedRequest) -> Request<Bytes> {
    let mut builder = Request::builder().method(request.method.as_str()).uri(&request.target);
    for (name, value) in &request.fields {
        builder = builder.header(name, value.as_bytes());
    }
    builder.body(Bytes::from(request.body.clone())).unwrap()
}
