//! Making a site of its settings, with what lasts from one to the next.

use std::sync::Arc;

use countersign_dpop::NonceKeyRing;
use countersign_dpop::replay::ReplayStore;
use countersign_dpop::time::{Clock, Window};
use countersign_forward::{Forwarder, TlsError};
use countersign_resource::fetch::Fetch;
use countersign_resource::{
    Cors, IssuerConfigError, Issuers, KeyCache, ResourceConfig, ResourceConfigError, ResourceServer, Route, Stage,
};

use super::path::loosest;
use super::{ForwarderKey, Guard, GuardKey, Origin, Settings, Site, SiteRoute};
use crate::config::{McpSettings, RouteSettings};
use crate::mcp::{McpRoute, Room, SessionKey, SessionKeys, open_to_pages};

/// The name in `Via` towards the upstream.
const VIA: &str = "countersign";

/// What lasts when the configuration changes.
#[derive(Debug)]
pub(crate) struct Lasting {
    pub(crate) replay: Arc<dyn ReplayStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) nonce_keys: NonceKeyRing,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) keys: KeyCache,
    /// For MCP sessions where no key is configured.
    pub(crate) session_key: SessionKey,
    /// For MCP messages that are read to be judged.
    pub(crate) room: Arc<Room>,
}

/// Why settings make no site.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SiteError {
    #[error(transparent)]
    Issuers(#[from] IssuerConfigError),
    #[error(transparent)]
    Resource(#[from] ResourceConfigError),
    #[error("the upstream cannot be reached over TLS: {0}")]
    Tls(#[from] TlsError),
}

impl Site {
    /// The site of `settings`. Connections and keys of `before` are kept where the settings still want them.
    pub(crate) fn new(settings: &Settings, lasting: &Lasting, before: Option<&Self>) -> Result<Self, SiteError> {
        let issuers = match before {
            Some(before) => before.issuers.replaced_by(settings.issuers.clone(), &lasting.fetch)?,
            None => Issuers::new(settings.issuers.clone(), &lasting.fetch)?,
        };
        let mut building = Building { settings, lasting, before, issuers, guards: Vec::new(), forwarders: Vec::new() };
        let mut routes = Vec::new();
        let rest = settings.rest();
        // Everybody else's resource is the first: the well-known place without a path is its.
        building.guard(&rest)?;
        for route in settings.routes.iter().chain([&rest]) {
            routes.push(building.route(route)?);
        }
        routes.sort_by_key(|route| (std::cmp::Reverse(route.prefix.len()), route.methods.is_empty()));
        let Building { issuers, guards, forwarders, .. } = building;
        let public = std::iter::once(settings.public_origin.clone()).chain(settings.aliases.clone());
        Ok(Self {
            origins: public.map(Origin::new).collect(),
            cors: settings.cors_of_all_routes(),
            max_fields: settings.limits.head_fields,
            issuers,
            guards,
            forwarders,
            routes,
        })
    }
}

impl Settings {
    /// What holds for requests that no route is written for.
    fn rest(&self) -> RouteSettings {
        RouteSettings {
            name: "default".into(),
            path: "/".to_owned(),
            methods: Vec::new(),
            audience: self.audience.clone(),
            scopes: Vec::new(),
            stage: self.stage,
            stages: self.stages.clone(),
            nonce: self.nonce,
            window: self.window,
            upstream: self.upstream.clone(),
            upstream_host: self.upstream_host,
            mcp: None,
        }
    }

    /// Pages that may call an API may speak MCP where there is a route for it.
    fn cors_of_all_routes(&self) -> Option<Cors> {
        let has_mcp = self.routes.iter().any(|route| route.mcp.is_some());
        self.cors.clone().map(|cors| if has_mcp { open_to_pages(cors) } else { cors })
    }

    /// The window that takes every proof that any route takes.
    pub(crate) fn widest_window(&self) -> Window {
        let windows = || self.routes.iter().map(|route| route.window).chain([self.window]);
        let age = windows().map(Window::max_age).max();
        let ahead = windows().map(Window::max_ahead).max();
        age.zip(ahead).and_then(|(age, ahead)| Window::new(age, ahead)).unwrap_or(self.window)
    }
}

struct Building<'a> {
    settings: &'a Settings,
    lasting: &'a Lasting,
    before: Option<&'a Site>,
    issuers: Issuers,
    guards: Vec<Guard>,
    forwarders: Vec<(ForwarderKey, Forwarder)>,
}

impl Building<'_> {
    fn route(&mut self, settings: &RouteSettings) -> Result<SiteRoute, SiteError> {
        let prefix = settings.path.trim_end_matches('/').to_owned();
        let begun = Route::new(settings.stage).with_label(Arc::clone(&settings.name)).with_scopes(&settings.scopes);
        let later = |route: Route, (from, stage): &(_, Stage)| route.with_later_stage(*from, *stage);
        Ok(SiteRoute {
            loose_prefix: loosest(&settings.path).trim_end_matches('/').to_owned(),
            prefix,
            methods: settings.methods.clone(),
            route: settings.stages.iter().fold(begun, later),
            label: Arc::clone(&settings.name),
            guard: self.guard(settings)?,
            forwarder: self.forwarder(settings)?,
            mcp: settings.mcp.as_ref().map(|mcp| self.mcp(mcp, &settings.audience)),
        })
    }

    fn mcp(&self, settings: &McpSettings, audience: &str) -> McpRoute {
        let keys = SessionKeys::new(&self.settings.session_keys, &self.lasting.session_key);
        let patience = self.settings.limits.forward.request_body_idle;
        McpRoute::new(settings, audience, &keys, &self.lasting.room, patience)
    }

    /// The resource that judges the route's requests, made if there is none yet.
    fn guard(&mut self, route: &RouteSettings) -> Result<usize, SiteError> {
        let key = GuardKey { audience: route.audience.clone(), nonce: route.nonce, window: route.window };
        if let Some(place) = self.guards.iter().position(|guard| guard.key == key) {
            return Ok(place);
        }
        let config = self.resource(&key)?.with_metadata_path(route.path.trim_end_matches('/'));
        let Lasting { replay, clock, nonce_keys, .. } = self.lasting;
        let server = ResourceServer::new(config, Arc::clone(replay), Arc::clone(clock), nonce_keys.clone());
        self.guards.push(Guard { key, server });
        Ok(self.guards.len() - 1)
    }

    fn resource(&self, key: &GuardKey) -> Result<ResourceConfig, SiteError> {
        let settings = self.settings;
        let mut config =
            ResourceConfig::new(key.audience.clone(), settings.public_origin.clone(), self.issuers.clone())?
                .with_routes(self.routes_of(&key.audience))
                .with_algorithms(settings.algorithms.clone())
                .with_window(key.window)
                .with_nonce_policy(key.nonce)
                .with_key_cache(self.lasting.keys.clone())
                .with_scopes_supported(self.scopes_of(&key.audience));
        config = settings.aliases.iter().cloned().fold(config, ResourceConfig::with_alias);
        for client in &settings.clients {
            let dates = client.from..=client.until;
            config = config.with_bearer_rule(&client.issuer, &client.client_id, client.allowance, dates);
        }
        Ok(config)
    }

    /// Every route of a resource, for what its metadata says of them all.
    fn routes_of(&self, audience: &str) -> Vec<Route> {
        let rest = self.settings.rest();
        let of = self.settings.routes.iter().chain([&rest]).filter(|route| route.audience == audience);
        let later = |route: Route, (from, stage): &(_, Stage)| route.with_later_stage(*from, *stage);
        of.map(|route| route.stages.iter().fold(Route::new(route.stage), later)).collect()
    }

    fn scopes_of(&self, audience: &str) -> Vec<String> {
        let mut scopes: Vec<String> = self.settings.scopes_supported.clone();
        for route in self.settings.routes.iter().filter(|route| route.audience == audience) {
            scopes.extend(route.scopes.iter().cloned());
            scopes.extend(route.mcp.iter().flat_map(McpSettings::scopes).cloned());
        }
        scopes.sort();
        scopes.dedup();
        scopes
    }

    fn forwarder(&mut self, route: &RouteSettings) -> Result<usize, SiteError> {
        let key = ForwarderKey {
            upstream: route.upstream.clone(),
            tls: self.settings.upstream_tls.clone(),
            host: route.upstream_host,
            forwarded: self.settings.x_forwarded,
            limits: self.settings.limits.forward,
        };
        if let Some(place) = self.forwarders.iter().position(|(known, _)| *known == key) {
            return Ok(place);
        }
        let before = self.before.and_then(|before| before.forwarders.iter().find(|(known, _)| *known == key));
        let forwarder = match before {
            Some((_, forwarder)) => forwarder.clone(),
            None => Forwarder::to(key.upstream.clone(), &key.tls, key.limits)?
                .with_host(key.host)
                .with_forwarded_fields(key.forwarded)
                .with_via(VIA),
        };
        self.forwarders.push((key, forwarder));
        Ok(self.forwarders.len() - 1)
    }
}
