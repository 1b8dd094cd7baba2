//! `[mcp]` and `[routes.mcp]`: what an MCP server behind a route is asked for, and by whom.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::error::{Key, Problem};
use super::resolve::Faults;
use super::settings::{ReplaySetting, Settings};
use crate::mcp::{SessionKey, SessionKeyError};

/// The most bytes of a message, when nothing is said.
const MAX_BODY: u64 = 1_024 * 1_024;
const BODY_BOUNDS: (u64, u64) = (1_024, 16 * 1_024 * 1_024);
const IDLE_BOUNDS: (u64, u64) = (1, 86_400);

/// `[mcp]` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct McpConfig {
    /// Files with keys for session identifiers, for gateways side by side: the first one seals, all of them open. A new
    /// key for each start when empty.
    pub session_key_files: Vec<String>,
}

/// `[routes.mcp]` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct McpEntry {
    /// `body`, or `fields` where the upstream itself refuses fields that say something else than the body.
    pub judged_by: Option<String>,
    /// The methods that are allowed, `…/*` for all below; all when absent.
    pub methods: Option<Vec<String>>,
    /// `[[routes.mcp.tools]]`: the tools that are allowed; all when absent.
    pub tools: Option<Vec<McpNameEntry>>,
    /// `[[routes.mcp.prompts]]`: the prompts that are allowed; all when absent.
    pub prompts: Option<Vec<McpNameEntry>>,
    /// `[[routes.mcp.resources]]`: the resources that are allowed, by URI; all when absent.
    pub resources: Option<Vec<McpNameEntry>>,
    /// Whether clients of older versions may have sessions: `Mcp-Session-Id`, `GET` streams, `DELETE`.
    pub sessions: bool,
    /// Whether a body may hold several messages, as in version 2025-03-26.
    pub batches: bool,
    /// The most bytes of a body; 1 MiB when absent.
    pub max_body: Option<u64>,
    /// Whether a stream of events ends with the token that opened it; it does when absent.
    pub end_streams: Option<bool>,
    /// Seconds without any part of a stream after which it is ended; 3,600 when absent.
    pub stream_idle_seconds: Option<u64>,
}

/// A tool, prompt or resource, and what it takes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpNameEntry {
    /// Its name; with `*` at the end for all that begin so.
    pub name: String,
    /// The scopes that a token must have for it, beside those of the route.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// `[routes.mcp]`, resolved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct McpSettings {
    /// By what a request is judged.
    pub judged_by: JudgedBy,
    /// The allowed methods; all when absent.
    pub methods: Option<Vec<String>>,
    /// The allowed tools.
    pub tools: Option<Vec<McpName>>,
    /// The allowed prompts.
    pub prompts: Option<Vec<McpName>>,
    /// The allowed resources.
    pub resources: Option<Vec<McpName>>,
    /// Whether clients of older versions may have sessions.
    pub sessions: bool,
    /// Whether a body may hold several messages.
    pub batches: bool,
    /// The most bytes of a body.
    pub max_body: usize,
    /// Whether a stream of events ends with the token that opened it.
    pub end_streams: bool,
    /// How long nothing may come over a stream.
    pub stream_idle: Duration,
}

/// By what a request to an MCP server is judged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum JudgedBy {
    /// By the body, which is read; fields have to say the same.
    #[default]
    Body,
    /// By the fields alone. The version has to be one whose servers compare them with the body.
    Fields,
}

/// A tool, prompt or resource, resolved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct McpName {
    /// The name, without the `*` at its end.
    pub name: String,
    /// Whether names that only begin so are meant too.
    pub is_prefix: bool,
    /// The scopes that it takes beside those of the route.
    pub scopes: Vec<String>,
}

impl Default for McpSettings {
    fn default() -> Self {
        Self {
            judged_by: JudgedBy::default(),
            methods: None,
            tools: None,
            prompts: None,
            resources: None,
            sessions: false,
            batches: false,
            max_body: 1_024 * 1_024,
            end_streams: true,
            stream_idle: Duration::from_hours(1),
        }
    }
}

impl McpSettings {
    /// Every scope that something here takes.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &String> {
        let lists = [&self.tools, &self.prompts, &self.resources];
        lists.into_iter().flatten().flatten().flat_map(|entry| &entry.scopes)
    }
}

