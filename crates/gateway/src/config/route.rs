//! `[[routes]]`: parts of the API that ask for something else.

use std::collections::HashSet;
use std::sync::Arc;

use countersign_dpop::NoncePolicy;
use countersign_dpop::time::{Timestamp, Window};
use countersign_forward::{Upstream, UpstreamHost};
use countersign_resource::Stage;
use http::Method;
use serde::Deserialize;

use super::date::Date;
use super::error::{Key, Problem};
use super::mcp::{McpEntry, McpSettings};
use super::resolve::{Faults, audience, stage};
use super::settings::{ReplaySetting, Settings};
use super::{GatewayConfig, names};
use crate::mode::Mode;

/// `[[routes]]` as it is written. What is left out is as at the top.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    /// The path, and everything below it.
    pub path: String,
    /// The methods; all when empty.
    #[serde(default)]
    pub methods: Vec<String>,
    /// The name in logs and metrics; the path, with the methods before it, when absent.
    pub name: Option<String>,
    /// The audience that tokens have to name here.
    pub audience: Option<String>,
    /// The scopes that tokens must have here, all of them.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The stage here.
    pub stage: Option<String>,
    /// Stages that follow.
    #[serde(default)]
    pub stages: Vec<StageEntry>,
    /// When proofs need a nonce here.
    pub nonce: Option<String>,
    /// The window here.
    pub window: Option<String>,
    /// Where its requests go.
    pub upstream: Option<String>,
    /// What `Host` says there.
    pub upstream_host: Option<String>,
    /// `[routes.mcp]`: there is an MCP server there.
    pub mcp: Option<McpEntry>,
}

/// A stage and when it begins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageEntry {
    /// The stage.
    pub stage: String,
    /// Its first day, or second.
    pub from: Date,
}

/// A route, resolved.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// The name in logs and metrics.
    pub name: Arc<str>,
    /// The path, and everything below it.
    pub path: String,
    /// The methods; all when empty.
    pub methods: Vec<Method>,
    /// The resource identifier.
    pub audience: String,
    /// The scopes that tokens must have.
    pub scopes: Vec<String>,
    /// The stage.
    pub stage: Stage,
    /// Stages that follow, each from its time on.
    pub stages: Vec<(Timestamp, Stage)>,
    /// When proofs need a nonce.
    pub nonce: NoncePolicy,
    /// The ages at which a proof is taken.
    pub window: Window,
    /// Where its requests go.
    pub upstream: Upstream,
    /// What `Host` says there.
    pub upstream_host: UpstreamHost,
    /// What the MCP server there is asked for, if there is one.
    pub mcp: Option<McpSettings>,
}

impl GatewayConfig {
    pub(super) fn route_settings(&self, top: &Settings, faults: &mut Faults) -> Vec<RouteSettings> {
        let mut routes: Vec<RouteSettings> = Vec::new();
        let mut names = HashSet::from([Arc::from("default")]);
        for (index, entry) in self.routes.iter().enumerate() {
            let key = move |name| Key::of("routes", index, name);
            let route = resolve(entry, top, faults, &key);
            if !names.insert(Arc::clone(&route.name)) {
                faults.at(key("name"), Problem::Repeated { value: route.name.to_string() });
            }
            if let Some(other) = routes.iter().position(|other| is_same(other, &route)) {
                faults.at(key("path"), Problem::SameRoute { other: Key::of("routes", other, "path") });
            }
            routes.push(route);
        }
        routes
    }
}

/// True when the second one would never see a request, or only by the order in the file.
fn is_same(one: &RouteSettings, other: &RouteSettings) -> bool {
    let bare = |route: &RouteSettings| route.path.trim_end_matches('/').to_lowercase();
    let overlap = || one.methods.iter().any(|method| other.methods.contains(method));
    bare(one) == bare(other) && (overlap() || (one.methods.is_empty() && other.methods.is_empty()))
}

