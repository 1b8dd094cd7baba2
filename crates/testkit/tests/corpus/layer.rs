//! The resource layer in front of a small service, in process.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use countersign_dpop::NonceKey;
use countersign_dpop::replay::ReplayStore;
use countersign_probe::corpus::{Answer, Case, ForgedRequest, ISSUER, NOW, Server, Site, SiteSettings};
use countersign_resource::fetch::Offline;
use countersign_resource::{
    Cors, DpopLayer, IssuerConfig, Issuers, Refusal, ResourceConfig, ResourceServer, Route, Stage,
};
use countersign_testkit::FakeClock;
use countersign_testkit::corpus::settings;
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt};

use crate::setup;

pub(crate) fn site(case: &Case) -> Box<dyn Site> {
    Box::new(LayerSite::new(case.site.clone()))
}

struct LayerSite {
    case: SiteSettings,
    clock: FakeClock,
    layers: [DpopLayer; 2],
}

impl LayerSite {
    fn new(case: SiteSettings) -> Self {
        let clock = FakeClock::at(NOW);
        let layers = layers(&case, &clock, &setup::store(&case, settings::AN_HOUR_AGO), setup::NONCE_KEY);
        Self { case, clock, layers }
    }
}

impl Site for LayerSite {
    fn origin(&self, server: Server) -> String {
        settings::origin(&self.case, server)
    }

    fn send(&mut self, server: Server, requests: &[ForgedRequest]) -> Vec<Answer> {
        let layer = &self.layers[usize::from(server == Server::Second)];
        let answers = requests.iter().map(|request| {
            let service = layer.layer(tower::service_fn(serve));
            async move {
                let answer = service.oneshot(to_http(request)).await.unwrap_or_else(|never| match never {});
                let refusal = answer.extensions().get::<Refusal>();
                let diagnosis = refusal.map(|refusal| refusal.rejection().diagnosis_code());
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
        let store = setup::store(&self.case, self.clock.now());
        self.layers = layers(&self.case, &self.clock, &store, [8; 32]);
    }
}

async fn serve(request: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
    let mut answer = Response::new(Bytes::new());
    if request.uri().path() == "/fail" {
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(answer)
}

fn layers(case: &SiteSettings, clock: &FakeClock, store: &Arc<dyn ReplayStore>, nonce_key: [u8; 32]) -> [DpopLayer; 2] {
    [Server::First, Server::Second].map(|server| {
        let origin = settings::origin(case, server);
        let public = settings::public_origin(case, server);
        let config = ResourceConfig::new(&origin, public, issuers())
            .unwrap()
            .with_algorithms(settings::algorithms(case))
            .with_window(settings::window(case))
            .with_nonce_policy(settings::nonce_policy(case))
            .with_stage(stage(case));
        let key = NonceKey::from_bytes(nonce_key);
        let layer = DpopLayer::new(ResourceServer::new(config, Arc::clone(store), clock.shared(), key));
        let layer = match &case.scope {
            Some(scope) => layer.with_route(Route::new(stage(case)).with_scopes([scope.as_str()])),
            None => layer,
        };
        match &case.cors {
            Some(origin) => layer.with_cors(Cors::new([origin]).unwrap()),
            None => layer,
        }
    })
}

fn stage(case: &SiteSettings) -> Stage {
    case.stage.as_deref().map_or(Stage::Require, |name| name.parse().unwrap())
}

fn issuers() -> Issuers {
    let issuer = IssuerConfig::with_key_set(ISSUER, settings::issuer_keys()).unwrap();
    Issuers::new(vec![issuer], &(Arc::new(Offline) as _)).unwrap()
}

fn to_http(request: &ForgedRequest) -> Request<Bytes> {
    let mut builder = Request::builder().method(request.method.as_str()).uri(&request.target);
    for (name, value) in &request.fields {
        builder = builder.header(name, value.as_bytes());
    }
    builder.body(Bytes::from(request.body.clone())).unwrap()
}