impl McpConfig {
    pub(super) fn over(self, lower: Self) -> Self {
        Self { session_key_files: super::first_filled(self.session_key_files, lower.session_key_files) }
    }

    /// The keys, read now.
    pub(super) fn session_keys(&self, directory: &Path, faults: &mut Faults) -> Vec<SessionKey> {
        let mut keys = Vec::new();
        for path in &self.session_key_files {
            match SessionKey::read(&directory.join(path)) {
                Ok(key) => keys.push(key),
                Err(fault) => faults.at(Key::top("mcp.session_key_files"), unusable(path, &fault)),
            }
        }
        keys
    }
}

impl McpEntry {
    pub(super) fn resolve(&self, faults: &mut Faults, key: &dyn Fn(&'static str) -> Key) -> McpSettings {
        let mut bounded = |name, value: Option<u64>, (least, most): (u64, u64), default| match value {
            Some(value) if (least..=most).contains(&value) => value,
            Some(value) => {
                faults.at(key(name), Problem::OutOfBounds { value, least, most });
                default
            }
            None => default,
        };
        let max_body = bounded("mcp.max_body", self.max_body, BODY_BOUNDS, MAX_BODY);
        let idle = bounded("mcp.stream_idle_seconds", self.stream_idle_seconds, IDLE_BOUNDS, 3_600);
        let judged_by = faults.read(key("mcp.judged_by"), self.judged_by.as_deref(), judged_by).unwrap_or_default();
        if judged_by == JudgedBy::Fields && (self.sessions || self.batches) {
            let what = "sessions and batches are of versions whose servers do not compare fields and body";
            faults.at(key("mcp.judged_by"), Problem::Contradiction { other: "sessions or batches", what });
        }
        for method in self.methods.iter().flatten().filter(|method| !is_method(method)) {
            faults.at(key("mcp.methods"), Problem::McpMethod { value: method.chars().take(64).collect() });
        }
        McpSettings {
            judged_by,
            methods: self.methods.clone(),
            tools: names(self.tools.as_ref(), faults, key("mcp.tools")),
            prompts: names(self.prompts.as_ref(), faults, key("mcp.prompts")),
            resources: names(self.resources.as_ref(), faults, key("mcp.resources")),
            sessions: self.sessions,
            batches: self.batches,
            max_body: usize::try_from(max_body).unwrap_or(usize::MAX),
            end_streams: self.end_streams.unwrap_or(true),
            stream_idle: Duration::from_secs(idle),
        }
    }
}

/// What should be known where several gateways have sessions that only one of them can open.
pub(super) fn lonely_sessions(settings: &Settings) -> Option<String> {
    let several = !matches!(settings.replay, ReplaySetting::Memory { .. });
    let begins = settings.routes.iter().filter_map(|route| route.mcp.as_ref()).any(|mcp| mcp.sessions);
    (several && begins && settings.session_keys.is_empty()).then(|| {
        "an MCP session is good at the gateway that began it only: give all of them one key (mcp.session_key_files)"
            .to_owned()
    })
}

fn judged_by(value: &str) -> Result<JudgedBy, Problem> {
    match value {
        "body" => Ok(JudgedBy::Body),
        "fields" => Ok(JudgedBy::Fields),
        _ => Err(super::names::not_a_choice(value, "body, fields")),
    }
}

/// A method, or all below one with `/*` at the end.
fn is_method(method: &str) -> bool {
    let plain = method.strip_suffix("/*").unwrap_or(method);
    !plain.is_empty() && plain.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'*')
}

fn names(entries: Option<&Vec<McpNameEntry>>, faults: &mut Faults, key: Key) -> Option<Vec<McpName>> {
    let mut names: Vec<McpName> = Vec::new();
    for entry in entries? {
        let (name, is_prefix) = match entry.name.strip_suffix('*') {
            Some(name) => (name, true),
            None => (entry.name.as_str(), false),
        };
        if names.iter().any(|other| other.name == name && other.is_prefix == is_prefix) {
            faults.at(key, Problem::Repeated { value: entry.name.chars().take(64).collect() });
        }
        names.push(McpName { name: name.to_owned(), is_prefix, scopes: entry.scopes.clone() });
    }
    Some(names)
}