fn resolve(
    entry: &RouteEntry,
    top: &Settings,
    faults: &mut Faults,
    key: &dyn Fn(&'static str) -> Key,
) -> RouteSettings {
    if !is_plain_path(&entry.path) {
        faults.at(key("path"), Problem::Path { value: entry.path.chars().take(64).collect() });
    }
    let own = faults.read(key("stage"), entry.stage.as_deref(), stage);
    let begun = own.unwrap_or(top.stage);
    // A stage of its own is not moved on by the dates of the others.
    let stages = if own.is_some() || !entry.stages.is_empty() {
        faults.stages(&entry.stages, begun, key)
    } else {
        top.stages.clone()
    };
    let written = faults.read(key("nonce"), entry.nonce.as_deref(), names::nonce);
    let window = faults.read(key("window"), entry.window.as_deref(), names::window);
    let nonce = match (implied(entry, top), written) {
        (None, written) => written.unwrap_or(top.nonce),
        (Some(_), None | Some(NoncePolicy::Required)) => NoncePolicy::Required,
        (Some(other), Some(_)) => {
            let what = "leave nonce out or say required";
            faults.at(key("nonce"), Problem::Contradiction { other, what });
            NoncePolicy::Required
        }
    };
    let methods = methods(entry, faults, key);
    RouteSettings {
        name: name(entry, faults, key),
        path: entry.path.clone(),
        methods,
        audience: faults
            .read(key("audience"), entry.audience.as_deref(), audience)
            .unwrap_or_else(|| top.audience.clone()),
        scopes: entry.scopes.clone(),
        stage: begun,
        stages,
        nonce,
        window: window.unwrap_or(top.window),
        upstream: faults
            .read(key("upstream"), entry.upstream.as_deref(), |url| url.parse().map_err(Problem::Upstream))
            .unwrap_or_else(|| top.upstream.clone()),
        upstream_host: faults
            .read(key("upstream_host"), entry.upstream_host.as_deref(), names::upstream_host)
            .unwrap_or(top.upstream_host),
        mcp: mcp(entry, top, faults, key),
    }
}

fn mcp(
    entry: &RouteEntry,
    top: &Settings,
    faults: &mut Faults,
    key: &dyn Fn(&'static str) -> Key,
) -> Option<McpSettings> {
    let mcp = entry.mcp.as_ref()?;
    if !matches!(top.mode, Mode::Proxy) {
        let what = "who answers another proxy sees no body; judge MCP where it passes through";
        faults.at(key("mcp"), Problem::Contradiction { other: "mode", what });
    }
    Some(mcp.resolve(faults, key))
}

/// What makes a nonce necessary here.
fn implied(entry: &RouteEntry, top: &Settings) -> Option<&'static str> {
    match (&top.replay, entry.window.as_deref()) {
        (ReplaySetting::Node { .. }, _) => Some("replay = node"),
        (_, Some("atproto")) => Some("window = atproto"),
        (_, _) => None,
    }
}

fn methods(entry: &RouteEntry, faults: &mut Faults, key: &dyn Fn(&'static str) -> Key) -> Vec<Method> {
    let mut methods = Vec::new();
    for name in &entry.methods {
        let usual = |name: &str| !name.bytes().any(|byte| byte.is_ascii_lowercase());
        match name.parse::<Method>() {
            Ok(method) if usual(name) && method != Method::CONNECT => methods.push(method),
            Ok(_) | Err(_) => faults.at(key("methods"), Problem::Method { value: name.chars().take(32).collect() }),
        }
    }
    methods
}

fn name(entry: &RouteEntry, faults: &mut Faults, key: &dyn Fn(&'static str) -> Key) -> Arc<str> {
    let Some(name) = &entry.name else {
        let methods = entry.methods.join(",");
        let joined = if methods.is_empty() { entry.path.clone() } else { format!("{methods} {}", entry.path) };
        return joined.chars().take(64).collect::<String>().into();
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        faults.at(key("name"), Problem::Name { value: name.chars().take(64).collect() });
    }
    name.as_str().into()
}

/// A path that every reader reads the same.
fn is_plain_path(path: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@/".contains(&byte);
    let dots = |segment: &str| segment == "." || segment == "..";
    path.starts_with('/') && !path.contains("//") && path.bytes().all(fits) && !path.split('/').any(dots)
}

impl Faults {
    /// Stages that follow `begun`, in order and in time.
    pub(super) fn stages(
        &mut self,
        entries: &[StageEntry],
        begun: Stage,
        key: &dyn Fn(&'static str) -> Key,
    ) -> Vec<(Timestamp, Stage)> {
        let (mut last, mut time) = (begun, Timestamp::MIN);
        let mut stages = Vec::new();
        for entry in entries {
            let next = self.read(key("stages"), Some(&entry.stage), stage);
            let from = self.date(key("stages"), &entry.from);
            let (Some(next), Some(from)) = (next, from) else { continue };
            if next <= last || from <= time {
                self.at(key("stages"), Problem::StageOrder);
            }
            (last, time) = (next, from);
            stages.push((from, next));
        }
        stages
    }

    pub(super) fn date(&mut self, key: Key, date: &Date) -> Option<Timestamp> {
        let found = date.timestamp();
        if found.is_none() {
            self.at(key, Problem::Date { value: date.shown() });
        }
        found
    }
}
