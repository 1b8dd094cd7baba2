//! The guard as a tower layer, for any service over `http` requests.

mod body;
mod service;

use std::sync::Arc;

use tower_layer::Layer;

pub use self::body::GuardedBody;
pub use self::service::{DpopService, Observed};
use crate::cors::Cors;
use crate::server::{ResourceServer, Route};

/// Puts a [`ResourceServer`] in front of a service.
///
/// A granted request carries its [`crate::Access`] in the request's extensions. A refused one is answered here and
/// never reaches the service; the answer carries the [`crate::Refusal`] in its extensions. Every judged request's
/// answer carries the [`crate::Decision`]. In `observe`, requests reach the service as they came and answers leave
/// as they are.
#[derive(Clone, Debug)]
pub struct DpopLayer {
    guard: Arc<Guard>,
}

#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) server: ResourceServer,
    pub(crate) route: Option<Route>,
    pub(crate) cors: Option<Cors>,
    pub(crate) serves_metadata: bool,
}

impl DpopLayer {
    /// Guards by `server`, at the stage of its configuration, and serves the resource's metadata (RFC 9728).
    pub fn new(server: ResourceServer) -> Self {
        Self { guard: Arc::new(Guard { server, route: None, cors: None, serves_metadata: true }) }
    }

    /// Asks for what `route` says instead.
    #[must_use]
    pub fn with_route(self, route: Route) -> Self {
        self.with(|guard| guard.route = Some(route))
    }

    /// Lets pages of these origins call the resource; their preflights are answered here, without credentials.
    #[must_use]
    pub fn with_cors(self, cors: Cors) -> Self {
        self.with(|guard| guard.cors = Some(cors))
    }

    /// Leaves the metadata to somebody else: its paths are guarded like any other.
    #[must_use]
    pub fn without_metadata(self) -> Self {
        self.with(|guard| guard.serves_metadata = false)
    }

    fn with(self, change: impl FnOnce(&mut Guard)) -> Self {
        let mut guard = Arc::unwrap_or_clone(self.guard);
        change(&mut guard);
        Self { guard: Arc::new(guard) }
    }
}

impl<S> Layer<S> for DpopLayer {
    type Service = DpopService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DpopService::new(inner, Arc::clone(&self.guard))
    }
}