fn unusable(path: &str, fault: &SessionKeyError) -> Problem {
    Problem::File { path: path.to_owned(), fault: fault.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GatewayConfig;

    const TOP: &str = r#"
public_origin = "https://mcp.example.com"
upstream = "http://127.0.0.1:9000"
issuer = "https://idp.example.com"
audience = "https://mcp.example.com"
[[routes]]
path = "/mcp"
"#;

    fn resolve(rest: &str) -> Result<Settings, String> {
        let config: GatewayConfig =
            toml::from_str(&format!("{TOP}{rest}")).map_err(|fault| fault.message().to_owned())?;
        config.resolve(Path::new("/nowhere")).map_err(|errors| errors.to_string())
    }

    fn mcp(rest: &str) -> McpSettings {
        resolve(rest).expect("settings").routes[0].mcp.clone().expect("an MCP server")
    }

    #[test]
    fn what_is_left_out_is_strict() {
        let settings = mcp("[routes.mcp]\n");
        assert_eq!(settings, McpSettings::default());
        assert!(
            settings.judged_by == JudgedBy::Body && !settings.sessions && !settings.batches && settings.end_streams
        );
        assert!(resolve("").expect("settings").routes[0].mcp.is_none());
    }

    #[test]
    fn everything_chosen_is_taken() {
        let settings = mcp("[routes.mcp]\nmethods = [\"tools/*\"]\nsessions = true\nbatches = true\nmax_body = 4096\n\
             end_streams = false\nstream_idle_seconds = 60\n\
             [[routes.mcp.tools]]\nname = \"write_*\"\nscopes = [\"write\"]\n[[routes.mcp.resources]]\nname = \"file:///a\"\n");
        let write = McpName { name: "write_".to_owned(), is_prefix: true, scopes: vec!["write".to_owned()] };
        let file = McpName { name: "file:///a".to_owned(), is_prefix: false, scopes: Vec::new() };
        assert_eq!(
            settings,
            McpSettings {
                judged_by: JudgedBy::Body,
                methods: Some(vec!["tools/*".to_owned()]),
                tools: Some(vec![write]),
                prompts: None,
                resources: Some(vec![file]),
                sessions: true,
                batches: true,
                max_body: 4_096,
                end_streams: false,
                stream_idle: Duration::from_mins(1),
            }
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (rest, expected) in [
            ("[routes.mcp]\njudged_by = \"header\"\n", "routes[0].mcp.judged_by: \"header\" is none of body, fields"),
            ("[routes.mcp]\nmax_body = 1\n", "routes[0].mcp.max_body: 1 is not within 1024 to 16777216"),
            ("[routes.mcp]\nmethods = [\"tools/*/x\"]\n", "routes[0].mcp.methods: \"tools/*/x\" is no MCP method"),
            (
                "[[routes.mcp.tools]]\nname = \"a\"\n[[routes.mcp.tools]]\nname = \"a\"\n",
                "routes[0].mcp.tools: \"a\" is there twice",
            ),
            (
                "[routes.mcp]\njudged_by = \"fields\"\nsessions = true\n",
                "routes[0].mcp.judged_by: cannot stand beside sessions or batches",
            ),
            ("[mcp]\nsession_key_files = [\"no.key\"]\n", "mcp.session_key_files: no.key cannot be read"),
            ("[routes.mcp]\ntool = 1\n", "unknown field `tool`"),
        ] {
            let fault = resolve(rest).map(|_| ()).expect_err(rest);
            assert!(fault.starts_with(expected), "{fault}");
        }
    }

    #[test]
    fn sessions_that_one_of_many_gateways_can_open_are_warned_of() {
        let warnings = |replay: &str, rest: &str| {
            let text = format!("replay = \"{replay}\"\n{TOP}[routes.mcp]\n{rest}");
            let config: GatewayConfig = toml::from_str(&text).expect("a configuration");
            config.resolve(Path::new("/nowhere")).expect("settings").warnings
        };
        assert!(warnings("node", "sessions = true\n").concat().contains("mcp.session_key_files"));
        assert!(warnings("memory", "sessions = true\n").is_empty() && warnings("node", "").is_empty());
    }

    #[test]
    fn who_answers_another_proxy_sees_no_body() {
        let top = format!("mode = \"forward-auth\"\nproxy = \"nginx\"\n{TOP}[routes.mcp]\n");
        let config: GatewayConfig = toml::from_str(&top).expect("a configuration");
        let fault = config.resolve(Path::new("/nowhere")).expect_err("a contradiction").to_string();
        assert!(fault.contains("routes[0].mcp: cannot stand beside mode"), "{fault}");
    }
}
