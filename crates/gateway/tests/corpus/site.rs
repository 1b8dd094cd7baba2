//! One gateway in front of one upstream, for one case.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign_dpop::time::Clock;
use countersign_forward::Upstream;
use countersign_gateway::{Gateway, NoDecisions, Settings};
use countersign_probe::corpus::{Answer, Case, ForgedRequest, ISSUER, NOW, Server, Site, SiteSettings};
use countersign_resource::{Cors, IssuerConfig};
use countersign_testkit::FakeClock;
use countersign_testkit::corpus::settings;
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::client;
use crate::upstream::PlayedUpstream;

pub(crate) fn site(case: &Case) -> Box<dyn Site> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let clock = FakeClock::at(settings::AN_HOUR_AGO);
    let upstream = runtime.block_on(PlayedUpstream::start());
    let gateway = runtime.block_on(start(&case.site, &clock, upstream.address));
    clock.set(NOW);
    Box::new(GatewaySite { case: case.site.clone(), clock, upstream, gateway, runtime })
}

struct GatewaySite {
    case: SiteSettings,
    clock: FakeClock,
    upstream: PlayedUpstream,
    gateway: Running,
    runtime: Runtime,
}

/// A gateway that serves until this is dropped.
struct Running {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Site for GatewaySite {
    fn origin(&self, server: Server) -> String {
        settings::origin(&self.case, server)
    }

    fn send(&mut self, server: Server, requests: &[ForgedRequest]) -> Vec<Answer> {
        assert_eq!(server, Server::First, "a site of gateways has one");
        let address = self.gateway.address;
        let answers = self.runtime.block_on(join_all(requests.iter().map(|request| client::send(address, request))));
        let upstream = self.upstream.take_fields();
        answers.into_iter().map(|answer| Answer { upstream: upstream.clone(), ..answer }).collect()
    }

    fn wait(&mut self, seconds: i64) {
        self.clock.advance(seconds);
    }

    fn restart(&mut self) {
        self.gateway = self.runtime.block_on(start(&self.case, &self.clock, self.upstream.address));
    }
}

async fn start(case: &SiteSettings, clock: &FakeClock, upstream: SocketAddr) -> Running {
    let origin = settings::public_origin(case, Server::First);
    let issuer = IssuerConfig::with_key_set(ISSUER, settings::issuer_keys()).unwrap();
    let upstream = format!("http://{upstream}").parse::<Upstream>().unwrap();
    let audience = settings::origin(case, Server::First);
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut settings = Settings::new(loopback, origin, upstream, vec![issuer], audience);
    settings.nonce = settings::nonce_policy(case);
    settings.window = settings::window(case);
    settings.algorithms = settings::algorithms(case);
    settings.cors = case.cors.as_ref().map(|origin| Cors::new([origin]).unwrap());
    if let Some(stage) = &case.stage {
        settings.stage = stage.parse().unwrap();
    }
    let clock: Arc<dyn Clock> = clock.shared();
    let gateway = Gateway::bind(settings, clock, Arc::new(NoDecisions)).await.unwrap();
    let address = gateway.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(gateway.serve(async move {
        // Dropped: over.
        let _ = stopped.await;
    }));
    Running { address, _stop: stop }
}
