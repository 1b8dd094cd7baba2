use std::collections::BTreeMap;

use serde::Deserialize;

use super::change::Change;
use super::expect::Expect;

/// One input, or a sequence of them, with the verdicts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The row that the case belongs to; several cases may share one.
    pub row: u16,
    /// Which of the row's cases this is.
    pub part: Option<String>,
    /// What is sent, for people.
    pub title: String,
    /// How the server is set up; as it is by default where nothing is said.
    #[serde(default)]
    pub site: SiteSettings,
    /// What is sent, in order.
    pub steps: Vec<Step>,
    /// Where the case is judged.
    pub applies: Vec<Level>,
    /// Where the standards leave a choice: what was chosen.
    pub choice: Option<String>,
}

impl Case {
    /// A name for tests: row, part and title in plain characters.
    pub fn name(&self) -> String {
        let plain = |text: &str| -> String {
            let words: Vec<String> = text
                .split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(str::to_ascii_lowercase)
                .collect();
            words.join("_")
        };
        let part = self.part.as_deref().map(|part| format!("_{part}")).unwrap_or_default();
        format!("row_{:03}{part}_{}", self.row, plain(&self.title))
    }
}

/// What judges a case.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The proof core alone. Of the token only its hash and `cnf` are looked at.
    Core,
    /// The resource server's layer, in process.
    Layer,
    /// The gateway, over a socket.
    Gateway,
}

/// How a server is set up for a case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteSettings {
    /// When nonces are demanded.
    pub nonce: NoncePolicySetting,
    /// The accepted algorithms; all when empty.
    pub algs: Vec<String>,
    /// The name of the window; `rfc` when absent.
    pub window: Option<String>,
    /// The scope asked for.
    pub scope: Option<String>,
    /// The stage; `require` when absent.
    pub stage: Option<String>,
    /// The public origin of the first server; `https://rs.example` when absent.
    pub origin: Option<String>,
    /// An origin whose pages may call.
    pub cors: Option<String>,
    /// How the replay store is.
    pub store: StoreSetting,
}

/// When nonces are demanded.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum NoncePolicySetting {
    /// Never.
    Never,
    /// Where the server's memory does not reach.
    #[default]
    Optional,
    /// Of every proof.
    Required,
}

/// How the replay store is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum StoreSetting {
    /// In memory, with room.
    #[default]
    Memory,
    /// Answers that it cannot be reached.
    Unreachable,
    /// Answers that it is full.
    Full,
}

/// One of the servers of a site.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Server {
    /// The one that is meant where nothing is said.
    #[default]
    First,
    /// `https://rs2.example`, another resource with the same nonce key and the same replay store.
    Second,
}

/// One request and its verdict.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Seconds that pass before it, or that the clock is set back by.
    #[serde(default)]
    pub wait: i64,
    /// The server is started anew before it.
    #[serde(default)]
    pub restart: bool,
    /// Which server it goes to.
    #[serde(default)]
    pub server: Server,
    /// The request before this one is sent once more, byte for byte; nothing else may be given.
    #[serde(default)]
    pub again: bool,
    /// How often it is sent at the same instant; exactly one copy is to be accepted, the others get `expect`.
    pub copies: Option<usize>,
    /// What is changed in the token.
    #[serde(default)]
    pub token: Vec<Change>,
    /// What is changed in the proof.
    #[serde(default)]
    pub proof: Vec<Change>,
    /// What is changed in the request around them.
    #[serde(default)]
    pub request: RequestChange,
    /// The verdict.
    pub expect: Expect,
    /// The diagnosis behind a refusal, by its identifier, so that no case passes for another fault than its own; one
    /// of several where levels tell it differently. Looked at where the server can be asked.
    #[serde(default)]
    pub because: Vec<String>,
    /// Another verdict at some level.
    #[serde(default)]
    pub expect_at: BTreeMap<Level, Expect>,
    /// Fields that the answer must have, with a text that their value contains. Not looked at in the core.
    #[serde(default)]
    pub answer_has: Vec<(String, String)>,
    /// Fields that the answer must not have. Not looked at in the core.
    #[serde(default)]
    pub answer_lacks: Vec<String>,
    /// Fields that the upstream must have got, with their value. Looked at in the gateway only.
    #[serde(default)]
    pub upstream_has: Vec<(String, String)>,
    /// Fields that the upstream must not have got. Looked at in the gateway only.
    #[serde(default)]
    pub upstream_lacks: Vec<String>,
}

/// What is changed in a request around token and proof. Texts are templates.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestChange {
    /// The method; GET when absent.
    pub method: Option<String>,
    /// Path and query; `/a/b` when absent.
    pub target: Option<String>,
    /// Host and port asked for; the server's own when absent.
    pub authority: Option<String>,
    /// The values of the `DPoP` fields; the proof when absent.
    pub dpop: Option<Vec<String>>,
    /// The values of the `Authorization` fields; the token with its scheme when absent.
    pub authorization: Option<Vec<String>>,
    /// More fields.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
    /// Fields after the body.
    pub trailers: Vec<(String, String)>,
    /// Two in the place of one `DPoP` field over HTTP/2.
    pub http2: bool,
}
