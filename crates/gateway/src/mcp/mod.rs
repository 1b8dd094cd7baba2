//! MCP servers behind the gateway: which methods and tools a route lets through and at what scopes, whose a session is,
//! and when a stream ends.
//!
//! A message is judged by its body, because that is what the server runs. `Mcp-Method` and `Mcp-Name` only have to say
//! the same. Where the server is known to compare them itself, they may be believed and no body is read.
//!
//! Everything is asked after token and proof are confirmed and before the proof is recorded: strangers cannot make the
//! gateway read a body, and what is refused has spent nothing.

mod answer;
mod asking;
mod body;
mod policy;
mod room;
mod session;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use countersign_mcp::{MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION};
use countersign_resource::Cors;
use http::{HeaderName, Method};

use self::answer::explain;
pub(crate) use self::asking::{Asking, Exchange};
use self::policy::Rules;
pub(crate) use self::room::Room;
pub use self::session::{SessionKey, SessionKeyError};
pub(crate) use self::session::{SessionKeys, Sessions};
pub(crate) use self::stream::EventStream;
use crate::config::{JudgedBy, McpSettings};

/// The session, in versions before 2026-07-28.
const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// Where a stream is to go on after it broke off, in those versions.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Lets pages send and read what MCP needs.
pub(crate) fn open_to_pages(cors: Cors) -> Cors {
    cors.with_allowed_fields(&[MCP_PROTOCOL_VERSION, MCP_METHOD, MCP_NAME, MCP_SESSION_ID, LAST_EVENT_ID])
        .with_exposed_fields(&[MCP_SESSION_ID])
}

/// What the MCP server of one route is asked for.
#[derive(Debug)]
pub(crate) struct McpRoute {
    rules: Rules,
    judged_by: JudgedBy,
    batches: bool,
    max_body: usize,
    /// For a whole body.
    patience: Duration,
    /// Absent where there are none.
    sessions: Option<Sessions>,
    end_streams: bool,
    stream_idle: Duration,
    room: Arc<Room>,
}

impl McpRoute {
    pub(crate) fn new(
        settings: &McpSettings,
        audience: &str,
        keys: &SessionKeys,
        room: &Arc<Room>,
        patience: Duration,
    ) -> Self {
        Self {
            rules: Rules::new(settings),
            judged_by: settings.judged_by,
            batches: settings.batches,
            max_body: settings.max_body,
            patience,
            sessions: settings.sessions.then(|| Sessions::new(keys.clone(), audience)),
            end_streams: settings.end_streams,
            stream_idle: settings.stream_idle,
            room: Arc::clone(room),
        }
    }

    /// The methods of HTTP that the endpoint has, as `Allow` lists them.
    const fn http_methods(&self) -> &'static str {
        if self.sessions.is_some() { "POST, GET, DELETE" } else { "POST" }
    }

    fn takes(&self, method: &Method) -> bool {
        method == Method::POST || (self.sessions.is_some() && (method == Method::GET || method == Method::DELETE))
    }
}
